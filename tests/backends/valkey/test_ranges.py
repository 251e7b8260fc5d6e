"""Listings from the store are those of the directory and the roster in memory, for any names, numbers and queries."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubbub.backends.valkey import schema
from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.backend import ValkeyBackend
from hubbub.groups.directory import Directory, parse_query
from hubbub.groups.roster import Roster, parse_user_query
from hubbub.messages import Groups, UserRow, Users
from support.store import Store

NAMES = st.text(st.sampled_from("ab\0\xff\ud7ff\ue000\U0010ffff"), min_size=1, max_size=3)
ROWS = st.builds(UserRow, NAMES, st.sampled_from(["1", "2", "3"]))


@given(ROWS, ROWS)
def test_rows_are_ordered_as_users_and_connections_are(one: UserRow, other: UserRow) -> None:
    assert (schema.row(one) < schema.row(other)) == (one < other)
    assert schema.parse_row(schema.row(one)) == one
    assert schema.row(one).startswith(schema.user_part(other.user_id)) == (one.user_id == other.user_id)
    assert (schema.row(one) < schema.past_user(other.user_id)) == (one.user_id <= other.user_id)


async def pages(ask: Any, query: Any, **fields: Any) -> list[Any]:
    """Follow the cursors of a listing to its end."""
    found, start_key = [], None
    while True:
        page = await ask(query(start_key=start_key, **fields))
        found.append(page)
        if page.end_of_list:
            return found
        start_key = page.start_key


@pytest.mark.parametrize("visible", [None, lambda name: "a" in name])
@pytest.mark.parametrize("search_for", ["group", "number_of_users"])
async def test_listings_are_those_of_the_memory_directory(store: Store, search_for: str, visible: Any) -> None:
    backend, directory = ValkeyBackend(parse_address(store.url())), Directory()
    await backend.start()
    groups = {"a": 1, "b": 2, "ab": 2, "a\0": 1, "\U0010ffff": 3, "\ue000": 1, "\ud7ff": 3, "z" * 256: 1}
    for group, users in groups.items():
        directory.put(group, users, users)
        for n in range(users):
            row = UserRow(f"user{n}", f"{group}/{n}")
            await backend.connect(row, 100)
            await backend.join(row, group)

    async def in_memory(query: Any) -> Any:
        return directory.page(query, visible)

    async def in_store(query: Any) -> Any:
        return await backend.groups(query, visible)

    values = ["a", "b", "\ud7ff", "\U0010ffff"] if search_for == "group" else [-1, 1, 2.5, 3, 10**400]
    shapes: list[dict[str, Any]] = [{}]
    shapes += [{"value": v, "condition": c} for v in values for c in ("=", "!=", ">", "<", ">=", "<=")]
    shapes += [{"value": values[0], "range": v} for v in values]
    for shape in shapes:
        for ascending in (True, False):

            def query(start_key: Any, shape: Any = shape, ascending: bool = ascending) -> Any:
                command = Groups(search_for=search_for, limit=2, ascending=ascending, start_key=start_key, **shape)
                return parse_query(command, 1000)

            assert await pages(in_store, query) == await pages(in_memory, query)
    await backend.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(ROWS, unique_by=lambda row: row.connection_id, max_size=3),
    st.none() | NAMES,
    st.none() | ROWS,
    st.booleans(),
    st.integers(1, 3),
)
async def test_users_are_those_of_a_roster(
    store: Store, rows: list[UserRow], user_id: str | None, after: UserRow | None, ascending: bool, limit: int
) -> None:
    await store.run("FLUSHALL")
    backend, roster = ValkeyBackend(parse_address(store.url())), Roster()
    await backend.start()
    for row in rows:
        await backend.connect(row, 100)
        await backend.join(row, "g")
        roster.add(row)
    start_key = None if after is None else {"user_id": after.user_id, "connection_id": after.connection_id}
    command = Users(user_id=user_id, limit=limit, ascending=ascending, start_key=start_key)
    query = parse_user_query(command, 1000)
    assert await backend.users("g", query) == roster.page(query)
    await backend.close()
