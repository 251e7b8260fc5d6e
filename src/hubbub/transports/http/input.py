"""HTTP input: names in paths, parameters in query strings, messages in bodies. All are checked when they are read.

The server guesses nothing. It refuses unknown parameters (a typo must not list everything), duplicate parameters,
escapes that are not UTF-8 and bodies that are not JSON. Error texts name the field and the limit, never the content.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar
from urllib.parse import unquote_to_bytes

import msgspec
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import ClientDisconnect, Request

from hubbub.dialects.explain import explain
from hubbub.errors import CommandError, ErrorCode, invalid
from hubbub.messages import Groups, Users, Watch
from hubbub.transports.refusal import HttpError

_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

T = TypeVar("T")


# --- names in paths ---------------------------------------------------------------------------------------------------


class NameConvertor(Convertor[str]):
    """One segment of a path as a name: ``/v1/groups/{group:name}/users``. Any characters, ``%2F`` and ``%00`` included.

    It needs the undecoded path, which `hubbub.transports.http.guard` provides: in a decoded path, a slash inside a name
    looks like one between segments. An empty segment matches, so that the error can say that the name is empty.
    """

    regex = "[^/]*"

    def convert(self, value: str) -> str:
        """Return the name. Raises `CommandError` if its escapes are not UTF-8."""
        return decode(value.encode("ascii"), "path")

    def to_string(self, value: str) -> str:
        """Not needed: the server builds no URLs from routes."""
        raise NotImplementedError


register_url_convertor("name", NameConvertor())


def decode(escaped: bytes, where: str) -> str:
    """Undo percent-encoding (RFC 3986, section 2.1), strictly.

    Raises:
        CommandError: ``INVALID_PARAMETER``, an escape is incomplete or the decoded bytes are not UTF-8.
    """
    if _BROKEN_ESCAPE.search(escaped):
        raise invalid(f'The {where} has a "%" that is not followed by two hexadecimal digits. Write "%25" for a "%".')
    try:
        return unquote_to_bytes(escaped).decode()
    except UnicodeDecodeError:
        raise invalid(f"The {where} is not UTF-8 after percent-decoding. Encode it as UTF-8 first.") from None


# --- parameters in query strings --------------------------------------------------------------------------------------


def read_groups(query: bytes) -> Groups:
    """Return the query for a list of groups. Raises `CommandError` ``INVALID_PARAMETER``."""
    given = _read(query, _GROUPS)
    if given.get("searchFor") == "number_of_users":
        for name in ("value", "range"):
            if name in given:
                given[name] = _number(name, given[name])
    return _convert(given, Groups)


def read_users(query: bytes, group: str) -> Users:
    """Return the query for the list of users in `group`. Raises `CommandError` ``INVALID_PARAMETER``."""
    return _convert({**_read(query, _USERS), "group": group}, Users)


def read_watched_groups(query: bytes) -> Watch:
    """Return the query for a live list of groups. Raises `CommandError` ``INVALID_PARAMETER``."""
    given = _read(query, {**_GROUPS, **_LIVE, "groups": _names})
    if given.get("searchFor") == "number_of_users":
        for name in ("value", "range"):
            if name in given:
                given[name] = _number(name, given[name])
    return _convert({"what": "groups", **given}, Watch)


def read_watched_users(query: bytes, group: str) -> Watch:
    """Return the query for a live list of the users in `group`. Raises `CommandError` ``INVALID_PARAMETER``."""
    return _convert({"what": "users", **_read(query, {**_USERS, **_LIVE}), "group": group}, Watch)


def read_ban(query: bytes) -> int | None:
    """Return for how many seconds a user is banned, or None. Raises `CommandError` ``INVALID_PARAMETER``."""
    seconds: int | None = _read(query, _BAN).get("for")
    return seconds


class EventsQuery(msgspec.Struct):
    """The query of the feed: from where on, which kinds of events, and a pattern of groups."""

    since: str | None = None
    what: frozenset[str] = frozenset({"users", "groups"})
    group: str | None = None


def read_events(query: bytes) -> EventsQuery:
    """Return the query for the feed; the cursor is not parsed yet. Raises `CommandError` ``INVALID_PARAMETER``."""
    return EventsQuery(**_read(query, _EVENTS))


def read_nothing(query: bytes) -> None:
    """Refuse all parameters, at a path that has none. Raises `CommandError` ``INVALID_PARAMETER``."""
    _read(query, {})


def _read(query: bytes, known: Mapping[str, Callable[[str, str], Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in filter(None, query.split(b"&")):
        escaped_name, _, escaped_value = pair.replace(b"+", b" ").partition(b"=")
        name = decode(escaped_name, "query string")
        if name == "token":
            raise invalid(
                'Send the token in the header "Authorization: Bearer …", not in the URL, which ends up in logs.'
            )
        if name not in known:
            offer = f"Known parameters: {', '.join(known)}" if known else "This path has no parameters"
            raise invalid(f'"{name[:50]}" is not a parameter. {offer}.')
        if name in found:
            raise invalid(f'The parameter "{name}" is given twice. Send it once.')
        found[name] = known[name](name, decode(escaped_value, f'parameter "{name}"'))
    return found


def _text(_name: str, text: str) -> str:
    return text


def _json(name: str, text: str, type_: type[T], expected: str) -> T:
    try:
        return msgspec.json.Decoder(type_, float_hook=float).decode(text)  # see `hubbub.dialects.v1.V1`
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
        raise invalid(f'"{name}" must be {expected}.') from None


def _number(name: str, text: str) -> float:
    return _json(name, text, float, "a number in the range of a double")


def _integer(name: str, text: str) -> int:
    return _json(name, text, int, "an integer")


def _boolean(name: str, text: str) -> bool:
    return _json(name, text, bool, "true or false")


def _names(name: str, text: str) -> list[str]:
    return _json(name, text, list[str], 'names of groups as JSON, such as ["a","b"]')


def _kinds(name: str, text: str) -> frozenset[str]:
    found = frozenset(text.split(","))
    if not found <= {"users", "groups"}:
        raise invalid(f'"{name}" must be "users", "groups" or "users,groups".')
    return found


_CURSOR: Any = dict[str, Any] | Literal["start", "end"]


def _cursor(name: str, text: str) -> Any:
    if text in {"start", "end"}:
        return text
    return _json(name, text, _CURSOR, 'the "startKey" of the previous page as JSON, or "start" or "end"')


_PAGING = {"limit": _integer, "ascending": _boolean, "startKey": _cursor}
_GROUPS = {"searchFor": _text, "value": _text, "condition": _text, "range": _text, **_PAGING}
_USERS = {"user_id": _text, **_PAGING}
_LIVE = {"every": _number}
_BAN = {"for": _integer}
_EVENTS = {"since": _text, "what": _kinds, "group": _text}


def _convert(given: dict[str, Any], type_: type[T]) -> T:
    try:
        return msgspec.convert(given, type_)
    except msgspec.ValidationError as error:
        raise invalid(explain(str(error))) from None


# --- messages in bodies -----------------------------------------------------------------------------------------------


class MessageBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a post: ``{"message": <any JSON>}``, with the options of `hubbub.messages.Post`, and its sender."""

    message: msgspec.Raw
    key: str | None = None
    min_recipients: int | None = None
    sender: str | None = None
    keep: bool = True


