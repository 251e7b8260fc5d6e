"""A session without a socket: the client sends commands, and what the server writes is collected."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from starlette.requests import HTTPConnection

from hubbub.auth.authenticator import Authenticator
from hubbub.backends.memory import MemoryBackend
from hubbub.dialects.base import Wire
from hubbub.dialects.v1 import V1
from hubbub.errors import Close, CommandError
from hubbub.groups.history import Replay
from hubbub.hooks import AppSide
from hubbub.hub.calls import HookCalls
from hubbub.hub.registry import Registry
from hubbub.messages import Message, Position, UserRow
from hubbub.node import Node
from hubbub.session import Session
from hubbub.settings import Settings
from support.frames import GUEST_KEY

SECRET = "a secret of at least thirty-two bytes"

LINES = Wire(V1(), lambda payload: payload + b"\n")
"""Dialect v1, a line for each frame."""


class FakeLink:
    """One connection of `node`; the `Link` of its session. For a node with hooks, `user` is in its cookie."""

    def __init__(self, connection_id: str, node: Node, wire: Wire = LINES, user: str | None = None) -> None:
        self.node = node
        self.written = b""
        self.closed: list[Close] = []
        self.pings = 0
        self.aborted = False
        self.born = node.now()
        self.session = Session(connection_id, wire, self.write, self, node, self.born)
        if node.hooks is not None:
            headers = [] if user is None else [(b"cookie", f"user={user}".encode())]
            self.session.app = AppSide(HTTPConnection({"type": "websocket", "headers": headers}))
        node.admit(self.session)

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self, code: Close) -> None:
        self.closed.append(code)

    def ping(self) -> None:
        self.pings += 1

    def abort(self) -> None:
        self.aborted = True

    def say(self, after: float = 0.0, **command: Any) -> None:
        """Send a command, `after` seconds from the beginning. All guests have one key, so they can share names."""
        if "guest" in command:
            command.setdefault("guest_key", GUEST_KEY)
        self.session.heard = True
        self.session.receive(json.dumps(command).encode(), self.born + after)

    def heard(self) -> list[dict[str, Any]]:
        """Return every frame written so far."""
        return [json.loads(line) for line in self.written.splitlines()]


async def turn(node: Node) -> None:
    """Let the tick end: what was to be written has been written."""
    done = node.loop.create_future()
    node.after_tick(lambda: done.set_result(None))
    await done


async def settle(node: Node) -> None:
    """Let every task of the node end, then the tick."""
    while node.tasks:
        await asyncio.sleep(0)
    await turn(node)


def make_node(
    backend: MemoryBackend | None = None, wall: float = 1000.0, registry: Registry | None = None, **options: Any
) -> Node:
    """Make a node with these settings and hooks, for which it is always the Unix time `wall`."""
    settings = Settings(**options)
    hooks = None if registry is None else HookCalls(registry, settings, unix_time=lambda: wall)
    return Node(settings, backend or MemoryBackend(), Authenticator(settings, unix_time=lambda: wall), hooks)


def enter(node: Node, guest: str = "ada") -> FakeLink:
    """Connect a guest."""
    end = FakeLink(f"c{len(node.sessions)}", node)
    end.say(id=0, do="connect", guest=guest)
    return end


async def new_frames(end: FakeLink) -> list[dict[str, Any]]:
    """Return the frames that are written to the client in this tick."""
    before = len(end.heard())
    await turn(end.node)
    return end.heard()[before:]


class SlowPosts(MemoryBackend):
    """A store behind a network that takes posts without a task: each waits until the test answers it."""

    immediate = False

    def __init__(self) -> None:
        super().__init__()
        self.posts: list[tuple[Message, Callable[[int | CommandError], object]]] = []
        self.refusal: CommandError | None = None

    def publish_soon(
        self, message: Message, done: Callable[[int | CommandError], object], key: str | None = None, least: int = 0
    ) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.posts.append((message, done))

    def answer(self, error: CommandError | None = None) -> None:
        """Publish the oldest post, or refuse it."""
        message, done = self.posts.pop(0)
        done(error or self.publish_now(message))


class SlowJoins(MemoryBackend):
    """A store behind a network: every join waits for the gate."""

    immediate = False  # what the other backends are like

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.joined: list[str] = []

    async def join(self, user: UserRow, group: str, since: Position | None = None, history: int = 0) -> Replay:
        await self.gate.wait()
        self.joined.append(group)
        return await super().join(user, group, since, history)


class Pipelined(SlowPosts):
    """A backend that takes posts without a task and answers them in the next turn of the loop."""

    def publish_soon(
        self, message: Message, done: Callable[[int | CommandError], object], key: str | None = None, least: int = 0
    ) -> None:
        try:
            result: int | CommandError = self.publish_now(message, key, least)
        except CommandError as error:
            result = error
        asyncio.get_running_loop().call_soon(done, result)
