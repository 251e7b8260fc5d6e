from __future__ import annotations

import asyncio
from typing import Any

from hubbub.client import paging
from hubbub.client.paging import Pages
from hubbub.client.results import Page
from hubbub.messages import GroupRow

NAMES = "abcdefg"


class Far:
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


async def test_pages_follow_each_other_to_the_end() -> None:
    pages, far, found = Pages(), Far(), []
    page = None
    while page is None or not page.end_of_list:
        page = await pages.open({"do": "groups"}, None, goes_on=True).next_page({"do": "groups"}, far)
        found.append(names(page))
    assert found == ["ab", "cd", "ef", "g"]
    assert page.start_key_history == ({"group": "b"}, {"group": "d"}, {"group": "f"}, "end")
    beyond = await pages.open({"do": "groups"}, None, goes_on=True).next_page({"do": "groups"}, far)
    assert (beyond.list, beyond.start_key, beyond.end_of_list) == ([], "end", True)
    assert len(far.asked) == 4  # behind the end there is nothing to ask


async def test_pages_asked_for_at_once_come_one_after_the_other() -> None:
    pages, far = Pages(), Far()
    query = pages.open({"do": "groups"}, None, goes_on=True)
    found = await asyncio.gather(*(query.next_page({"do": "groups"}, far) for _ in range(4)))
    assert [names(page) for page in found] == ["ab", "cd", "ef", "g"]


async def test_what_is_another_query() -> None:
    pages = Pages()
    command = {"do": "groups", "value": 1}
    query = pages.open(command, None, goes_on=True)
    assert pages.open(dict(command), None, goes_on=True) is query
    assert pages.open({"do": "groups", "value": True}, None, goes_on=True) is not query
    assert pages.open(command, "g", goes_on=True) is not query
    assert pages.open(command, None, goes_on=False) is not query


async def test_the_query_used_longest_ago_is_forgotten() -> None:
    pages = Pages()
    first = pages.open({"n": 0}, None, goes_on=True)
    second = pages.open({"n": 1}, None, goes_on=True)
    for number in range(2, paging.MAX_QUERIES):
        pages.open({"n": number}, None, goes_on=True)
    assert pages.open({"n": 0}, None, goes_on=True) is first
    pages.open({"n": "one more"}, None, goes_on=True)
    assert pages.open({"n": 0}, None, goes_on=True) is first
    assert pages.open({"n": 1}, None, goes_on=True) is not second
    pages.clear()
    assert pages.open({"n": 0}, None, goes_on=True) is not first
