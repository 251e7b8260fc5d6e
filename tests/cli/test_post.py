"""``hubbub post``: what arrives, what the others see of it, and what is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from hubbub.cli.post import parse_message
from hubbub.server import Server
from support.clients import Peer, token
from support.command import ask, call, run

Peers: TypeAlias = Callable[..., Awaitable[Peer]]
Start: TypeAlias = Callable[..., Awaitable[Server]]


async def test_to_a_group_by_way_of_joining_it(server: Server, peers: Peers, tmp_path: Path) -> None:
    bob = await peers(server, guest="bob", group="HelloWorld")
    ran = await run("post", "HelloWorld", "Hello!", "--as", "alice", cwd=tmp_path, env={"HUBBUB_URL": server.url})
    assert ran == (0, "Sent to 1 connection.\n", "")
    events = [await bob.event() for _ in range(3)]
    assert [event["sender"] for event in events] == ["alice"] * 3
    assert [event.get("code") for event in events] == ["USER_JOINED", None, "USER_LEFT"]
    assert events[1]["message"] == {"msg": "Hello!"}


async def test_to_a_user_on_every_connection(server: Server, peers: Peers, empty: Path) -> None:
    bobs = [await peers(server, guest="bob"), await peers(server, guest="bob", group="elsewhere")]
    ran = await ask("post", "--user", "bob", "psst", "--as", "alice", "--url", server.url)
    assert ran == (0, "Sent to 2 connections.\n", "")
    for bob in bobs:
        event = await bob.event()
        assert (event["type"], event["sender"], event["message"]) == ("private", "alice", {"msg": "psst"})
    assert bobs[1].events == bobs[0].events


async def test_with_a_server_token_from_outside(secured: Server, peers: Peers, empty: Path) -> None:
    bob = await peers(secured, token=token("bob"), group="a/b?ü")
    access = ["--url", secured.url + "/", "--token", token("backend", role="server")]
    assert await ask("post", "a/b?ü", "-5", *access) == (0, "Sent to 1 connection.\n", "")
    event = await bob.event()
    assert (event["type"], event["sender"], event["sender_cid"]) == ("message", "backend", None)
    assert event["message"] == {"msg": "-5"}
    ran = await ask("post", "bob", "--json", "[1.50, null]", "--user", *access)
    assert json.loads(ran.out) == {"type": "success", "message": "Message sent.", "recipients": 1}
    event = await bob.event()
    assert (event["type"], event["message"]) == ("private", [1.5, None])
    assert await bob.quiet()  # nobody came or went


async def test_a_message_that_is_not_kept(secured: Server, server: Server, peers: Peers, empty: Path) -> None:
    backend = ["--url", secured.url, "--token", token("backend", role="server")]
    bobs = [await peers(secured, token=token("bob"), group="g"), await peers(server, guest="bob", group="g")]
    for bob, access in zip(bobs, (backend, ["--url", server.url]), strict=True):
        assert (await ask("post", "g", "lunch", "--no-keep", *access)).code == 0
        assert (await ask("post", "bob", "lunch", "--user", "--no-keep", *access)).code == 0
        events = [event for event in [await bob.event() for _ in range(2)] if event["type"] != "notice"]
        while len(events) < 2:
            events += [event for event in [await bob.event()] if event["type"] != "notice"]
        assert [(event["type"], event["seq"]) for event in events] == [("message", None), ("private", None)]


async def test_nobody_there_is_said(secured: Server, server: Server, empty: Path) -> None:
    nobody = (0, "Sent; no recipient is connected.\n", "")
    backend = ["--url", secured.url, "--token", token("backend", role="server")]
    for access in (backend, ["--url", server.url]):
        assert await ask("post", "HelloWorld", "hi", *access) == nobody
        assert await ask("post", "--user", "bob", "hi", *access) == nobody


async def test_from_standard_input(server: Server, peers: Peers, tmp_path: Path) -> None:
    bob = await peers(server, guest="bob")
    env = {"HUBBUB_URL": server.url}
    ran = await run("post", "--user", "bob", "-", cwd=tmp_path, env=env, stdin="two\nlines\n\n")
    assert ran.code == 0
    assert (await bob.event())["message"] == {"msg": "two\nlines\n"}
    ran = await run("post", "--user", "bob", "--json", "-", cwd=tmp_path, env=env, stdin='{"msg":\n"ü"}')
    assert ran.code == 0
    assert (await bob.event())["message"] == {"msg": "ü"}


@pytest.mark.parametrize(
    ("given", "as_json", "message"),
    [
        ("", False, {"msg": ""}),
        ("-", False, {"msg": "-"}),
        ("--x", False, {"msg": "--x"}),
        ("null", False, {"msg": "null"}),
        (b"x\r\n", False, {"msg": "x"}),
        (b"\xc3\xbc\n\n", False, {"msg": "ü\n"}),
        ("null", True, None),
        (" 0 ", True, 0),
        (b'"x\\n"\n', True, "x\n"),
    ],
)
def test_what_is_given_is_the_message(given: str | bytes, as_json: bool, message: Any) -> None:
    assert parse_message(given, as_json=as_json) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["g", "--json", "{x"], "hubbub: the message is not JSON: "),
        (["g", "--json", ""], "hubbub: the message is not JSON: "),
        (["g", "--json", "1" * 5000], "hubbub: the message is not JSON: "),
        (["g", "--json", "[" * 100_000], "hubbub: the message has too many levels of nested"),
        (["", "x"], "hubbub: TO must be the name of a group"),
        (["g"], "MESSAGE"),
        (["g", "two", "words"], "hubbub: "),
        (["g", "x", "--url", "ftp://x"], "hubbub: --url (HUBBUB_URL): "),
        (["g", "x", "--token", "x", "--as", "y"], "hubbub: --token and --as exclude each other"),
        (["g", "x", "--token", "s3cret\r\nX: y"], "hubbub: --token is not a token; "),
    ],
)
def test_a_wrong_command_line(arguments: list[str], message: str, empty: Path) -> None:
    ran = call("post", *arguments)
    assert (ran.code, ran.out) == (2, "")
    (line,) = ran.err.splitlines()
    assert message in line
    assert "s3cret" not in line


async def test_bytes_that_are_no_text_are_refused(server: Server, tmp_path: Path) -> None:
    for arguments in (["\udcff", "x"], ["x", "\udcff"], ["--user", "\udcff", "x"]):
        ran = await run("post", *arguments, "--url", server.url, cwd=tmp_path)
        assert (ran.code, ran.out) == (1, "")
        assert "not valid Unicode text" in ran.err
        assert len(ran.err.splitlines()) == 1
    with pytest.raises(Exception, match="not UTF-8"):
        parse_message(b"\xff", as_json=False)


@pytest.mark.parametrize("role", [None, "server"])
async def test_what_the_server_refuses(role: str | None, start: Start, empty: Path) -> None:
    server = await start(secret="x" * 32, max_message=1000)
    ours = {"secret": "x" * 32, "role": role}
    for arguments, message in [
        (["g", "x" * 1000], "at most 1000 are allowed."),
        (["g", "--json", "NaN"], '"message" is nan, which JSON cannot represent.'),
        (["g" * 300, "x"], "must be 1 to 256 characters"),
    ]:
        ran = await ask("post", *arguments, "--url", server.url, "--token", token(**ours))
        assert (ran.code, ran.out) == (1, "")
        assert message in ran.err
    for refused, why in [(token(**ours, ttl=-100), "expired"), (token(role=role), "signature")]:
        ran = await ask("post", "g", "x", "--url", server.url, "--token", refused)
        assert (ran.code, ran.out) == (1, "")
        assert why in ran.err
        assert refused[-8:] not in ran.err


@pytest.mark.parametrize("role", [None, "server"])
async def test_a_server_that_is_not_there(role: str | None, tmp_path: Path) -> None:
    arguments = ["--url", "http://127.0.0.1:1", "--token", token(role=role)]
    ran = await run("post", "g", "x", *arguments, cwd=tmp_path)
    assert (ran.code, ran.out) == (1, "")
    (line,) = ran.err.splitlines()
    assert line.startswith("hubbub: Cannot connect to ")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n[]",
        b"what?\r\n\r\n",
        b"",
    ],
)
@pytest.mark.parametrize("role", [None, "server"])
async def test_a_server_that_is_another(role: str | None, answer: bytes, tmp_path: Path) -> None:
    heads = []

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(reply, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        access = ["--url", f"http://127.0.0.1:{port}", "--token", token(role=role)]
        ran = await run("post", "g", "x", *access, cwd=tmp_path)
    assert (ran.code, ran.out) == (1, "")
    assert len(ran.err.splitlines()) == 1
    assert b"Authorization" not in b"".join(heads[1:])  # where a redirect leads to, the token is nobody's business
