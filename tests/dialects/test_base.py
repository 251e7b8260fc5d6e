"""A dialect in the framing of WebSockets: short frames take a faster way, with the same bytes."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.dialects.base import Wire
from hubbub.dialects.skapi import Skapi
from hubbub.dialects.v1 import V1
from hubbub.messages import Gap, Message, Position, sent
from hubbub.transports.websocket.frames import HEADERS, text_frame

FAST, PLAIN = Wire(V1(), text_frame, HEADERS), Wire(V1(), text_frame)


@given(st.integers(0, 1 << 70), st.integers(0, 1 << 40))
def test_the_reply_to_a_post_is_the_one_of_the_general_way(command_id: int, recipients: int) -> None:
    expected = text_frame(V1().reply(command_id, sent(recipients)))
    assert FAST.sent(command_id, recipients) == PLAIN.sent(command_id, recipients) == expected


@pytest.mark.parametrize("size", [2, 10, 30, 31, 125, 126, 1900, 1970, 2047, 2048, 66_000])
def test_an_event_has_the_frame_of_its_length(size: int) -> None:
    for length in range(size, size + 80):
        event = Message(msgspec.Raw(b'"%s"' % (b"x" * length)), "ada", "cid", "g", 1)
        assert FAST.event(event) == PLAIN.event(event) == text_frame(V1().event(event))


def test_what_a_dialect_cannot_say_is_not_framed() -> None:
    wire = Wire(Skapi(), text_frame, HEADERS)
    assert wire.event(Gap("g", Position("e", 1))) == b""
    assert wire.sent(1, 1) is None
