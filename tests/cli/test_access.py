"""Where the server is and who we are: flags win over the environment, and no token is ever shown."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from hubbub.cli.access import Access, login_name
from hubbub.errors import SettingsError
from hubbub.server import Server
from support.clients import token
from support.command import ask, run

KEY = "a key of 16 characters or more"


@pytest.mark.parametrize(
    ("access", "environment", "expected"),
    [
        (Access(token=token("a")), token("b"), {"token": token("a")}),
        (Access(guest="a"), token("b"), {"guest": "a", "guest_key": KEY}),
        (Access(), f" {token('b')}\n", {"token": token("b")}),
        (Access(), "", {"guest": "login", "guest_key": KEY}),
        (Access(), None, {"guest": "login", "guest_key": KEY}),
        (Access(guest=""), token("b"), {"guest": "", "guest_key": KEY}),  # for the server to refuse
        (Access(guest="a", guest_key="k" * 16), None, {"guest": "a", "guest_key": "k" * 16}),
    ],
)
def test_the_nearest_source_wins(
    access: Access, environment: str | None, expected: dict[str, str], empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "login")
    monkeypatch.setenv("HUBBUB_GUEST_KEY", KEY)
    if environment is not None:
        monkeypatch.setenv("HUBBUB_TOKEN", environment)
    assert access.credentials() == expected


@pytest.mark.parametrize("error", [OSError, KeyError, ImportError])  # by Python and system
def test_nobody_may_be_logged_in(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", fail)
    assert login_name() == "guest"


@pytest.mark.parametrize("broken", ["", "s3cret", "s3cret.a", "s3cret.a.b.c", "s3cret.a.b\nX: y", "s3cret.ü.b"])
def test_what_is_no_token_is_not_sent_nor_shown(broken: str, empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"^--token is not a token") as by_flag:
        Access(token=broken).credentials()
    assert "s3cret" not in str(by_flag.value) + repr(Access(token=broken))
    if broken:
        monkeypatch.setenv("HUBBUB_TOKEN", broken)
        with pytest.raises(SettingsError, match=r"^HUBBUB_TOKEN is not a token") as by_environment:
            Access().credentials()
        assert "s3cret" not in str(by_environment.value)


@pytest.mark.parametrize(
    ("claims", "is_server"),
    [({"role": "server"}, True), ({"role": "server", "ttl": -100}, True), ({}, False), ({"role": "SERVER"}, False)],
)
def test_server_tokens_are_told_apart(claims: dict[str, object], is_server: bool) -> None:
    made = token(**claims)  # type: ignore[arg-type]
    assert Access(token=made).server_token() == (made if is_server else None)


@pytest.mark.parametrize(
    "access", [Access(token="a.b.c"), Access(token="e30.W10.x"), Access(token="e30._w.x"), Access(guest="a")]
)
def test_what_is_none_is_no_server_token(access: Access) -> None:
    assert access.server_token() is None


async def test_the_environment_says_where_and_who(secured: Server, tmp_path: Path) -> None:
    env = {"HUBBUB_URL": secured.url, "HUBBUB_TOKEN": token(groups=["a*"])}
    ran = await run("users", "beta", cwd=tmp_path, env=env)
    assert ran == (1, "", 'hubbub: Your rights ("groups") do not allow the group "beta".\n')
    ran = await run("users", "alpha", cwd=tmp_path, env=env)
    assert ran == (0, "", "hubbub: the group has no members\n")
    ran = await run("users", "alpha", "--as", "alice", cwd=tmp_path, env=env)
    assert ran == (1, "", "hubbub: This server does not accept guests: connect with a token.\n")


async def test_guests_come_under_their_own_name(server: Server, empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "a" * 300)  # what getpass asks first
    ran = await ask("groups", "--url", server.url)
    assert ran.code == 1
    assert '"guest" must have 1 to 256 characters' in ran.err
    assert (await ask("groups", "--url", server.url, "--guest", "alice")).code == 0


async def test_a_server_that_answers_is_not_said_to_be_absent(tmp_path: Path) -> None:
    async def answer(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send('{"id":1,"error":{"code":"UNAVAILABLE","message":"The store does not answer. Try again."}}')
        await socket.wait_closed()

    async with serve(answer, "127.0.0.1", 0, subprotocols=[Subprotocol("hubbub.v1")]) as running:
        url = f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}"
        ran = await run("groups", "--url", url, cwd=tmp_path)
    assert ran == (1, "", "hubbub: The store does not answer. Try again.\n")


async def test_a_server_that_is_not_there_is_not_waited_for(tmp_path: Path) -> None:
    for command in (["groups"], ["users", "g"], ["join", "g"]):
        ran = await run(*command, "--url", "http://127.0.0.1:1", cwd=tmp_path)
        assert (ran.code, ran.out) == (1, "")
        assert ran.err.startswith("hubbub: Cannot connect to ws://127.0.0.1:1/v1/connect: ")
        assert ran.err.endswith('Is a server running? "hubbub serve" starts one.\n')
        assert len(ran.err.splitlines()) == 1
