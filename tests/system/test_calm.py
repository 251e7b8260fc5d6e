"""Abuse, in small: the scripts of ``benchmarks/abuse`` against a real server. ``make soak`` runs them in full.

Each script proves that the abuse took place, reads the outcome from outside the server, and fails if anything is wrong.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.alone

ABUSE = Path(__file__).parents[2] / "benchmarks" / "abuse"
PATIENCE = 200.0
"""Seconds after which a script hangs; all take less than a quarter of it, even on a busy machine."""


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc to look into the server with")
@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("malformed", ["50000"]),
        ("soak", ["50000"]),
        ("drain", ["600", "20"]),
        ("open_files", []),
        ("kicked", ["--victims", "10"]),
        ("pattern_pages", ["--groups", "20000", "--pages", "10"]),
    ],
)
async def test_nothing_is_harmed(script: str, arguments: list[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, ABUSE / f"{script}.py", *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(PATIENCE):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    facts = json.loads(out)
    assert facts["failed"] == [], facts
    assert process.returncode == 0
