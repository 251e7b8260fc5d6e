"""Every sentence of the page that asked for this product, as an example; its code runs in the clients' tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hubbub.server import Server
from support.clients import Peer

Peers = Callable[..., Awaitable[Peer]]


async def names(peer: Peer, **query: Any) -> list[str]:
    return [row["group"] for row in (await peer.do("groups", **query))["list"]]


# Realtime groups are used to send realtime data to multiple users at once.
async def test_one_message_reaches_all(server: Server, peers: Peers) -> None:
    everybody = [await peers(server, guest=f"u{number}", group="g") for number in range(5)]
    assert (await everybody[0].do("post", to="g", message="hello"))["recipients"] == 5
    for peer in everybody:
        while (event := await peer.event())["type"] == "notice":
            pass
        assert event["message"] == "hello"


# Users can join a group by calling joinRealtime() method. … the method will return the following object
async def test_joining(server: Server, peers: Peers) -> None:
    peer = await peers(server, guest="ada")
    joined = await peer.do("join", group="HelloWorld")
    assert joined["type"] == "success"
    assert joined["message"] == 'Joined realtime message group: "HelloWorld".'


# Group name can be anything you want.
@pytest.mark.parametrize(
    "name", ["a", "x" * 256, " ", "#a?b=c&d", 'quote"s', "\n\t\0", "größe", "\U0001f600" * 3, "null", "../..", "%41"]
)
async def test_any_name(server: Server, peers: Peers, name: str) -> None:
    peer = await peers(server, guest="ada")
    assert (await peer.do("join", group=name))["message"] == f'Joined realtime message group: "{name}".'
    assert (await peer.do("post", to={"group": name}, message=1))["recipients"] == 1
    assert (await peer.event())["sender_rid"] == name
    assert await names(peer, value=name) == [name]


# If the group does not exist, it will be created automatically, otherwise the user will be joined to the existing one.
async def test_groups_are_created_and_removed(server: Server, peers: Peers) -> None:
    ada, bob = await peers(server, guest="ada"), await peers(server, guest="bob")
    assert await names(ada) == []
    await ada.do("join", group="g")
    await bob.do("join", group="g")
    assert (await ada.do("groups"))["list"] == [{"group": "g", "number_of_users": 2, "number_of_connections": 2}]
    await ada.do("leave")
    await bob.do("leave")
    assert await names(ada) == []


# Even if the user has joined the group, they can still receive realtime data sent individually to them.
async def test_private_messages_reach_members_of_a_group(server: Server, peers: Peers) -> None:
    ada, bob = await peers(server, guest="ada", group="g"), await peers(server, guest="bob")
    assert await bob.do("post", to="ada", message={"only": "you"}) == {
        "type": "success",
        "message": "Message sent.",
        "recipients": 1,
    }
    assert await ada.event() == {
        "type": "private",
        "message": {"only": "you"},
        "sender": "bob",
        "sender_cid": bob.welcome["connection_id"],
        "sender_rid": None,
        "seq": 1,
        "code": None,
    }


# … user can send any JSON data over to a group by using postRealtime() method. Any users in the group will receive it.
@pytest.mark.parametrize("data", [{"msg": "Hello World!"}, [1, [2]], "text", 0, 1.5, -1, True, False, None, "", {}, []])
async def test_any_json(server: Server, peers: Peers, data: Any) -> None:
    ada, bob = (
        await peers(server, guest="ada", group="HelloWorld"),
        await peers(server, guest="bob", group="HelloWorld"),
    )
    await ada.event()
    sent = await ada.do("post", to="HelloWorld", message=data)
    assert (sent["type"], sent["message"]) == ("success", "Message sent.")
    for peer in (ada, bob):
        event = await peer.event()
        assert (event["type"], event["message"], event["sender"]) == ("message", data, "ada")
        assert event["sender_rid"] == "HelloWorld"


# The user must be joined to the group to send data to the group.
async def test_posting_needs_membership(server: Server, peers: Peers) -> None:
    member, outsider = await peers(server, guest="ada", group="g"), await peers(server, guest="bob", group="other")
    for to, text in [
        ({"group": "g"}, 'You are not in the group "g". To post to it, join it first.'),
        (
            "g",
            'No user "g" is connected, and you are not in a group "g". To post to a group, join it first. '
            'To leave a message for a user who was connected lately, post to {"user_id": …}.',
        ),
    ]:
        assert await outsider.fail("post", to=to, message=1) == {"code": "INVALID_REQUEST", "message": text}
    assert await member.quiet()


# Users can join only one group at a time. If you want your user to change groups, you can call joinRealtime() …
async def test_changing_groups(server: Server, peers: Peers) -> None:
    ada, old, new = [await peers(server, guest=name) for name in ("ada", "old", "new")]
    await old.do("join", group="old")
    await new.do("join", group="new")
    await ada.do("join", group="old")
    await ada.do("join", group="new")
    assert [(await old.event())["code"] for _ in range(2)] == ["USER_JOINED", "USER_LEFT"]
    assert (await new.event())["code"] == "USER_JOINED"
    assert (await ada.do("users"))["list"] == (await new.do("users"))["list"]
    assert (await ada.fail("post", to={"group": "old"}, message=1))["code"] == "INVALID_REQUEST"


# … if you want to leave the group, you can call joinRealtime() with a params.group value as empty string or null.
@pytest.mark.parametrize("nothing", ["", None])
async def test_leaving(server: Server, peers: Peers, nothing: str | None) -> None:
    ada, bob = await peers(server, guest="ada", group="g"), await peers(server, guest="bob", group="g")
    left = await bob.do("join", group=nothing)
    assert left == {"type": "success", "message": "Left realtime message group."}
    assert [(await ada.event())["code"] for _ in range(2)] == ["USER_JOINED", "USER_LEFT"]
    assert (await bob.fail("post", to={"group": "g"}, message=1))["code"] == "INVALID_REQUEST"


# Users can get a list of realtime groups by calling getRealtimeGroups() method.
# You can search groups by the name. … group names that start with "Hello" … groups that have more than 10 users
async def test_listing_groups(server: Server, peers: Peers) -> None:
    for group, members in (("HelloWorld", 1), ("HelloUniverse", 11), ("Other", 2)):
        for number in range(members):
            await peers(server, guest=f"u{number}", group=group)
    peer = await peers(server, guest="ada")
    everything = await peer.do("groups")
    assert {row["group"]: row["number_of_users"] for row in everything["list"]} == {
        "HelloUniverse": 11,
        "HelloWorld": 1,
        "Other": 2,
    }
    assert (everything["startKey"], everything["endOfList"]) == ("end", True)
    starts = await names(peer, searchFor="group", value="Hello", condition=">=")
    assert starts == ["HelloUniverse", "HelloWorld"]
    assert await names(peer, searchFor="number_of_users", value=10, condition=">=") == ["HelloUniverse"]


# Users can get a list of users in a group by calling getRealtimeUsers() method.
# You can also search users in the group by their user ID.
async def test_listing_users(server: Server, peers: Peers) -> None:
    a, b = (
        await peers(server, guest="user_a", group="HelloWorld"),
        await peers(server, guest="user_b", group="HelloWorld"),
    )
    rows = [{"user_id": peer.welcome["user_id"], "connection_id": peer.welcome["connection_id"]} for peer in (a, b)]
    outsider = await peers(server, guest="outsider")
    assert (await outsider.do("users", group="HelloWorld"))["list"] == rows
    assert (await outsider.do("users", group="HelloWorld", user_id="user_a"))["list"] == rows[:1]
    assert (await outsider.do("users", group="HelloWorld", user_id="nobody"))["list"] == []
    assert (await outsider.do("users", group="unknown"))["list"] == []
    assert (await a.do("users"))["list"] == rows
    assert (await outsider.fail("users"))["code"] == "INVALID_REQUEST"


# What the page leaves open, and the design settles.


async def test_a_second_tab_can_be_told_from_a_new_user(server: Server, peers: Peers) -> None:
    ada = await peers(server, guest="ada", group="g")
    tabs = [await peers(server, guest="bob", group="g") for _ in range(2)]
    assert [(await ada.event())["user_connections"] for _ in tabs] == [1, 2]
    assert (await ada.do("groups"))["list"] == [{"group": "g", "number_of_users": 2, "number_of_connections": 3}]
    await tabs[0].socket.close()
    gone = await ada.event()
    assert (gone["code"], gone["user_connections"]) == ("USER_DISCONNECTED", 1)
    assert gone["message"] == 'User "bob" has been disconnected and left the message group.'


async def test_a_private_message_reaches_every_connection_of_the_user(server: Server, peers: Peers) -> None:
    ada = await peers(server, guest="ada")
    tabs = [await peers(server, guest="bob", group=group) for group in ("a", "b", None)]
    assert (await ada.do("post", to={"user_id": "bob"}, message=0))["recipients"] == 3
    for tab in tabs:
        assert (await tab.event())["type"] == "private"


async def test_a_recipient_as_plain_text(server: Server, peers: Peers) -> None:
    ada, bob = await peers(server, guest="ada", group="bob"), await peers(server, guest="bob")
    assert (await ada.do("post", to="bob", message="to my group, which has that name"))["recipients"] == 1
    assert (await ada.event())["type"] == "message"
    assert await bob.quiet()
    nobody = "6a6ee1f4-6f6d-4d09-8d5e-0f4d0c2d8a61"
    assert (await ada.do("post", to=nobody, message="a UUID is a user, connected or not"))["recipients"] == 0
    assert (await ada.fail("post", to="zoe", message=1))["code"] == "INVALID_REQUEST"
    assert (await ada.do("post", to={"user_id": "zoe"}, message="said exactly"))["recipients"] == 0


async def test_joining_again_announces_nothing(server: Server, peers: Peers) -> None:
    ada, bob = await peers(server, guest="ada", group="g"), await peers(server, guest="bob", group="g")
    await ada.event()
    assert (await bob.do("join", group="g"))["message"] == 'Joined realtime message group: "g".'
    assert await ada.quiet()


async def test_messages_carry_their_place(server: Server, peers: Peers) -> None:
    ada = await peers(server, guest="ada")
    first = (await ada.do("join", group="g"))["position"]
    for number in range(3):
        await ada.do("post", to="g", message=number)
    assert [(await ada.event())["seq"] for _ in range(3)] == [1, 2, 3]
    later = (await (await peers(server, guest="bob")).do("join", group="g"))["position"]
    assert (first["seq"], later) == (0, {"epoch": first["epoch"], "seq": 3})
