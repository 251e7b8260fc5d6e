"""The unmodified ``skapi-js`` lists groups and users over HTTP, against plain Python lists as the oracle."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from hubbub.server import Server
from hubbub.settings import Settings
from support.clients import SECRET, open_peer, token
from support.skapi_pages import OWNER, SERVICE, VERSIONS, Site, User, needs_skapi, open_page, user_id

pytestmark = [needs_skapi, pytest.mark.asyncio(loop_scope="session")]

Visit = Callable[..., Awaitable[User]]

ODD = ["\x01", " leading", "%41", "100%", "Hello", "HelloWorld", "Zoë", "\ue000", "👋 wave"]
SIZES = {f"group {number:03}": 1 + number % 3 for number in range(241)} | {
    name: 1 + 4 * (number % 2) for number, name in enumerate(ODD)
}
"""250 groups, and how many users are in each."""

COMPARE = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    "<=": operator.le,
    ">=": operator.ge,
}
WORDS = {"=": "eq", "!=": "ne", ">": "gt", "<": "lt", "<=": "lte", ">=": "gte"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def crowded(site: Site) -> AsyncIterator[Server]:
    """A server with the groups of `SIZES`."""
    settings = Settings(port=0, secret=SECRET, origins=(site.origin,), max_connections_per_user=1000)
    async with Server(settings) as server, AsyncExitStack() as stack:
        tokens = [token(f"user {number}") for number in range(max(SIZES.values()))]

        async def enter(group: str, number: int) -> None:
            peer = await open_peer(server, token=tokens[number], group=group)
            stack.push_async_callback(peer.socket.close)

        places = [(group, number) for group, size in SIZES.items() for number in range(size)]
        for start in range(0, len(places), 50):
            await asyncio.gather(*(enter(*each) for each in places[start : start + 50]))
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=VERSIONS)
async def ada(request: pytest.FixtureRequest, browser: Browser, site: Site, crowded: Server) -> AsyncIterator[User]:
    """Somebody who looks around and is in no group herself."""
    user = await open_page(browser, site.page(request.param, crowded.url), "ada")
    await user.log_in(SERVICE, OWNER)
    await user.connect()
    yield user
    await user.page.context.close()


async def names(user: User, params: Any, options: Any = None) -> list[tuple[str, int]]:
    """Fetch all pages, as the documentation says to, and return name and size of every group."""
    script = """async ([params, options]) => {
        const rows = [];
        for (let page, more = false; !page?.endOfList; more = true) {
            page = await skapi.getRealtimeGroups(params ?? undefined, {limit: 1000, ...options, fetchMore: more});
            if (options?.limit && page.list.length > options.limit) throw Error('a page of ' + page.list.length);
            rows.push(...page.list.map(row => [row.group, row.number_of_users]));
        }
        return rows;
    }"""
    return [tuple(row) for row in await user.run(script, [params, options])]


def by_name(found: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(found.items())


def by_size(found: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(found.items(), key=lambda row: (row[1], row[0]))


@pytest.mark.parametrize("params", [None, {}, {"searchFor": "group"}])
async def test_all_groups(ada: User, params: Any) -> None:
    assert await names(ada, params) == by_name(SIZES)


@pytest.mark.parametrize("limit", [7, 50, 100])
async def test_pages(ada: User, limit: int) -> None:
    assert await names(ada, None, {"limit": limit}) == by_name(SIZES)
    assert await names(ada, None, {"limit": limit, "ascending": False}) == by_name(SIZES)[::-1]
    sizes = {"searchFor": "number_of_users", "value": 0, "condition": ">"}
    assert await names(ada, sizes, {"limit": limit}) == by_size(SIZES)
    assert await names(ada, sizes, {"limit": limit, "ascending": False}) == by_size(SIZES)[::-1]


async def test_start_key(ada: User) -> None:
    first = await ada.do("getRealtimeGroups", None, {"limit": 100})
    assert (len(first["list"]), first["endOfList"]) == (100, False)
    second = await ada.do("getRealtimeGroups", None, {"limit": 1000, "startKey": first["startKey"]})
    assert [row["group"] for row in first["list"] + second["list"]] == sorted(SIZES)
    assert (second["startKey"], second["endOfList"]) == ("end", True)
    again = await ada.do("getRealtimeGroups", None, {"startKey": "start"})
    assert [row["group"] for row in again["list"]] == sorted(SIZES)[:50]
    assert (await ada.do("getRealtimeGroups", None, {"startKey": "end"}))["list"] == []


async def test_conditions_on_names(ada: User) -> None:
    for value in ("Hello", "group 1", "%41", "100%", "👋 wave", "nothing like it", " "):
        for sign, compare in COMPARE.items():
            expected = {
                name: size
                for name, size in SIZES.items()
                if (name.startswith(value) if sign == ">=" else compare(name, value))
            }
            if (sign, value) == (">", " "):
                expected = SIZES  # what the client sends when it means all
            for condition in (sign, WORDS[sign]):
                params = {"searchFor": "group", "value": value, "condition": condition}
                assert await names(ada, params) == by_name(expected), params
        if value != " ":
            assert await names(ada, {"searchFor": "group", "value": value}) == by_name(
                {name: size for name, size in SIZES.items() if name == value}
            )


async def test_conditions_on_sizes(ada: User) -> None:
    for value in (0, 1, 2, 3, 5, 9):
        for sign, compare in COMPARE.items():
            expected = {name: size for name, size in SIZES.items() if compare(size, value)}
            for condition in (sign, WORDS[sign]):
                params = {"searchFor": "number_of_users", "value": value, "condition": condition}
                assert await names(ada, params) == by_size(expected), params
    two = {name: size for name, size in SIZES.items() if size == 2}
    assert await names(ada, {"searchFor": "number_of_users", "value": 2}) == by_size(two)
    assert await names(ada, {"searchFor": "number_of_users"}) == by_size(SIZES)


async def test_ranges(ada: User) -> None:
    for first, last in (("Hello", "Zoë"), ("group 010", "group 019"), ("z", "a"), ("\x01", "\U0010ffff")):
        expected = {name: size for name, size in SIZES.items() if first <= name <= last}
        assert await names(ada, {"searchFor": "group", "value": first, "range": last}) == by_name(expected)
    for low, high in ((1, 2), (2, 4), (4, 2), (5, 100)):
        expected = {name: size for name, size in SIZES.items() if low <= size <= high}
        params = {"searchFor": "number_of_users", "value": low, "range": high}
        assert await names(ada, params, {"limit": 30, "ascending": False}) == by_size(expected)[::-1]


async def test_bad_queries(ada: User) -> None:
    for options in ({"limit": 0}, {"limit": -1}, {"startKey": {"nonsense": 1}}):
        error = await ada.fail("getRealtimeGroups", None, options)
        assert error["code"] == "INVALID_PARAMETER", options
        assert next(iter(options)) in error["message"]
    error = await ada.fail("getRealtimeGroups", {"searchFor": "group", "value": "a", "condition": "~"})
    assert error["code"] == "INVALID_PARAMETER"


# --- users ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
async def test_users_with_several_connections(visit: Visit, version: str) -> None:
    ada, bob = await visit("ada", version, group="people"), await visit("bob", version, group="people")
    second = await visit("ada", version, tab_of=ada, group="people")
    everybody = sorted(
        [{"user_id": user.id, "cid": user.cid} for user in (ada, bob, second)], key=lambda row: (*row.values(),)
    )

    async def users(params: Any, options: Any = None) -> Any:
        page = await ada.do("getRealtimeUsers", params, *([options] if options else []))
        return [{"user_id": row["user_id"], "cid": row["cid"]} for row in page["list"]]

    assert await users({"group": "people"}) == everybody
    assert await users({"group": "people", "user_id": bob.id}) == [{"user_id": bob.id, "cid": bob.cid}]
    assert await users({"group": "people", "user_id": ada.id}) == [row for row in everybody if row["user_id"] == ada.id]
    assert await users({"group": "people", "user_id": user_id("nobody")}) == []
    assert await users({"group": "no such group"}) == []
    pages = [
        await ada.do("getRealtimeUsers", {"group": "people"}, {"limit": 2, "fetchMore": more}) for more in (False, True)
    ]
    assert [row["cid"] for page in pages for row in page["list"]] == [row["cid"] for row in everybody]
    assert [page["endOfList"] for page in pages] == [False, True]
    assert (await ada.do("getRealtimeGroups", {"searchFor": "group", "value": "people"}))["list"] == [
        {"group": "people", "number_of_users": 2}
    ]


async def test_users_of_the_joined_group(visit: Visit) -> None:
    ada = await visit("ada", group="mine")
    assert [row["user_id"] for row in (await ada.do("getRealtimeUsers"))["list"]] == [ada.id]
    old = await visit("ada", "122", group="mine")  # asks without saying for what
    error = await old.fail("getRealtimeUsers")
    assert error == {"code": "INVALID_PARAMETER", "message": '"group" is missing. Name a group, or search for groups.'}


async def test_rights_hold_in_listings(visit: Visit) -> None:
    await visit("ada", group="staff")
    bob = await visit("bob", group="guests 1", groups=["guests *"])
    assert (await bob.do("getRealtimeGroups"))["list"] == [{"group": "guests 1", "number_of_users": 1}]
    assert (await bob.fail("getRealtimeUsers", {"group": "staff"}))["code"] == "FORBIDDEN"


@pytest.mark.parametrize("version", VERSIONS)
async def test_names_come_from_the_tokens(visit: Visit, version: str) -> None:
    ada, bob = await visit("ada", version), await visit("bob", version)
    search = {"searchFor": "user_id", "value": bob.id, "condition": "="}
    found = (await ada.do("getUsers", search))["list"]
    assert [(row["user_id"], row["name"]) for row in found] == [(bob.id, "bob")]
    search["value"] = user_id("nobody")
    assert (await ada.do("getUsers", search))["list"] == []


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_hubbub_does_not_have_says_so(visit: Visit, version: str) -> None:
    ada = await visit("ada", version)
    error = await ada.fail("getRecords", {"table": "notes"})
    assert error["code"] == "INVALID_REQUEST"
    assert "It offers realtime groups only" in error["message"]


@pytest.mark.parametrize("version", VERSIONS)
async def test_login_with_a_password_says_what_to_do(visit: Visit, version: str) -> None:
    ada = await visit("ada", version)
    error = await ada.fail("login", {"email": "ada@example.com", "password": "secret password"})
    text = "Hubbub has no passwords. Give the page a token and call loginWithToken() with it."
    assert error == {"code": "INVALID_REQUEST", "message": text}
