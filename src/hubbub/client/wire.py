"""Calls to frames, and frames to replies and events. Pure functions; ``tests/vectors`` says what they must do."""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple, TypeAlias, TypedDict, cast, get_args

import msgspec

from hubbub.client.events import UNREADABLE, Event, Message, Notice, Other, Private, Problem
from hubbub.errors import CommandError, ErrorCode, invalid
from hubbub.messages import Gap as Lost
from hubbub.messages import NoticeCode, Position, Restart

Command: TypeAlias = dict[str, Any]
"""A command as it goes over the wire, without its ``id``."""


class ToGroup(TypedDict):
    """Exactly a group."""

    group: str


class ToUser(TypedDict):
    """Exactly a user."""

    user_id: str


Recipient: TypeAlias = str | ToGroup | ToUser
"""Whom a post is for: a name (the joined group if it is called that, else a user), or exactly which of the two."""


# --- calls to commands ------------------------------------------------------------------------------------------------


def join_command(group: str | None, since: Position | None = None, history: int = 0) -> Command:
    """Return the command that joins `group`, or leaves the present one. Raises `CommandError` unless it is text."""
    if group is not None and not isinstance(group, str):
        raise invalid('"group" must be text or None.')
    if not group:
        return {"do": "leave"}
    return {"do": "join", "group": group, **_since(since), **({"history": history} if history else {})}


def connect_command(credentials: dict[str, str], since: Position | None = None) -> Command:
    """Return the command that says who we are, and which private message we heard last."""
    return {"do": "connect", **credentials, **_since(since)}


def _since(since: Position | None) -> Command:
    return {} if since is None else {"since": {"epoch": since.epoch, "seq": since.seq}}


def post_command(
    message: Any, recipient: Recipient, key: str | None = None, min_recipients: int | None = None
) -> Command:
    """Return the command that posts `message`. Raises `CommandError` unless `recipient` says whom it is for."""
    given = [recipient] if not isinstance(recipient, dict) else [recipient.get("group"), recipient.get("user_id")]
    if not any(isinstance(name, str) and name for name in given):
        raise invalid('"recipient" must be the name of a group or a user, {"group": …} or {"user_id": …}.')
    options = {"key": key, "min_recipients": min_recipients}
    given_options = {name: value for name, value in options.items() if value is not None}
    return {"do": "post", "to": recipient, "message": message, **given_options}


def listing_command(name: str, **fields: Any) -> Command:
    """Return the command ``groups`` or ``users``; without fields that are None, or the start key ``"start"``."""
    command = {"do": name, **{field: value for field, value in fields.items() if value is not None}}
    if command.get("startKey") == "start":
        del command["startKey"]
    return command


# --- commands to JSON -------------------------------------------------------------------------------------------------


def encode(command: Command) -> bytes:
    """Encode a command as JSON.

    Raises:
        CommandError: ``INVALID_PARAMETER`` for what JSON cannot carry or would change without a word (NaN, sets, bytes,
            keys that are no text, …), naming the place; ``TOO_LARGE`` for what is nested too deep.
    """
    try:
        if problem := _find_foreign(command):
            path, what = problem
            place = path[0] + "".join(f"[{step!r}]" for step in path[1:])
            raise invalid(f'"{place}" is {what}, which JSON cannot carry.')
        return json.dumps(command, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except RecursionError:
        raise CommandError(ErrorCode.TOO_LARGE, '"message" is nested too deep, or holds itself.') from None
    except UnicodeEncodeError:
        raise invalid("The command holds half of a surrogate pair, which is no Unicode text.") from None
    except ValueError as error:  # more digits than `sys.set_int_max_str_digits` allows
        raise invalid(f"The command is not JSON: {error}.") from None


def _find_foreign(value: Any) -> tuple[tuple[Any, ...], str] | None:
    """Return the path to something that is not JSON, and what it is; None if there is no such thing."""
    if value is None or isinstance(value, str | int):
        return None
    if isinstance(value, float):
        return None if math.isfinite(value) else ((), str(value))
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                return (), f"a dict with the key {key!r}"
            if problem := _find_foreign(item):
                return (key, *problem[0]), problem[1]
        return None
    if isinstance(value, list | tuple):
        for index, item in enumerate(value):
            if problem := _find_foreign(item):
                return (index, *problem[0]), problem[1]
        return None
    return (), f"a {type(value).__name__}"


def with_id(command_id: int, body: bytes) -> bytes:
    """Put the id into an encoded command, first, where the server finds it even in a broken frame."""
    return b'{"id":%d,%b' % (command_id, body[1:])


def check_size(command: Command, body: bytes, limit: int) -> None:
    """Refuse what the server would refuse, before a frame so large that it closes the connection is sent.

    Raises:
        CommandError: ``TOO_LARGE``, the message or the rest of the command has more than `limit` bytes.
    """
    if len(body) <= limit:
        return
    rest = len(encode({**command, "message": 0})) - 1
    for what, size in (('"message"', len(body) - rest), ("The command", rest)):
        if size > limit:
            raise CommandError(ErrorCode.TOO_LARGE, f"{what} has {size} bytes; at most {limit} are allowed.")


# --- frames to replies and events -------------------------------------------------------------------------------------


class Reply(NamedTuple):
    """The answer to command `id`: either `ok`, as JSON, or `error`."""

    id: int
    ok: msgspec.Raw | None
    error: CommandError | None


class _Error(msgspec.Struct):
    code: str
    message: str


class _Frame(msgspec.Struct):
    """The outside of any frame; the inside stays as it is until it is known what it is."""

    id: Any = None
    ok: msgspec.Raw = msgspec.Raw()  # empty when absent
    error: msgspec.Raw = msgspec.Raw()
    type: Any = None


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"the number {number[:20]} is out of range")
    return value


