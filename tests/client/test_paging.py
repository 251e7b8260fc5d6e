from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hubbub.client import paging
from hubbub.client.paging import QueryCache
from hubbub.client.results import Page
from hubbub.errors import CommandError, ErrorCode
from hubbub.messages import GroupRow

NAMES = "abcdefg"


class Listing:
    """A listing of `NAMES`, two to a page."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    async def __call__(self, command: dict[str, Any]) -> Page[GroupRow]:
        self.asked.append(command)
        await asyncio.sleep(0)
        begin = NAMES.index(command["startKey"]["group"]) + 1 if "startKey" in command else 0
        rows = [GroupRow(name, 1, 1) for name in NAMES[begin : begin + 2]]
        end = begin + 2 >= len(NAMES)
        return Page(rows, "end" if end else {"group": rows[-1].group}, end)


def names(page: Page[GroupRow]) -> str:
    return "".join(row.group for row in page.list)


async def test_fetch_more_continues_up_to_the_last_page() -> None:
    cache, listing, found = QueryCache(), Listing(), []
    page = None
    while page is None or not page.end_of_list:
        page = await cache.open({"do": "groups"}, None, continued=True).next_page({"do": "groups"}, listing)
        found.append(names(page))
    assert found == ["ab", "cd", "ef", "g"]
    assert page.start_key_history == ({"group": "b"}, {"group": "d"}, {"group": "f"}, "end")
    beyond = await cache.open({"do": "groups"}, None, continued=True).next_page({"do": "groups"}, listing)
    assert (beyond.list, beyond.start_key, beyond.end_of_list) == ([], "end", True)
    assert len(listing.asked) == 4  # the page after the last one is not asked for


async def test_concurrent_calls_get_consecutive_pages() -> None:
    cache, listing = QueryCache(), Listing()
    query = cache.open({"do": "groups"}, None, continued=True)
    found = await asyncio.gather(*(query.next_page({"do": "groups"}, listing) for _ in range(4)))
    assert [names(page) for page in found] == ["ab", "cd", "ef", "g"]


async def test_which_queries_are_the_same() -> None:
    cache = QueryCache()
    command = {"do": "groups", "value": 1}
    query = cache.open(command, None, continued=True)
    assert cache.open(dict(command), None, continued=True) is query
    assert cache.open({"do": "groups", "value": True}, None, continued=True) is not query
    assert cache.open(command, "g", continued=True) is not query
    assert cache.open(command, None, continued=False) is not query


async def test_the_least_recently_used_query_is_dropped() -> None:
    cache = QueryCache()
    first = cache.open({"n": 0}, None, continued=True)
    second = cache.open({"n": 1}, None, continued=True)
    for number in range(2, paging.MAX_QUERIES):
        cache.open({"n": number}, None, continued=True)
    assert cache.open({"n": 0}, None, continued=True) is first
    cache.open({"n": "one more"}, None, continued=True)
    assert cache.open({"n": 0}, None, continued=True) is first
    assert cache.open({"n": 1}, None, continued=True) is not second
    cache.clear()
    assert cache.open({"n": 0}, None, continued=True) is not first


class Endless:
    """A listing that never ends, with start keys of this many characters."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.pages = 0

    async def __call__(self, command: dict[str, Any]) -> Page[GroupRow]:
        self.pages += 1
        return Page([], {"group": str(self.pages).rjust(self.length, "x")}, end_of_list=False)


async def test_the_number_of_start_keys_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "MAX_START_KEYS", 5)
    query, endless = paging.Query(), Endless(1)
    for _ in range(20):
        page = await query.next_page({"do": "groups"}, endless)
    assert page.start_key_history == query.start_keys == tuple({"group": str(number)} for number in range(16, 21))


async def test_the_length_of_start_keys_is_limited() -> None:
    query, endless = paging.Query(), Endless(300_000)
    for _ in range(10):
        await query.next_page({"do": "groups"}, endless)
    assert [key["group"].lstrip("x") for key in query.start_keys if key != "end"] == ["8", "9", "10"]
    with pytest.raises(CommandError, match=r'"startKey" has \d+ characters; at most 1048576') as caught:
        await query.next_page({"do": "groups"}, Endless(2_000_000))
    assert caught.value.code == ErrorCode.INTERNAL
