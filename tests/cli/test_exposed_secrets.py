"""What shows secrets to other users: the process list, modes of files, logs and errors."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from cyclopts import Token

from hubbub.auth.authenticator import make_token
from hubbub.cli.exposed_secrets import warnings
from support.clients import SECRET
from support.command import call, run, serving
from support.store import Store
from support.workers import children

PASSWORD = "s3cret-pass"


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def arguments(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def test_tokens_are_made_with_the_file(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(empty / "hubbub.secret", SECRET + "\n")
    monkeypatch.setenv("HUBBUB_SECRET_FILE", "hubbub.secret")
    ran = call("token", "alice")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.split(".")[0] == make_token("alice", SECRET, ttl=60).split(".")[0]


def test_the_secret_of_hooks_in_the_process_list() -> None:
    (warning,) = warnings({"hooks_secret": Token(keyword="--hooks-secret", value="whsec_hidden", source="cli")})
    assert "HUBBUB_HOOKS_SECRET" in warning
    assert "hidden" not in warning
    assert not list(warnings({"hooks_secret": Token(keyword="x", value="whsec_hidden", source="env")}))


@pytest.mark.parametrize(
    ("arguments", "mode", "warning"),
    [
        (["--secret", SECRET], 0o600, "--secret is visible in the process list: use --secret-file, or HUBBUB_SECRET"),
        (["--secret-file", "s"], 0o644, "s can be read or written by every user of this machine, and it contains the"),
        (["--secret-file", "s"], 0o602, "s can be read or written by every user of this machine, and it contains the"),
        (["--secret-file", "s"], 0o640, ""),
        (
            ["--config", "toml"],
            0o604,
            "toml can be read or written by every user of this machine, and it contains secret",
        ),
        (["--config", "toml"], 0o600, ""),
    ],
)
def test_what_others_can_read_is_warned_of(arguments: list[str], mode: int, warning: str, empty: Path) -> None:
    write(empty / "s", SECRET, mode)
    write(empty / "toml", f'secret = "{SECRET}"', mode)
    ran = call("token", "alice", *arguments)
    assert (ran.code, len(ran.err.splitlines())) == (0, 1 if warning else 0)
    assert ran.err.startswith(f"hubbub: {warning}" if warning else "")
    assert SECRET not in ran.err


async def test_a_server_warns_as_well_and_shows_no_password(tmp_path: Path) -> None:
    backend = f"valkey://user:{PASSWORD}@127.0.0.1:1"  # nobody is there: it says so and ends
    ran = await run("serve", "--port", "0", "--secret", SECRET, "--backend", backend, cwd=tmp_path)
    assert ran.code == 2
    assert "WARNING hubbub.cli: --secret is visible in the process list" in ran.err
    assert "the password in --backend is visible in the process list: use HUBBUB_BACKEND" in ran.err
    for text in (SECRET, PASSWORD):
        assert text not in ran.out + ran.err


async def test_what_the_environment_says_is_not_warned_of(tmp_path: Path) -> None:
    env = {"HUBBUB_SECRET": SECRET, "HUBBUB_LOG_LEVEL": "warning"}
    async with serving(cwd=tmp_path, env=env) as server:
        assert "process" not in (await server.stop(signal.SIGTERM)).err


@pytest.mark.parametrize(
    "backend",
    [
        f"valkey://u:{PASSWORD}@",
        f"valkey://u:{PASSWORD}@host:port",
        f"valkey://u:{PASSWORD}@host:99999",
        f"redis+x://u:{PASSWORD}@h",
        f"valkey://u:{PASSWORD}@h/x/y?z",
        f"valkey://u:{PASSWORD}@[::1",
    ],
)
async def test_an_error_does_not_repeat_the_password(backend: str, tmp_path: Path) -> None:
    ran = await run("serve", "--port", "0", cwd=tmp_path, env={"HUBBUB_BACKEND": backend})
    assert ran.code != 0
    assert PASSWORD not in ran.out + ran.err


@pytest.mark.parametrize("command", ["serve", "token", "bench", "join"])
async def test_help_shows_nothing_that_is_set(command: str, tmp_path: Path) -> None:
    write(tmp_path / "hubbub.toml", f'secret = "{SECRET}"')
    env = {"HUBBUB_SECRET": SECRET, "HUBBUB_BACKEND": f"valkey://:{PASSWORD}@h", "HUBBUB_TOKEN": SECRET}
    ran = await run(command, "--help", cwd=tmp_path, env=env)
    assert ran.code == 0
    assert SECRET not in ran.out + ran.err
    assert PASSWORD not in ran.out + ran.err


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="no /proc here")
async def test_workers_do_not_have_it_in_their_arguments(tmp_path: Path) -> None:
    write(tmp_path / "s", SECRET)
    with Store() as store:
        env = {"HUBBUB_BACKEND": store.url()}
        async with serving("--secret", SECRET, "--workers", "2", cwd=tmp_path, env=env) as server:
            workers = children(server.process.pid)
            assert len(workers) == 2
            for pid in workers:
                assert SECRET.encode() not in arguments(pid)
            await server.stop(signal.SIGTERM)
