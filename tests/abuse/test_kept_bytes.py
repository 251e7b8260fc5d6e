"""What is kept is what is counted: the rest of a frame is not, whatever a client puts around its message."""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Callable

import msgspec
import pytest

from hubbub.auth.authenticator import Authenticator
from hubbub.auth.identity import Identity
from hubbub.backends.memory import MemoryBackend
from hubbub.dialects.base import Wire
from hubbub.dialects.skapi import Skapi
from hubbub.dialects.v1 import V1
from hubbub.groups.history import CHARACTER, OVERHEAD, Histories, Window
from hubbub.messages import Message, Post, Signal
from hubbub.node import Node
from hubbub.settings import Settings
from hubbub.transports.http.input import _parse
from support.fake_link import FakeLink, turn

AROUND = "A" * 120_000
"""Padding that a client adds to a frame and that means nothing."""


def receive(end: FakeLink, frame: bytes, times: int) -> None:
    """Receive a frame again and again, each time as bytes of its own."""
    for _ in range(times):
        end.session.receive(bytes(bytearray(frame)), end.born)


def grown(work: Callable[[], object]) -> int:
    """Return by how many bytes memory has grown after `work`."""
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = work()
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    del kept
    return after - before


def make(**options: object) -> Node:
    settings = Settings(rate_limit=0, **options)  # type: ignore[arg-type]
    return Node(settings, MemoryBackend(), Authenticator(settings))


async def test_a_history_does_not_keep_the_frames() -> None:
    node = make()
    end = FakeLink("c", node)
    end.say(do="connect", guest="ada")
    end.say(do="join", group="g")
    frames = [b'{"do":"post","to":"g","message":%d,"x":"%s"}' % (n, AROUND.encode()) for n in range(2)]

    def attack() -> None:
        for number in range(200):
            end.session.receive(bytes(bytearray(frames[number % 2])), end.born)

    size = grown(attack)
    await turn(node)
    assert size < 2_000_000  # 24 MB came


async def test_an_inbox_does_not_keep_the_frames() -> None:
    node = make()
    end = FakeLink("c", node)
    end.say(do="connect", guest="ada")
    frame = b'{"do":"post","to":{"user_id":"ada"},"message":1,"x":"%s"}' % AROUND.encode()
    size = grown(lambda: receive(end, frame, 100))
    await turn(node)
    assert size < 1_000_000  # 12 MB came


@pytest.mark.parametrize("action", ["broadcast", "sendMessage", "rtc"])
async def test_no_token_outlives_a_frame_of_the_legacy_client(action: str) -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.secret.token"
    frame = {"action": action, "rid": "g", "uid": "ada", "content": "hello", "token": token}
    command = Skapi().decode(json.dumps(frame).encode())
    assert isinstance(command, Post | Signal)
    # A view exports the buffer that it looks at; a copy holds its own bytes and nothing else.
    assert command.message.copy() is command.message


async def test_no_token_is_in_the_history_after_a_legacy_post() -> None:
    node = make()
    end = FakeLink("c", node, Wire(Skapi(), bytes))
    end.session.adopt(Identity("ada"))
    end.say(action="joinRoom", rid="g", token="t")
    frame = b'{"action":"broadcast","rid":"g","content":1,"token":"%s"}' % AROUND.encode()
    size = grown(lambda: receive(end, frame, 50))
    await turn(node)
    assert size < 500_000


def test_what_dialect_v1_decodes_holds_no_frame() -> None:
    command = V1().decode(b'{"do":"post","to":"g","message":{"a":1},"x":1}')
    assert isinstance(command, Post)
    assert command.message.copy() is command.message
    assert bytes(command.message) == b'{"a":1}'


def test_the_body_of_a_request_is_not_kept() -> None:
    found = _parse(b'{"message":1,"key":"k"}' + b" " * 100_000)
    assert found.message.copy() is found.message


@pytest.mark.parametrize("sender", ["ada", "x" * 256, "ü" * 256, "\u4e2d" * 256, "\U0001f600" * 256])
@pytest.mark.parametrize("size", [1, 100, 5000])
def test_an_entry_costs_no_more_than_it_counts(sender: str, size: int) -> None:
    """Each by a connection of its own, so that no name is shared: real memory, as the allocator counts it."""
    number = 500

    def fill() -> object:
        histories = Histories(Window(bytes=1 << 30), "boot")
        history = histories.new(number)
        for n in range(number):
            raw = msgspec.Raw(b"1" * size)
            history.append(Message(raw, "".join([sender[1:], sender[0]]), f"connection{n:04}", "g", 0))
        return histories

    assert grown(fill) <= number * (size + CHARACTER * len(sender) + OVERHEAD) + 20_000
