"""What a program does with a hub: posts that no hook sees, listings, disconnects, and what is refused."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
import pytest
from pydantic import BaseModel
from starlette.requests import HTTPConnection

from hubbub.errors import CommandError, HubError, SettingsError
from hubbub.hub.hub import Hub
from hubbub.hub.types import HookError, Member, Post, User
from hubbub.testing import TestHub
from support.clients import Peer
from support.hub import serve

Peers = Callable[..., Awaitable[Peer]]


class Struct(msgspec.Struct):
    n: int


@dataclass
class Data:
    n: int


class Model(BaseModel):
    n: int


async def test_a_program_posts_lists_and_disconnects() -> None:
    hub = Hub(guests=True)
    asked = list[str]()

    @hub.on_post
    async def check(post: Post[Any]) -> Any:
        asked.append("post")
        return post.message

    @hub.on_private
    async def private(post: Post[Any]) -> Any:
        asked.append("private")
        return post.message

    async with TestHub(hub) as tested:
        ada = await tested.guest("ada", join="kitchen")
        for message in (Struct(1), Data(1), Model(n=1), {"n": 1}):
            assert (await hub.post("kitchen", message, min_recipients=1)).recipients == 1
            event = await ada.next()
            assert (event.message, event.sender, event.sender_cid) == ({"n": 1}, "server", None)
        sent = [await hub.post("kitchen", 1, key=7, sender="bob") for _ in range(2)]
        assert [each.recipients for each in sent] == [1, 1]
        assert (await ada.next()).sender == "bob"
        assert (await hub.post_to_user("ada", [2])).recipients == 1
        assert (await ada.next()).message == [2]
        assert (await hub.post("kitchen", "now", keep=False)).recipients == 1
        assert (await hub.post_to_user("ada", "now", keep=False)).recipients == 1
        for event in (await ada.next(), await ada.next()):
            assert (event.message, event.seq) == ("now", None)
        assert ada.unread == ()
        assert asked == []
        with pytest.raises(CommandError, match="min_recipients"):
            await hub.post("kitchen", 1, min_recipients=2)
        with pytest.raises(CommandError, match='"keep": false'):
            await hub.post("kitchen", 1, keep=False, key=1)

        (group,) = (await hub.groups()).list
        assert (group.group, group.number_of_users) == ("kitchen", 1)
        page = await hub.users("kitchen")
        assert [row.user_id for row in page.list] == ["ada"]
        assert page.end_of_list
        assert (await hub.users("kitchen", "bob")).list == []

        assert await hub.disconnect(connection_id=ada.connection_id) == 1
        assert await ada.wait_closed() == 4003
        assert await hub.disconnect(user_id="ada", for_seconds=60) == 0
        with tested.refused("FORBIDDEN", match="banned"):
            await tested.guest("ada")
        await tested.sleep(60)
        await tested.guest("ada")


async def test_the_keys_of_a_program_are_not_those_of_the_users_it_posts_as(peers: Peers) -> None:
    hub = Hub(guests=True)
    async with serve(hub) as server:
        bob = await peers(server, guest="bob", group="kitchen")
        for done in range(2):  # once by each, and then no more
            await bob.do("post", to="kitchen", message="bob", key="k")
            await hub.post("kitchen", "program as bob", sender="bob", key="k")
            await hub.post("kitchen", "program", key="k")
            await hub.post_to_user("bob", "private as bob", sender="bob", key="k")
            if not done:
                heard = [(await bob.event())["message"] for _ in range(4)]
                assert heard == ["bob", "program as bob", "program", "private as bob"]
        await hub.post("kitchen", "end")
        assert (await bob.event())["message"] == "end"


async def test_a_ban_holds_against_the_app() -> None:
    hub = Hub()

    @hub.on_connect
    async def who(conn: HTTPConnection) -> User | None:
        return User(7)

    async with TestHub(hub) as tested:
        seven = await tested.connect()
        assert seven.user_id == "7"
        assert await hub.disconnect(7, for_seconds=60) == 1
        assert await seven.wait_closed() == 4003
        with tested.refused("FORBIDDEN"):
            await tested.connect()
        await hub.disconnect(7, for_seconds=0)
        await tested.connect()


async def test_what_is_refused() -> None:
    hub = Hub(guests=True, max_message=100)
    refused: list[tuple[Awaitable[Any], type[Exception], str]] = [
        (hub.post("", 1), CommandError, '"group"'),
        (hub.post("g", "x" * 200), CommandError, "200|202"),
        (hub.post("g", 1, key="k" * 200), CommandError, '"key"'),
        (hub.post("g", 1, min_recipients=-1), CommandError, "min_recipients"),
        (hub.post("g", object()), TypeError, "represented in JSON"),
        (hub.post(7, 1), TypeError, "group must be text"),  # type: ignore[arg-type]
        (hub.post("g", 1, sender=None), TypeError, "sender must be text"),  # type: ignore[arg-type]
        (hub.post_to_user("", 1), CommandError, "user_id"),
        (hub.disconnect(), CommandError, "exactly one"),
        (hub.disconnect("a", connection_id="b"), CommandError, "exactly one"),
        (hub.disconnect(connection_id="b", for_seconds=1), CommandError, "user_id"),
        (hub.disconnect("a", for_seconds=-1), CommandError, "seconds"),
        (hub.groups(limit=0), CommandError, "limit"),
    ]
    for call, kind, hint in refused:
        with pytest.raises(kind, match=hint):
            await call
    assert (await hub.post(str(UUID(int=1)), 1, key=UUID(int=2), sender=3)).recipients == 0
    await hub._lifecycle.stop()


async def test_a_hub_at_the_wrong_time_or_place() -> None:
    hub = Hub(guests=True)
    await hub.post("g", 1)  # the first use starts it

    async def join(member: Member) -> None: ...

    with pytest.raises(HookError, match="has been started"):
        hub.on_join(join)

    errors = list[BaseException]()

    def elsewhere() -> None:
        for work in (hub.post("g", 1), hub.users("g")):
            try:
                asyncio.run(work)
            except HubError as error:
                errors.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    await asyncio.to_thread(thread.join)
    assert ["another event loop" in str(error) for error in errors] == [True, True]
    await hub._lifecycle.stop()
    with pytest.raises(HubError, match="stopped"):
        await hub.post("g", 1)


async def test_a_hub_that_could_not_know_anybody_does_not_start() -> None:
    with pytest.raises(SettingsError, match="on_connect"):
        await Hub().get()


async def test_with_cookies_not_every_origin_is_allowed() -> None:
    hub = Hub(origins=("*",))

    @hub.on_connect
    async def who(conn: HTTPConnection) -> User | None: ...

    with pytest.raises(SettingsError, match="cookies of its visitors"):
        await hub.get()


async def test_pages_of_other_ports_cannot_use_the_cookie(peers: Peers) -> None:
    hub = Hub(guests=True)

    @hub.on_connect
    async def who(conn: HTTPConnection) -> User | None:
        return User("ada")

    async with serve(hub) as server:
        other = await peers(server, origin="http://localhost:1234")
        assert await other.closed() == 4008
        own = await peers(server, origin=server.url)
        assert (await own.do("connect"))["user_id"] == "ada"


async def test_live_queries_have_the_parameters_of_the_listings() -> None:
    hub = Hub(guests=True)
    async with (
        hub.watch_groups("group", "a", ">=", limit=3, ascending=False, every=0.2) as groups,
        hub.watch_groups(groups=["b", "a"]) as named,
        hub.watch_users("g", 7, limit=3, every=0.2) as users,
    ):
        assert (groups.list, groups.count, users.list) == ([], 0, [])
        assert [row.group for row in named.list] == ["a", "b"]
    await hub._lifecycle.stop()


async def test_a_program_follows_who_comes(peers: Peers) -> None:
    hub = Hub(guests=True)
    async with serve(hub) as server:
        events = hub.events("start", group="a*")
        assert [(await anext(events)).type for _ in range(2)] == ["snapshot_begin", "snapshot_end"]
        await peers(server, guest="ada", group="b")
        await peers(server, guest="ada", group="a")
        opened, joined = await anext(events), await anext(events)
        assert (opened.type, opened.group, joined.type, joined.user_id) == ("group_opened", "a", "member_joined", "ada")
        again = hub.events(opened.cursor, groups=False)
        assert [(await anext(again)).type for _ in range(2)] == ["position", "member_joined"]
        with pytest.raises(CommandError, match="since"):
            await anext(hub.events("x"))
    with pytest.raises(HubError, match="stopped"):
        await anext(events)
