"""``hubbub token``: what it prints is a token that a server takes, or one clear line."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jwt
import pytest

from command import call, run
from helpers import SECRET

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
    arguments = "--ttl 7d --server --groups team-* --groups lobby --issuer flag"
    ran = await run("token", "x y", *arguments.split(), cwd=tmp_path, env={"HUBBUB_AUDIENCE": "environment"})
    assert (ran.code, ran.err) == (0, "")
    said = claims(ran.out.strip(), OTHER, audience="environment", issuer="flag")
    assert said["sub"] == "x y"
    assert said["role"] == "server"
    assert said["groups"] == ["team-*", "lobby"]
    assert 0 <= said["exp"] - said["iat"] - 7 * 86_400 <= 1  # whole seconds, to the outside


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["alice"], {}, "hubbub: a token needs the server's secret: set HUBBUB_SECRET, --secret or"),
        (["alice"], {"HUBBUB_SECRET": "short"}, "must be at least 32 bytes, not 5; make one with: openssl rand"),
        (["alice", "--ttl", "1x"], {"HUBBUB_SECRET": SECRET}, '--ttl: "1x" is not a span of time; write it as 90s,'),
        ([""], {"HUBBUB_SECRET": SECRET}, "hubbub: a token needs a user id"),
        ([], {"HUBBUB_SECRET": SECRET}, "USER"),
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
