"""``hubbub groups`` and ``hubbub users`` against a real server: the right rows, all of them, and harmless."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from hubbub.server import Server
from support.clients import Peer, token
from support.command import Ran, ask, call, run

Peers: TypeAlias = Callable[..., Awaitable[Peer]]
Start: TypeAlias = Callable[..., Awaitable[Server]]

SIZES = {"Hello": 1, "HelloWorld": 2, "a": 3, "-5": 1}


async def fill(peers: Peers, server: Server, sizes: dict[str, int] = SIZES, **options: object) -> None:
    for group, users in sizes.items():
        for number in range(users):
            await peers(server, guest=f"user-{number}", group=group, **options)


def names(ran: Ran) -> list[str]:
    assert ran.code == 0, ran.err
    return [json.loads(line).get("group") or json.loads(line)["user_id"] for line in ran.out.splitlines()]


async def test_a_table_of_groups(server: Server, peers: Peers, tmp_path: Path) -> None:
    await fill(peers, server, {"HelloWorld": 2, "x" * 200: 1})
    await peers(server, guest="user-0", group="HelloWorld")
    ran = await run("groups", cwd=tmp_path, env={"HUBBUB_URL": server.url})
    assert (ran.code, ran.err) == (0, "")
    assert [line.split() for line in ran.out.splitlines()] == [
        ["group", "users", "connections"],
        ["HelloWorld", "2", "3"],
        ["x" * 200, "1", "1"],  # on one line, however narrow a terminal would be: this is none
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["-5", "Hello", "HelloWorld", "a"]),
        (["--descending"], ["a", "HelloWorld", "Hello", "-5"]),
        (["--value", "Hello"], ["Hello"]),
        (["--value", "-5"], ["-5"]),
        (["--value", "Hello", "--condition", ">="], ["Hello", "HelloWorld"]),
        (["--value", "Hello", "--condition", "ne"], ["-5", "HelloWorld", "a"]),
        (["--value", "H", "--range", "HelloA"], ["Hello"]),
        (["--search-for", "number_of_users"], ["-5", "Hello", "HelloWorld", "a"]),
        (["--search-for", "number_of_users", "--descending", "--all"], ["a", "HelloWorld", "Hello", "-5"]),
        (["--search-for", "number_of_users", "--value", "1", "--condition=>"], ["HelloWorld", "a"]),
        (["--search-for", "number_of_users", "--value", "1.5", "--range", "2e0"], ["HelloWorld"]),
        (["--search-for", "number_of_users", "--value", "-5", "--condition", "<"], []),
    ],
)
async def test_searching(arguments: list[str], expected: list[str], server: Server, peers: Peers, empty: Path) -> None:
    await fill(peers, server)
    ran = await ask("groups", "--json", "--url", server.url, *arguments)
    assert names(ran) == expected
    assert ran.err == ""


async def test_users_one_row_for_each_connection(server: Server, peers: Peers, tmp_path: Path) -> None:
    alice = [await peers(server, guest="alice", group="HelloWorld") for _ in range(2)]
    bob = await peers(server, guest="bob", group="HelloWorld")
    rows = sorted((peer.welcome["user_id"], peer.welcome["connection_id"]) for peer in [*alice, bob])
    env = {"HUBBUB_URL": server.url}
    ran = await run("users", "HelloWorld", cwd=tmp_path, env=env)
    assert (ran.code, ran.err) == (0, "")
    assert [tuple(line.split()) for line in ran.out.splitlines()] == [("user", "connection"), *rows]
    ran = await run("users", "HelloWorld", "--user-id", "alice", "--descending", "--json", cwd=tmp_path, env=env)
    assert [json.loads(line) for line in ran.out.splitlines()] == [
        {"user_id": user, "connection_id": connection} for user, connection in reversed(rows[:2])
    ]


async def test_nothing_is_no_failure(server: Server, empty: Path) -> None:
    assert await ask("groups", "--url", server.url) == (0, "", "hubbub: no groups\n")
    assert await ask("users", "HelloWorld", "--url", server.url) == (0, "", "hubbub: the group has no members\n")
    assert await ask("users", "HelloWorld", "--json", "--url", server.url) == (0, "", "")


async def test_as_many_as_wanted_in_pages_as_small_as_the_server_likes(
    start: Start, peers: Peers, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await start(max_page=2, rate_limit=50, rate_burst=4)  # the pages need patience, too
    expected = [f"user-{number}" for number in range(9)]
    await fill(peers, server, {"g": 9})
    monkeypatch.setenv("HUBBUB_URL", server.url)
    for limit in (1, 2, 3, 8):
        ran = await ask("users", "g", "--json", "--limit", str(limit))
        assert names(ran) == expected[:limit]
        assert "there are more" in ran.err
    for enough in (["--limit", "9"], ["--limit", "10"], ["--all"], []):
        ran = await ask("users", "g", "--json", *enough)
        assert (names(ran), ran.err) == (expected, "")


async def test_pages_that_hide_everything_are_passed_over(
    secured: Server, peers: Peers, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubbub.groups.directory.MOST_HIDDEN", 2)
    for number in range(9):
        await peers(secured, token=token(f"user-{number}"), group=f"{number}")
    for arguments in ([], ["--all"], ["--limit", "2"]):
        ran = await ask("groups", "--json", *arguments, "--url", secured.url, "--token", token(groups=["[48]"]))
        assert names(ran) == ["4", "8"]


async def test_what_peers_write_cannot_reach_the_terminal(secured: Server, peers: Peers, empty: Path) -> None:
    evil = "a\x1b]0;x\x07\x9b31m\r\n\u202eb"
    await peers(secured, token=token(evil), group=evil)
    for arguments in (["groups"], ["groups", "--json"], ["users", evil], ["users", evil, "--json"]):
        ran = await ask(*arguments, "--url", secured.url, "--token", token())
        assert ran.code == 0
        assert len(ran.out.splitlines()) == (1 if "--json" in arguments else 2)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", ran.out)
        if "--json" in arguments:
            assert names(ran) == [evil]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["groups", "--limit", "5", "--all"], 2, "hubbub: --limit and --all exclude each other"),
        (["groups", "--limit", "0"], 2, "Must be >= 1"),
        (["groups", "--search-for", "number_of_users", "--value", "x"], 2, "--value must be a number"),
        (["groups", "--search-for", "number_of_users", "--value", "nan"], 2, "--value must be a number"),
        (["groups", "--search-for", "number_of_users", "--value", "1", "--range", "x"], 2, "--range must be a number"),
        (["groups", "--condition", "!"], 2, 'Invalid value "!" for --condition'),
        (["groups", "--url", "127.0.0.1:8000"], 2, "hubbub: --url (HUBBUB_URL): "),
        (["users"], 2, "GROUP"),
    ],
)
def test_a_wrong_command_line(arguments: list[str], code: int, message: str, empty: Path) -> None:
    ran = call(*arguments)
    assert (ran.code, ran.out) == (code, "")
    (line,) = ran.err.splitlines()
    assert message in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["groups", "--condition", ">="], 'hubbub: "condition" needs a "value" to compare with.'),
        (
            ["groups", "--value", "a", "--range", "b", "--condition", "="],
            'hubbub: "range" and "condition" cannot be used together',
        ),
        (["users", "x" * 300], 'hubbub: "group" must be '),
    ],
)
async def test_what_the_server_refuses(arguments: list[str], message: str, server: Server, empty: Path) -> None:
    ran = await ask(*arguments, "--url", server.url)
    assert (ran.code, ran.out) == (1, "")
    (line,) = ran.err.splitlines()
    assert line.startswith(message)
