"""The private store as a real process; what its workers and their clients notice is tested in ``test_workers.py``."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.connection import RefusedError, open_connection
from hubbub.cli.process.private_store import LOG, PrivateStore, memory_limit
from hubbub.cli.process.store_binary import StoreBinary, find_store_binary
from hubbub.errors import SettingsError
from hubbub.settings import Settings
from support.waiting import PATIENCE, until
from support.workers import runs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="private stores are for Linux")

LIMIT = 64 * 1024 * 1024


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place where the folders of stores are made."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    return tmp_path


@pytest.fixture
def store() -> Iterator[PrivateStore]:
    with PrivateStore(find_store_binary(), LIMIT) as running:
        yield running


def path_of(store: PrivateStore) -> Path:
    """Return the socket."""
    return Path(unquote(urlsplit(store.url).path))


async def ask(store: PrivateStore, *command: str | int) -> object:
    """Run one command and return its reply."""
    connection = await open_connection(parse_address(store.url), lambda channel, payload: None)
    try:
        return await connection.call(*command)
    finally:
        connection.abort("done")


async def info(store: PrivateStore, name: str) -> str:
    """Return one entry of ``INFO``."""
    text = await ask(store, "INFO")
    assert isinstance(text, bytes)
    return next(line.split(":", 1)[1] for line in text.decode().splitlines() if line.startswith(f"{name}:"))


def answers(store: PrivateStore) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path_of(store)))
            client.sendall(b"PING\r\n")
            return client.recv(10) == b"+PONG\r\n"
    except OSError:
        return False


async def fill(store: PrivateStore) -> int:
    """Write megabytes until the store refuses one because it is full; return how many it has."""
    for written in range(100):
        try:
            await ask(store, "SET", f"key{written}", "x" * 1_000_000)
        except RefusedError as error:
            assert "OOM" in str(error)
            return written
    raise AssertionError("it is never full")


def supervise(store: PrivateStore) -> None:
    """Wait, as the workers' parent does, until the store has ended or is due, and supervise it once."""
    pauses = store.pauses()
    select.select(store.sentinels(), [], [], max(0.0, pauses[0]) if pauses else PATIENCE)
    store.supervise()


async def test_it_has_no_port_and_its_socket_is_private(store: PrivateStore) -> None:
    assert await info(store, "tcp_port") == "0"
    socket_path = path_of(store)
    assert socket_path.stat().st_mode & 0o077 == 0
    assert socket_path.parent.stat().st_mode & 0o777 == 0o700


async def test_when_it_is_full_it_refuses_and_keeps_everything(store: PrivateStore) -> None:
    assert await info(store, "maxmemory") == str(LIMIT)
    assert await fill(store) == await ask(store, "DBSIZE")
    assert not list(path_of(store).parent.glob("*.rdb"))


async def test_it_ends_with_the_block_and_leaves_nothing(place: Path) -> None:
    with PrivateStore(find_store_binary(), LIMIT) as store:
        pid = int(await info(store, "process_id"))
        (sentinel,) = store.sentinels()
        assert path_of(store).parent.parent == place
    assert not runs(pid)
    assert not os.listdir(place)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(sentinel)


async def test_when_it_is_killed_it_is_started_again_at_the_same_address(
    store: PrivateStore, caplog: pytest.LogCaptureFixture
) -> None:
    await ask(store, "SET", "key", "value")
    os.kill(int(await info(store, "process_id")), signal.SIGKILL)  # its socket stays in the folder
    supervise(store)
    assert until(lambda: answers(store)) < PATIENCE
    assert await ask(store, "GET", "key") is None
    assert "signal 9" in caplog.text


async def test_one_that_runs_is_left_alone(store: PrivateStore) -> None:
    before = await info(store, "run_id")
    store.supervise()
    assert store.pauses() == []
    assert await info(store, "run_id") == before


async def test_one_that_keeps_dying_is_started_with_growing_pauses(store: PrivateStore) -> None:
    pauses = []
    for _ in range(4):
        assert until(lambda: answers(store)) < PATIENCE
        os.kill(int(await info(store, "process_id")), signal.SIGKILL)
        select.select(store.sentinels(), [], [], PATIENCE)
        store.supervise()
        pauses.append(max(store.pauses(), default=0.0))
        while store.pauses():
            supervise(store)
    assert pauses[0] == 0  # at once
    assert 0 < pauses[1] <= 0.1 < pauses[2] <= 0.5 < pauses[3] <= 1


async def test_a_program_that_has_gone_is_tried_again(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    real = find_store_binary()
    link = place / "valkey-server"
    link.symlink_to(real.path)
    with PrivateStore(StoreBinary(str(link), real.version), LIMIT) as store:
        pid = int(await info(store, "process_id"))
        link.unlink()
        os.kill(pid, signal.SIGKILL)
        supervise(store)
        assert store.pauses()
        assert "cannot start" in caplog.text
        link.symlink_to(real.path)
        while store.pauses():
            supervise(store)
        assert until(lambda: answers(store)) < PATIENCE


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo first; echo '*** out of luck' >&2; exit 1", "out of luck"),
        ("exit 0", "printed nothing"),
        (None, "cannot start"),
    ],
)
def test_one_that_does_not_start_says_why(place: Path, script: str | None, why: str) -> None:
    program = place / "valkey-server"
    if script is not None:
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    with pytest.raises(SettingsError, match=why), PrivateStore(StoreBinary(str(program), "9.9"), LIMIT):
        pass
    assert [each for each in place.iterdir() if each != program] == []


def test_nothing_grows_beside_its_memory(store: PrivateStore) -> None:
    folder = path_of(store).parent
    assert {each.name for each in folder.iterdir()} == {"store.sock", LOG}


def test_it_ends_when_its_parent_is_killed(place: Path) -> None:
    script = (
        "from hubbub.cli.process import private_store, store_binary\n"
        f"with private_store.PrivateStore(store_binary.find_store_binary(), {LIMIT}) as store:\n"
        "    print(store.url, flush=True)\n"
        "    input()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        store = PrivateStore(find_store_binary(), LIMIT)
        store.url = parent.stdout.readline().decode().strip()
        pid = int(asyncio.run(info(store, "process_id")))
        parent.kill()
        parent.wait()
    assert until(lambda: not runs(pid)) < PATIENCE


def test_the_limit_of_its_memory_follows_the_settings() -> None:
    small, large = Settings(workers=2, history_total=0, feed_bytes=1, max_connections=1), Settings(workers=8)
    assert 64 << 20 <= memory_limit(small) < 65 << 20
    assert memory_limit(large) > 2 * (large.history_total + large.feed_bytes)
