"""Start and stop: addresses, errors, and nothing left behind."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections import Counter
from collections.abc import Awaitable, Callable

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from hubbub.errors import Close, SettingsError
from hubbub.server import Server
from hubbub.settings import Settings
from support.clients import SECRET, Raw, open_peer, token
from support.waiting import PATIENCE


async def test_it_answers_as_soon_as_it_is_entered() -> None:
    async with Server(Settings(port=0)) as server, httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{server.url}/healthz")).status_code == 200
        url = server.url
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"{url}/healthz")


async def test_a_program_around_it_sees_no_start_messages_of_uvicorn(caplog: pytest.LogCaptureFixture) -> None:
    """They would stand beside those of a uvicorn that the program runs itself."""
    caplog.set_level("DEBUG")
    async with Server(Settings(port=0)), httpx.AsyncClient(trust_env=False):
        logging.getLogger("uvicorn.error").info("the program's own")
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("uvicorn")]
    assert ours == ["the program's own"]


async def test_small_answers_are_not_held_back() -> None:
    """Nagle's algorithm (RFC 896) and delayed acknowledgements together would add 40 ms to every second answer."""
    async with Server(Settings(port=0)) as server:
        peer = await open_peer(server, guest="ada")
        (session,) = server.node.sessions.values()
        accepted = session.write.__self__.get_extra_info("socket")  # type: ignore[attr-defined]
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        await peer.socket.close()


async def test_two_servers_in_one_program_know_nothing_of_each_other() -> None:
    async with Server(Settings(port=0)) as one, Server(Settings(port=0)) as other:
        ada, bob = await open_peer(one, guest="ada", group="g"), await open_peer(other, guest="bob")
        assert (await bob.do("groups"))["list"] == []
        await ada.socket.close()
        await bob.socket.close()


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
async def test_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 loopback here")
    async with Server(Settings(host="::1", port=0)) as server, httpx.AsyncClient(trust_env=False) as client:
        assert server.url.startswith("http://[::1]:")
        assert (await client.get(f"{server.url}/healthz")).status_code == 200


async def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"cannot listen on 127.0.0.1 port {port}: Address already in use"):
            await Server(Settings(port=port)).__aenter__()


async def test_a_host_that_does_not_exist() -> None:
    with pytest.raises(SettingsError, match="cannot listen on"):
        await Server(Settings(host="no such host", port=0, secret="x" * 32)).__aenter__()


async def test_stopping_tells_everybody_to_come_back_and_leaves_nothing() -> None:
    tasks = asyncio.all_tasks()
    async with Server(Settings(port=0)) as server:
        peers = [await open_peer(server, guest=f"u{number}", group="g") for number in range(5)]
        node = server.node
        server.stop()
        assert {await peer.closed() for peer in peers} == {Close.GOING_AWAY}
    assert (node.sessions, node.fanout.connections, node.fanout.groups, node.tasks) == ({}, {}, {}, set())
    assert await node.backend.count() == (0, 0)
    async with asyncio.timeout(PATIENCE):
        while asyncio.all_tasks() - tasks:
            await asyncio.sleep(0)


async def test_who_is_told_to_go_is_told_when_to_come_back_and_with_what() -> None:
    async with Server(Settings(port=0, secret=SECRET)) as server, Server(Settings(port=0, secret=SECRET)) as next_one:
        ada = await open_peer(server, token=token("ada", groups=["g"]), group="g")
        nobody = await open_peer(server)
        server.stop()
        restart = await ada.event()
        assert (restart["type"], restart["message"]) == ("restart", "The server restarts: reconnect.")
        assert restart["after"] == pytest.approx(1.05)  # this one has no other node to send it to
        assert (await ada.closed(), await nobody.closed()) == (Close.GOING_AWAY, Close.GOING_AWAY)
        again = await open_peer(next_one)
        welcome = await again.do("connect", ticket=restart["ticket"])
        assert (welcome["user_id"], welcome["expires"]) == ("ada", ada.welcome["expires"])
        assert (await again.fail("join", group="other"))["code"] == "FORBIDDEN"
        await again.do("join", group="g")
        await again.socket.close()


async def test_guests_have_nothing_to_prove_and_get_no_ticket() -> None:
    async with Server(Settings(port=0)) as server:
        ada = await open_peer(server, guest="ada")
        server.stop()
        assert "ticket" not in await ada.event()
        await ada.closed()


