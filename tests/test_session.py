"""A session's life: deadlines, limits, order. Time is whatever the test says."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from hubbub.auth.authenticator import Authenticator, make_token
from hubbub.auth.identity import Identity
from hubbub.backends.memory import MemoryBackend
from hubbub.command_queue import MAX_QUEUED
from hubbub.dialects.base import Wire
from hubbub.dialects.skapi import Skapi
from hubbub.errors import Close
from hubbub.groups.history import Replay
from hubbub.messages import Position, Private, UserRow
from hubbub.node import Node
from hubbub.rate_limit import WASTED_PER_COMMAND
from hubbub.session_lifetime import CLOSE_TIMEOUT, SLOW_READER_CLOSE_TIMEOUT
from hubbub.settings import Settings
from support.fake_link import FakeLink, turn

SECRET = "a secret of at least thirty-two bytes"


def make(backend: MemoryBackend | None = None, wall: float = 1000.0, **options: Any) -> Node:
    settings = Settings(**options)
    backend = backend or MemoryBackend()
    return Node(settings, backend, Authenticator(settings, unix_time=lambda: wall))


def enter(node: Node, guest: str = "ada") -> FakeLink:
    end = FakeLink(f"c{len(node.sessions)}", node)
    end.say(id=0, do="connect", guest=guest)
    return end


async def frames(end: FakeLink) -> list[dict[str, Any]]:
    """Return what the end hears in this tick."""
    before = len(end.heard())
    await turn(end.node)
    return end.heard()[before:]


async def test_nothing_but_connect_before_it_is_known_who_asks() -> None:
    end = FakeLink("c", make())
    for command in ("join", "groups"):
        end.say(id=1, do=command, group="g")
    assert [frame["error"]["code"] for frame in await frames(end)] == ["UNAUTHORIZED"] * 2


async def test_unidentified_connections_are_closed() -> None:
    end = FakeLink("c", make(identify_timeout=5))
    end.session.tick(end.born + 4.9)
    assert end.closed == []
    end.session.tick(end.born + 5)
    assert end.closed == [Close.NOT_IDENTIFIED]


async def test_who_reads_too_slowly_has_less_time_to_answer_the_close() -> None:
    end = enter(make())
    end.session.close(Close.TOO_SLOW, end.born)
    end.session.tick(end.born + SLOW_READER_CLOSE_TIMEOUT - 0.1)
    assert not end.aborted
    end.session.tick(end.born + SLOW_READER_CLOSE_TIMEOUT)
    assert end.aborted


async def test_who_stops_saying_that_it_is_still_here_is_closed() -> None:
    node = make()
    ends = [FakeLink(f"c{number}", node, Wire(Skapi(), bytes)) for number in range(3)]
    for end in ends:
        end.session.adopt(Identity("ada"))
    now, (steady, forgotten, program) = ends[0].born, ends
    steady.say(action="keepAlive")
    forgotten.say(action="keepAlive")
    for seconds in range(15, 150, 15):
        for end in ends:
            end.session.heard = True  # a browser answers pings whatever the page does
        steady.say(after=seconds, action="keepAlive")
        for end in ends:
            end.session.tick(now + seconds)
        assert seconds >= 60 or not forgotten.closed
    assert forgotten.closed == [Close.PING_TIMEOUT]
    assert steady.closed == program.closed == []  # who never said so need not


async def test_who_does_not_answer_the_close_is_cut() -> None:
    end = FakeLink("c", make(identify_timeout=5))
    end.session.tick(end.born + 5)
    end.session.tick(end.born + 5 + CLOSE_TIMEOUT - 0.1)
    assert not end.aborted
    end.session.tick(end.born + 5 + CLOSE_TIMEOUT)
    assert end.aborted
    assert end.closed == [Close.NOT_IDENTIFIED]


async def test_the_idle_are_pinged_and_the_dead_are_closed() -> None:
    node = make(ping_interval=25)
    end = enter(node)
    now = node.now()
    end.session.tick(now + 26)  # it has said something in this interval
    assert end.pings == 0
    end.session.tick(now + 52)
    assert end.pings == 1
    end.session.heard = True  # the pong
    end.session.tick(now + 78)
    end.session.tick(now + 104)
    assert (end.pings, end.closed) == (2, [])
    end.session.tick(now + 130)
    assert end.closed == [Close.PING_TIMEOUT]


async def test_a_connection_ends_with_its_token() -> None:
    node = make(secret=SECRET)
    end = FakeLink("c", node)
    end.say(id=1, do="connect", token=make_token("ada", SECRET, ttl=20, now=1000.0))
    assert (await frames(end))[0]["ok"]["expires"] == 1020.0
    now = node.now()
    end.session.tick(now + 19)
    assert end.closed == []
    end.session.tick(now + 21)
    assert end.closed == [Close.TOKEN_EXPIRED]


async def test_a_new_token_prolongs_the_connection() -> None:
    node = make(secret=SECRET)
    end = FakeLink("c", node)
    end.say(id=1, do="connect", token=make_token("ada", SECRET, ttl=20, now=1000.0))
    end.say(id=2, do="connect", token=make_token("ada", SECRET, ttl=90, now=1000.0))
    end.session.tick(node.now() + 21)
    assert end.closed == []
    end.session.heard = True
    end.session.tick(node.now() + 91)
    assert end.closed == [Close.TOKEN_EXPIRED]


async def test_a_new_token_must_belong_to_the_same_user() -> None:
    node = make(secret=SECRET)
    end = FakeLink("c", node)
    end.say(id=1, do="connect", token=make_token("ada", SECRET, now=1000.0))
    end.say(id=2, do="connect", token=make_token("bob", SECRET, now=1000.0))
    assert (await frames(end))[1]["error"]["code"] == "FORBIDDEN"
    assert end.session.user_id == "ada"


async def test_a_new_token_that_lost_the_group_takes_the_connection_out_of_it() -> None:
    node = make(secret=SECRET)
    end = FakeLink("c", node)
    end.say(do="connect", token=make_token("ada", SECRET, groups=["team-*"], now=1000.0))
    end.say(do="join", group="team-1")
    assert end.session.group == "team-1"
    end.say(do="connect", token=make_token("ada", SECRET, groups=["other"], now=1000.0))
    assert end.session.group is None
    assert await node.backend.count() == (0, 1)


async def test_rights_decide_what_is_joined_and_seen() -> None:
    node = make(secret=SECRET)
    everyone, some = FakeLink("c1", node), FakeLink("c2", node)
    everyone.say(do="connect", token=make_token("ada", SECRET, now=1000.0))
    everyone.say(do="join", group="private")
    some.say(do="connect", token=make_token("bob", SECRET, groups=["team-*"], now=1000.0))
    some.say(id=1, do="join", group="private")
    some.say(id=2, do="groups")
    some.say(id=3, do="users", group="private")
    joined, groups, users = await frames(some)
    assert joined["error"]["code"] == users["error"]["code"] == "FORBIDDEN"
    assert groups["ok"]["list"] == []


async def test_commands_over_the_rate_are_refused_and_come_in_again_later() -> None:
    end = enter(make(rate_limit=10, rate_burst=5))
    await frames(end)
    for number in range(6):
        end.say(id=number, do="leave")
    codes = [frame.get("error", {}).get("code") for frame in await frames(end)]
    assert codes == [None] * 4 + ["RATE_LIMITED"] * 2  # "connect" was the first of five
    end.say(after=0.25, id=7, do="leave")
    end.say(after=0.25, id=8, do="leave")
    end.say(after=0.25, id=9, do="leave")
    assert ["ok" in frame for frame in await frames(end)] == [True, True, False]


async def test_malformed_frames_count_as_well() -> None:
    end = enter(make(rate_limit=1, rate_burst=3))
    await frames(end)
    for _ in range(5):
        end.session.receive(b'{"id":1,', end.born)
    codes = [frame["error"]["code"] for frame in await frames(end)]
    assert codes == ["INVALID_PARAMETER"] * 2 + ["RATE_LIMITED"] * 3


async def test_who_goes_on_regardless_is_closed_then_cut() -> None:
    end = enter(make(rate_limit=10, rate_burst=5))
    for number in range(4 + WASTED_PER_COMMAND * 5):
        end.say(id=number, do="leave")
    assert end.closed == []
    end.say(id=0, do="leave")
    assert end.closed == [Close.FLOODING]
    for _ in range(WASTED_PER_COMMAND * 5):
        end.session.waste(end.born)
    assert not end.aborted
    end.session.waste(end.born)
    assert end.aborted


async def test_waste_is_forgotten_at_the_rate() -> None:
    end = enter(make(rate_limit=10, rate_burst=5))
    for moment in range(1000):
        end.session.waste(end.born + moment / (WASTED_PER_COMMAND * 10))
    assert end.closed == []


async def test_without_a_limit_nothing_is_refused() -> None:
    end = enter(make(rate_limit=0, rate_burst=1))
    for number in range(300):
        end.say(id=number, do="leave")
    assert all("ok" in frame for frame in await frames(end))


async def test_a_command_without_id_gets_no_reply_not_even_an_error() -> None:
    end = enter(make())
    await frames(end)
    end.say(do="leave")
    end.say(do="post", to="nobody", message=1)
    assert await frames(end) == []


async def test_too_many_connections_of_one_user() -> None:
    node = make(max_connections_per_user=2)
    ends = [enter(node) for _ in range(3)]
    assert [end.closed for end in ends] == [[], [], [Close.TOO_MANY_CONNECTIONS]]
    assert await frames(ends[2]) == []
    ends[0].session.lost()
    assert enter(node).closed == []


async def test_commands_after_the_close_are_ignored() -> None:
    node = make()
    end = enter(node)
    await frames(end)
    end.session.close(Close.DISCONNECTED, node.now())
    end.say(id=1, do="join", group="g")
    assert await frames(end) == []
    assert await node.backend.count() == (0, 1)
    end.session.lost()
    assert await node.backend.count() == (0, 0)


async def test_an_internal_error_is_logged_and_said(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(MemoryBackend):
        async def leave(self, user: UserRow) -> None:
            raise ZeroDivisionError("the disk is on fire")

    end = enter(make(Broken()))
    await frames(end)
    end.say(id=1, do="leave")
    end.say(id=2, do="groups")
    failed, fine = await frames(end)
    assert failed["error"]["code"] == "INTERNAL"
    assert "fire" not in failed["error"]["message"]
    assert "fire" in caplog.text
    assert "ok" in fine


class Slow(MemoryBackend):
    """A store behind a network: every join waits for the gate."""

    immediate = False  # type: ignore[misc]  # what the other backends are like

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.published: list[int] = []

    async def join(self, user: UserRow, group: str, since: Position | None = None, history: int = 0) -> Replay:
        await self.gate.wait()
        return await super().join(user, group, since, history)


async def settle(node: Node) -> None:
    """Let every task of the node end, then the tick."""
    while node.tasks:
        await asyncio.sleep(0)
    await turn(node)


async def test_with_a_backend_that_waits_commands_keep_their_order() -> None:
    backend = Slow()
    node = make(backend)
    end = FakeLink("c", node)
    end.say(id=0, do="connect", guest="ada")
    end.say(id=1, do="join", group="g")
    end.say(id=2, do="post", to="g", message="hi")
    end.say(id=3, do="users")
    await asyncio.sleep(0)
    assert [frame["id"] for frame in end.heard()] == [0] or end.heard() == []
    backend.gate.set()
    await settle(node)
    frames = end.heard()
    assert [frame.get("id", frame.get("type")) for frame in frames] == [0, 1, "message", 2, 3]
    assert frames[4]["ok"]["list"] == [{"user_id": "ada", "connection_id": "c"}]


async def test_with_a_backend_that_waits_the_queue_is_bounded() -> None:
    backend = Slow()
    node = make(backend, rate_limit=0)
    end = FakeLink("c", node)
    end.say(id=0, do="connect", guest="ada")
    await settle(node)
    end.say(id=1, do="join", group="g")
    for number in range(MAX_QUEUED + 1):
        end.say(id=number + 2, do="leave")
    await turn(node)
    assert [frame["error"]["code"] for frame in end.heard()[1:]] == ["RATE_LIMITED"]
    backend.gate.set()
    await settle(node)
    assert len(end.heard()) == 1 + 1 + MAX_QUEUED + 1


async def test_nothing_is_written_to_a_lost_connection_even_while_its_command_runs() -> None:
    backend = Slow()
    node = make(backend)
    ada, bob = FakeLink("ada", node), FakeLink("bob", node)
    for end in (ada, bob):
        end.say(id=0, do="connect", guest="ada")
    await settle(node)
    ada.say(id=1, do="join", group="g")
    await asyncio.sleep(0)
    written = ada.written
    ada.session.lost()  # from here on the transport refuses every write, and with it all that stand behind it
    assert await backend.post_to_user("ada", Private(msgspec.Raw(b"1"), "eve", None)) == 1
    await turn(node)
    assert (ada.written, bob.heard()[-1]["type"]) == (written, "private")
    backend.gate.set()
    await settle(node)
    assert await backend.count() == (0, 1)


async def test_a_connection_lost_while_it_joins_leaves_no_ghost(caplog: pytest.LogCaptureFixture) -> None:
    backend = Slow()
    node = make(backend)
    end = FakeLink("c", node)
    end.say(id=0, do="connect", guest="ada")
    await settle(node)
    end.say(id=1, do="join", group="g")
    end.say(id=2, do="post", to="g", message="never")
    await asyncio.sleep(0)
    end.session.lost()
    backend.gate.set()
    await settle(node)
    assert await backend.count() == (0, 0)
    assert (node.sessions, node.fanout.connections, node.fanout.groups) == ({}, {}, {})
    assert caplog.text == ""
