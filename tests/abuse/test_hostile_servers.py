"""Both clients against servers that break the protocol: they back off, throw nothing, and keep little."""

from __future__ import annotations

import asyncio
import json
import resource
from typing import Any

import pytest

import hubbub
from hubbub.client import Client, Closed, Event, Notice, Problem, Reconnecting
from hubbub.client.event_queue import MAX_BYTES
from hubbub.client.events import LOST, UNREADABLE
from hubbub.errors import CommandError, ErrorCode
from support.hostile_server import LOOPS, PINGS, hostile_server
from support.waiting import PATIENCE
from system.test_web_client import JS, NODE, needs_node, packages  # noqa: F401

pytestmark = pytest.mark.alone

SECONDS = 3.0
MOST = 15
"""Connections in `SECONDS`: with full jitter some 5 on average, and 16 once in many millions of runs."""


async def python_client(url: str, seconds: float, **options: Any) -> list[Event]:
    """Connect for so long, and return what was heard."""
    heard: list[Event] = []
    client = hubbub.connect(url, guest="a", timeout=0.3, connect_timeout=None, on_event=heard.append, **options)
    connecting = asyncio.create_task(client.connect_realtime())
    await asyncio.wait([connecting], timeout=seconds)
    await asyncio.sleep(seconds)
    assert client.state != "closed"
    await client.close_realtime()
    await asyncio.wait([connecting])
    _ = connecting.exception()
    return heard


async def js_client(seconds: float, *urls: str) -> dict[str, Any]:
    """Connect to all of them at once for so long; nothing must be thrown."""
    assert NODE is not None
    process = await asyncio.create_subprocess_exec(
        NODE, JS / "hostile_client.mjs", str(seconds), *urls, stdout=asyncio.subprocess.PIPE, cwd=JS
    )
    async with asyncio.timeout(seconds + 20):
        out, _ = await process.communicate()
    said = json.loads(out)
    assert said["thrown"] == []
    return dict(said["seen"])


async def test_python_backs_off_whatever_the_server_does(loop_errors: list[Any]) -> None:
    async with hostile_server() as hostile:
        heard = await asyncio.gather(*(python_client(f"{hostile.url}/{trick}", SECONDS / 2) for trick in LOOPS))
        assert {trick: n for trick, n in hostile.connections.items() if not 1 <= n <= MOST} == {}
    for trick, events in zip(LOOPS, heard, strict=True):
        assert any(isinstance(event, Reconnecting) for event in events), trick
    assert loop_errors == []


@needs_node
@pytest.mark.usefixtures("packages")
async def test_javascript_backs_off_whatever_the_server_does() -> None:
    async with hostile_server() as hostile:
        seen = await js_client(SECONDS, *(f"{hostile.url}/{trick}" for trick in LOOPS))
        assert {trick: n for trick, n in hostile.connections.items() if not 1 <= n <= MOST} == {}
    for trick in LOOPS:
        assert seen[trick]["events"]["reconnect"] >= 1
        assert seen[trick]["state"] != "closed"


@needs_node
@pytest.mark.usefixtures("packages")
async def test_a_wrong_ping_makes_no_storm_of_probes() -> None:
    async with hostile_server() as hostile:
        seen = await js_client(SECONDS, *(f"{hostile.url}/{trick}" for trick in PINGS))
        for trick in PINGS:
            assert seen[trick]["answered"] is True
            assert hostile.connections[trick] == 1
            assert hostile.commands[trick] <= 2 + SECONDS  # connect, the last question, and a probe a second


@needs_node
@pytest.mark.usefixtures("packages")
async def test_javascript_goes_on_after_every_wrong_frame() -> None:
    async with hostile_server() as hostile:
        seen = (await js_client(PATIENCE, f"{hostile.url}/garbage"))["garbage"]
        assert seen["events"]["last"] == 1
        assert seen["events"]["error"] > 20
        assert (seen["answered"], seen["state"], hostile.connections["garbage"]) == (True, "connected", 1)


async def listening(url: str, **options: Any) -> Client:
    return await hubbub.connect(url, guest="a", **options)


