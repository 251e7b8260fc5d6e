"""The format of what nodes send each other over channels. Pure.

The JSON that clients post comes last and unchanged. It is not parsed again: a dialect may have accepted what a strict
parser refuses (half of a surrogate pair), and what the sender's node has accepted, every node must accept.
"""

from __future__ import annotations

import msgspec

from hubbub.messages import Message, Private, Signaled

_encode = msgspec.json.Encoder().encode
_message = msgspec.json.Decoder(tuple[str, str | None]).decode
_private = msgspec.json.Decoder(tuple[str, str, str | None]).decode
_signal = msgspec.json.Decoder(tuple[str, str, str]).decode
_order = msgspec.json.Decoder(tuple[str | None, str | None]).decode

_SEPARATOR = b"\n"
"""Between the head and the JSON of clients. The head is JSON as we write it, which has no line break."""

_NO_ECHO = b" "
"""Behind the head of a message that is not for the connection that has posted it. Older nodes skip white space."""

NOT_KEPT = 0
"""The number of a message that is not kept. Older nodes drop it as a duplicate."""


def pack_message(message: Message) -> bytes:
    """Return a message as bytes, without its group and ``seq``: the channel and the script add those."""
    return _encode((message.sender, message.sender_cid)) + _SEPARATOR + message.message


def without_echo(packed: bytes) -> bytes:
    """Return a packed message, or a private one, marked as not for the connection that has posted it."""
    head, separator, body = packed.partition(_SEPARATOR)
    return head + _NO_ECHO + separator + body


def has_echo(packed: bytes) -> bool:
    """Whether a message is for the connection that has posted it as well."""
    return packed[packed.find(_SEPARATOR) - 1] != _NO_ECHO[0]


def unpack_message(data: bytes, group: str, seq: int) -> Message:
    """Return the message that `pack_message` has packed."""
    head, _, body = data.partition(_SEPARATOR)
    return Message(msgspec.Raw(body), *_message(head), group, seq)


def pack_private(user_id: str, message: Private) -> bytes:
    """Return a private message to a user, as bytes."""
    return _encode((user_id, message.sender, message.sender_cid)) + _SEPARATOR + message.message


def unpack_private(data: bytes) -> tuple[str, Private]:
    """Return the recipient's user id, and the message."""
    head, _, body = data.partition(_SEPARATOR)
    user_id, sender, connection_id = _private(head)
    return user_id, Private(msgspec.Raw(body), sender, connection_id)


def pack_signal(connection_id: str, event: Signaled) -> bytes:
    """Return a signal to a connection, as bytes."""
    return _encode((connection_id, event.sender, event.sender_cid)) + _SEPARATOR + event.message


def unpack_signal(data: bytes) -> tuple[str, Signaled]:
    """Return the recipient's connection id, and the signal."""
    head, _, body = data.partition(_SEPARATOR)
    connection_id, sender, sender_cid = _signal(head)
    return connection_id, Signaled(msgspec.Raw(body), sender, sender_cid)


def pack_order(user_id: str | None, connection_id: str | None) -> bytes:
    """Return the order to disconnect a user or a connection, as bytes."""
    return _encode((user_id, connection_id))


def unpack_order(data: bytes) -> tuple[str | None, str | None]:
    """Return the user or the connection to disconnect."""
    return _order(data)
