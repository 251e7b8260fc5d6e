"""Encodes calls as frames, and decodes frames to replies and events. Pure functions; tested by ``tests/vectors``."""

from __future__ import annotations

import builtins
import json
import math
from typing import Any, NamedTuple, TypeAlias, TypedDict, cast, get_args

import msgspec

from hubbub.client.events import UNREADABLE, Event, Message, Notice, Other, Private, Problem
from hubbub.errors import CommandError, ErrorCode, NotJsonError, invalid
from hubbub.messages import Gap as ServerGap
from hubbub.messages import NoticeCode, Position, Posted, Restart

Command: TypeAlias = dict[str, Any]
"""A command as it goes over the wire, without its ``id``."""


class ToGroup(TypedDict):
    """A recipient that is a group."""

    group: str


class ToUser(TypedDict):
    """A recipient that is a user."""

    user_id: str


Recipient: TypeAlias = str | ToGroup | ToUser
"""Who receives a post: a name (the joined group if it has that name, otherwise a user), or one of the two by kind."""


# --- calls to commands ------------------------------------------------------------------------------------------------


def join_command(
    group: str | None,
    since: Position | None = None,
    history: int = 0,
    *,
    notices: bool = True,
    invisible: bool = False,
) -> Command:
    """Return the command that joins `group`, or for None and ``""`` leaves. Raises `CommandError` for other types."""
    if group is not None and not isinstance(group, str):
        raise invalid('"group" must be a string, or None to leave the group.')
    if not group:
        return {"do": "leave"}
    options: Command = {}
    if history:
        options["history"] = history
    if not notices:
        options["notices"] = False
    if invisible:
        options["invisible"] = True
    return {"do": "join", "group": group, **_since(since), **options}


def connect_command(credentials: dict[str, str], since: Position | None = None) -> Command:
    """Return the command that identifies us and says which private message we received last."""
    return {"do": "connect", **credentials, **_since(since)}


def _since(since: Position | None) -> Command:
    return {} if since is None else {"since": {"epoch": since.epoch, "seq": since.seq}}


def post_command(
    message: Any,
    recipient: Recipient,
    key: str | None = None,
    min_recipients: int | None = None,
    *,
    keep: bool = True,
    echo: bool = True,
) -> Command:
    """Return the command that posts `message`. Raises `CommandError` unless `recipient` names a group or a user."""
    given = [recipient] if not isinstance(recipient, dict) else [recipient.get("group"), recipient.get("user_id")]
    if not any(isinstance(name, str) and name for name in given):
        raise invalid('"recipient" must be the name of a group or a user, {"group": …} or {"user_id": …}.')
    options = {
        "key": key,
        "min_recipients": min_recipients,
        "keep": None if keep else False,
        "echo": None if echo else False,
    }
    given_options = {name: value for name, value in options.items() if value is not None}
    return {"do": "post", "to": recipient, "message": message, **given_options}


def listing_command(name: str, **fields: Any) -> Command:
    """Return the command ``groups`` or ``users``. Fields that are None, and the start key ``"start"``, are left out."""
    command = {"do": name, **{field: value for field, value in fields.items() if value is not None}}
    if command.get("startKey") == "start":
        del command["startKey"]
    return command


# --- commands to JSON -------------------------------------------------------------------------------------------------


def encode(command: Command) -> bytes:
    """Encode a command as JSON.

    Raises:
        NotJsonError: ``INVALID_PARAMETER`` for values that JSON cannot represent exactly (NaN, sets, bytes, keys that
            are not strings, …); the text says where they are.
        CommandError: ``TOO_LARGE`` for values that are nested too deep.
    """
    try:
        if problem := _find_non_json(command):
            path, what = problem
            place = path[0] + "".join(f"[{step!r}]" for step in path[1:])
            raise NotJsonError(f'"{place}" is {what}, which JSON cannot represent.')
        return json.dumps(command, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except RecursionError:
        raise CommandError(ErrorCode.TOO_LARGE, '"message" is nested too deep, or contains itself.') from None
    except NotJsonError:
        raise
    except UnicodeEncodeError:
        raise NotJsonError("The command contains half of a surrogate pair, which is not valid Unicode text.") from None
    except ValueError as error:  # more digits than `sys.set_int_max_str_digits` allows
        raise NotJsonError(f"The command is not JSON: {error}.") from None


def _find_non_json(value: Any) -> tuple[tuple[Any, ...], str] | None:
    """Return the path to a value that is not JSON, and a description of it; None if there is none."""
    if value is None or isinstance(value, str | int):
        return None
    if isinstance(value, float):
        return None if math.isfinite(value) else ((), str(value))
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                return (), f"a dict with the key {key!r}"
            if problem := _find_non_json(item):
                return (key, *problem[0]), problem[1]
        return None
    if isinstance(value, list | tuple):
        for index, item in enumerate(value):
            if problem := _find_non_json(item):
                return (index, *problem[0]), problem[1]
        return None
    return (), f"a {type(value).__name__}"


def with_id(command_id: int, body: bytes) -> bytes:
    """Insert the id into an encoded command. It comes first, where the server finds it even in a broken frame."""
    return b'{"id":%d,%b' % (command_id, body[1:])


def check_size(command: Command, body: bytes, limit: int) -> None:
    """Check the size before sending: the server closes the connection for a frame that is far too large.

    Raises:
        CommandError: ``TOO_LARGE``: the message, or the rest of the command, has more than `limit` bytes.
    """
    if len(body) <= limit:
        return
    rest = len(encode({**command, "message": 0})) - 1
    for what, size in (('"message"', len(body) - rest), ("The command", rest)):
        if size > limit:
            raise CommandError(ErrorCode.TOO_LARGE, f"{what} has {size} bytes; at most {limit} are allowed.")


# --- frames to replies and events -------------------------------------------------------------------------------------


class Reply(NamedTuple):
    """The reply to command `id`: either `ok`, as JSON, or `error`."""

    id: int
    ok: msgspec.Raw | None
    error: CommandError | None


class LiveEvent(msgspec.Struct):
    """An event about a live query, of the type ``groups``, ``users`` or ``unwatched``."""

    type: str
    watch: int
    set: msgspec.Raw = msgspec.Raw(b"[]")
    gone: builtins.list[str] = []  # msgspec makes another list for each event
    list: msgspec.Raw = msgspec.Raw()  # empty when absent
    count: int | None = None
    code: str = ""
    message: str = ""


class _Error(msgspec.Struct):
    code: str
    message: str


class _Frame(msgspec.Struct):
    """The fields that tell the kinds of frames apart; the rest is decoded once the kind is known."""

    id: Any = None
    ok: msgspec.Raw = msgspec.Raw()  # empty when absent
    error: msgspec.Raw = msgspec.Raw()
    type: Any = None


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"the number {number[:20]} is out of range")
    return value


