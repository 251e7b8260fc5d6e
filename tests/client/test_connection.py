"""One connection: replies to calls, and errors while opening it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hubbub.client import Client
from hubbub.client.connection import Call
from hubbub.client.live import WatchReply
from hubbub.client.results import Joined, Page, Sent
from hubbub.client.wire import Reply
from hubbub.errors import CommandError, ErrorCode
from hubbub.messages import GroupRow, UserRow, Welcome
from hubbub.server import Server

Make = Callable[..., Client]
REPLIES = json.loads((Path(__file__).parent.parent / "vectors/hostile_replies.json").read_text())
KINDS: dict[str, Any] = {
    "connect": Welcome,
    "join": Joined,
    "post": Sent,
    "groups": Page[GroupRow],
    "users": Page[UserRow],
    "watch": WatchReply[GroupRow],
}


@pytest.mark.parametrize("row", REPLIES, ids=str)
async def test_an_invalid_reply_fails_the_call(row: dict[str, Any]) -> None:
    call = Call({"do": row["do"]}, KINDS[row["do"]])
    call.settle(Reply(1, msgspec.Raw(json.dumps(row["ok"]).encode()), None))
    error = call.future.exception()
    assert (error is None) == row["fits"]
    if isinstance(error, CommandError):
        assert error.code == ErrorCode.INTERNAL


async def test_the_callback_of_a_call_gets_the_reply_before_the_caller() -> None:
    replies: list[Sent] = []
    call = Call({"do": "post"}, Sent, replies.append)
    call.settle(Reply(1, msgspec.Raw(b'{"message":"Message sent.","recipients":2}'), None))
    assert replies == [call.future.result()]
    call.settle(Reply(1, None, CommandError(ErrorCode.INTERNAL, "too late")))  # settled once only
    assert call.future.exception() is None


async def test_a_call_times_out() -> None:
    with pytest.raises(CommandError, match=r"No answer to 'groups' within 0\.01 s\.") as caught:
        await Call({"do": "groups"}, Page[GroupRow]).answer(0.01)
    assert caught.value.code == ErrorCode.UNAVAILABLE


async def test_a_server_that_does_not_speak_http(clients: Make) -> None:
    listener = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]

    class Address:
        url = f"http://127.0.0.1:{port}"

    with pytest.raises(CommandError, match=r"Cannot connect to ws://.*HTTP") as caught:
        await clients(Address, guest="alice", connect_timeout=0.1)
    assert caught.value.code == ErrorCode.UNAVAILABLE  # it may be a server that is being killed
    listener.close()


async def test_a_redirect_is_an_error(server: Server, clients: Make) -> None:
    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 302 Found\r\nLocation: {server.url}/v1/connect\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(redirect, "127.0.0.1", 0)

    class Address:
        url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"

    client = clients(Address, guest="alice")
    with pytest.raises(CommandError, match="refused with HTTP status 302") as caught:
        await client.connect_realtime()
    assert caught.value.code == ErrorCode.INVALID_REQUEST
    listener.close()
