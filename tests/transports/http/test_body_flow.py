"""The parser goes on when the app has taken what was parsed."""

from __future__ import annotations

import asyncio
from typing import cast

from hubbub.transports.http.body_flow import BodyFlow


class Transport:
    """Counts how often reading is paused."""

    paused = 0

    def pause_reading(self) -> None:
        self.paused += 1


def test_the_parser_goes_on_once_for_each_pause() -> None:
    calls: list[None] = []
    flow = BodyFlow(cast(asyncio.Transport, Transport()), lambda: calls.append(None))
    flow.resume_reading()  # nothing was paused
    assert not calls
    flow.pause_reading()
    flow.resume_reading()
    flow.resume_reading()
    assert len(calls) == 1


def test_a_detached_flow_calls_nobody() -> None:
    calls: list[None] = []
    flow = BodyFlow(cast(asyncio.Transport, Transport()), lambda: calls.append(None))
    flow.pause_reading()
    flow.detach()
    flow.resume_reading()
    assert not calls
    assert not flow.read_paused
