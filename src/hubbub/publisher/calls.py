"""The calls of a publisher as structs, checked and encoded when they are made. Pure; both transports carry them out."""

from __future__ import annotations

import math
from typing import Any, Literal

import msgspec

from hubbub.auth.bans import MAX_BAN
from hubbub.client.results import StartKey
from hubbub.client.wire import encode
from hubbub.dialects.explain import explain
from hubbub.errors import invalid
from hubbub.groups.query import parse_query
from hubbub.limits import check_key
from hubbub.messages import Condition, Groups, Order, Users


class Post(msgspec.Struct, frozen=True):
    """A post to the group, or to the user, `to`; `message` is JSON. The rest is as in `Publisher.post`."""

    kind: Literal["group", "user"]
    to: str
    message: msgspec.Raw
    key: str | None
    min_recipients: int | None
    sender: str | None
    keep: bool = True


class Disconnect(msgspec.Struct, frozen=True):
    """The order to close the connections of a user, or one connection; exactly one of the two is given."""

    user_id: str | None
    connection_id: str | None
    for_seconds: int | None


Call = Post | Disconnect | Groups | Users


def make_post(
    kind: Literal["group", "user"],
    to: str,
    message: Any,
    key: str | None,
    min_recipients: int | None,
    sender: str | None,
    *,
    keep: bool = True,
) -> Post:
    """Return a post.

    Raises:
        NotJsonError: `message` is not JSON.
        CommandError: ``INVALID_PARAMETER``: a parameter has the wrong type or is outside its limits.
    """
    _require_text("group" if kind == "group" else "user_id", to)
    if key is not None:
        _require_text("key", key)
    if sender is not None:
        _require_text("sender", sender)
    if min_recipients is not None and type(min_recipients) is not int:
        raise invalid(f'"min_recipients" must be an integer, not a {type(min_recipients).__name__}.')
    check_key(key, min_recipients, keep=keep)
    encoded = encode({"message": message})
    return Post(kind, to, msgspec.Raw(encoded[len('{"message":') : -1]), key, min_recipients, sender, keep)


def make_disconnect(user_id: str | None, connection_id: str | None, for_seconds: float | None) -> Disconnect:
    """Return an order to disconnect. Raises `CommandError` ``INVALID_PARAMETER``."""
    if (user_id is None) == (connection_id is None):
        raise invalid('disconnect() needs either "user_id" or "connection_id", and not both.')
    _require_text("user_id" if connection_id is None else "connection_id", user_id or connection_id or "")
    if for_seconds is None:
        return Disconnect(user_id, connection_id, None)
    if user_id is None:
        raise invalid('"for_seconds" bans a user: give "user_id" instead of "connection_id".')
    if not 0 <= for_seconds <= MAX_BAN:
        raise invalid(f'"for_seconds" must be 0 to {MAX_BAN}, not {for_seconds:g}.')
    return Disconnect(user_id, None, math.ceil(for_seconds))


def make_groups(
    search_for: Order | None,
    value: str | float | None,
    condition: Condition | None,
    range: str | float | None,  # noqa: A002  (the name on the wire)
    limit: int | None,
    ascending: bool | None,
    start_key: StartKey | Literal["start"] | None,
) -> Groups:
    """Return a query for groups. Raises `CommandError` ``INVALID_PARAMETER``."""
    query: Groups = _convert(
        Groups,
        searchFor=search_for,
        value=value,
        condition=condition,
        range=range,
        limit=limit,
        ascending=ascending,
        startKey=start_key,
    )
    # Here already: in a query string a number and its text are the same. The server knows its limits and its cursors.
    parse_query(msgspec.structs.replace(query, limit=1, start_key=None), max_page=1)
    return query


def make_users(
    group: str,
    user_id: str | None,
    limit: int | None,
    ascending: bool | None,
    start_key: StartKey | Literal["start"] | None,
) -> Users:
    """Return a query for the connections in `group`. Raises `CommandError` ``INVALID_PARAMETER``."""
    _require_text("group", group)
    query: Users = _convert(Users, group=group, user_id=user_id, limit=limit, ascending=ascending, startKey=start_key)
    return query


def _convert(kind: type[Any], **fields: Any) -> Any:
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise invalid(explain(str(error))) from None


def _require_text(field: str, value: str) -> None:
    """Refuse what is not text, or not valid Unicode, which no transport could carry."""
    if not isinstance(value, str):
        raise invalid(f'"{field}" must be a string, not a {type(value).__name__}.')
    try:
        value.encode()
    except UnicodeEncodeError:
        raise invalid(f'"{field}" contains half of a surrogate pair, which is not valid Unicode text.') from None