async def test_a_ticket_that_is_not_valid_leaves_the_connection_as_it_was() -> None:
    async with Server(Settings(port=0, secret=SECRET)) as server:
        peer = await open_peer(server)
        error = await peer.fail("connect", ticket="e30.e30.e30")
        assert error == {
            "code": "UNAUTHORIZED",
            "message": "The ticket is not valid or has expired: connect with a token.",
        }
        assert (await peer.fail("connect", ticket="t", token="t"))["message"] == (
            '"connect" needs exactly one of "token", "guest" and "ticket".'
        )
        await peer.do("connect", token=token("ada"))
        await peer.socket.close()


async def test_restart_notices_are_spread_over_time_and_readiness_ends_first() -> None:
    """Half a second for the 40 of them, with the step made larger: the listener answers in between."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hubbub.node.DRAIN_RATE", 80.0)
        async with Server(Settings(port=0, drain_spread=0.5)) as server, httpx.AsyncClient(trust_env=False) as client:
            loop = asyncio.get_running_loop()
            peers = [await open_peer(server, guest=f"u{number}") for number in range(40)]
            server.stop()
            began = loop.time()
            answer = await client.get(f"{server.url}/readyz")
            with pytest.raises(InvalidStatus) as refused:
                await open_peer(server)
            assert (answer.status_code, answer.json()["draining"]) == (503, True)
            assert refused.value.response.status_code == 503
            assert sum(peer.socket.close_code is None for peer in peers) > 10
            assert {await peer.closed() for peer in peers} == {Close.GOING_AWAY}
            assert loop.time() - began > 0.4


async def test_without_a_spread_all_are_told_at_once() -> None:
    async with Server(Settings(port=0, drain_spread=0)) as server:
        peers = [await open_peer(server, guest=f"u{number}") for number in range(5)]
        server.stop()
        assert {await peer.closed() for peer in peers} == {Close.GOING_AWAY}


async def test_too_many_for_the_open_files_are_refused(raw: Callable[..., Awaitable[Raw]]) -> None:
    """At the limit all others go on; those just above it hear why when they ask, or in a second; the rest at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hubbub.server.most_connections", lambda: 3)
        patch.setattr("hubbub.transports.http.protocol.SPARE_CONNECTIONS", 2)
        patch.setattr("hubbub.transports.http.protocol.REFUSAL_TIMEOUT", 0.1)
        async with Server(Settings(port=0)) as server:
            ask = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
            inside = [await raw(server) for _ in range(3)]
            for each in inside:
                await each.send(ask)
                assert (await each.answer())[0] == 200
            asking, silent, beyond = [await raw(server) for _ in range(3)]
            await asking.send(ask)
            for each in (beyond, asking, silent):
                status, headers, body = await each.answer()
                assert (status, headers["retry-after"], b"full" in body) == (503, "5", True)
                assert await each.ended() == b""
            await inside[0].send(ask)
            assert (await inside[0].answer())[0] == 200
            await inside[0].close()
            while True:  # until the server has noticed
                late = await raw(server)
                await late.send(ask)
                if (await late.answer())[0] == 200:
                    break


async def test_connections_cut_anywhere_leave_no_timer(server: Server, raw: Callable[..., Awaitable[Raw]]) -> None:
    """The timers are counted one by one; benchmarks/abuse/soak.py does so with tasks, files and memory."""
    opening = (
        b"GET /v1/connect HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )

    def timers() -> Counter[str]:
        scheduled = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
        callbacks = [timer._callback for timer in scheduled if not timer.cancelled()]
        return Counter(
            each.__qualname__ for each in callbacks if each.__module__.startswith(("hubbub.", "uvicorn.pro"))
        )

    before = timers()
    seen: Counter[str] = Counter()
    for cut in range(0, len(opening) + 1, 3):
        one = await raw(server)
        await one.send(opening[:cut])
        seen |= timers()
        await one.close()
    assert seen.total() > before.total() == 2  # they are there while a request is awaited
    async with asyncio.timeout(PATIENCE):
        while timers() != before:
            await asyncio.sleep(0)


async def test_who_does_not_leave_is_cut_off() -> None:
    """A client that never answers the close frame does not hold the server up."""
    async with Server(Settings(port=0, shutdown_timeout=0.1)) as server:
        host, port = server.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"GET /v1/connect HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < PATIENCE
    writer.close()


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop is not to be had")
def test_with_uvloop() -> None:
    """The loop that ``hubbub serve`` uses; the other tests use the standard one."""
    import uvloop

    async def talk() -> int:
        async with Server(Settings(port=0)) as server:
            ada, bob = await open_peer(server, guest="ada", group="g"), await open_peer(server, guest="bob", group="g")
            sent = await ada.do("post", to="g", message="x" * 60_000)
            bob.socket.transport.abort()
            await ada.event()
            while (await ada.event())["type"] != "notice":
                pass
            await ada.socket.close()
            return int(sent["recipients"])

    assert uvloop.run(talk()) == 2
