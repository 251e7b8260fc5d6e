"""``hubbub token``: what it prints is a token that a server takes, or one clear line."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest

from support.clients import SECRET
from support.command import call, run

ADA = "6f1ad5b4-1b5c-4c7a-9a35-0d6e3c0f9a01"
OTHER = "another secret, of 32 bytes or more too"


def claims(token: str, secret: str = SECRET, **options: Any) -> dict[str, Any]:
    return jwt.decode(token, secret, ["HS256"], **options)


async def test_prints_the_token_alone(tmp_path: Path) -> None:
    before = int(time.time())
    ran = await run("token", "alice", cwd=tmp_path, env={"HUBBUB_SECRET": SECRET})
    assert (ran.code, ran.err) == (0, "")
    token = ran.out.removesuffix("\n")
    assert token == "".join(ran.out.split())
    said = claims(token)
    assert set(said) == {"sub", "iat", "exp"}
    assert said["sub"] == "alice"
    assert 0 <= said["exp"] - before - 3600 <= 10


async def test_says_all_that_it_is_told_and_takes_the_nearest_secret(tmp_path: Path) -> None:
    (tmp_path / "hubbub.toml").write_text(f'secret = "{OTHER}"\nissuer = "file"\naudience = "file"\nport = 9000\n')
    (tmp_path / "hubbub.toml").chmod(0o600)
    arguments = "--ttl 7d --server --invisible --groups team-* --groups lobby --issuer flag"
    ran = await run("token", "x y", *arguments.split(), cwd=tmp_path, env={"HUBBUB_AUDIENCE": "environment"})
    assert (ran.code, ran.err) == (0, "")
    said = claims(ran.out.strip(), OTHER, audience="environment", issuer="flag")
    assert said["sub"] == "x y"
    assert said["role"] == "server"
    assert said["invisible"] is True
    assert said["groups"] == ["team-*", "lobby"]
    assert 0 <= said["exp"] - said["iat"] - 7 * 86_400 <= 1  # whole seconds, to the outside


def test_prints_what_the_skapi_client_logs_in_with(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBBUB_SECRET", SECRET)
    ran = call("token", ADA, "--skapi", "mock00000000-6abcd-11111111-1111-4111-8111-111111111111", "--name", "Ada")
    assert (ran.code, ran.err) == (0, "")
    tokens = json.loads(ran.out)
    assert list(tokens) == ["idToken", "accessToken", "refreshToken"]
    said = claims(tokens["idToken"])
    assert (said["sub"], said["name"], said["custom:service"]) == (ADA, "Ada", "ap21mock00000000abcd")
    assert said["exp"] - said["iat"] in {86_400, 86_401}  # the 2.0 client wants much more than an hour
    said = json.loads(call("token", ADA, "--skapi", "abcde", "--ttl", "2h").out)
    assert claims(said["accessToken"])["exp"] - claims(said["accessToken"])["iat"] in {7200, 7201}


def test_a_name_goes_into_any_token(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBBUB_SECRET", SECRET)
    assert claims(call("token", "alice", "--name", "Alice").out.strip())["name"] == "Alice"


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (
            ["alice"],
            {},
            "hubbub: signing a token needs the server's secret: set --secret-file (HUBBUB_SECRET_FILE) or",
        ),
        (["alice"], {"HUBBUB_SECRET": "short"}, "must be at least 32 bytes, not 5; make one with: openssl rand"),
        (["alice", "--ttl", "1x"], {"HUBBUB_SECRET": SECRET}, '--ttl: "1x" is not a duration; write it as 90s,'),
        ([""], {"HUBBUB_SECRET": SECRET}, "hubbub: USER must be a user id"),
        ([], {"HUBBUB_SECRET": SECRET}, "USER"),
        (["alice", "--skapi", "ap21mock00000000abcd"], {"HUBBUB_SECRET": SECRET}, "accepts only lower-case UUIDs"),
        ([ADA, "--skapi", "not-an-id"], {"HUBBUB_SECRET": SECRET}, "'not-an-id' is not a service id: use what"),
        ([ADA, "--skapi", "abcde", "--server"], {"HUBBUB_SECRET": SECRET}, "--skapi"),
    ],
)
def test_one_clear_line(
    arguments: list[str],
    environment: dict[str, str],
    message: str,
    empty: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ran = call("token", *arguments)
    assert (ran.code, ran.out) == (2, "")
    (line,) = ran.err.splitlines()
    assert message in line
    assert "short" not in line
