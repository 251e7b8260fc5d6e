"""What can be asked without a connection: listings, posts by servers, disconnects, and who may."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import msgspec
import pytest

from hubbub.auth.bans import MAX_BAN
from hubbub.auth.identity import Identity
from hubbub.errors import Close, CommandError
from hubbub.groups.cursors import FIELD
from hubbub.messages import GroupRow, Groups, Page, Users
from hubbub.node import Node
from support.fake_link import FakeLink, enter, make_node, new_frames

SERVER = Identity("backend", server=True)
READER = Identity("reader")
ONE = msgspec.Raw(b"1")


async def populated(*groups: str, **options: Any) -> tuple[Node, list[FakeLink]]:
    """Return a node with a member in each of the groups."""
    node = make_node(**options)
    ends = [enter(node, f"in-{group}") for group in groups]
    for end, group in zip(ends, groups, strict=True):
        end.say(do="join", group=group)
    await new_frames(ends[0])
    return node, ends


def names(page: Page) -> list[str]:
    """Return the groups, or the users, on the page."""
    return [row.group if isinstance(row, GroupRow) else row.user_id for row in page.list]


async def refused(work: Coroutine[Any, Any, object]) -> str:
    """Return the code with which this is refused."""
    with pytest.raises(CommandError) as caught:
        await work
    return caught.value.code.value


async def test_groups_are_listed_a_page_at_a_time() -> None:
    node, _ = await populated("a", "b", "c")
    first = await node.services.groups(READER, Groups(limit=2))
    assert names(first) == ["a", "b"]
    assert isinstance(first.start_key, dict)
    assert FIELD not in first.start_key  # nothing is hidden from this reader
    second = await node.services.groups(READER, Groups(limit=2, start_key=first.start_key))
    assert (names(second), second.start_key) == (["c"], "end")


async def test_a_page_has_at_most_as_many_rows_as_the_settings_allow() -> None:
    node, _ = await populated("a", "b", "c", max_page=2)
    assert await refused(node.services.groups(READER, Groups(limit=3))) == "INVALID_PARAMETER"


async def test_cursors_of_a_reader_with_hidden_groups_are_sealed_and_bound_to_the_reader() -> None:
    node, _ = await populated("a-1", "a-2", "b-1")
    reader = Identity("reader", groups=("a-*",))
    first = await node.services.groups(reader, Groups(limit=1))
    assert names(first) == ["a-1"]
    assert isinstance(first.start_key, dict)
    assert list(first.start_key) == [FIELD]
    second = await node.services.groups(reader, Groups(limit=2, start_key=first.start_key))
    assert names(second) == ["a-2"]
    for other in (Identity("other", groups=("a-*",)), Identity("other")):
        query = Groups(limit=1, start_key=first.start_key)
        assert await refused(node.services.groups(other, query)) == "INVALID_PARAMETER"
    plain = Groups(limit=1, start_key={"group": "b-1"})
    assert await refused(node.services.groups(reader, plain)) == "INVALID_PARAMETER"


async def test_users_of_a_group_that_is_named_or_the_own() -> None:
    node, _ = await populated("a", "b")
    named = await node.services.users(READER, Users(group="a"), "b")
    own = await node.services.users(READER, Users(), "b")
    assert [names(page) for page in (named, own)] == [["in-a"], ["in-b"]]
    assert await refused(node.services.users(READER, Users())) == "INVALID_REQUEST"
    assert await refused(node.services.users(READER, Users(group=""))) == "INVALID_PARAMETER"
    assert await refused(node.services.users(Identity("r", groups=("b",)), Users(group="a"))) == "FORBIDDEN"


async def test_a_server_posts_to_a_group_without_being_a_member() -> None:
    node, (ada,) = await populated("a")
    reply = await node.services.post_to_group(SERVER, "a", ONE, None, None)
    assert reply.recipients == 1
    message = (await new_frames(ada))[-1]
    assert (message["sender"], message["sender_cid"], message["message"]) == ("backend", None, 1)
    assert (node.counters.published, node.counters.delivered) == (1, 1)


async def test_a_server_posts_to_all_connections_of_a_user() -> None:
    node = make_node()
    ends = [enter(node, "ada") for _ in range(2)]
    await new_frames(ends[0])
    assert (await node.services.post_to_user(SERVER, "ada", ONE, None, None)).recipients == 2
    await new_frames(ends[0])
    assert [end.heard()[-1]["type"] for end in ends] == ["private", "private"]


@pytest.mark.parametrize("post", ["post_to_group", "post_to_user"])
async def test_a_post_of_a_server_is_checked(post: str) -> None:
    node = make_node(max_message=10)
    do = getattr(node.services, post)
    assert await refused(do(READER, "a", ONE, None, None)) == "FORBIDDEN"
    assert await refused(do(SERVER, "", ONE, None, None)) == "INVALID_PARAMETER"
    assert await refused(do(SERVER, "a", msgspec.Raw(b"1" * 11), None, None)) == "TOO_LARGE"
    assert await refused(do(SERVER, "a", ONE, "", None)) == "INVALID_PARAMETER"
    assert await refused(do(SERVER, "a", ONE, None, -1)) == "INVALID_PARAMETER"
    assert await refused(do(SERVER, "a", ONE, None, 1)) == "INVALID_REQUEST"  # nobody would receive it


async def test_a_server_token_may_be_limited_too() -> None:
    services = make_node().services
    limited = Identity("backend", groups=("b",), private=False, server=True)
    assert await refused(services.post_to_group(limited, "a", ONE, None, None)) == "FORBIDDEN"
    assert await refused(services.post_to_user(limited, "a", ONE, None, None)) == "FORBIDDEN"


async def test_a_post_of_a_server_with_a_key_is_done_once() -> None:
    node, (ada,) = await populated("a")
    for _ in range(2):
        assert (await node.services.post_to_group(SERVER, "a", ONE, "key", 1)).recipients == 1
    assert [frame["type"] for frame in await new_frames(ada)].count("message") == 1


async def test_a_user_is_disconnected_and_banned_for_a_while() -> None:
    node = make_node()
    ends = [enter(node, "ada") for _ in range(2)]
    assert await node.services.disconnect_user(SERVER, "ada", 60) == 2
    assert [end.closed for end in ends] == [[Close.DISCONNECTED]] * 2
    again = enter(node, "ada")
    assert (await new_frames(again))[0]["error"]["code"] == "FORBIDDEN"
    assert await node.services.disconnect_user(SERVER, "ada", 0) == 0
    again.say(id=1, do="connect", guest="ada")
    assert "ok" in (await new_frames(again))[0]


@pytest.mark.parametrize("seconds", [-1, MAX_BAN + 1, float("nan"), float("inf")])
async def test_a_ban_has_a_limit(seconds: float) -> None:
    node = make_node()
    end = enter(node, "ada")
    assert await refused(node.services.disconnect_user(SERVER, "ada", seconds)) == "INVALID_PARAMETER"
    assert end.closed == []


async def test_one_connection_is_disconnected() -> None:
    node = make_node()
    ends = [enter(node, "ada") for _ in range(2)]
    assert await node.services.disconnect_connection(SERVER, "c1") == 1
    assert await node.services.disconnect_connection(SERVER, "nobody") == 0
    assert [end.closed for end in ends] == [[], [Close.DISCONNECTED]]


async def test_only_a_server_disconnects() -> None:
    services = make_node().services
    assert await refused(services.disconnect_user(READER, "ada")) == "FORBIDDEN"
    assert await refused(services.disconnect_connection(READER, "c")) == "FORBIDDEN"


async def test_a_server_names_the_sender() -> None:
    node, (end,) = await populated("g")
    for sender, shown in (("bob", "bob"), (None, "backend"), ("backend", "backend")):
        await node.services.post_to_group(SERVER, "g", ONE, "k", None, sender=sender)
        await node.services.post_to_user(SERVER, "in-g", ONE, "k", None, sender=sender)
        frames = await new_frames(end)
        first_time = sender != "backend"  # for the last one the key was used before
        assert [(frame["sender"], frame["sender_cid"]) for frame in frames] == [(shown, None)] * (2 * first_time)
    for wrong in ("", "x" * 257):
        work = node.services.post_to_group(SERVER, "g", ONE, None, None, wrong)
        assert await refused(work) == "INVALID_PARAMETER"
    assert await refused(node.services.post_to_group(READER, "g", ONE, None, None, "bob")) == "FORBIDDEN"
