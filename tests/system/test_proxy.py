"""Through nginx with TLS, configured by the sample in ``deploy/nginx.conf``."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import kosoku
from websockets.asyncio.client import connect
from websockets.typing import Origin

from hubbub.errors import Close
from hubbub.server import Server
from support.clients import SECRET, Peer, token
from support.echo import CASES, NUMBER, echoing
from support.nginx import needs_nginx, nginx

pytestmark = needs_nginx
Start = Callable[..., Awaitable[Server]]


async def test_the_whole_way(start: Start, tmp_path: Path) -> None:
    """Connect, post, hear, ask over HTTP; pages of our own and of others; the end of the server reaches the clients."""
    server = await start(secret=SECRET, forwarded=True)
    with nginx(tmp_path, server.url) as url:
        trust = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        address = url.replace("http", "ws", 1) + "/v1/connect"
        options: dict[str, Any] = {"ssl": trust, "proxy": None, "subprotocols": ["hubbub.v1"]}
        async with (
            connect(address, origin=Origin(url), **options) as first,
            connect(f"{address}?token={token('bob')}", **options) as second,
        ):
            ada, bob = Peer(first), Peer(second)
            assert (await ada.do("connect", token=token("ada")))["user_id"] == "ada"
            await ada.do("join", group="g")
            await bob.do("join", group="g")
            assert (await bob.do("post", to="g", message="x" * 65_000))["recipients"] == 2
            assert [(await ada.event())["type"] for _ in range(2)] == ["notice", "message"]
            async with httpx.AsyncClient(verify=trust, base_url=url, trust_env=False) as http:
                assert (await http.get("/readyz")).status_code == 200
                for path in ("/metrics", f"{url}//metrics", "/%6detrics", "/x/../metrics", "/metrics?x"):
                    assert (await http.get(path)).status_code == 403
                headers = {"Authorization": f"Bearer {token('ada')}"}
                rows = (await http.get("/v1/groups", headers=headers)).json()["list"]
                assert rows == [{"group": "g", "number_of_users": 2, "number_of_connections": 2}]
            async with connect(address, origin=Origin("https://evil.example"), **options) as other:
                assert await Peer(other).closed() == Close.ORIGIN
            server.stop()
            assert {await ada.closed(), await bob.closed()} == {Close.GOING_AWAY}


async def test_the_autobahn_cases_through_the_proxy(tmp_path: Path) -> None:
    """Without TLS: the judge does not trust a certificate that nobody has signed."""
    async with echoing() as server:
        with nginx(tmp_path, server.url, tls=False) as url:
            results = await kosoku.run_fuzzingclient(
                url.replace("http", "ws", 1) + "/v1/connect", CASES, concurrency=32
            )
    assert len(results) == NUMBER