# Python parses the numbers: msgspec takes 10 µs for a number such as 1e290, so one message of 64 KiB would block the
# receiving program for 100 ms.
_decode_frame = msgspec.json.Decoder(_Frame).decode
_decode_error = msgspec.json.Decoder(_Error).decode
_decode_event = msgspec.json.Decoder(Message | Private | Notice, float_hook=_finite).decode
_decode_restart = msgspec.json.Decoder(Restart).decode
_decode_gap = msgspec.json.Decoder(ServerGap).decode
_decode_posted = msgspec.json.Decoder(Posted).decode
_decode_live = msgspec.json.Decoder(LiveEvent).decode
_decode_any = msgspec.json.Decoder(dict[str, Any], float_hook=_finite).decode
_KNOWN = {"message", "private", "notice"}
_LIVE = {"groups", "users", "unwatched"}
_CLIENT_EVENTS = {"success", "reconnect", "close", "error"}
"""Events that only the client itself makes; they are rejected when a server sends them."""
_NOTICE_CODES = frozenset(get_args(NoticeCode))

MAX_DECODED_SIZE = 128 * 1024 * 1024
"""Most bytes that a frame may take once it is decoded, by `decoded_size`; a larger one is not decoded."""


def decoded_size(text: str) -> int:
    """Estimate how many bytes a frame takes once decoded: more than its length, because each value is an object."""
    return len(text) + 64 * (text.count(",") + text.count("[") + text.count("{"))


def read_frame(text: str | bytes) -> Reply | Event | LiveEvent | ServerGap | Posted | Restart | None:
    """Read one frame from the server.

    Returns:
        A reply; or an event; or a `Problem` with the code ``UNREADABLE`` for a frame that is not JSON, or an event of a
        known type with a field missing or wrong; or None for JSON that is not a frame of this protocol, which is
        ignored because later servers may send more. Nothing is raised.
    """
    try:
        frame = _decode_frame(text)
    except msgspec.ValidationError:  # JSON, but not an object
        return None
    except (ValueError, RecursionError) as error:
        return unreadable(error)
    command_id = frame.id if type(frame.id) is int else None
    if (refusal := bytes(frame.error)) not in (b"", b"null"):
        return _read_error(command_id, refusal)
    if command_id is not None and bytes(frame.ok):
        return Reply(command_id, frame.ok, None)
    if not isinstance(frame.type, str):
        return None
    try:
        return _read_event(frame.type, text)
    except (ValueError, RecursionError) as error:  # a field is missing or wrong, or a number is out of range
        return unreadable(error)


def _read_event(kind: str, text: str | bytes) -> Event | LiveEvent | ServerGap | Posted | Restart:
    if kind == "gap":
        return _decode_gap(text)
    if kind == "posted":
        return _decode_posted(text)
    if kind == "restart":
        return _decode_restart(text)
    if kind in _LIVE:
        return _decode_live(text)
    if kind in _CLIENT_EVENTS:
        raise ValueError(f'"{kind}" is not an event that servers send')
    if kind not in _KNOWN:
        return Other(kind, _decode_any(text))
    try:
        event: Event = _decode_event(text)
    except msgspec.ValidationError:
        if kind == "notice":
            data = _decode_any(text)
            code = data.get("code")
            if isinstance(code, str) and code not in _NOTICE_CODES:  # a code of a later server
                _ = msgspec.convert({**data, "code": "USER_LEFT"}, Notice)
                return Other(kind, data)
        raise
    return event


def _read_error(command_id: int | None, text: bytes) -> Reply | Problem:
    try:
        error = _decode_error(text)
    except (ValueError, RecursionError) as cause:
        if command_id is None:
            return unreadable(cause)
        return Reply(command_id, None, invalid_reply(cause))
    if command_id is None:  # the server could not tell which command was wrong
        return Problem(error.code, error.message)
    return Reply(command_id, None, CommandError(_error_code(error.code), error.message))


def invalid_reply(error: Exception) -> CommandError:
    """Return the error of a call whose reply does not follow the protocol."""
    return CommandError(ErrorCode.INTERNAL, f"The server sent an invalid reply: {error}.")


def _error_code(code: str) -> ErrorCode:
    try:
        return ErrorCode(code)
    except ValueError:  # a code of a later server is passed on as it is
        return cast(ErrorCode, code)


def unreadable(error: Exception) -> Problem:
    """Return the event that replaces a frame which does not follow the protocol."""
    return Problem(UNREADABLE, f"A frame from the server cannot be read: {error}. It was dropped.")
