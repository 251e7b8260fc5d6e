"""A reset connection ends at once, and what was not read is dropped."""

from __future__ import annotations

import asyncio

import pytest

from hubbub.transports.reset import reset


@pytest.mark.parametrize("closing", [False, True], ids=["open", "closing"])
async def test_a_reset_drops_what_the_client_has_not_read(closing: bool) -> None:
    lost = asyncio.Event()
    accepted: asyncio.Queue[asyncio.Transport] = asyncio.Queue()

    class Protocol(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            accepted.put_nowait(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            lost.set()

    server = await asyncio.get_running_loop().create_server(Protocol, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        transport = await accepted.get()
        transport.write(b"x" * 50_000_000)
        if closing:
            transport.close()
        reset(transport)
        await lost.wait()
        with pytest.raises(ConnectionResetError):
            await reader.read(-1)
        writer.close()


async def test_a_connection_that_is_gone_can_be_reset() -> None:
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    async with server:
        transport, _ = await asyncio.get_running_loop().create_connection(
            asyncio.Protocol, *server.sockets[0].getsockname()
        )
        transport.abort()
        await asyncio.sleep(0)
        reset(transport)
        assert transport.is_closing()
