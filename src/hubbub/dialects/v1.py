"""Dialect ``v1``: one JSON object per text frame, the structs of `hubbub.messages` as they are (docs/protocol.md)."""

from __future__ import annotations

import math
import re

import msgspec

from hubbub.dialects.base import UNREADABLE, BadCommandError
from hubbub.dialects.explain import explain, explain_malformed
from hubbub.errors import CommandError, ErrorCode
from hubbub.messages import AnyCommand, Post, Reply

COMMANDS = ("connect", "join", "leave", "post", "groups", "users", "watch", "unwatch")

# The id of a frame that is not JSON, if it comes first, where our own clients write it.
_LEADING_ID = re.compile(rb'\s*\{\s*"id"\s*:\s*(-?\d{1,15})\s*[,}]')


class _Ok(msgspec.Struct, gc=False):
    id: int
    ok: Reply


class _Error(msgspec.Struct):
    code: str
    message: str


class _Failed(msgspec.Struct):
    id: int | None
    error: _Error


class _IdOnly(msgspec.Struct):
    id: int | None = None


class V1:
    """The dialect object; see `hubbub.dialects.base.Dialect` for what each method promises."""

    name = "v1"
    subprotocol: str | None = "hubbub.v1"
    connects = True
    silence = math.inf
    sent: bytes | None = b'{"id":%d,"ok":{"type":"success","message":"Message sent.","recipients":%d}}'

    def __init__(self) -> None:
        # float_hook is for numbers in cursors, since a client decides how many there are: msgspec's own parser takes
        # 10 µs for each number like 1e290, Python's a hundredth of that.
        self.read = msgspec.json.Decoder(AnyCommand, float_hook=float).decode
        # An event is encoded as it is, with the sender's message in it byte for byte.
        self._encode = self.event = msgspec.json.Encoder().encode

    def decode(self, payload: bytes) -> AnyCommand:
        """Decode one command. Duplicate keys: the last one wins, as in ``JSON.parse``. Unknown keys are ignored."""
        try:
            command: AnyCommand = self.read(payload)
        except UNREADABLE as error:
            raise self.refusal(payload, error) from None
        if type(command) is Post:  # as decoded, the message is a view of the frame, and would keep all of it in memory
            command.message = command.message.copy()
        return command

    def refusal(self, payload: bytes, error: Exception) -> BadCommandError:
        """Name the field that is wrong, or say why the frame is not JSON."""
        if isinstance(error, msgspec.ValidationError):
            code, text = ErrorCode.INVALID_PARAMETER, explain(str(error), tags=COMMANDS)
        elif isinstance(error, RecursionError):
            code, text = ErrorCode.TOO_LARGE, "The command is nested too deep."
        else:
            code, text = ErrorCode.INVALID_PARAMETER, explain_malformed(str(error), payload)
        return BadCommandError(code, text, _find_id(payload))

    def reply(self, id: int, reply: Reply) -> bytes:  # noqa: A002
        """Encode ``{"id", "ok"}``."""
        return self._encode(_Ok(id, reply))

    def error(self, id: int | None, error: CommandError) -> bytes:  # noqa: A002
        """Encode ``{"id", "error": {"code", "message"}}``."""
        return self._encode(_Failed(id, _Error(error.code, error.message)))


def _find_id(payload: bytes) -> int | None:
    try:
        return msgspec.json.decode(payload, type=_IdOnly).id
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        found = _LEADING_ID.match(payload)
        return int(found[1]) if found else None
