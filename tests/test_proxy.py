"""Through nginx with TLS, configured by the sample in ``deploy/nginx.conf``."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import kosoku
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from echo import echoing
from helpers import PATIENCE, SECRET, Peer, token
from hubbub.errors import Close
from hubbub.server import Server

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
SAMPLE = Path(__file__).parent.parent / "deploy" / "nginx.conf"

pytestmark = pytest.mark.skipif(NGINX is None, reason="there is no nginx: see tests/install-nginx.sh")
Start = Callable[..., Awaitable[Server]]


def make_certificate(folder: Path) -> ssl.SSLContext:
    """Write a certificate for localhost and its key; return what a client needs to trust it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, SHA256())
    )
    pem = certificate.public_bytes(Encoding.PEM)
    (folder / "cert.pem").write_bytes(pem)
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return ssl.create_default_context(cadata=pem.decode())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@asynccontextmanager
async def nginx(folder: Path, upstream: str, port: int, plain: int) -> AsyncIterator[None]:
    """Run nginx in front of `upstream` with the sample configuration; without TLS on the port `plain` too."""
    site = (
        SAMPLE.read_text()
        .replace("127.0.0.1:8000", upstream.removeprefix("http://"))
        .replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl; listen 127.0.0.1:{plain}")
        .replace("/etc/ssl/certs/chat.example.com.pem", str(folder / "cert.pem"))
        .replace("/etc/ssl/private/chat.example.com.key", str(folder / "key.pem"))
        .replace("chat.example.com", "localhost")
    )
    paths = "".join(f"{kind}_temp_path {folder};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    main = folder / "nginx.conf"
    main.write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;"
        f"events {{ worker_connections 512; }} http {{ {paths}\n{site}\n}}"
    )
    assert NGINX is not None
    process = await asyncio.create_subprocess_exec(
        NGINX, "-p", str(folder), "-c", str(main), "-e", f"{folder}/error.log", stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(PATIENCE):
            while process.returncode is None:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except ConnectionRefusedError:
                    await asyncio.sleep(0.01)
                else:
                    writer.close()
                    await writer.wait_closed()
                    break
        assert process.returncode is None, (folder / "error.log").read_text()
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def test_the_whole_way(start: Start, tmp_path: Path) -> None:
    """Connect, post, hear, ask over HTTP; pages of our own and of others; the end of the server reaches the clients."""
    trust, port = make_certificate(tmp_path), free_port()
    server = await start(secret=SECRET, forwarded=True)
    address = f"wss://localhost:{port}/v1/connect"
    async with nginx(tmp_path, server.url, port, free_port()):
        options = {"ssl": trust, "proxy": None, "subprotocols": ["hubbub.v1"]}
        async with (
            connect(address, origin=f"https://localhost:{port}", **options) as first,
            connect(f"{address}?token={token('bob')}", **options) as second,
        ):
            ada, bob = Peer(first), Peer(second)
            assert (await ada.do("connect", token=token("ada")))["user_id"] == "ada"
            await ada.do("join", group="g")
            await bob.do("join", group="g")
            assert (await bob.do("post", to="g", message="x" * 65_000))["recipients"] == 2
            assert [(await ada.event())["type"] for _ in range(2)] == ["notice", "message"]
            async with httpx.AsyncClient(verify=trust, base_url=f"https://localhost:{port}", trust_env=False) as http:
                assert (await http.get("/readyz")).status_code == 200
                headers = {"Authorization": f"Bearer {token('ada')}"}
                rows = (await http.get("/v1/groups", headers=headers)).json()["list"]
                assert rows == [{"group": "g", "number_of_users": 2, "number_of_connections": 2}]
            with pytest.raises(InvalidStatus) as caught:
                await connect(address, origin="https://evil.example", **options)
            assert caught.value.response.status_code == 403
            server.stop()
            assert {await ada.closed(), await bob.closed()} == {Close.GOING_AWAY}


async def test_the_autobahn_cases_through_the_proxy(tmp_path: Path) -> None:
    """Over TCP without TLS, which the judge's client does not speak with certificates of our own."""
    make_certificate(tmp_path)
    plain = free_port()
    async with echoing() as server, nginx(tmp_path, server.url, free_port(), plain):
        results = await kosoku.run_fuzzingclient(
            f"ws://localhost:{plain}/v1/connect",
            ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"],
            concurrency=32,
        )
    assert len(results) == 247
