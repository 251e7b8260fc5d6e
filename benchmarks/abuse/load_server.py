"""A real ``hubbub serve`` as a process of its own, looked at from outside, and a WebSocket as rude as wanted.

Plain blocking sockets: what a client does here happens exactly when it is written, and costs next to nothing.
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE = 20.0
"""Seconds after which what is waited for will not come any more."""


class Target:
    """A running server.

    Attributes:
        url: Its address.
        port: Its port, on 127.0.0.1.
        pid: Its process.
    """

    def __init__(self, process: subprocess.Popen[bytes], url: str, log: Path) -> None:
        self.url = url
        self.port = int(url.rpartition(":")[2])
        self.pid = process.pid
        self._process = process
        self._log = log

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body of a GET on a connection of its own."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metrics(self) -> dict[str, float]:
        """Return what ``/metrics`` says, by name and labels."""
        lines = (line for line in self.get("/metrics")[1].splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def metric(self, prefix: str) -> float:
        """Return the sum of the metrics whose name and labels begin with `prefix`."""
        return sum(value for name, value in self.metrics().items() if name.startswith(prefix))

    def files(self) -> int:
        """Return how many files the process has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def memory(self) -> int:
        """Return the bytes of memory that the process occupies."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * resource.getpagesize()

    def log(self) -> list[str]:
        """Return what it has logged so far."""
        return self._log.read_text().splitlines()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for its end and return its exit code."""
        return self._process.wait(timeout)


@contextmanager
def serving(*arguments: str, files: int | None = None) -> Iterator[Target]:
    """Run ``hubbub serve ARGUMENTS`` on a free port, with at most `files` open files, until the block ends."""

    def limit() -> None:
        if files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        command = [sys.executable, "-m", "hubbub.cli", "serve", "--port", "0", "--config", os.devnull, *arguments]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HUBBUB_")}
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=stderr, env=environment, preexec_fn=limit, cwd=folder
            )
        assert process.stdout is not None
        try:
            address = re.search(r"http://\S+", process.stdout.readline().decode())
            assert address is not None, log.read_text()
            yield Target(process, address[0], log)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(PATIENCE)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            process.stdout.close()


HANDSHAKE = (
    b"GET /v1/connect HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def frame(payload: bytes, first: int = 0x81) -> bytes:
    """Return a masked frame; the mask is all zeroes, which is as good as any other here."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, 0x80 | size)
    elif size < 65_536:
        head = struct.pack("!BBH", first, 0xFE, size)
    else:
        head = struct.pack("!BBQ", first, 0xFF, size)
    return head + b"\0\0\0\0" + payload


def command(**fields: Any) -> bytes:
    """Return a command as a frame."""
    return frame(json.dumps(fields).encode())


class Socket:
    """A connection to a `Target`, a WebSocket after `upgrade`."""

    def __init__(self, port: int, *, receive_buffer: int | None = None, timeout: float = PATIENCE) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(timeout)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        # Ended by a reset: a million clean ends would leave no free ports for a minute.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def send(self, data: bytes) -> None:
        """Send `data`, however broken it is."""
        self.socket.sendall(data)

    def upgrade(self, handshake: bytes = HANDSHAKE) -> None:
        """Become a WebSocket."""
        self.send(handshake)
        head = self.head()
        assert head.startswith(b"HTTP/1.1 101 "), head

    def head(self) -> bytes:
        """Return the head of an HTTP answer."""
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
        return head

    def skip(self, size: int) -> None:
        """Read over `size` bytes."""
        while len(self._buffer) < size:
            self._more()
        self._buffer = self._buffer[size:]

    def frame(self) -> tuple[int, bytes]:
        """Return opcode and payload of the next frame."""
        while len(self._buffer) < 2:
            self._more()
        size, start = self._buffer[1], 2
        if size >= 126:
            start = 4 if size == 126 else 10
            while len(self._buffer) < start:
                self._more()
            size = int.from_bytes(self._buffer[2:start], "big")
        while len(self._buffer) < start + size:
            self._more()
        opcode, payload = self._buffer[0] & 0x0F, self._buffer[start : start + size]
        self._buffer = self._buffer[start + size :]
        return opcode, payload

    def event(self) -> dict[str, Any]:
        """Return the next text frame, read."""
        opcode, payload = self.frame()
        while opcode != 1:
            assert opcode != 8, payload
            opcode, payload = self.frame()
        return json.loads(payload)

    def ask(self, **fields: Any) -> dict[str, Any]:
        """Send a command and return its answer; what else comes before is dropped."""
        self.send(command(id=0, **fields))
        while (answer := self.event()).get("id") != 0:
            pass
        return answer

    def close_code(self) -> int:
        """Read until the close frame; return its code, or 1006 if the connection ended without one."""
        try:
            while (got := self.frame())[0] != 8:
                pass
        except ConnectionError:
            return 1006
        return int.from_bytes(got[1][:2], "big")

    def told_to_leave(self) -> int | None:
        """Read what is there without waiting; return the close code if that was among it, 1006 if there was none."""
        self.socket.setblocking(False)
        try:
            return self.close_code()
        except BlockingIOError:
            return None

    def cut(self) -> None:
        """FakeLink the connection without another word."""
        self.socket.close()

    def _more(self) -> None:
        data = self.socket.recv(65_536)
        if not data:
            raise ConnectionResetError("the server has ended the connection")
        self._buffer += data


def member(port: int, guest: str, group: str, **options: Any) -> Socket:
    """Connect, identify and join."""
    one = Socket(port, **options)
    one.upgrade()
    assert "ok" in one.ask(do="connect", guest=guest)
    assert "ok" in one.ask(do="join", group=group)
    return one


def until(what: Any, seconds: float = PATIENCE) -> float:
    """Wait until `what()` holds; return the seconds that it took, or infinity."""
    began = time.monotonic()
    while not what():
        if time.monotonic() - began > seconds:
            return float("inf")
        time.sleep(0.02)
    return time.monotonic() - began


def settle(look: Any, before: Any, seconds: float = 10.0) -> Any:
    """Look until things are as they were `before`, or for so many seconds; return what was seen last."""
    deadline = time.monotonic() + seconds
    while (seen := look()) != before and time.monotonic() < deadline:
        time.sleep(0.02)
    return seen


def report(name: str, facts: dict[str, Any], checks: dict[str, bool]) -> int:
    """Print what was done and measured as one line of JSON; return the exit code, 1 if a check failed."""
    failed = [check for check, holds in checks.items() if not holds]
    print(json.dumps({"abuse": name, **facts, "failed": failed}))
    return 1 if failed else 0


def unharmed(target: Target) -> dict[str, bool]:
    """Return the checks that hold for every abuse."""
    log = "\n".join(target.log())
    return {"no traceback in the log": "Traceback" not in log, "alive": target.get("/healthz")[0] == 200}
