from __future__ import annotations

import pytest

from hubbub.client.events import Closed, Connected, Event, Gap, Message, Other, Private, Problem, Reconnecting
from hubbub.messages import Position


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (Message("x", "ada", None, "g", 1), "message"),
        (Private("x", "ada", None), "private"),
        (Gap("g", None, Position("e", 1)), "gap"),
        (Other("later", {}), "later"),
        (Connected(), "success"),
        (Reconnecting(1006, "lost", 0.5), "reconnect"),
        (Problem(4003, "disconnected"), "error"),
        (Closed(1000), "close"),
    ],
)
def test_the_type_is_the_word_of_the_browser_client(event: Event, name: str) -> None:
    assert event.type == name


@pytest.mark.parametrize(
    ("since", "missed"), [(Position("e", 3), 4), (Position("e", 7), 0), (Position("another", 3), None), (None, None)]
)
def test_missed_is_known_within_one_epoch(since: Position | None, missed: int | None) -> None:
    assert Gap("g", since, Position("e", 7)).missed == missed


def test_events_are_immutable() -> None:
    with pytest.raises(AttributeError):
        Connected().message = "x"  # type: ignore[misc]
