"""``hubbub join`` in a terminal: what comes is shown around what is being typed, and the terminal is left as it was."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from hubbub.cli.terminal.line_commands import HELP
from hubbub.server import Server
from support.clients import Peer

if sys.platform == "win32":
    pytest.skip("there are no pseudo-terminals", allow_module_level=True)

from support.terminal import terminal, visible
from support.waiting import PATIENCE

Peers: TypeAlias = Callable[..., Awaitable[Peer]]


async def hears(peer: Peer, **expected: Any) -> bool:
    """Whether the next event is this, as far as it is told."""
    event = await peer.event()
    return {name: event.get(name) for name in expected} == expected


async def test_a_conversation(server: Server, peers: Peers, tmp_path: Path) -> None:
    bob = await peers(server, guest="bob", group="HelloWorld")
    async with terminal("join", "HelloWorld", "--as", "alice", "--url", server.url, cwd=tmp_path) as alice:
        assert await alice.shows('You are alice in "HelloWorld", with bob.', "> ")
        assert await hears(bob, code="USER_JOINED", sender="alice")

        alice.type("Hello, ev")
        assert await alice.shows("> Hello, ev")
        await bob.do("post", to="HelloWorld", message={"msg": "Hi \x1b[2Jthere"})
        await bob.do("post", to={"user_id": "alice"}, message=[1, {"a": None}])
        said = ["bob: Hi ␛[2Jthere", 'bob (only to you): [1, {"a": null}]']
        assert await alice.shows(*said, "> Hello, ev")
        assert await hears(bob, sender="bob")

        alice.type("erybody\r")
        assert await alice.shows(*said, "> Hello, everybody", "> ")
        assert await hears(bob, type="message", sender="alice", message={"msg": "Hello, everybody"})

        alice.type("\r\x1b[A\x7f\r")  # an empty line says nothing; then the line before, without its last letter
        assert await hears(bob, message={"msg": "Hello, everybod"})
        await bob.do("leave")
        assert await alice.shows("> Hello, everybod", "* bob left", "> ")
        await bob.do("join", group="HelloWorld")
        assert await alice.shows("* bob left", "* bob joined", "> ")

        alice.type("\x04")
        assert await alice.ended() == 0
        assert await hears(bob, code="USER_LEFT", sender="alice")
        assert alice.restored
        assert alice.lines[-1] == ""


async def test_lines_that_come_while_the_prompt_does(server: Server, peers: Peers, tmp_path: Path) -> None:
    bob = await peers(server, guest="bob", group="HelloWorld")
    async with terminal("join", "HelloWorld", "--as", "alice", "--url", server.url, cwd=tmp_path) as alice:
        assert await alice.shows("> ")
        for number in range(100):
            await bob.do("post", to="HelloWorld", message=number)
            await alice.changes()
            alice.type("\r")
        async with asyncio.timeout(PATIENCE):
            while not any("bob: 99" in line for line in alice.lines) or alice.lines[-1] != "> ":
                await alice.changes()
        said = [line for line in alice.lines[1:-1] if line not in {"> ", ""}]  # an empty one: Enter between two prompts
        assert said == [f"bob: {number}" for number in range(100)]


async def test_control_c_leaves_too(server: Server, peers: Peers, tmp_path: Path) -> None:
    bob = await peers(server, guest="bob", group="HelloWorld")
    async with terminal("join", "HelloWorld", "--as", "alice", "--url", server.url, cwd=tmp_path) as alice:
        assert await hears(bob, code="USER_JOINED", sender="alice")
        assert await alice.shows("> ")
        alice.type("Hel")
        assert await alice.shows("> Hel")
        alice.type("\x03")
        assert await alice.ended() == 130
        assert alice.restored
        assert alice.lines[-1] == ""
    assert await hears(bob, code="USER_LEFT", sender="alice")


@pytest.mark.parametrize("output", ["", ">out 2>&1"])
async def test_a_background_job_is_not_stopped_for_reading(
    output: str, server: Server, peers: Peers, tmp_path: Path
) -> None:
    """The system stops a background job that reads from its terminal (SIGTTIN), or sets its modes (SIGTTOU)."""
    bob = await peers(server, guest="bob", group="HelloWorld")
    arguments = ("join", "HelloWorld", "--as", "alice", "--url", server.url)
    script = f'exec <>"$0" >&0 2>&0; set -m; "$@" {output} & wait $!'
    async with terminal(*arguments, cwd=tmp_path, script=script) as shell:
        assert await hears(bob, code="USER_JOINED", sender="alice")
        assert await hears(bob, code="USER_LEFT", sender="alice")
        assert await shell.ended() == 0
        shown = (tmp_path / "out").read_text() if output else "\n".join(shell.lines)
    assert "This is a background job, so nothing is read from the terminal." in shown


async def test_what_cannot_be_posted_is_said(start: Callable[..., Awaitable[Server]], tmp_path: Path) -> None:
    server = await start(max_message=200)
    async with terminal("join", "HelloWorld", "--as", "alice", "--url", server.url, cwd=tmp_path) as alice:
        assert await alice.shows('You are alice in "HelloWorld", alone.', "> ")
        alice.type("x" * 300 + "\r")
        assert await alice.shows("> " + "x" * 300, '"message" has 310 bytes; at most 200 are allowed.', "> ")
        alice.type("\x04")
        assert await alice.ended() == 0  # it was seen


async def test_keys_that_are_no_text(server: Server, peers: Peers, tmp_path: Path) -> None:
    bob = await peers(server, guest="bob", group="HelloWorld")
    async with terminal("join", "HelloWorld", "--as", "alice", "--url", server.url, cwd=tmp_path) as alice:
        assert await alice.shows("> ")
        assert await hears(bob, code="USER_JOINED")
        alice.type("a\udcffb")
        assert await alice.shows("> a\ufffdb")
        await bob.do("post", to={"user_id": "alice"}, message="x")
        assert await alice.shows("bob (only to you): x", r"> a\udcffb")
        alice.type("\r")
        assert await hears(bob, message={"msg": "a\ufffdb"})
        assert await alice.shows("> ")
        alice.type("\x04")
        assert await alice.ended() == 0


def test_the_oracle_itself() -> None:
    assert visible("ab\r\n\x1b[31mc\x1b[0md\b\x1b[K\n") == ["ab", "c", ""]
    assert visible("> ab\r\x1b[Kx\r\n> ab") == ["x", "> ab"]
    with pytest.raises(AssertionError):
        visible("\x1b[2J")


async def test_lines_that_begin_with_a_slash(server: Server, peers: Peers, tmp_path: Path) -> None:
    bob = await peers(server, guest="bob", group="HelloWorld")
    async with terminal("join", "HelloWorld", "--as", "alice", "--url", server.url, cwd=tmp_path) as alice:
        assert await alice.shows('You are alice in "HelloWorld", with bob.', "> ")
        assert await hears(bob, code="USER_JOINED")
        alice.type("/nonsense\r//me\r")
        assert await hears(bob, type="message", message={"msg": "/me"})
        alice.type("/quit\r")
        assert await alice.ended() == 0
        assert await hears(bob, code="USER_LEFT")
        assert any('There is no command "/nonsense"' in line for line in alice.lines)


async def test_help_is_shown_and_not_posted(server: Server, tmp_path: Path) -> None:
    async with terminal("join", "HelloWorld", "--as", "alice", "--url", server.url, cwd=tmp_path) as alice:
        assert await alice.shows('You are alice in "HelloWorld", alone.', "> ")
        alice.type("/help\r")
        shown = [*HELP.splitlines(), "> "]
        assert await alice.shows("> /help", *shown)
        alice.type("/users\r")
        assert await alice.shows(*shown[:-1], "> /users", 'You are alice in "HelloWorld", alone.', "> ")
        alice.type("\x04")
        assert await alice.ended() == 0
