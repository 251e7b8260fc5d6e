"""What every backend promises of views: the same rows as listings, counts, and when they have to be read again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hubbub.backends.base import Backend
from hubbub.groups.directory import parse_query
from hubbub.groups.view_query import ViewPage, ViewQuery, parse_watch
from hubbub.messages import GroupRow, Groups, UserRow, Watch
from support.listener import ADA, ADA2, BOB, EVE, Listener
from support.waiting import PATIENCE


def query(what: str = "groups", **fields: Any) -> ViewQuery:
    return parse_watch(Watch(what, **fields), 1000, 256, lambda cursor, order: cursor)  # type: ignore[arg-type]


async def fill(backend: Backend) -> None:
    """Make some groups: a has two users on three connections, b one."""
    for row, group in ((ADA, "a"), (ADA2, "a"), (BOB, "a"), (EVE, "b")):
        await backend.join(row, group)


async def until_changed(backend: Backend, wanted: ViewQuery, before: int) -> None:
    """Wait until the backend says that a view may have changed."""
    async with asyncio.timeout(PATIENCE):
        while backend.revision_of(wanted) == before:
            await asyncio.sleep(0.002)


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ({}, 2),
        ({"ascending": False, "limit": 1}, 2),
        ({"search_for": "number_of_users", "value": 1, "condition": ">"}, 1),
        ({"search_for": "number_of_users", "value": 2, "condition": "!="}, 1),
        ({"search_for": "number_of_users", "value": 1, "range": 9, "limit": 1}, 2),
        ({"value": "a", "condition": "!="}, 1),
        ({"start_key": {"group": "a"}}, 2),
        ({"start_key": "end"}, 2),
        ({"value": "x", "condition": ">="}, 0),
    ],
)
async def test_a_view_of_the_directory_is_the_page_and_a_count(
    backend: Backend, node: Listener, fields: dict[str, Any], count: int
) -> None:
    await fill(backend)
    page = await backend.groups(parse_query(Groups(**fields), 1000))
    view = await backend.view(query(**fields))
    assert view == ViewPage(page.list, count, page.start_key, page.end_of_list)


async def test_a_filtered_view_has_no_count(backend: Backend, node: Listener) -> None:
    await fill(backend)
    view = await backend.view(query(), lambda name: name == "b")
    assert view == ViewPage([GroupRow("b", 1, 1)], None)


async def test_named_groups_exist_or_not(backend: Backend, node: Listener) -> None:
    await fill(backend)
    await backend.leave(EVE)
    view = await backend.view(query(groups=["never", "b", "a"]))
    assert view == ViewPage([GroupRow("a", 2, 3), GroupRow("b", 0, 0), GroupRow("never", 0, 0)], 3)


async def test_users_of_a_group(backend: Backend, node: Listener) -> None:
    await fill(backend)
    key = {"user_id": "ada", "connection_id": "1"}
    assert await backend.view(query("users", group="a", limit=1)) == ViewPage([ADA], 3, key, end_of_list=False)
    assert await backend.view(query("users", group="a", start_key=key)) == ViewPage([ADA2, BOB], 3)
    assert await backend.view(query("users", group="a", start_key="end")) == ViewPage([], 3)
    assert await backend.view(query("users", group="a", user_id="ada", ascending=False)) == ViewPage([ADA2, ADA], 2)
    assert await backend.view(query("users", group="never")) == ViewPage([], 0)


EACH_KIND = [query(), query(groups=["a", "new"]), query("users", group="a")]


@pytest.mark.parametrize("wanted", EACH_KIND)
async def test_a_change_is_noticed_once_the_view_was_read(backend: Backend, node: Listener, wanted: ViewQuery) -> None:
    await fill(backend)
    for change in (backend.leave(ADA2), backend.leave(BOB), backend.join(ADA2, "a"), backend.remove_connection(ADA2)):
        before, revision = backend.revision_of(wanted), backend.revision
        await backend.view(wanted)
        await change
        await until_changed(backend, wanted, before)
        assert backend.revision > revision


@pytest.mark.parametrize("wanted", EACH_KIND)
async def test_a_change_on_another_node_is_noticed(
    make: Callable[[], Backend], backend: Backend, node: Listener, wanted: ViewQuery
) -> None:
    await fill(backend)
    other = make()
    Listener(other)
    other.attach(Listener(other))
    await other.start()
    before = backend.revision_of(wanted)
    await backend.view(wanted)
    row = UserRow("max", "9")
    await other.connect(row, 10)
    await other.join(row, "a")
    await until_changed(backend, wanted, before)
    await other.remove_connection(row)
    if other is not backend:
        await other.close()


async def test_users_of_other_groups_are_no_change(backend: Backend, node: Listener) -> None:
    await fill(backend)
    watched, other = query("users", group="a"), query("users", group="b")
    await backend.view(watched)
    await backend.view(other)
    before, before_other = backend.revision_of(watched), backend.revision_of(other)
    await backend.leave(EVE)
    await until_changed(backend, other, before_other)
    assert backend.revision_of(watched) == before


async def test_a_group_that_comes_and_goes_is_noticed(backend: Backend, node: Listener) -> None:
    wanted = query("users", group="new")
    before = backend.revision_of(wanted)
    assert (await backend.view(wanted)).rows == []
    await backend.join(ADA, "new")
    await until_changed(backend, wanted, before)
    before = backend.revision_of(wanted)
    assert (await backend.view(wanted)).rows == [ADA]
    await backend.leave(ADA)
    await until_changed(backend, wanted, before)
    assert (await backend.view(wanted)).rows == []
