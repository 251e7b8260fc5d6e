"""What every kind of publisher does: one suite for HTTP and store, synchronous and asynchronous."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hubbub import CommandError
from hubbub.client import GroupRow, Page, Sent
from hubbub.server import Server
from support.clients import Peer, token

Peers = Callable[..., Awaitable[Peer]]


async def refused(call: Awaitable[Any]) -> tuple[str, str]:
    with pytest.raises(CommandError) as caught:
        await call
    return caught.value.code, caught.value.message


async def test_a_group_hears_it(publisher: Any, node: Server, peers: Peers) -> None:
    ada = await peers(node, token=token("ada"), group="a/b?ü.")
    assert await publisher.post("a/b?ü.", {"n": [1, None, "ü"]}) == Sent("Message sent.", 1)
    event = await ada.event()
    assert (event["message"], event["sender"], event["sender_cid"]) == ({"n": [1, None, "ü"]}, "server", None)
    assert (await publisher.post("empty", 1)).recipients == 0
    assert await ada.quiet()


async def test_any_name(publisher: Any, node: Server, peers: Peers) -> None:
    ada = await peers(node, token=token("ada"))
    for name in (".", "..", "%2F", "\0", "x" * 256):
        await ada.do("join", group=name)
        assert (await publisher.post(name, 1)).recipients == 1
        assert (await ada.event())["sender_rid"] == name
        assert [row.user_id for row in (await publisher.users(name)).list] == ["ada"]


async def test_a_user_hears_it_on_every_connection(publisher: Any, node: Server, peers: Peers) -> None:
    both = [await peers(node, token=token("ada")) for _ in range(2)]
    assert await publisher.post_to_user("ada", "psst") == Sent("Message sent.", 2)
    for peer in both:
        event = await peer.event()
        assert (event["type"], event["message"], event["sender"]) == ("private", "psst", "server")
    assert (await publisher.post_to_user("bob", 1)).recipients == 0


async def test_a_key_is_done_once(publisher: Any, node: Server, peers: Peers) -> None:
    ada = await peers(node, token=token("ada"), group="g")
    for way, to in ((publisher.post, "g"), (publisher.post_to_user, "ada")):
        sent = [await way(to, n, key="order-17") for n in range(3)]
        assert [each.recipients for each in sent] == [1, 1, 1]
        assert (await ada.event())["message"] == 0
        assert (await way(to, "other", key="order-18")).recipients == 1
        assert (await ada.event())["message"] == "other"
    assert await ada.quiet()


async def test_a_message_that_is_not_kept(publisher: Any, node: Server, peers: Peers) -> None:
    ada = await peers(node, token=token("ada"), group="g")
    for way, to in ((publisher.post, "g"), (publisher.post_to_user, "ada")):
        assert (await way(to, "now", keep=False)).recipients == 1
        event = await ada.event()
        assert (event["message"], event["seq"]) == ("now", None)
        code, text = await refused(way(to, "now", keep=False, key="k"))
        assert (code, '"keep": false' in text) == ("INVALID_PARAMETER", True)
        assert (await refused(way(to, "now", keep=False, min_recipients=2)))[0] == "INVALID_REQUEST"
    assert (await ada.do("join", group="g", history=10)).get("replayed", 0) == 0


async def test_min_recipients(publisher: Any, node: Server, peers: Peers) -> None:
    ada = await peers(node, token=token("ada"), group="g")
    assert (await publisher.post("g", 1, min_recipients=1)).recipients == 1
    code, text = await refused(publisher.post("g", 2, min_recipients=2))
    assert code == "INVALID_REQUEST"
    assert "1 connections would receive it" in text
    assert (await refused(publisher.post_to_user("bob", 2, min_recipients=1)))[0] == "INVALID_REQUEST"
    assert (await ada.event())["message"] == 1
    assert await ada.quiet()


async def test_a_named_sender(publisher: Any, node: Server, peers: Peers) -> None:
    ada = await peers(node, token=token("ada"), group="g")
    await publisher.post("g", 1, sender="bob")
    await publisher.post_to_user("ada", 2, sender="bob")
    events = [await ada.event(), await ada.event()]
    assert [(event["sender"], event["sender_cid"]) for event in events] == [("bob", None)] * 2


async def test_a_user_cannot_use_up_the_key_of_a_post_in_its_name(publisher: Any, node: Server, peers: Peers) -> None:
    bob = await peers(node, token=token("bob"), group="g")
    for key in ("k", "6:serverk", "\0" * 119 + "6:serverk"):
        await bob.do("post", to={"group": "g"}, message="mine", key=key)
        assert (await bob.event())["message"] == "mine"
    assert (await publisher.post("g", "as bob", key="k", sender="bob")).recipients == 1
    assert (await bob.event())["message"] == "as bob"
    await publisher.post("g", "again", key="k", sender="bob")
    await publisher.post("g", "as the server", key="k", sender="server")
    assert (await bob.event())["message"] == "as the server"
    await publisher.post("g", "again", key="k")
    assert await bob.quiet()


async def test_pages_of_groups(publisher: Any, node: Server, peers: Peers) -> None:
    for number, group in enumerate(["a", "aa", "b", "1"]):
        for user in range(number + 1):
            await peers(node, token=token(f"u{user}"), group=group)
    first: Page[GroupRow] = await publisher.groups(limit=3)
    assert [row.group for row in first.list] == ["1", "a", "aa"]
    second = await publisher.groups(limit=3, start_key=first.start_key)
    assert ([row.group for row in second.list], second.start_key, second.end_of_list) == (["b"], "end", True)
    assert (await publisher.groups(start_key="end")).list == []
    assert [row.group for row in (await publisher.groups("group", "a", ">=", ascending=False)).list] == ["aa", "a"]
    assert [row.group for row in (await publisher.groups("group", "1")).list] == ["1"]
    large = (await publisher.groups("number_of_users", 3, ">=")).list
    assert [(row.group, row.number_of_users) for row in large] == [("b", 3), ("1", 4)]
    assert [row.group for row in (await publisher.groups("number_of_users", 2, range=3.5)).list] == ["aa", "b"]


async def test_pages_of_users(publisher: Any, node: Server, peers: Peers) -> None:
    for user in ("ada", "ada", "bob"):
        await peers(node, token=token(user), group="g")
    first = await publisher.users("g", limit=2)
    assert [row.user_id for row in first.list] == ["ada", "ada"]
    assert [row.user_id for row in (await publisher.users("g", start_key=first.start_key)).list] == ["bob"]
    assert len((await publisher.users("g", "ada")).list) == 2
    assert (await publisher.users("nowhere")).list == []


async def test_disconnect(publisher: Any, node: Server, peers: Peers) -> None:
    ada, bob, eve = [await peers(node, token=token(user), group="g") for user in ("ada", "bob", "eve")]
    assert await publisher.disconnect("ada") == 1
    assert await ada.closed() == 4003
    assert await publisher.disconnect(connection_id=bob.welcome["connection_id"]) == 1
    assert await bob.closed() == 4003
    assert await publisher.disconnect("nobody") == await publisher.disconnect(connection_id="nobody") == 0
    assert await publisher.disconnect("eve", for_seconds=99.5) == 1
    assert await eve.closed() == 4003
    barred = await peers(node)
    assert (await barred.fail("connect", token=token("eve")))["code"] == "FORBIDDEN"
    assert await publisher.disconnect("eve", for_seconds=0) == 0
    assert "ok" in await (await peers(node)).ask("connect", token=token("eve"))


WRONG: dict[str, tuple[Callable[[Any], Awaitable[Any]], str, str]] = {
    "empty group": (lambda p: p.post("", 1), "INVALID_PARAMETER", '"group" must be 1 to 256'),
    "long group": (lambda p: p.post("x" * 257, 1), "INVALID_PARAMETER", '"group" must be 1 to 256'),
    "group of bytes": (lambda p: p.post(b"g", 1), "INVALID_PARAMETER", '"group" must be a string'),
    "half a pair": (lambda p: p.post("\ud800", 1), "INVALID_PARAMETER", "surrogate"),
    "empty user": (lambda p: p.post_to_user("", 1), "INVALID_PARAMETER", '"user_id" must be 1 to'),
    "a set": (lambda p: p.post("g", {"a": [{1}]}), "INVALID_PARAMETER", "\"message['a'][0]\" is a set"),
    "NaN": (lambda p: p.post("g", float("nan")), "INVALID_PARAMETER", "nan"),
    "half a pair in it": (lambda p: p.post("g", "\ud800"), "INVALID_PARAMETER", "surrogate"),
    "too large": (lambda p: p.post("g", "x" * 65535), "TOO_LARGE", "at most 65536"),
    "too deep": (lambda p: p.post("g", deep(65)), "TOO_LARGE", "deep"),
    "beyond a double": (lambda p: p.post("g", 10**309), "INVALID_PARAMETER", "double"),
    "empty key": (lambda p: p.post("g", 1, key=""), "INVALID_PARAMETER", '"key" must be 1 to 128'),
    "long key": (lambda p: p.post("g", 1, key="k" * 129), "INVALID_PARAMETER", '"key" must be 1 to 128'),
    "negative": (lambda p: p.post("g", 1, min_recipients=-1), "INVALID_PARAMETER", "0 or more"),
    "not a number": (lambda p: p.post("g", 1, min_recipients="1"), "INVALID_PARAMETER", "must be an integer"),
    "empty sender": (lambda p: p.post("g", 1, sender=""), "INVALID_PARAMETER", '"sender" must be 1 to'),
    "long sender": (lambda p: p.post("g", 1, sender="x" * 257), "INVALID_PARAMETER", '"sender" must be 1 to'),
    "a page too long": (lambda p: p.groups(limit=1001), "INVALID_PARAMETER", '"limit" must be 1 to 1000'),
    "users of nothing": (lambda p: p.users(""), "INVALID_PARAMETER", '"group" must be 1 to'),
    "a wrong cursor": (lambda p: p.users("g", start_key={"a": 1}), "INVALID_PARAMETER", '"startKey"'),
    "a wrong order": (lambda p: p.groups("size"), "INVALID_PARAMETER", '"searchFor"'),
    "text for a number": (
        lambda p: p.groups("number_of_users", "3"),
        "INVALID_PARAMETER",
        '"value" must be a finite number',
    ),
    "a number for text": (lambda p: p.groups("group", 3), "INVALID_PARAMETER", '"value" must be a string'),
    "nobody": (lambda p: p.disconnect(), "INVALID_PARAMETER", 'either "user_id" or "connection_id"'),
    "a long ban": (lambda p: p.disconnect("a", for_seconds=604801), "INVALID_PARAMETER", '"for_seconds" must be 0 to'),
    "no user to ban": (lambda p: p.disconnect(connection_id="c", for_seconds=1), "INVALID_PARAMETER", "bans a user"),
}


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


async def test_wrong_calls(publisher: Any) -> None:
    outcomes = {name: await refused(call(publisher)) for name, (call, _, _) in WRONG.items()}
    for name, (_, code, text) in WRONG.items():
        assert outcomes[name][0] == code, (name, outcomes[name])
        assert text in outcomes[name][1], (name, outcomes[name])


async def test_what_is_not_json_is_a_type_error_and_a_value_error_too(publisher: Any) -> None:
    for kind in (TypeError, ValueError):
        with pytest.raises(kind, match="set"):
            await publisher.post("g", {1})


async def test_after_close(publisher: Any) -> None:
    await publisher.post("g", 1)
    await publisher.close()
    await publisher.close()
    code, text = await refused(publisher.post("g", 1))
    assert (code, text) == ("INVALID_REQUEST", "This publisher is closed. Make a new one.")


async def test_many_calls_at_the_same_time(publisher: Any, node: Server, peers: Peers) -> None:
    ada = await peers(node, token=token("ada"), group="g")
    sent = await asyncio.gather(*(publisher.post("g", number) for number in range(60)))
    assert [each.recipients for each in sent] == [1] * 60
    assert sorted([(await ada.event())["message"] for _ in range(60)]) == list(range(60))
