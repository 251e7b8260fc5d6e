"""Listings of a directory, for the tests of queries and pages. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import msgspec

from hubbub.groups.directory import Directory, parse_query
from hubbub.messages import GroupRow, Groups, Page

SIZES = {"Hello": 3, "HelloUniverse": 11, "HelloWorld": 1, "Hellp": 10, "hello": 3, "zoo": 200}
ALL = ["Hello", "HelloUniverse", "HelloWorld", "Hellp", "hello", "zoo"]
BY_SIZE = ["HelloWorld", "Hello", "hello", "Hellp", "HelloUniverse", "zoo"]  # 1 3 3 10 11 200


def make_directory(sizes: dict[str, int]) -> Directory:
    directory = Directory()
    for group, users in sizes.items():
        directory.put(group, users, users)
    return directory


def page_of(directory: Directory, visible: Callable[[str], bool] | None = None, /, **params: Any) -> Page:
    """Decode the parameters as the wire does, and return the page. No parameter is called `self`."""
    command = msgspec.convert({"do": "groups", **params}, Groups)
    return directory.page(parse_query(command, 1000), visible)


def rows_of(page: Page) -> list[GroupRow]:
    """Return the rows of a page of groups."""
    return cast(list[GroupRow], page.list)


def names_on(page: Page) -> list[str]:
    """Return the names of the groups on a page."""
    return [row.group for row in rows_of(page)]


def groups_found(**params: Any) -> list[str]:
    """Return the names that a query finds among `SIZES`, all on one page."""
    page = page_of(make_directory(SIZES), **params)
    assert (page.start_key, page.end_of_list) == ("end", True)
    return names_on(page)


def all_rows(directory: Directory, visible: Callable[[str], bool] | None = None, /, **params: Any) -> list[GroupRow]:
    """Follow the cursors to the end and return all rows."""
    rows: list[GroupRow] = []
    start_key: Any = None
    while start_key != "end":
        page = page_of(directory, visible, **params, startKey=start_key)
        assert page.end_of_list == (page.start_key == "end")
        assert page.start_key != start_key
        rows += rows_of(page)
        start_key = page.start_key
    return rows
