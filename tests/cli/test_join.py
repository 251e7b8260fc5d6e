"""``hubbub join`` between pipes: lines in, events out, until input ends, a signal comes or the server ends it."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from hubbub.server import Server
from hubbub.settings import Settings
from support.clients import Peer, server_bearer, token
from support.command import Ran, call, run, spawn
from support.waiting import PATIENCE

Peers: TypeAlias = Callable[..., Awaitable[Peer]]
Start: TypeAlias = Callable[..., Awaitable[Server]]


class Follower:
    """A running ``hubbub join``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self.process = process
        self._out = process.stdout
        self._err = process.stderr

    def type(self, lines: bytes) -> None:
        """Write to its input."""
        assert self.process.stdin is not None
        self.process.stdin.write(lines)

    async def says(self) -> str:
        """Return the next line of output."""
        return await self._line(self._out)

    async def remarks(self) -> str:
        """Return the next line on stderr."""
        return await self._line(self._err)

    async def _line(self, stream: asyncio.StreamReader) -> str:
        async with asyncio.timeout(PATIENCE):
            return (await stream.readline()).decode().removesuffix("\n")

    async def ended(self, number: int | None = None) -> Ran:
        """Send a signal, or end the input, and wait for the end; the output is what has not been read."""
        if number is not None:
            self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE):
            out, err = await self.process.communicate(b"" if self.process.stdin else None)
        assert self.process.returncode is not None
        return Ran(self.process.returncode, out.decode(), err.decode())


