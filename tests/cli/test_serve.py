"""``hubbub serve``: what it says, what it logs, how it starts and how it ends."""

from __future__ import annotations

import asyncio
import io
import json
import re
import signal
import socket
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from rich.console import Console
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from hubbub.cli.serve import announce
from hubbub.settings import Settings
from support.clients import SECRET, token
from support.command import HUBBUB, environment, run, serving


def websocket(url: str) -> str:
    return url.replace("http", "ws", 1) + "/v1/connect"


async def healthy(url: str) -> bool:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(f"{url}/healthz")).status_code == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_prints_its_address_and_who_may_connect_and_stops_with_success(number: int, tmp_path: Path) -> None:
    """How long the start takes is measured by benchmarks/startup.py."""
    async with serving(cwd=tmp_path) as server:
        assert await healthy(server.url)
        ran = await server.stop(number)
    assert ran.code == 0
    assert server.first == f"Hubbub is listening on {server.url}\n"
    assert ran.out.splitlines() == [
        f"  demo page  {server.url}/",
        "  access     guests, with a name only (from this machine only)",
    ]
    assert "Traceback" not in ran.err


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    async with serving("--shutdown-timeout", "60", cwd=tmp_path) as server:
        reader, writer = await open_websocket(server.url)  # never answers a close frame, so the server waits
        server.process.send_signal(signal.SIGTERM)
        assert (await reader.readexactly(4))[2:] == (1001).to_bytes(2, "big")
        assert (await server.stop(signal.SIGTERM)).code == 128 + signal.SIGTERM
        writer.close()


async def open_websocket(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(
        b"GET /v1/connect HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    return reader, writer


async def test_the_log_holds_requests_but_no_tokens(tmp_path: Path) -> None:
    tokens = [token("alice"), token("bob"), token("carol"), "not.quite-a.json-web-token"]
    async with serving(
        "--log-level", "debug", "--access-log", "--secret", SECRET, cwd=tmp_path, env={"PYTHONASYNCIODEBUG": "1"}
    ) as server:
        headers = {"Authorization": f"Bearer {tokens[0]}"}
        async with httpx.AsyncClient(trust_env=False, base_url=server.url) as http:
            assert (await http.get("/v1/groups", headers=headers)).status_code == 200
            assert (await http.get("/v1/groups", params={"token": tokens[3]})).status_code == 401
        async with connect(websocket(server.url) + f"?token={tokens[1]}", proxy=None) as peer:
            await peer.send('{"id":1,"do":"groups"}')
            assert "ok" in json.loads(await peer.recv())
        async with connect(websocket(server.url), proxy=None) as peer:
            command = json.dumps({"id": 1, "do": "connect", "token": tokens[2]})
            await peer.send([command[:20], command[20:]])  # in fragments, so that the library reads it
            assert json.loads(await peer.recv())["ok"]["user_id"] == "carol"
        ran = await server.stop(signal.SIGTERM)
    assert ran.code == 0
    assert re.search(r"INFO hubbub.access: GET /v1/groups 200 ", ran.err)
    for secret in [*(part for each in tokens for part in each.split(".")[1:]), SECRET]:
        assert secret[-8:] not in ran.err + ran.out  # the end, since logs leave out the middle


async def test_a_port_in_use_is_said_in_a_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = await run("serve", cwd=tmp_path, env={"HUBBUB_PORT": str(port)})
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.splitlines()[-1].startswith(f"hubbub: cannot listen on 127.0.0.1 port {port}: ")
    assert "Traceback" not in ran.err


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_open_files_are_raised_as_far_as_they_go(tmp_path: Path) -> None:
    limits = f"ulimit -Sn 300; ulimit -Hn 900; exec {' '.join(HUBBUB)} serve --port 0 --max-connections "
    for most, warns in (("700", False), ("1000", True)):
        process = await asyncio.create_subprocess_exec(
            "sh", "-c", limits + most, cwd=tmp_path, env=environment(),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        assert await process.stdout.readline()
        held = Path(f"/proc/{process.pid}/limits").read_text()  # noqa: ASYNC240
        process.terminate()
        _, err = await process.communicate()
        assert process.returncode == 0
        expected = 900 if warns else 800
        assert re.search(rf"Max open files\s+{expected}\s+900\s", held), held
        assert (b"only 900 open files are allowed, too few for max_connections = 1000" in err) == warns


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
async def test_the_default_of_max_connections_fits_the_open_files_silently(tmp_path: Path) -> None:
    """100 of the 250 files are spare."""
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", f"ulimit -n 250; exec {' '.join(HUBBUB)} serve --port 0", cwd=tmp_path, env=environment(),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().split()[-1]
    async with AsyncExitStack() as stack:
        for _ in range(150):
            stack.callback((await open_websocket(url))[1].close)
        with pytest.raises(InvalidStatus) as refused:
            await connect(websocket(url), proxy=None)
        assert refused.value.response.status_code == 503
    process.terminate()
    _, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")


@pytest.mark.parametrize(
    ("settings", "url", "people"),
    [
        (Settings(guests=False), "http://127.0.0.1:1", ["nobody: guests are off"]),
        (Settings(secret=SECRET, host="0.0.0.0"), "http://0.0.0.0:1", ["a token signed with the secret"]),
        (Settings(secret=SECRET, guests=True), "http://127.0.0.1:1", ["guests", "a token signed with the secret"]),
        (
            Settings(jwks_url="https://keys.example"),
            "http://127.0.0.1:1",
            ["a token signed with a key of the JWKS URL"],
        ),
    ],
)
def test_it_prints_who_may_connect(settings: Settings, url: str, people: list[str]) -> None:
    out = io.StringIO()
    announce(url, settings, Console(file=out, width=20))
    first, page, who = out.getvalue().splitlines()
    assert first.endswith(url)
    assert page == f"  demo page  {url.replace('0.0.0.0', 'localhost')}/"
    assert all(each in who for each in people)
    assert SECRET not in out.getvalue()
