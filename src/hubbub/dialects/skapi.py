"""Dialect ``skapi``: the frames of the unmodified npm client ``skapi-js``. All its peculiarities are handled here.

A client sends ``{"action": …}`` without an id, and is told of failures only. An event has its payload under one of five
keys, by which the client tells events apart; docs/skapi.md shows every frame. Three habits of the client determine how
frames look:

- It runs ``decodeURI`` over a frame before parsing it, so it would take a ``%`` for the beginning of an escape. We
  write ``%`` as ``\\u0025``, which is the same JSON.
- It drops payloads that are ``0``, ``""``, ``false`` or ``null``. They are sent all the same, for other clients.
- It sends any text of a page, including halves of surrogate pairs, and expects it back (see `_decode_surrogates`).
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
    GroupsChanged,
    Join,
    Message,
    Notice,
    Post,
    Posted,
    Private,
    Recipient,
    Reply,
    Restart,
    Signal,
    Signaled,
    Unwatched,
    UsersChanged,
)

ACTIONS = ("keepAlive", "joinRoom", "broadcast", "sendMessage", "rtc")

_SOME_ID = 0
"""Commands need an id so that their refusal is sent. There are no replies, so clients never see it."""

_Known: TypeAlias = Message | Private | Notice | Signaled
_UNKNOWN = (Gap, Posted, Restart, GroupsChanged, UsersChanged, Unwatched)
"""Events that the language has no word for."""

_NULL = msgspec.Raw(b"null")
"""``postRealtime(undefined)`` is sent without ``content``; in JSON, ``undefined`` becomes null."""


# --- frames of the client: unknown fields are ignored, including the token that the client puts into every frame. The
# --- handshake has identified the connection, and the client is known to send tokens that have expired.


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


# --- frames of the server ---------------------------------------------------------------------------------------------


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
    # The client sends a keep-alive frame every 15 seconds, except on a socket that it forgot when the page connected a
    # second time. Such a socket would stay a member as long as the page is open, since the browser answers pings.
    silence = 60.0
    sent: bytes | None = None

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
            action = self._decode_surrogates(payload)
        return _command(action)

    read = decode

    def refusal(self, payload: bytes, error: Exception) -> BadCommandError:
        """Return the error that `decode` has raised."""
        assert isinstance(error, BadCommandError)
        return error

    def reply(self, id: int, reply: Reply) -> None:  # noqa: A002
        """Send nothing: the client makes up its own replies before the server has received the command."""

    def error(self, id: int | None, error: CommandError) -> bytes:  # noqa: A002
        """Encode ``{"#error", "#code"}``, which reach the page's callback as ``message`` and ``code``."""
        return _escape(self._encode(_Failed(payload=error.message, code=error.code)))

    def event(self, event: Event) -> bytes:
        """Encode an event. The sender's JSON in it is unchanged, except for the escapes."""
        if isinstance(event, _UNKNOWN):  # the client knows no positions and no watches
            return b""
        return _escape(self._encode(_frame(event)))

    def _decode_surrogates(self, payload: bytes) -> _Action:
        """Decode a frame with half of a surrogate pair, which msgspec rejects as malformed.

        Browsers send such halves as escapes (well-formed ``JSON.stringify``), and Python's parser reads and writes them
        that way. They are allowed in messages; names must be valid Unicode.
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
            raise _bad("The frame is not JSON, or a name in it is not valid Unicode.") from None
        if isinstance(action, _Broadcast | _SendMessage | _Rtc):
            action.content = msgspec.Raw(content.encode("ascii"))
        return action


def _command(action: _Action) -> Command | None:
    # The content is copied: as decoded it is a view of the frame, and would keep the frame's token in memory.
    match action:
        case _Broadcast(rid, content):
            return Post(id=_SOME_ID, to=Recipient(group=rid), message=content.copy())
        case _SendMessage(uid, content):
            # Not always a user: the client takes a group whose name looks like a UUID for one. `Commands` resolves it.
            return Post(id=_SOME_ID, to=uid, message=content.copy())
        case _JoinRoom(rid):
            return Join(id=_SOME_ID, group=rid)
        case _Rtc(uid, content):
            return Signal(id=_SOME_ID, connection_id=uid.removeprefix("cid:"), message=content.copy())
        case _:
            return None


def _frame(event: _Known) -> _Out:
    """Translate an event. Connection ids are sent without ``cid:``: the client adds that itself."""
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
    # In JSON a "%" occurs only inside strings, and never in an escape, so it can be replaced anywhere.
    return frame.replace(b"%", b"\\u0025")


def _bad(message: str) -> BadCommandError:
    return BadCommandError(ErrorCode.INVALID_PARAMETER, message, _SOME_ID)