_decode_body = msgspec.json.Decoder(MessageBody).decode


async def read_message(request: Request, limit: int) -> MessageBody:
    """Return the message in the body of a request, with its options.

    Args:
        request: A request whose body has not been read.
        limit: Most bytes of the body; more is never held in memory.

    Raises:
        CommandError: ``TOO_LARGE``, ``INVALID_PARAMETER``; `HttpError` with 415 if the content type is not JSON.
    """
    _check_type(request)
    return _parse(await read_body(request, limit))


def _check_type(request: Request) -> None:
    media_type, _, parameters = request.headers.get("content-type", "application/json").partition(";")
    charset = parameters.replace(" ", "").replace('"', "").lower()
    if media_type.strip().lower() != "application/json" or charset not in {"", "charset=utf-8"}:
        text = (
            f'The body must be JSON in UTF-8, but its Content-Type is "{media_type.strip()[:100]}". Send the header '
            '"Content-Type: application/json"; with curl, -H "Content-Type: application/json" beside -d.'
        )
        raise HttpError(415, ErrorCode.INVALID_REQUEST, text, {"Accept": "application/json"})
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise HttpError(
            415,
            ErrorCode.INVALID_REQUEST,
            'The body is compressed. Send it without "Content-Encoding".',
            {"Accept-Encoding": ""},
        )


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body of a request; never more than `limit` bytes are held. Raises `CommandError` ``TOO_LARGE``."""
    too_large = CommandError(
        ErrorCode.TOO_LARGE, f"The body is larger than {limit} bytes, which is the limit. Send less."
    )
    if int(request.headers.get("content-length", "0")) > limit:  # digits only: the parser has checked it
        raise too_large
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > limit:
                raise too_large
    except ClientDisconnect:  # so the client will not read this answer
        raise CommandError(ErrorCode.INVALID_REQUEST, "The connection ended before the body was complete.") from None
    return bytes(body)


def _parse(body: bytes) -> MessageBody:
    try:
        body.decode()  # checks all of it: the message is passed on as it was written
        found = _decode_body(body)
        found.message = found.message.copy()  # a view of the body would keep all of it in memory
        return found
    except UnicodeDecodeError:
        raise invalid("The body is not UTF-8. Encode it as UTF-8.") from None
    except msgspec.ValidationError as error:
        problem = explain(str(error))
        if "unknown field" in problem:
            fields = '"message", "key", "min_recipients", "sender" and "keep"'
            problem = f"The body has an unknown field. Only {fields} are allowed."
        elif problem.startswith("A command"):
            problem = 'The body must be a JSON object with the field "message".'
        raise invalid(problem) from None
    except RecursionError:
        raise CommandError(ErrorCode.TOO_LARGE, '"message" is nested too deep. Flatten it.') from None
    except msgspec.DecodeError as error:
        problem = str(error).removeprefix("JSON is malformed: ")
        if _SURROGATE.search(body) and any(word in problem for word in ("surrogate", "hex escape", "truncated")):
            problem = "half of a surrogate pair is not valid Unicode"
        raise invalid(f"The body is not JSON: {problem}.") from None
