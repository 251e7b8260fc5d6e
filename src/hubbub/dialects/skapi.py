"""Dialect ``skapi``: what the unmodified npm client ``skapi-js`` says and understands. All its oddities are here.

A client sends ``{"action": …}``, without ids, and hears of failures only. An event has its payload under one of five
keys, which is how the client tells them apart; docs/skapi.md shows every frame. Three things the client does decide how
frames must look:

- It runs ``decodeURI`` over a frame before it parses it, so a ``%`` would be taken for the beginning of an escape. One
  is written as ``\\u0025``, which is the same JSON.
- It drops a payload that is ``0``, ``""``, ``false`` or ``null``. That is sent all the same, for those who can hear it.
- It sends whatever a page's text holds, half a surrogate pair included, and expects it back (see `_salvage`).
"""

from __future__ import annotations

import json
from typing import TypeAlias

import msgspec

from hubbub.dialects.base import BadCommandError
from hubbub.dialects.explain import explain
from hubbub.errors import CommandError, ErrorCode
from hubbub.messages import (
    Command,
    Event,
    Gap,
    Join,
    Message,
    Notice,
    Post,
    Private,
    Recipient,
    Reply,
    Restart,
    Signal,
    Signaled,
)

ACTIONS = ("keepAlive", "joinRoom", "broadcast", "sendMessage", "rtc")

_SOME_ID = 0
"""Commands need an id so that their refusal is sent. There are no replies, so it never shows."""

_NULL = msgspec.Raw(b"null")
"""``postRealtime(undefined)`` comes without ``content``; it means what ``undefined`` means in JSON."""


# --- what comes in: unknown fields are skipped, among them the tokens that the client puts into every frame. The
# --- connection was identified by its handshake, and the client is known to go on sending tokens that have expired.


class _KeepAlive(msgspec.Struct, tag_field="action", tag="keepAlive"):
    pass


class _JoinRoom(msgspec.Struct, tag_field="action", tag="joinRoom"):
    rid: str | None = None


class _Broadcast(msgspec.Struct, tag_field="action", tag="broadcast", gc=False):
    rid: str
    content: msgspec.Raw = _NULL


class _SendMessage(msgspec.Struct, tag_field="action", tag="sendMessage", gc=False):
    uid: str
    content: msgspec.Raw = _NULL


class _Rtc(msgspec.Struct, tag_field="action", tag="rtc", gc=False):
    uid: str
    content: msgspec.Raw


_Action: TypeAlias = _KeepAlive | _JoinRoom | _Broadcast | _SendMessage | _Rtc


# --- what goes out ----------------------------------------------------------------------------------------------------


class _Out(msgspec.Struct, omit_defaults=True, gc=False, rename={"user_id": "#user_id", "scid": "#scid"}, kw_only=True):
    user_id: str
    scid: str | None = None


class _Message(_Out, rename={"payload": "#message", "srid": "#srid"}):
    payload: msgspec.Raw
    srid: str


class _Private(_Out, rename={"payload": "#private"}):
    payload: msgspec.Raw


class _Notice(_Out, rename={"payload": "#notice", "srid": "#srid", "code": "#code"}):
    payload: str
    srid: str
    code: str


class _Rtcs(_Out, rename={"payload": "#rtc"}):
    payload: msgspec.Raw


class _Failed(msgspec.Struct, rename={"payload": "#error", "code": "#code"}):
    payload: str
    code: str


