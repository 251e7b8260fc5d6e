"""Start and stop: addresses, errors, and nothing left behind."""

from __future__ import annotations

import asyncio
import socket
import sys

import httpx
import pytest

from helpers import PATIENCE, open_peer
from hubbub.errors import Close, SettingsError
from hubbub.server import Server
from hubbub.settings import Settings


async def test_it_answers_as_soon_as_it_is_entered() -> None:
    async with Server(Settings(port=0)) as server, httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{server.url}/healthz")).status_code == 200
        url = server.url
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"{url}/healthz")


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
        peer, stranger = await open_peer(one, guest="ada", group="g"), await open_peer(other, guest="bob")
        assert (await stranger.do("groups"))["list"] == []
        await peer.socket.close()
        await stranger.socket.close()


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
    assert (node.sessions, node.hub.connections, node.hub.groups, node.tasks) == ({}, {}, {}, set())
    assert await node.backend.count() == (0, 0)
    async with asyncio.timeout(PATIENCE):
        while asyncio.all_tasks() - tasks:
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