async def until_last(client: Client) -> list[Event]:
    heard = []
    async with asyncio.timeout(PATIENCE):
        async for event in client:
            heard.append(event)
            if isinstance(event, Notice) and event.message == "last":
                return heard
    raise AssertionError(heard[-5:])


async def test_python_goes_on_after_every_wrong_frame(loop_errors: list[Any]) -> None:
    async with hostile_server() as hostile:
        client = await listening(f"{hostile.url}/garbage")
        heard = await until_last(client)
        assert sum(isinstance(event, Problem) and event.code == UNREADABLE for event in heard) > 20
        assert (await client.get_realtime_groups()).list == []
        assert hostile.connections["garbage"] == 1
        await client.close_realtime()
    assert loop_errors == []


async def test_handlers_that_fail_are_reported_and_go_on(loop_errors: list[Any]) -> None:
    last = asyncio.Event()

    async def on_event(event: Event) -> None:
        if isinstance(event, Notice) and event.message == "last":
            last.set()
        doomed = asyncio.ensure_future(asyncio.sleep(PATIENCE))
        doomed.cancel()
        await doomed  # raises CancelledError, which is not ours

    async with hostile_server() as hostile:
        client = await listening(f"{hostile.url}/garbage", on_event=on_event)
        async with asyncio.timeout(PATIENCE):
            await last.wait()
        await client.close_realtime()
    assert len(loop_errors) > 20


@pytest.mark.parametrize("trick", ["huge"])
async def test_a_frame_that_is_too_large_is_met_with_backoff(trick: str) -> None:
    async with hostile_server() as hostile:
        heard = await python_client(f"{hostile.url}/{trick}", 1.0)
        assert any(isinstance(event, Reconnecting) for event in heard)
        assert not any(isinstance(event, Closed) and event.code == 1009 for event in heard)
        assert 2 <= hostile.connections[trick] <= MOST


async def test_a_frame_that_swells_is_not_decoded() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with hostile_server() as hostile:
        client = await listening(f"{hostile.url}/swollen")
        heard = await until_last(client)
        await client.close_realtime()
    assert [event.code for event in heard if isinstance(event, Problem)] == [UNREADABLE]
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 128  # MiB; decoded it has some 200


async def test_events_that_nobody_reads_take_bounded_memory() -> None:
    async with hostile_server() as hostile:
        client = await listening(f"{hostile.url}/flood")
        feed = client._queue
        assert feed is not None
        async with asyncio.timeout(PATIENCE):
            while not feed._lost:
                await asyncio.sleep(0.01)
        assert feed._bytes <= MAX_BYTES
        heard = []
        async with asyncio.timeout(PATIENCE):
            async for event in client:
                heard.append(event)
                if isinstance(event, Problem):
                    break
        assert isinstance(heard[-1], Problem)
        assert heard[-1].code == LOST
        assert len(heard) < 100  # of 150
        await client.close_realtime()


@pytest.mark.parametrize("junk", ["null", "[]", '{"ping":null}', '{"user_id":"a"}'])
async def test_a_welcome_that_is_none_is_met_with_backoff(junk: str) -> None:
    async with hostile_server() as hostile:
        heard = await python_client(f"{hostile.url}/welcome:{junk}", 0.5)
        (first, *_) = heard
        assert isinstance(first, Reconnecting)
        assert first.code == ErrorCode.INTERNAL


async def test_calls_to_a_server_that_does_not_read_fail_in_time_and_leave_nothing() -> None:
    async with hostile_server() as hostile:
        client = await listening(f"{hostile.url}/deaf", timeout=0.5)
        posts = [asyncio.create_task(client.post_realtime("x" * 1_000_000, "g")) for _ in range(50)]
        await asyncio.wait(posts, timeout=PATIENCE)
        assert all(isinstance(post.exception(), CommandError) for post in posts)
        assert client._connection is not None
        connection = client._connection._connection
        assert connection is not None
        assert (len(connection._outbox), len(connection._sent)) == (0, 0)
        await client.close_realtime()


@pytest.fixture
async def loop_errors() -> list[Any]:
    """What the loop's exception handler was told; a client that fails says so there."""
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
    return told
