"""Frames of the fan-out as ASGI messages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hubbub.errors import Close
from hubbub.transports.asgi.messages import Messages, close_frame
from hubbub.transports.websocket.frames import text_frame

TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from([125, 126, 65_535, 65_536]).map("x".__mul__)
)


@given(st.lists(TEXTS, max_size=5))
def test_each_frame_is_a_message_and_no_byte_is_lost(texts: list[str]) -> None:
    data = b"".join(text_frame(text.encode()) for text in texts)
    messages = Messages().of(data)
    assert [message for message, _ in messages] == [{"type": "websocket.send", "text": text} for text in texts]
    assert sum(size for _, size in messages) == len(data)


def test_a_close_frame_keeps_its_place() -> None:
    data = text_frame(b"last words") + close_frame(Close.TOO_SLOW)
    (_, _), (close, _) = Messages().of(data)
    assert close == {"type": "websocket.close", "code": 4005, "reason": "the connection reads too slowly"}


def test_the_same_bytes_are_taken_apart_once() -> None:
    messages, data = Messages(), text_frame(b"for thousands of members")
    assert messages.of(data) is messages.of(data)
    assert messages.of(text_frame(b"another")) is not messages.of(data)
