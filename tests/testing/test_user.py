"""A client of a hub under test: its calls, what it hears, and its end."""

from __future__ import annotations

import pytest

from hubbub.client.events import Gap, Message, Private
from hubbub.errors import Close, HubError
from hubbub.testing import TestHub


async def test_a_conversation(hub: TestHub) -> None:
    alice = await hub.user("alice", join="team-1")
    bob = await hub.user("bob", join="team-1")
    assert (await alice.post("hello")).recipients == 2
    message = await bob.next()
    assert isinstance(message, Message)
    assert (message.message, message.sender, message.sender_cid) == ("hello", "alice", alice.connection_id)
    assert (await alice.next()).message == "hello"  # the notice of Bob is no message
    notice = await alice.next_notice()
    assert (notice.code, notice.sender) == ("USER_JOINED", "bob")
    assert alice.unread == bob.unread == ()


async def test_what_a_post_has_caused_is_there_when_it_returns(hub: TestHub) -> None:
    alice = await hub.user("alice", join="g")
    others = [await hub.user(f"u{number}", join="g") for number in range(20)]
    for user in others:
        user._inbox._unread.clear()
    await alice.post(1)
    assert [len(user.unread) for user in others] == [1] * 20


async def test_private_messages_keys_and_least_recipients(hub: TestHub) -> None:
    alice, bob = await hub.user("alice"), await hub.user("bob")
    for _ in range(2):
        assert (await alice.post({"n": 1}, {"user_id": "bob"}, key="k")).recipients == 1
    private = await bob.next()
    assert isinstance(private, Private)
    assert (private.message, bob.unread) == ({"n": 1}, ())
    with hub.refused("INVALID_REQUEST", match="min_recipients"):
        await alice.post(1, "bob", min_recipients=2)


async def test_quiet_messages_and_invisible_members(hub: TestHub) -> None:
    alice, bob = await hub.user("alice", join="g"), await hub.user("bob")
    with hub.refused("FORBIDDEN", match="invisible"):
        await bob.join("g", invisible=True)
    eve = await hub.user("eve", invisible=True)
    await eve.join("g", notices=False, invisible=True)
    assert (await alice.post("typing", keep=False, echo=False)).recipients == 0
    message = await eve.next()
    assert isinstance(message, Message)
    assert (message.message, message.seq, alice.unread) == ("typing", None, ())


async def test_a_post_without_a_group(hub: TestHub) -> None:
    alice = await hub.user("alice", join="g")
    assert (alice.group, (await alice.leave()).message) == ("g", "Left realtime message group.")
    assert alice.group is None
    with pytest.raises(HubError, match="alice is in no group: join one"):
        await alice.post(1)


async def test_listings(hub: TestHub) -> None:
    alice, bob = await hub.user("alice", join="team-1"), await hub.guest("bob", join="team-2")
    assert [row.group for row in (await bob.groups()).list] == ["team-1", "team-2"]
    page = await bob.groups("group", "team-2", ">=", limit=1)
    assert [row.group for row in page.list] == ["team-2"]
    assert [row.user_id for row in (await bob.users("team-1")).list] == ["alice"]
    assert [row.connection_id for row in (await alice.users()).list] == [alice.connection_id]


async def test_history_and_gaps(hub: TestHub) -> None:
    alice = await hub.user("alice", join="g")
    for number in range(3):
        await alice.post(number)
    bob = await hub.user("bob")
    joined = await bob.join("g", history=2)
    assert joined.position is not None
    assert [(await bob.next()).message for _ in range(2)] == [1, 2]
    bob._receive('{"type": "gap", "sender_rid": "g", "position": {"epoch": "e", "seq": 7}}')
    assert isinstance(await bob.next_event(), Gap)


async def test_a_renewed_token_lasts_longer(hub: TestHub) -> None:
    alice = await hub.user("alice", ttl=60)
    await hub.sleep(30)
    await alice.renew(await hub.token("alice", ttl=60))
    await hub.sleep(59)
    assert alice.closed is None
    with hub.refused("FORBIDDEN", match="another user"):
        await alice.renew(await hub.token("bob"))
    assert await alice.wait_closed() == Close.TOKEN_EXPIRED


async def test_ends(hub: TestHub) -> None:
    alice, bob, eve = [await hub.user(name, join="g") for name in ("alice", "bob", "eve")]
    await bob.close()
    await eve.drop()
    assert (bob.closed, eve.closed, alice.closed) == (1000, 1006, None)
    codes = [(await alice.next_notice()).code for _ in range(4)]
    assert codes == ["USER_JOINED", "USER_JOINED", "USER_DISCONNECTED", "USER_DISCONNECTED"]
    with pytest.raises(HubError, match=r'bob: .* closed with 1000 \(closed\): connect again before "post"'):
        await bob.post(1)
    with pytest.raises(AssertionError, match="no message can come"):
        await eve.next()
    await bob.close()  # changes nothing
    assert await bob.wait_closed() == 1000


async def test_a_connection_that_stays_open(hub: TestHub) -> None:
    alice = await hub.user("alice", ttl=100)
    with pytest.raises(AssertionError, match="alice: the connection was not closed within 30 s"):
        await alice.wait_closed(within=30)
    assert await alice.wait_closed() == 4002


async def test_a_user_who_was_disconnected(hub: TestHub) -> None:
    alice = await hub.user("alice", join="g")
    assert await hub.app_hub.disconnect("alice", for_seconds=60) == 1
    assert await alice.wait_closed() == 4003
    with hub.refused("FORBIDDEN", match="banned"):
        await hub.user("alice")
    await hub.sleep(60)
    assert repr(await hub.user("alice")) == "<TestUser alice>"
