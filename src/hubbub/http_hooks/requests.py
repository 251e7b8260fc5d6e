"""What an app is asked and told, as JSON; one function for each event. Pure.

Each body is ``{"type", "timestamp", "data"}``, as Standard Webhooks recommends.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast

import msgspec

from hubbub.hooks import Asking, WhyLeft
from hubbub.http_hooks.checks import HookEvent

_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # a value with one would be another request


class MemberData(msgspec.Struct):
    """One connection: the fields of `hubbub.Member`."""

    user_id: str
    connection_id: str
    name: str | None
    group: str | None
    data: msgspec.Raw | None


class Envelope(msgspec.Struct):
    """The body of a request."""

    type: str
    timestamp: str
    data: dict[str, Any]


class Visitor(NamedTuple):
    """What ``connect`` tells of a handshake.

    Attributes:
        headers: The forwarded headers by name in lower case, as they are sent with the request, too.
        origin: The origin of the page; None for a program.
        address: The address of the peer, which is the proxy if there is one; None on a Unix socket.
        path: The path that was asked for.
        query: The query string, without ``?``.
    """

    headers: dict[str, str]
    origin: str | None
    address: str | None
    path: str
    query: str


def visitor(scope: Any, forwarded: Iterable[str]) -> Visitor:
    """Return what the app is told of a handshake.

    Args:
        scope: The ASGI scope of the handshake.
        forwarded: The names of the headers that are forwarded besides the cookie, in lower case.
    """
    wanted, headers, origin = {"cookie", *forwarded}, dict[str, str](), None
    for name_bytes, value_bytes in scope["headers"]:
        name, value = name_bytes.decode("latin-1").lower(), value_bytes.decode("latin-1")
        if name == "origin":
            origin = value
        if name in wanted and not _CONTROLS.search(value):
            between = "; " if name == "cookie" else ", "
            headers[name] = f"{headers[name]}{between}{value}" if name in headers else value
    client = scope.get("client")
    query = scope.get("query_string", b"").decode("latin-1")
    return Visitor(headers, origin, None if client is None else client[0], scope.get("path", ""), query)


def connect(session: Asking, seen: Visitor, unix_time: float) -> bytes:
    """Return the question who a client is."""
    return _encoded("connect", unix_time, {"connection_id": session.connection_id, **seen._asdict()})


def join(session: Asking, group: str, unix_time: float) -> bytes:
    """Return the question whether a connection may join `group`."""
    return _encoded("join", unix_time, {"member": member(session, group)})


def post(session: Asking, group: str, message: msgspec.Raw, key: str | None, unix_time: float, *, keep: bool) -> bytes:
    """Return the question what `group` is to be sent."""
    data = {"member": member(session, group), "group": group, "key": key, "keep": keep, "message": message}
    return _encoded("post", unix_time, data)


def private(session: Asking, to: str, message: msgspec.Raw, key: str | None, unix_time: float, *, keep: bool) -> bytes:
    """Return the question what the user `to` is to be sent."""
    data = {"member": member(session, session.group), "to": to, "key": key, "keep": keep, "message": message}
    return _encoded("private", unix_time, data)


def leave(one: MemberData, group: str, why: WhyLeft, unix_time: float) -> bytes:
    """Return the report that a connection has left `group`."""
    return _encoded("leave", unix_time, {"member": one, "group": group, "why": why})


def disconnect(session: Asking, unix_time: float) -> bytes:
    """Return the report that a connection has ended."""
    return _encoded("disconnect", unix_time, {"member": member(session, session.group)})


def member(session: Asking, group: str | None) -> MemberData:
    """Return a connection as the app sees it."""
    identity, app = session.identity, session.app
    name, data = None if identity is None else identity.name, None if app is None else app.data
    return MemberData(session.user_id, session.connection_id, name, group, cast("msgspec.Raw | None", data))


def _encoded(kind: HookEvent, unix_time: float, data: dict[str, Any]) -> bytes:
    when = datetime.fromtimestamp(unix_time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    envelope = Envelope(kind, when, data)
    try:
        return _encode(envelope)
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can escape
        return json.dumps(msgspec.to_builtins(envelope, enc_hook=_plain)).encode("ascii")


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Raw):
        return json.loads(bytes(value))
    raise NotImplementedError


_encode: Callable[[Envelope], bytes] = msgspec.json.Encoder().encode
