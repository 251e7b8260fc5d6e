from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from hubbub.backends.valkey import envelope
from hubbub.messages import Message, Private, Signaled

TEXT = st.text(st.characters(exclude_categories=("Cs",)))
# JSON that clients post, as they wrote it: with line breaks, and with half surrogate pairs, which browsers escape.
JSON = st.sampled_from([b"1", b'"\\ud800"', b'{\n "a": "\\udc00\\n"}', b"null"]).map(msgspec.Raw)


@given(JSON, TEXT, st.none() | TEXT, TEXT, st.integers(1, 2**53))
def test_messages_come_out_as_they_went_in(
    body: msgspec.Raw, sender: str, connection: str | None, group: str, seq: int
) -> None:
    message = Message(body, sender, connection, group, seq)
    assert envelope.unpack_message(envelope.pack_message(message), group, seq) == message
    private = Private(body, sender, connection)
    assert envelope.unpack_private(envelope.pack_private(group, private)) == (group, private)


@given(JSON, TEXT, TEXT, TEXT)
def test_signals_and_orders_come_out_as_they_went_in(
    body: msgspec.Raw, sender: str, connection: str, target: str
) -> None:
    event = Signaled(body, sender, connection)
    assert envelope.unpack_signal(envelope.pack_signal(target, event)) == (target, event)
    for order in ((target, None), (None, target)):
        assert envelope.unpack_order(envelope.pack_order(*order)) == order
