"""Every metric that the docs name exists; none that exists stands in no page."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

DOCS = Path(__file__).parents[2] / "docs"
NAME = re.compile(r"\b(?:hubbub|process)_[a-z_]+[a-z]\b")


async def test_the_metrics_of_the_page_exist(http: httpx.AsyncClient) -> None:
    families = text_string_to_metric_families((await http.get("/metrics")).text)
    real = {sample.name for family in families for sample in family.samples}
    real |= {f"hubbub_{name}_total" for name in ("commands", "handshakes_refused", "closes", "http_requests")}
    named = set(NAME.findall((DOCS / "operations/monitoring.md").read_text()))
    assert named - real == set()
    assert len(named) > 12
