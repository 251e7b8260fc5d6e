"""Duplicates are dropped and gaps reported: the vectors shared with the browser client, and a property."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.client.events import Event, Gap, Message, Private
from hubbub.client.positions import Positions
from hubbub.client.results import Joined
from hubbub.client.wire import read_frame
from hubbub.messages import Position, Welcome

VECTORS = json.loads((Path(__file__).parent.parent / "vectors/positions.json").read_text())


@pytest.mark.parametrize("vector", [pytest.param(vector, id=vector["name"]) for vector in VECTORS])
def test_vectors(vector: dict[str, Any]) -> None:
    emitted: list[Event] = []
    positions = Positions(emitted.append)
    for step in vector["steps"]:
        if "welcome" in step:
            positions.on_welcome(msgspec.convert(step["welcome"], Welcome))
        elif "joined" in step:
            joined = step["joined"]
            since = msgspec.convert(joined["since"], Position | None)
            positions.on_join(joined["group"], since, msgspec.convert(joined["reply"], Joined))
        else:
            positions.on_event(read_frame(json.dumps(step["event"])))  # type: ignore[arg-type]
    assert [brief(event) for event in emitted] == vector["emitted"]
    assert msgspec.to_builtins([positions.position, positions.inbox]) == [vector["position"], vector["inbox"]]


def brief(event: Event) -> Any:
    if not isinstance(event, Gap):
        assert isinstance(event, Message | Private)
        return event.message
    since, position = msgspec.to_builtins((event.since, event.position))
    return {"gap": event.group, "since": since, "position": position, "missed": event.missed}


@given(st.lists(st.integers(1, 30)))
def test_every_number_is_received_once_or_reported_missing(numbers: list[int]) -> None:
    emitted: list[Event] = []
    positions = Positions(emitted.append)
    positions.on_join("g", None, Joined("Joined", Position("e", 0)))
    for number in numbers:
        positions.on_event(Message(None, "ada", None, "g", number))
    covered: list[int | None] = []
    for event in emitted:
        if isinstance(event, Gap):
            assert event.since is not None
            covered += range(event.since.seq + 1, event.position.seq + 1)
        else:
            assert isinstance(event, Message)
            covered.append(event.seq)
    assert covered == list(range(1, max(numbers, default=0) + 1))


def test_a_forgotten_group_has_no_position() -> None:
    positions = Positions(lambda _: None)
    positions.on_join("g", None, Joined("Joined", Position("e", 4)))
    positions.forget_group()
    assert (positions.group, positions.position) == (None, None)
