"""The command that identifies a connection: tokens, guests, renewals, what an inbox holds, and who is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hubbub.auth.authenticator import make_token
from hubbub.auth.identity import Identity
from hubbub.backends.memory import MemoryBackend
from hubbub.connect_command import replay_frames
from hubbub.errors import Close, CommandError, ErrorCode
from hubbub.groups.history import Replay
from hubbub.messages import Message, Position, Private, UserRow
from hubbub.settings import Settings
from support.fake_link import SECRET, FakeLink, enter, make_node, new_frames


async def test_a_new_token_prolongs_the_connection() -> None:
    node = make_node(secret=SECRET)
    end = FakeLink("c", node)
    end.say(id=1, do="connect", token=make_token("ada", SECRET, ttl=20, now=1000.0))
    end.say(id=2, do="connect", token=make_token("ada", SECRET, ttl=90, now=1000.0))
    end.session.tick(node.now() + 21)
    assert end.closed == []
    end.session.heard = True
    end.session.tick(node.now() + 91)
    assert end.closed == [Close.TOKEN_EXPIRED]


async def test_a_new_token_must_belong_to_the_same_user() -> None:
    node = make_node(secret=SECRET)
    end = FakeLink("c", node)
    end.say(id=1, do="connect", token=make_token("ada", SECRET, now=1000.0))
    end.say(id=2, do="connect", token=make_token("bob", SECRET, now=1000.0))
    assert (await new_frames(end))[1]["error"]["code"] == "FORBIDDEN"
    assert end.session.user_id == "ada"


async def test_a_new_token_that_lost_the_group_takes_the_connection_out_of_it() -> None:
    node = make_node(secret=SECRET)
    end = FakeLink("c", node)
    end.say(do="connect", token=make_token("ada", SECRET, groups=["team-*"], now=1000.0))
    end.say(do="join", group="team-1")
    assert end.session.group == "team-1"
    end.say(do="connect", token=make_token("ada", SECRET, groups=["other"], now=1000.0))
    assert node.fanout.groups == {}
    assert await node.backend.count() == (0, 1)


async def test_too_many_connections_of_one_user() -> None:
    node = make_node(max_connections_per_user=2)
    ends = [enter(node) for _ in range(3)]
    assert [end.closed for end in ends] == [[], [], [Close.TOO_MANY_CONNECTIONS]]
    assert await new_frames(ends[2]) == []
    ends[0].session.lost()
    assert enter(node).closed == []


async def test_the_answer_to_connect() -> None:
    node = make_node(secret=SECRET, ping_interval=20, max_message=1000)
    end = FakeLink("c", node)
    end.say(id=1, do="connect", token=make_token("ada", SECRET, ttl=20, now=1000.0))
    (reply,) = await new_frames(end)
    welcome: dict[str, Any] = reply["ok"]
    assert (welcome["user_id"], welcome["connection_id"], welcome["expires"]) == ("ada", "c", 1020.0)
    assert (welcome["ping"], welcome["max_message"]) == (20, 1000)
    assert node.fanout.connections == {"c": end.session}
    assert node.connect_command.connecting == {}


async def test_missed_private_messages_are_replayed_behind_the_answer() -> None:
    node = make_node()
    first = enter(node)
    inbox = (await new_frames(first))[0]["ok"]["inbox"]
    for number in range(2):
        await node.backend.post_to_user("ada", Private(msgspec.Raw(str(number).encode()), "eve", None))
    again = FakeLink("again", node)
    again.say(id=1, do="connect", guest="ada", since=inbox)
    welcome, *events = await new_frames(again)
    assert (welcome["ok"]["replayed"], welcome["ok"]["gap"]) == (2, False)
    assert [event["message"] for event in events] == [0, 1]


async def test_a_ticket_does_not_renew_a_connection() -> None:
    end = enter(make_node())
    end.say(id=1, do="connect", ticket="any")
    assert (await new_frames(end))[-1]["error"]["code"] == "INVALID_REQUEST"


async def test_an_identity_of_the_handshake_is_adopted_without_an_answer() -> None:
    node = make_node()
    end = FakeLink("c", node)
    end.session.adopt(Identity("ada"))
    assert await new_frames(end) == []
    assert (end.session.user_id, await node.backend.count()) == ("ada", (0, 1))


async def test_a_banned_user_with_an_identity_of_the_handshake_is_closed() -> None:
    node = make_node()
    await node.backend.disconnect_user("ada", 60)
    end = FakeLink("c", node)
    end.session.adopt(Identity("ada"))
    await new_frames(end)
    assert (end.closed, node.fanout.connections) == ([Close.DISCONNECTED], {})


async def test_a_connection_that_closes_while_the_backend_counts_it_is_not_added() -> None:
    class ClosesMeanwhile(MemoryBackend):
        async def connect(self, user: UserRow, *arguments: Any) -> Replay:
            assert list(node.connect_command.connecting.values()) == ["ada"]  # so that a kick finds it
            end.session.close(Close.DISCONNECTED, end.born)
            return await super().connect(user, *arguments)

    node = make_node(ClosesMeanwhile())
    end = FakeLink("c", node)
    end.say(id=1, do="connect", guest="ada")
    assert (await new_frames(end), node.fanout.connections) == ([], {})


async def test_a_store_that_fails_leaves_the_connection_unidentified() -> None:
    class Away(MemoryBackend):
        async def connect(self, user: UserRow, *arguments: Any) -> Replay:
            raise CommandError(ErrorCode.UNAVAILABLE, "The store is away.")

    node = make_node(Away())
    end = FakeLink("c", node)
    end.say(id=1, do="connect", guest="ada")
    assert (await new_frames(end))[0]["error"]["code"] == "UNAVAILABLE"
    assert (end.session.identity, end.closed, node.connect_command.connecting) == (None, [], {})


async def test_without_the_store_a_connection_that_lost_its_group_is_closed() -> None:
    class CannotLeave(MemoryBackend):
        async def leave(self, user: UserRow) -> None:
            raise CommandError(ErrorCode.UNAVAILABLE, "The store is away.")

    node = make_node(CannotLeave(), secret=SECRET)
    end = FakeLink("c", node)
    end.say(do="connect", token=make_token("ada", SECRET, groups=["team-*"], now=1000.0))
    end.say(do="join", group="team-1")
    end.say(do="connect", token=make_token("ada", SECRET, groups=["other"], now=1000.0))
    assert (end.session.group, end.closed) == (None, [Close.INTERNAL])


# --- what is replayed, and when it is a gap ---


def replay_of(*sizes: int, gap: bool = False) -> Replay:
    raw = [msgspec.Raw(b'"' + b"x" * size + b'"') for size in sizes]
    events = tuple(Message(message, "eve", None, "g", seq) for seq, message in enumerate(raw))
    return Replay(Position("e", len(sizes)), events, gap)


@pytest.mark.parametrize("gap", [False, True])
async def test_a_replay_that_fits_is_one_piece(gap: bool) -> None:
    node = make_node()
    end = enter(node)
    written, count, told = replay_frames(end.session, replay_of(1, 2, 3, gap=gap), node.settings)
    assert (len(written), written[0].count(b"\n"), count, told) == (1, 3, 3, gap)
    assert replay_frames(end.session, replay_of(gap=gap), node.settings) == ([], 0, gap)


async def test_a_replay_must_fit_beside_what_is_unread() -> None:
    settings = Settings(max_queue=200_000)
    end = enter(make_node())
    await new_frames(end)
    assert replay_frames(end.session, replay_of(140_000), settings)[1] == 1
    assert replay_frames(end.session, replay_of(160_000), settings) == ([], 0, True)
    end.session.outbox.append(b"x" * 20_000)
    assert replay_frames(end.session, replay_of(140_000), settings) == ([], 0, True)


async def test_what_waits_in_the_transport_counts_as_unread() -> None:
    class Waiting:
        def get_write_buffer_size(self) -> int:
            return 150_000

    settings = Settings(max_queue=200_000)
    end = enter(make_node())
    await new_frames(end)
    end.session.budget.slow[end.session] = Waiting()
    assert replay_frames(end.session, replay_of(1), settings) == ([], 0, True)
