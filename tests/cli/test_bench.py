"""``hubbub bench``: the counts are right, and missing messages are noticed."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from hubbub.cli.load.client import LoadClient, Tally
from hubbub.cli.load.run import Load, LoadError, Plan, parse_address
from hubbub.server import Server
from hubbub.transports.websocket.frames import text_frame
from support.clients import SECRET
from support.command import call, run

Start: TypeAlias = Callable[..., Awaitable[Server]]

SMALL = Plan(connections=6, groups=2, posters=2, size=100, duration=0.2, rate=0)


def guest(user: str) -> dict[str, str]:
    return {"guest": user}


def quiet(phase: str, done: float, total: float) -> None:
    """No progress bar."""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--workers", "1"), "--workers must be at least 2, not 1"),
        (("--workers", "x"), 'a number or "auto".'),
        (("--workers", "2", "--url", "http://127.0.0.1:1"), "leave out --url"),
    ],
)
def test_what_cannot_be_compared_is_refused(arguments: tuple[str, ...], says: str) -> None:
    ran = call("bench", *arguments)
    assert ran.code == 2
    assert says in ran.err


async def test_compares_one_worker_with_several(tmp_path: Path) -> None:
    arguments = "bench --workers 2 --connections 6 --groups 2 --posters 3 --duration 1s --rate 100 --json"
    ran = await run(*arguments.split(), cwd=tmp_path)
    assert (ran.code, ran.err) == (0, "")
    report = json.loads(ran.out)
    assert report["1"]["connections"] == report["2"]["connections"] == 6
    assert "2 workers delivered" in report["advice"]


async def test_starts_a_server_loads_it_and_reports(tmp_path: Path) -> None:
    arguments = "bench --connections 6 --groups 2 --posters 3 --duration 1s --rate 100 --json"
    ran = await run(*arguments.split(), cwd=tmp_path, env={"HUBBUB_PORT": "1", "HUBBUB_RATE_LIMIT": "1"})
    assert (ran.code, ran.err) == (0, "")
    report = json.loads(ran.out)
    assert report["connections"] == 6
    assert 10 <= report["posts"] <= 100
    assert report["deliveries"] == 3 * report["posts"]
    assert (report["missing"], report["out_of_order"], report["errors"]) == (0, 0, {})
    assert sys.platform != "linux" or report["server_cpu"] >= 0
    assert 0 < report["latency_p50"] <= report["latency_p90"] <= report["latency_p99"] < 10


async def test_loads_a_server_that_runs_with_tokens_and_shows_a_table(secured: Server, tmp_path: Path) -> None:
    arguments = f"bench --url {secured.url} --connections 4 --groups 1 --duration 1s --rate 50"
    ran = await run(*arguments.split(), cwd=tmp_path, env={"HUBBUB_SECRET": SECRET})
    assert (ran.code, ran.err) == (0, "")
    rows = dict(line.split(maxsplit=1) for line in ran.out.splitlines())
    assert rows["connections"].startswith("4 ")
    assert rows["missing"].strip() == rows["errors"].strip() == "0"

    refused = await run(*arguments.split(), cwd=tmp_path)
    assert (refused.code, refused.out) == (1, "")
    text = "FORBIDDEN: This server does not accept guests: connect with a token."
    assert refused.err == f"hubbub: no connection could be opened: {text}\n"


async def test_posters_go_on_by_themselves_without_a_rate(start: Start) -> None:
    server = await start(rate_limit=0)
    report = await Load(server.url, SMALL, guest, quiet).run()
    assert report.passed
    assert report.posts > 10
    assert report.deliveries == 3 * report.posts


async def test_what_the_server_refuses_is_counted(start: Start) -> None:
    server = await start(rate_limit=1, rate_burst=4, max_connections=5)
    report = await Load(server.url, SMALL, guest, quiet).run()
    assert not report.passed
    assert report.errors["the server answered 503 Service Unavailable"] == 1
    assert report.errors["RATE_LIMITED"] > 0
    assert report.missing == report.out_of_order == 0


class Wire(asyncio.Transport):
    """Takes what a client writes."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self.written += data

    def abort(self) -> None:
        pass

    def close(self) -> None:
        pass


def listener(tally: Tally) -> tuple[LoadClient, Wire]:
    """Return a client that is connected and joined, and its transport."""
    client, wire = LoadClient("alice", "g", tally, lambda client: None), Wire()
    client.connection_made(wire)
    client._upgraded = True
    return client, wire


def message(seq: int, text: str = "") -> bytes:
    event = {"type": "message", "message": {"t": 0.0, "p": text}, "sender": "a", "sender_cid": "", "sender_rid": "g"}
    return text_frame(json.dumps({**event, "code": None, "seq": seq}).encode())


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 100_000])
def test_frames_are_read_from_pieces_of_any_size(size: int) -> None:
    tally = Tally()
    client, wire = listener(tally)
    stream = message(1) + message(2, "x" * 200) + b"\x89\x02hi" + message(3, "x" * 70_000) + message(4)
    for start in range(0, len(stream), size):
        client.data_received(stream[start : start + size])
    assert (tally.deliveries, tally.out_of_order) == (4, 0)
    assert wire.written == b"\x8a\x82\x00\x00\x00\x00hi"


@pytest.mark.parametrize(
    ("seqs", "wrong"), [([5, 6, 7], 0), ([1, 3], 1), ([1, 1, 2], 1), ([2, 1], 1), ([1, 3, 2, 4], 3)]
)
def test_gaps_and_duplicates_are_counted(seqs: list[int], wrong: int) -> None:
    tally = Tally()
    client, _ = listener(tally)
    client.data_received(b"".join(map(message, seqs)))
    assert tally.out_of_order == wrong


@pytest.mark.parametrize(
    ("url", "host", "port", "tls"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1", 8000, False),
        ("https://chat.example.com/", "chat.example.com", 443, True),
        ("ws://[::1]", "::1", 80, False),
    ],
)
def test_addresses(url: str, host: str, port: int, tls: bool) -> None:
    assert parse_address(url)[:3] == (host, port, tls)


@pytest.mark.parametrize("url", ["", "chat.example.com", "ftp://a", "http://", "http://a:b", "http://[::1"])
def test_invalid_addresses(url: str) -> None:
    with pytest.raises(LoadError, match="is not an address"):
        parse_address(url)