@asynccontextmanager
async def following(*arguments: str, cwd: Path, **options: Any) -> AsyncIterator[Follower]:
    """Run ``hubbub join HelloWorld ARGUMENTS`` until the block ends."""
    process = await spawn("join", "HelloWorld", *arguments, cwd=cwd, **options)
    try:
        yield Follower(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def came(peer: Peer, user: str = "alice") -> bool:
    """Wait until `user` has come to the group of `peer`."""
    event = await peer.event()
    return (event["code"], event["sender"]) == ("USER_JOINED", user)


async def test_lines_are_posted_shown_and_then_it_leaves(server: Server, peers: Peers, tmp_path: Path) -> None:
    bob = await peers(server, guest="bob", group="HelloWorld")
    ran = await run(
        "join", "HelloWorld", "--as", "alice", cwd=tmp_path, env={"HUBBUB_URL": server.url}, stdin="one\r\n\n  \ntwü"
    )
    assert ran == (0, "alice: one\nalice: twü\n", 'You are alice in "HelloWorld", with bob.\n')
    events = [await bob.event() for _ in range(4)]
    assert [event.get("code") for event in events] == ["USER_JOINED", None, None, "USER_LEFT"]
    assert [event["message"] for event in events[1:3]] == [{"msg": "one"}, {"msg": "twü"}]


async def test_more_lines_than_the_server_takes_at_once_all_arrive(start: Start, peers: Peers, tmp_path: Path) -> None:
    server = await start(rate_limit=40, rate_burst=5)
    bob = await peers(server, guest="bob", group="HelloWorld")
    said = [f"line {number}" for number in range(20)]
    ran = await run("join", "HelloWorld", "--as", "alice", "--url", server.url, cwd=tmp_path, stdin="\n".join(said))
    assert ran.code == 0
    assert ran.out.splitlines() == [f"alice: {line}" for line in said]
    assert await came(bob)
    assert [(await bob.event())["message"]["msg"] for _ in said] == said


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
async def test_following_without_input_until_a_signal(
    number: int, code: int, server: Server, peers: Peers, tmp_path: Path
) -> None:
    bob = await peers(server, guest="bob", group="HelloWorld")
    arguments = ["--follow", "--as", "alice", "--url", server.url]
    async with following(*arguments, cwd=tmp_path, stdin=asyncio.subprocess.DEVNULL) as alice:
        assert await came(bob)
        await bob.do("post", to="HelloWorld", message="still\nthere?")
        assert await alice.says() == "bob: still"
        assert await alice.says() == "    there?"
        await bob.do("leave")
        assert await alice.says() == "* bob left"
        await bob.do("join", group="HelloWorld")
        assert await alice.says() == "* bob joined"
        assert await alice.ended(number) == (code, "", 'You are alice in "HelloWorld", with bob.\n')
    assert (await bob.event())["message"] == "still\nthere?"
    assert (await bob.event())["code"] == "USER_LEFT"


async def test_events_as_json(server: Server, peers: Peers, tmp_path: Path) -> None:
    bob = await peers(server, guest="bob", group="HelloWorld")
    async with following("--json", "--as", "alice", "--url", server.url, cwd=tmp_path) as alice:
        assert await came(bob)
        for message in ({"x": [1.5, "\x1b\x9b\n"]}, None, "", 10**30, "ü"):
            await bob.do("post", to="HelloWorld", message=message)
            line = await alice.says()
            assert line.isprintable()
            assert json.loads(line) == await bob.event()
            assert json.loads(line)["message"] == message
        await bob.do("post", to={"user_id": "alice"}, message=1)
        assert json.loads(await alice.says())["type"] == "private"
        alice.type(b' {"a": "\\u00fc"} \n"b"\n')
        for expected in ({"a": "ü"}, "b"):
            assert (await bob.event())["message"] == expected
            assert json.loads(await alice.says())["message"] == expected
        ran = await alice.ended()
    assert (ran.code, ran.err) == (0, 'You are alice in "HelloWorld". Each event is printed as a line of JSON.\n')
    assert json.loads(ran.out)["type"] == "close"


async def test_a_line_that_cannot_be_posted_does_not_stop_the_others(server: Server, tmp_path: Path) -> None:
    lines = '1\n{x\n"' + "y" * 70_000 + '"\n2\n'
    ran = await run("join", "g", "--json", "--as", "alice", "--url", server.url, cwd=tmp_path, stdin=lines)
    assert ran.code == 1
    assert [json.loads(line).get("message") for line in ran.out.splitlines()][:2] == [1, 2]
    _, first, second = ran.err.splitlines()
    assert first.startswith("the message is not JSON: ")
    assert second.startswith('"message" has 70002 bytes')


async def test_what_peers_write_cannot_reach_the_terminal(secured: Server, peers: Peers, tmp_path: Path) -> None:
    evil = "\x1b]0;x\x07\x9b31m\r\u202e[red]:smile:"
    bob = await peers(secured, token=token(evil), group="HelloWorld")
    options = {"HUBBUB_URL": secured.url, "HUBBUB_TOKEN": token(), "FORCE_COLOR": "1"}
    for arguments in ([], ["--json"]):
        async with following(*arguments, cwd=tmp_path, env=options) as alice:
            assert await came(bob)
            for message in (evil, {"msg": evil}, {evil: evil}, [evil]):
                await bob.do("post", to="HelloWorld", message=message)
                await bob.do("post", to={"user_id": "alice"}, message=message)
            await bob.do("leave")
            said = [await alice.says() for _ in range(9)]
            await bob.do("join", group="HelloWorld")
            ran = await alice.ended()
            assert (await bob.event())["type"] == "message"
            bob.events.clear()
            while (await bob.event()).get("code") != "USER_LEFT":
                pass
        coloured = re.sub("\x1b\\[[0-9;]*m", "", "\n".join(said) + ran.out + ran.err)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", coloured)
        assert "[red]:smile:" in coloured


async def test_it_comes_back_when_the_server_does(peers: Peers, tmp_path: Path) -> None:
    async with Server(Settings(port=0)) as first:
        url = first.url
        bob = await peers(first, guest="bob", group="HelloWorld")
        process = following("--as", "alice", "--url", url, cwd=tmp_path)
        alice = await process.__aenter__()
        assert await came(bob)
        assert await alice.remarks() == 'You are alice in "HelloWorld", with bob.'
    try:
        assert (await alice.remarks()).startswith("Connection lost (100")
        async with Server(Settings(port=int(url.rpartition(":")[2]))) as second:
            bob = await peers(second, guest="bob", group="HelloWorld")
            for kind in ("Private messages", "Messages"):  # nothing was said, but who knows?
                assert await alice.remarks() == f"{kind} may be missing here: the server restarted or lost its history."
            assert await alice.remarks() == "Reconnected."
            alice.type(b"hello again\n")
            while (await bob.event())["message"] != {"msg": "hello again"}:
                pass
            assert (await alice.ended()).code == 0
    finally:
        await process.__aexit__(None, None, None)


async def test_a_group_that_takes_it_back_no_more(peers: Peers, tmp_path: Path) -> None:
    async with Server(Settings(port=0)) as first:
        bob = await peers(first, guest="bob", group="HelloWorld")
        port = int(first.url.rpartition(":")[2])
        process = following("--as", "alice", "--url", first.url, cwd=tmp_path)
        alice = await process.__aenter__()
        assert await came(bob)
    try:
        async with Server(Settings(port=port, max_group_name=5)):
            async with asyncio.timeout(PATIENCE):
                assert await alice.process.wait() == 1
            *_, last = (await alice.ended()).err.splitlines()
            assert last.startswith('hubbub: "group" must be 1 to 5 characters')
    finally:
        await process.__aexit__(None, None, None)


async def test_the_server_may_end_it(secured: Server, peers: Peers, browse: Callable[..., Any], tmp_path: Path) -> None:
    bob = await peers(secured, token=token("bob"), group="HelloWorld")
    for arguments in ([], ["--json"], ["--follow"]):
        env = {"HUBBUB_URL": secured.url, "HUBBUB_TOKEN": token()}
        async with following(*arguments, cwd=tmp_path, env=env) as alice:
            assert await came(bob)
            await browse(secured, headers=server_bearer()).delete("/v1/users/alice")
            async with asyncio.timeout(PATIENCE):
                assert await alice.process.wait() == 1
            *_, last = (await alice.ended()).err.splitlines()
            assert last == "hubbub: The server closed the connection (4003: disconnected by the server)."
        assert (await bob.event())["code"] == "USER_DISCONNECTED"


async def test_a_reader_that_has_seen_enough(server: Server, peers: Peers, tmp_path: Path) -> None:
    bob = await peers(server, guest="bob", group="HelloWorld")
    for arguments in ([], ["--json"]):
        async with following(*arguments, "--as", "alice", "--url", server.url, cwd=tmp_path) as alice:
            assert await came(bob)
            await bob.do("post", to="HelloWorld", message="x")
            assert "x" in await alice.says()
            alice._out._transport.close()  # type: ignore[attr-defined]  # as "| head -1" does
            await bob.do("post", to="HelloWorld", message="y")
            async with asyncio.timeout(PATIENCE):
                assert await alice.process.wait() == 1
            assert "Traceback" not in (await alice.ended()).err
        while (await bob.event()).get("code") != "USER_LEFT":
            pass


@pytest.mark.parametrize(("arguments", "message"), [([""], "GROUP must be the name"), ([], "GROUP"), (["a", "b"], "b")])
def test_a_wrong_command_line(arguments: list[str], message: str, empty: Path) -> None:
    ran = call("join", *arguments)
    assert (ran.code, ran.out) == (2, "")
    (line,) = ran.err.splitlines()
    assert message in line