# Numbers are read by Python: msgspec's own way to read the likes of 1e290 takes 10 µs each, so that one message of
# 64 KiB would stop the program that receives it for 100 ms.
_decode_frame = msgspec.json.Decoder(_Frame).decode
_decode_error = msgspec.json.Decoder(_Error).decode
_decode_event = msgspec.json.Decoder(Message | Private | Notice, float_hook=_finite).decode
_decode_restart = msgspec.json.Decoder(Restart).decode
_decode_lost = msgspec.json.Decoder(Lost).decode
_decode_any = msgspec.json.Decoder(dict[str, Any], float_hook=_finite).decode
_KNOWN = {"message", "private", "notice"}
_OWN = {"success", "reconnect", "close", "error"}
"""What the client says itself, and no server can say for it."""
_NOTICE_CODES = frozenset(get_args(NoticeCode))

MAX_WEIGHT = 128 * 1024 * 1024
"""Bytes that a frame may take once it is decoded, by `weigh`; one of more is not decoded."""


def weigh(text: str) -> int:
    """Return about how many bytes a frame takes once it is decoded: more than it has, for each value is an object."""
    return len(text) + 64 * (text.count(",") + text.count("[") + text.count("{"))


def read_frame(text: str | bytes) -> Reply | Event | Lost | Restart | None:
    """Read one frame from the server.

    Returns:
        A reply; or an event; or a `Problem` with the code ``UNREADABLE`` for what is not JSON, or for an event of a
        known type with a field missing or wrong; or None for JSON that is no frame of this protocol, which is ignored
        so that later servers may say more. Nothing is raised.
    """
    try:
        frame = _decode_frame(text)
    except msgspec.ValidationError:  # JSON, but no object
        return None
    except (ValueError, RecursionError) as error:
        return _unreadable(error)
    command_id = frame.id if type(frame.id) is int else None
    if (refusal := bytes(frame.error)) not in (b"", b"null"):
        return _read_error(command_id, refusal)
    if command_id is not None and bytes(frame.ok):
        return Reply(command_id, frame.ok, None)
    if not isinstance(frame.type, str):
        return None
    try:
        return _read_event(frame.type, text)
    except (ValueError, RecursionError) as error:  # a field is missing or wrong; or JSON that Python has no value for
        return _unreadable(error)


def _read_event(kind: str, text: str | bytes) -> Event | Lost | Restart:
    if kind == "gap":
        return _decode_lost(text)
    if kind == "restart":
        return _decode_restart(text)
    if kind in _OWN:
        raise ValueError(f'"{kind}" is not for a server to say')
    if kind not in _KNOWN:
        return Other(kind, _decode_any(text))
    try:
        event: Event = _decode_event(text)
    except msgspec.ValidationError:
        if kind == "notice":
            data = _decode_any(text)
            code = data.get("code")
            if isinstance(code, str) and code not in _NOTICE_CODES:  # a later server has more to say
                _ = msgspec.convert({**data, "code": "USER_LEFT"}, Notice)
                return Other(kind, data)
        raise
    return event


def _read_error(command_id: int | None, text: bytes) -> Reply | Problem:
    try:
        error = _decode_error(text)
    except (ValueError, RecursionError) as mishap:
        if command_id is None:
            return _unreadable(mishap)
        return Reply(command_id, None, not_understood(mishap))
    if command_id is None:  # the server could not tell which command was wrong
        return Problem(error.code, error.message)
    return Reply(command_id, None, CommandError(_error_code(error.code), error.message))


def not_understood(error: Exception) -> CommandError:
    """Return what a call fails with whose answer is not what the protocol says."""
    return CommandError(ErrorCode.INTERNAL, f"The server's answer is not understood: {error}.")


def _error_code(code: str) -> ErrorCode:
    try:
        return ErrorCode(code)
    except ValueError:  # of a later server; it stays the text that it is
        return cast(ErrorCode, code)


def _unreadable(error: Exception) -> Problem:
    return Problem(UNREADABLE, f"A frame from the server cannot be read: {error}.")
