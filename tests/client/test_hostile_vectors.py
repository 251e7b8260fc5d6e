"""Frames that break the protocol: one outcome each, the same in both clients (``tests/vectors``)."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.client.events import UNREADABLE, Problem
from hubbub.client.reconnect_policy import BACKOFF_CAP, backoff, retry_delay
from hubbub.client.wire import Reply, decoded_size, read_frame

VECTORS = Path(__file__).parent.parent / "vectors"


def rows(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((VECTORS / name).read_text())
    return found


def outcome(frame: str) -> str:
    read = read_frame(frame)
    if isinstance(read, Problem) and read.code == UNREADABLE:
        return "unreadable"
    if isinstance(read, Reply):
        return "failed" if read.error else "reply"
    return "ignored" if read is None else "event"


@pytest.mark.parametrize("row", rows("hostile_frames.json"), ids=lambda row: row["frame"])
def test_a_frame_has_one_outcome(row: dict[str, Any]) -> None:
    assert outcome(row["frame"]) == row["outcome"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
NAMES = st.sampled_from(["id", "ok", "error", "type", "message", "seq", "sender_rid", "position", "after", "ticket"])
TYPES = st.sampled_from(["message", "private", "notice", "gap", "restart", "later"])


@given(st.dictionaries(NAMES, json_values | TYPES) | json_values | st.text())
def test_no_frame_raises(frame: Any) -> None:
    text = frame if isinstance(frame, str) else json.dumps(frame)
    assert outcome(text) in {"unreadable", "ignored", "event", "reply", "failed"}
    assert decoded_size(text) >= len(text)


@given(st.floats() | st.none(), st.floats(0, 1), st.integers(1, 10_000), st.sampled_from([1001, 1006, 4002, 4999]))
def test_no_restart_notice_makes_a_retry_sooner(
    restart_after: float | None, random: float, attempt: int, code: int
) -> None:
    delay = retry_delay(code, attempt, random, restart_after)
    assert math.isfinite(delay)
    assert backoff(attempt, random) <= delay <= BACKOFF_CAP
    assert 0 <= retry_delay(code, 0, random, restart_after) <= BACKOFF_CAP
