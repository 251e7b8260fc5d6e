"""What can be watched: a page of the directory, groups by their names, or the connections in a group. Pure.

A *view* is such a query with its present page. All who watch the same query with the same rights share one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from hubbub.errors import invalid
from hubbub.groups.query import Query, parse_query
from hubbub.groups.roster import UserQuery, parse_user_query
from hubbub.limits import check_name
from hubbub.messages import GroupRow, Groups, UserRow, Users, Watch


class ListedGroups(msgspec.Struct, frozen=True):
    """A page of the directory. `matching` is the same query without a cursor, which says what is counted."""

    query: Query
    matching: Query


class NamedGroups(msgspec.Struct, frozen=True):
    """The groups with these names, which differ and are in order; those that do not exist have no users."""

    names: tuple[str, ...]


class GroupUsers(msgspec.Struct, frozen=True):
    """A page of the connections in a group."""

    group: str
    query: UserQuery


ViewQuery: TypeAlias = ListedGroups | NamedGroups | GroupUsers


class ViewPage(msgspec.Struct, frozen=True):
    """What a view shows. `count` is how many rows match on all pages; None where rights filter the listing."""

    rows: Sequence[GroupRow] | Sequence[UserRow]
    count: int | None
    start_key: dict[str, Any] | Literal["end"] = "end"
    end_of_list: bool = True


def parse_watch(
    command: Watch, max_page: int, max_name: int, open_cursor: Callable[[dict[str, Any], str], dict[str, Any]]
) -> ViewQuery:
    """Check a `Watch` command, but for ``every``.

    Args:
        command: The decoded command.
        max_page: Most rows of a page, and most names.
        max_name: Most characters of a group's name.
        open_cursor: Returns the cursor that the client sent for a listing of groups in this order, decrypted.

    Raises:
        CommandError: ``INVALID_PARAMETER``; the text names the field and the limit.
    """
    if command.what == "users":
        return _parse_users(command, max_page, max_name)
    _refuse(command, ("group", "user_id"), 'when "what" is "groups"')
    if command.groups is not None:
        _refuse(command, ("search_for", "value", "condition", "range", "limit", "start_key"), 'beside "groups"')
        return _parse_names(command.groups, max_page, max_name)
    order = command.search_for or "group"
    listing = Groups(
        search_for=order,
        value=command.value,
        condition=command.condition,
        range=command.range,
        limit=command.limit,
        ascending=command.ascending,
    )
    matching = parse_query(listing, max_page)
    if command.start_key is None:
        return ListedGroups(matching, matching)
    key = command.start_key
    listing.start_key = open_cursor(key, order) if isinstance(key, dict) else key
    return ListedGroups(parse_query(listing, max_page), matching)


def _parse_users(command: Watch, max_page: int, max_name: int) -> GroupUsers:
    _refuse(command, ("groups", "search_for", "value", "condition", "range"), 'when "what" is "users"')
    if command.group is None:
        raise invalid('"group" is missing: name the group whose users are to be watched.')
    check_name("group", command.group, max_name)
    listing = Users(
        user_id=command.user_id, limit=command.limit, ascending=command.ascending, start_key=command.start_key
    )
    return GroupUsers(command.group, parse_user_query(listing, max_page))


def _parse_names(names: list[str], max_page: int, max_name: int) -> NamedGroups:
    if not 1 <= len(names) <= max_page:
        raise invalid(f'"groups" must have 1 to {max_page} names, not {len(names)}.')
    for name in names:
        check_name("groups", name, max_name)
    return NamedGroups(tuple(sorted(set(names))))


_WIRE_NAMES = {"search_for": "searchFor", "start_key": "startKey"}


def _refuse(command: Watch, fields: tuple[str, ...], where: str) -> None:
    """Refuse fields that would be ignored, so that a mistake never watches something else."""
    for field in fields:
        if getattr(command, field) is not None:
            raise invalid(f'"{_WIRE_NAMES.get(field, field)}" is not allowed {where}: leave it out.')
