"""The Autobahn cases for RFC 6455, run by a client that is not ours against our own listener."""

from __future__ import annotations

from collections import Counter

import kosoku
from websockets.asyncio.client import connect

from hubbub.server import Server
from support.echo import CASES, NUMBER, echoing

CONFORMING = {"OK", "NON-STRICT", "INFORMATIONAL"}
"""The suite's words for what passes; non-strict is an invalid text found at its end, not at its first wrong byte."""


async def test_the_autobahn_cases() -> None:
    async with echoing() as server:
        url = server.url.replace("http", "ws", 1) + "/v1/connect"
        results = await kosoku.run_fuzzingclient(url, CASES, concurrency=32)  # raises with a list of what failed
    assert len(results) == NUMBER
    verdicts = Counter(result.behavior.value for result in results)
    assert verdicts.keys() <= CONFORMING
    assert verdicts["OK"] >= 240
    assert {result.behavior_close.value for result in results} <= {"OK", "INFORMATIONAL"}


async def test_compression_is_not_offered(server: Server) -> None:
    """A client that asks for it is served without: RFC 7692, section 5, leaves that to the server."""
    async with connect(server.url.replace("http", "ws", 1) + "/v1/connect", proxy=None) as socket:
        assert socket.request is not None
        assert socket.response is not None
        assert "permessage-deflate" in socket.request.headers["Sec-WebSocket-Extensions"]
        assert "Sec-WebSocket-Extensions" not in socket.response.headers
