"""`Publisher` in threads, across forks, while servers are killed, and when it ends."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hubbub import CommandError, Publisher
from hubbub.server import Server
from support.clients import SECRET, Peer, token
from support.server_process import ServerProcess
from support.store import Store, free_port
from support.waiting import PATIENCE

from .conftest import app_token

Peers = Callable[..., Awaitable[Peer]]

POSTS, THREADS = 1000, 8


async def test_a_thousand_posts_while_the_server_is_killed_twice(
    store: Store, node: Server, peers: Peers, tmp_path: Path
) -> None:
    """Each is done once: another node's member counts them."""
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    port, done, failed = free_port(), Counter[int](), list[BaseException]()
    ada = await peers(node, token=token("ada"), group="g")

    def serve() -> ServerProcess:
        return ServerProcess("--backend", store.url(), "--secret-file", str(secret), port=port)

    def post(first: int) -> None:
        for number in range(first, POSTS, THREADS):
            try:
                done[number] = publisher.post("g", number).recipients
            except BaseException as error:
                failed.append(error)

    def kill_twice() -> None:
        server = serve()
        try:
            for least in (POSTS // 4, POSTS // 2):
                while len(done) < least and not failed:
                    threading.Event().wait(0.005)
                server.signal(signal.SIGKILL)
                server.wait()
                server.stop()
                server = serve()
            for thread in threads:
                thread.result()
        finally:
            server.stop()

    with (
        Publisher(f"http://127.0.0.1:{port}", token=app_token(), timeout=30) as publisher,
        ThreadPoolExecutor() as pool,
    ):
        threads = [pool.submit(post, first) for first in range(THREADS)]
        await asyncio.to_thread(kill_twice)
    assert not failed
    assert done == dict.fromkeys(range(POSTS), 1)
    assert Counter([(await ada.event())["message"] for _ in range(POSTS)]) == Counter(range(POSTS))
    assert await ada.quiet()


FORKS = """
import os, sys, threading, warnings
import hubbub

url, secret = sys.argv[1:]
token = hubbub.make_token("server", secret=secret, server=True) if url.startswith("http") else None
publisher = hubbub.Publisher(url, token=token)
stop = threading.Event()

def keep_posting():
    while not stop.is_set():
        publisher.post("g", "thread")

threads = [threading.Thread(target=keep_posting) for _ in range(3)]
for thread in threads:
    thread.start()
publisher.post("g", "before")
children = []
for number in range(5):
    child = os.fork()
    if not child:
        sent = [publisher.post("g", "child").recipients for _ in range(20)]
        os._exit(0 if sent == [1] * 20 else 3)
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
for _ in range(20):
    publisher.post("g", "after")
stop.set()
for thread in threads:
    thread.join()
publisher.close()
print(codes)
"""


@pytest.mark.parametrize("way", ["http", "store"])
async def test_forks_while_other_threads_post(way: str, node: Server, store: Store, peers: Peers) -> None:
    ada = await peers(node, token=token("ada"), group="g")
    url = node.url if way == "http" else store.url()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FORKS, url, SECRET, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate()
    assert (out.decode(), err.decode()) == ("[0, 0, 0, 0, 0]\n", "")
    heard = Counter[str]()
    while not await ada.quiet() or ada.events:
        heard.update([(await ada.event())["message"]])
    assert (heard["before"], heard["child"], heard["after"]) == (1, 100, 20)


async def test_close_ends_calls_that_wait_and_the_thread() -> None:
    writers: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    publisher = Publisher(f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}", token="t")
    calls = [asyncio.create_task(asyncio.to_thread(publisher.post, "g", 1)) for _ in range(3)]
    await until(lambda: len(writers) == 3)
    await asyncio.to_thread(publisher.close)
    for call in calls:
        with pytest.raises(CommandError, match="closed"):
            await call
    with pytest.raises(CommandError, match="INVALID_REQUEST: This publisher is closed"):
        publisher.post("g", 1)
    assert "hubbub-publisher" not in thread_names()
    silent.close()
    for writer in writers:
        writer.close()
        await writer.wait_closed()


async def test_a_publisher_that_nobody_holds_ends_its_thread(store: Store) -> None:
    publisher = Publisher(store.url())
    await asyncio.to_thread(publisher.post, "g", 1)
    assert "hubbub-publisher" in thread_names()
    del publisher
    gc.collect()
    await until(lambda: "hubbub-publisher" not in thread_names())


def test_nothing_starts_before_the_first_call() -> None:
    with Publisher("http://127.0.0.1:1", token="t"):
        assert "hubbub-publisher" not in thread_names()


WRONG: list[tuple[Any, dict[str, Any], str]] = [
    ("", {}, "is not a URL"),
    ("chat.example.com", {}, "is not a URL"),
    ("ftp://chat.example.com", {}, "is not a URL"),
    ("http://", {}, "is not a URL"),
    ("http://a:99999", {}, "is not a URL"),
    (None, {}, '"url" must be a string'),
    ("valkey://", {}, "must look like valkey://"),
    ("valkey://user:secret@host:x", {}, "must look like valkey://"),
    ("valkey://host/x", {}, "must look like valkey://"),
    ("valkey://host", {"token": "t"}, '"token" is for a server'),
    ("http://a", {"timeout": 0}, '"timeout" must be'),
    ("http://a", {"timeout": float("nan")}, '"timeout" must be'),
    ("http://a", {"timeout": "3"}, '"timeout" must be'),
]


@pytest.mark.parametrize(("url", "options", "text"), WRONG)
def test_what_cannot_be_used(url: Any, options: dict[str, Any], text: str) -> None:
    with pytest.raises(CommandError, match="INVALID_PARAMETER") as caught:
        Publisher(url, **options)
    assert text in caught.value.message
    assert "secret" not in caught.value.message


def test_an_interrupt_ends_the_call() -> None:
    """Ctrl+C in a script: the call ends, and the publisher can still be used."""
    with Publisher("http://127.0.0.1:9", token="t", timeout=60) as publisher:
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            publisher.post("g", 1)


def thread_names() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)
