"""Whoever is being closed hears nothing more, however long it takes to answer the close frame."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from websockets.frames import Opcode

from hubbub.auth.authenticator import Authenticator
from hubbub.backends.memory import MemoryBackend
from hubbub.errors import Close, CommandError, ErrorCode
from hubbub.fanout import SHARED_FROM
from hubbub.groups.history import Replay
from hubbub.messages import Message, Position, UserRow
from hubbub.node import Node
from hubbub.server import Server
from hubbub.settings import Settings
from support.attacker import text
from support.clients import SECRET, Peer, server_bearer, token
from support.fake_link import FakeLink, turn

Make = Callable[..., Awaitable[Any]]


def node(backend: MemoryBackend | None = None, **options: Any) -> Node:
    settings = Settings(rate_limit=0, **options)
    return Node(settings, backend or MemoryBackend(), Authenticator(settings))


def enter(where: Node, user: str, group: str | None = None) -> FakeLink:
    end = FakeLink(f"{user}-{len(where.sessions)}", where)
    end.say(id=1, do="connect", guest=user)
    if group:
        end.say(id=2, do="join", group=group)
    return end


def messages(end: FakeLink) -> list[Any]:
    return [frame["message"] for frame in end.heard() if frame.get("type") in {"message", "private"}]


@pytest.mark.parametrize("code", [code for code in Close if code >= 1001])
@pytest.mark.parametrize("crowd", [1, SHARED_FROM * 2])
async def test_nothing_is_delivered_behind_a_close_frame(code: Close, crowd: int) -> None:
    where = node()
    leaving = enter(where, "eve", "hall")
    others = [enter(where, f"ada-{number}", "hall") for number in range(crowd)]
    others[0].say(id=3, do="post", to={"group": "hall"}, message="before")
    leaving.session.close(code, leaving.born)
    others[0].say(id=4, do="post", to={"group": "hall"}, message="after")
    others[0].say(id=5, do="post", to={"user_id": "eve"}, message="private")
    leaving.say(id=6, do="groups")
    await turn(where)
    others[0].say(id=7, do="post", to={"group": "hall"}, message="later")
    await turn(where)
    assert messages(leaving) == ["before"]
    assert all(messages(other) == ["before", "after", "later"] for other in others)
    replies = {frame["id"]: frame["ok"] for frame in others[0].heard() if "id" in frame}
    assert replies[4]["recipients"] == crowd
    assert replies[5]["recipients"] == 0
    assert leaving.heard()[-1].get("id") != 6
    leaving.session.lost()
    await turn(where)
    assert [frame["code"] for frame in others[0].heard() if frame.get("type") == "notice"][-1] == "USER_DISCONNECTED"
    assert await where.backend.count() == (1, crowd)


async def test_a_draining_node_still_says_restart() -> None:
    where = node()
    leaving = enter(where, "eve", "hall")
    await where.drain()
    await turn(where)
    assert leaving.heard()[-1]["type"] == "restart"
    assert leaving.closed == [Close.GOING_AWAY]


async def test_kicked_without_answering_the_close(start: Make, attack: Make, peers: Make, browse: Any) -> None:
    server: Server = await start(secret=SECRET, guests=False)
    victim = await attack(server)
    await victim.upgrade()
    await victim.send(text(json.dumps({"id": 1, "do": "connect", "token": token("eve")})))
    await victim.send(text('{"id":2,"do":"join","group":"hall"}'))
    while b'"id":2' not in (await victim.frame())[1]:
        pass
    talker: Peer = await peers(server, token=token("ada"), group="hall")
    await talker.do("post", to="hall", message="before")
    done = await browse(server, headers=server_bearer()).delete("/v1/users/eve")
    assert done.json() == {"disconnected": 1}
    for number in range(50):
        await talker.do("post", to="hall", message=f"secret {number}")
        await talker.do("post", to={"user_id": "eve"}, message=f"secret {number}")
    heard = []
    while (frame := await victim.frame())[0] is not Opcode.CLOSE:
        heard.append(frame[1])
    assert int.from_bytes(frame[1][:2]) == Close.DISCONNECTED
    assert len(heard) == 2  # that ada joined, and what she said before
    assert not any(b"secret" in each for each in heard)
    again = await browse(server, headers=server_bearer()).delete("/v1/users/eve")
    assert again.json() == {"disconnected": 0}  # it is being closed already


class _Waiting(MemoryBackend):
    """A store that takes its time: what a node asks waits until the test says so."""

    immediate = False  # type: ignore[misc]

    def __init__(self) -> None:
        super().__init__()
        self.answers = asyncio.Event()
        self.answers.set()
        self.away = False

    async def _wait(self) -> None:
        if self.away:
            raise CommandError(ErrorCode.UNAVAILABLE, "The store is away.")
        await self.answers.wait()

    async def connect(self, user: UserRow, *args: Any, **named: Any) -> Replay:
        found = await super().connect(user, *args, **named)
        await self._wait()
        return found

    async def join(self, user: UserRow, group: str, since: Position | None = None, history: int = 0) -> Replay:
        found = await super().join(user, group, since, history)
        await self._wait()
        return found

    async def leave(self, user: UserRow) -> None:
        await self._wait()
        await super().leave(user)


async def settle(where: Node) -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)
    await turn(where)


async def test_a_kick_finds_who_is_just_being_let_in() -> None:
    backend = _Waiting()
    where = node(backend)
    backend.answers.clear()
    end = enter(where, "eve", "hall")
    await settle(where)
    assert where.close_connections("eve", None) == 1
    backend.answers.set()
    await settle(where)
    assert end.closed == [Close.DISCONNECTED]
    assert end.heard() == []
    assert not where.fanout.connections
    end.session.lost()
    await settle(where)
    assert await backend.count() == (0, 0)


async def test_a_kick_while_joining_ends_in_silence() -> None:
    backend = _Waiting()
    where = node(backend)
    end, ada = enter(where, "eve"), enter(where, "ada")
    await settle(where)
    backend.answers.clear()
    end.say(id=2, do="join", group="hall")
    end.say(id=3, do="post", to={"user_id": "ada"}, message="from the kicked")
    await settle(where)
    assert where.close_connections("eve", None) == 1
    before = len(end.heard())
    backend.answers.set()
    await settle(where)
    assert len(end.heard()) == before
    assert not where.fanout.groups
    assert messages(ada) == []  # what waited is not done any more


async def test_a_renewed_token_that_does_not_allow_the_group() -> None:
    backend = _Waiting()
    where = node(backend, secret=SECRET, guests=True)
    end = FakeLink("c", where)
    end.say(id=1, do="connect", token=token("eve"))
    end.say(id=2, do="join", group="hall")
    await settle(where)
    assert end.session.group == "hall"
    backend.away = True  # the node cannot tell the store that eve leaves
    end.say(id=3, do="connect", token=token("eve", groups=["other"]))
    await settle(where)
    where.deliver("hall", Message(msgspec.Raw(b'"secret"'), "ada", None, "hall", 1))
    await settle(where)
    assert "secret" not in messages(end)
    assert end.closed == [Close.INTERNAL]
