"""Calls to frames, and frames to replies and events. Pure functions; ``tests/vectors`` says what they must do."""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple, TypeAlias, TypedDict, cast

import msgspec

from hubbub.client.events import UNREADABLE, Event, Message, Notice, Other, Private, Problem
from hubbub.errors import CommandError, ErrorCode, invalid
from hubbub.messages import Gap as Lost
from hubbub.messages import Position, Restart

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

    id: int | None = None
    ok: msgspec.Raw = msgspec.Raw()  # empty when absent
    error: _Error | None = None
    type: str | None = None


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"the number {number[:20]} is out of range")
    return value


# Numbers are read by Python: msgspec's own way to read the likes of 1e290 takes 10 µs each, so that one message of
# 64 KiB would stop the program that receives it for 100 ms.
_decode_frame = msgspec.json.Decoder(_Frame).decode
_decode_event = msgspec.json.Decoder(Message | Private | Notice, float_hook=_finite).decode
_decode_restart = msgspec.json.Decoder(Restart).decode
_decode_lost = msgspec.json.Decoder(Lost).decode
_decode_any = msgspec.json.Decoder(dict[str, Any], float_hook=_finite).decode
_KNOWN = {"message", "private", "notice"}


def read_frame(text: str | bytes) -> Reply | Event | Lost | Restart | None:
    """Read one frame from the server.

    Returns:
        A reply; or an event, a `Problem` for what cannot be decoded included; or None for JSON that is no frame of this
        protocol, which is ignored so that later servers may say more. Nothing is raised.
    """
    try:
        frame = _decode_frame(text)
        if frame.error is not None:
            return _read_error(frame.id, frame.error)
        if frame.id is not None and bytes(frame.ok):
            return Reply(frame.id, frame.ok, None)
        if frame.type is None:
            return None
        if frame.type == "gap":
            return _decode_lost(text)
        if frame.type == "restart":
            return _decode_restart(text)
        return _decode_event(text) if frame.type in _KNOWN else Other(frame.type, _decode_any(text))
    except msgspec.ValidationError as error:
        return None if "$.message" not in str(error) else _unreadable(error)
    except (ValueError, RecursionError) as error:  # not JSON; or JSON that Python has no value for
        return _unreadable(error)


def _read_error(command_id: int | None, error: _Error) -> Reply | Problem:
    if command_id is None:  # the server could not tell which command was wrong
        return Problem(error.code, error.message)
    return Reply(command_id, None, CommandError(_error_code(error.code), error.message))


def _error_code(code: str) -> ErrorCode:
    try:
        return ErrorCode(code)
    except ValueError:  # of a later server; it stays the text that it is
        return cast(ErrorCode, code)


def _unreadable(error: Exception) -> Problem:
    return Problem(UNREADABLE, f"A frame from the server cannot be read: {error}.")