class Skapi:
    """The dialect object; see `hubbub.dialects.base.Dialect` for what each method promises."""

    name = "skapi"
    subprotocol: str | None = None
    connects = False
    # It says so every 15 seconds, except on a socket that it forgot when the page connected a second time. Such a one
    # would stay a member for as long as the page is open, since the browser goes on answering pings.
    silence = 60.0

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder(_Action).decode
        self._encode = msgspec.json.Encoder().encode

    def decode(self, payload: bytes) -> Command | None:
        """Decode one frame."""
        try:
            action = self._decode(payload)
        except msgspec.ValidationError as error:
            raise _bad(explain(str(error), tag="action", tags=ACTIONS, whole="frame")) from None
        except RecursionError:
            raise BadCommandError(ErrorCode.TOO_LARGE, "The frame is nested too deep.", _SOME_ID) from None
        except (msgspec.DecodeError, UnicodeError):
            action = self._salvage(payload)
        return _command(action)

    def reply(self, id: int, reply: Reply) -> None:  # noqa: A002
        """Say nothing: the client makes up its own replies before the server has heard of the command."""

    def sent(self, id: int, recipients: int) -> None:  # noqa: A002
        """Say nothing."""

    def error(self, id: int | None, error: CommandError) -> bytes:  # noqa: A002
        """Encode ``{"#error", "#code"}``, which reach the page's callback as ``message`` and ``code``."""
        return _escape(self._encode(_Failed(payload=error.message, code=error.code)))

    def event(self, event: Event) -> bytes:
        """Encode an event, the sender's JSON in it as it came but for the escapes."""
        if isinstance(event, Gap | Restart):  # the client has no word for it, and cannot come back to a position
            return b""
        return _escape(self._encode(_frame(event)))

    def _salvage(self, payload: bytes) -> _Action:
        """Decode a frame that holds half of a surrogate pair; the strict decoder takes it for malformed.

        Browsers send such halves as escapes (well-formed ``JSON.stringify``), and Python's own parser reads and writes
        them so. They are allowed in what a page posts; names must be Unicode.
        """
        try:
            frame = json.loads(payload)
            content = json.dumps(frame.pop("content"), allow_nan=False, separators=(",", ":"))
            names = {name: frame[name] for name in ("action", "rid", "uid") if name in frame}
            action: _Action = self._decode(self._encode({**names, "content": _NULL}))
        except msgspec.ValidationError as error:
            raise _bad(explain(str(error), tag="action", tags=ACTIONS, whole="frame")) from None
        except RecursionError:
            raise BadCommandError(ErrorCode.TOO_LARGE, "The frame is nested too deep.", _SOME_ID) from None
        except (ValueError, TypeError, AttributeError, KeyError):
            raise _bad("The frame is not JSON, or a name in it is not Unicode.") from None
        if isinstance(action, _Broadcast | _SendMessage | _Rtc):
            action.content = msgspec.Raw(content.encode("ascii"))
        return action


def _command(action: _Action) -> Command | None:
    # The content is copied: as decoded it is a view of the frame, and would keep the token in there in memory.
    match action:
        case _Broadcast(rid, content):
            return Post(id=_SOME_ID, to=Recipient(group=rid), message=content.copy())
        case _SendMessage(uid, content):
            # Not simply a user: the client takes a group whose name looks like a UUID for one. The node sorts it out.
            return Post(id=_SOME_ID, to=uid, message=content.copy())
        case _JoinRoom(rid):
            return Join(id=_SOME_ID, group=rid)
        case _Rtc(uid, content):
            return Signal(id=_SOME_ID, connection_id=uid.removeprefix("cid:"), message=content.copy())
        case _:
            return None


def _frame(event: Message | Private | Notice | Signaled) -> _Out:
    """Translate an event. Connection ids go out bare: the client puts ``cid:`` in front of them."""
    sender, scid = event.sender, event.sender_cid
    match event:
        case Message():
            return _Message(payload=event.message, user_id=sender, scid=scid, srid=event.sender_rid)
        case Private():
            return _Private(payload=event.message, user_id=sender, scid=scid)
        case Notice():
            return _Notice(payload=event.message, user_id=sender, scid=scid, srid=event.sender_rid, code=event.code)
        case _:
            return _Rtcs(payload=event.message, user_id=sender, scid=scid)


def _escape(frame: bytes) -> bytes:
    # In JSON a "%" stands inside a string only, and never belongs to an escape, so it can be replaced blindly.
    return frame.replace(b"%", b"\\u0025")


def _bad(message: str) -> BadCommandError:
    return BadCommandError(ErrorCode.INVALID_PARAMETER, message, _SOME_ID)
