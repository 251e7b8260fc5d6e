"""Malformed input of four kinds, seeded: ``python benchmarks/abuse/malformed.py [HOW_MANY] [SEED]``.

- *frames*: valid frames with bytes flipped, cut off, or of reserved kinds; each may end its connection
- *commands*: JSON with pieces replaced, doubled or missing, and fields of the wrong type
- *tokens*: JWTs with changed characters, headers and claims, over the WebSocket and over HTTP
- *queries*: listings with invalid parameters, over the WebSocket and in query strings

The server must answer no command twice, never with INTERNAL and HTTP never with 500; log no traceback; and afterwards
have as many connections, groups, tasks and open files as before. A bystander in a group receives its own posts, in
time, and nothing else.
"""

from __future__ import annotations

import base64
import contextlib
import json
import random
import socket
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from urllib.parse import quote

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from support.frames import GUEST_KEY, command, frame
from support.raw_socket import Socket, member
from support.report import report, unharmed
from support.server_process import ServerProcess
from support.waiting import settle

SECRET = "a secret for malformed tokens, of 32 bytes or more"
BATCH = 100
"""Commands sent at once before the answers are read."""

WORDS: list[object] = [
    None, True, False, 0, -1, 1, 50, 1001, 2**63, 2**64, -(2**65), 1e308, 0.5, "", "a", "g", "=", ">=", "!=", "~",
    "end", "start", "group", "number_of_users", "\0", "\ud83d\ude00", "x" * 257, [], {}, [[]], {"group": "a"},
    {"user_id": "b"},
    {"group": "a", "number_of_users": 1}, {"user_id": "a", "connection_id": "b"}, {"group": None, "user_id": []},
]  # fmt: skip
FIELDS = ["to", "message", "group", "searchFor", "value", "range", "condition", "limit", "ascending", "startKey",
          "user_id", "token", "guest", "do", "id"]  # fmt: skip
DOES = ["connect", "join", "leave", "post", "groups", "users", "dance", "", None, 7]
PIECES = [b"{", b"}", b"[", b"]", b'"', b":", b",", b"\\", b"\\u", b"\\ud800", b"\\uDC00", b"null", b"tru", b"1e999",
          b"-",
          b"0x1", b"NaN", b"\0", b"\x1f", b"\xc3\xa9", b"\xf0\x9f\x8e\x88", b" ", b"\n", b"[" * 70, b"9" * 400,
          b'"id":5', b'"do":"post"', b'{"a":']  # fmt: skip


class Malformed:
    """Makes the input, and counts what came of it."""

    def __init__(self, target: ServerProcess, seed: int) -> None:
        self.target = target
        self.random = random.Random(seed)
        self.sent: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.trouble: list[str] = []

    def run(self, many: int) -> None:
        """Send `many` inputs: a fifth are frames, two fifths commands, a fifth each tokens and queries."""
        self.commands(many * 2 // 5)
        self.queries(many // 5)
        self.tokens(many // 5)
        self.frames(many - many * 2 // 5 - 2 * (many // 5))

    # --- frames ---

    def frames(self, many: int) -> None:
        """Send broken frames, some after a valid one, in windows of connections."""
        while self.sent["frames"] < many:
            window = [Socket(self.target.port) for _ in range(min(32, many - self.sent["frames"]))]
            for each in window:
                each.upgrade()
            for each in window:
                self.sent["frames"] += 1
                with contextlib.suppress(ConnectionError):
                    each.send(self.broken_frame())
            for each in window[::4]:  # a half close, even within a frame; the others are reset
                with contextlib.suppress(OSError):
                    each.socket.shutdown(socket.SHUT_WR)
                self.answers[f"close {each.close_code()}"] += 1
            for each in window:
                each.cut()

    def broken_frame(self) -> bytes:
        """Return a frame that is wrong in one way or another, or, now and then, right."""
        choice, data = self.random.random(), bytearray(command(id=1, do="connect", guest="g"))
        if choice < 0.2:
            return self.random.randbytes(self.random.randint(1, 200))
        if choice < 0.4:
            data[0] = self.random.randrange(256)
        elif choice < 0.6:
            data[1] = self.random.randrange(256)
        else:
            data = bytearray(frame(self.random.randbytes(self.random.randint(0, 300)), self.random.choice(KINDS)))
        if self.random.random() < 0.3:
            data[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)
        if self.random.random() < 0.2:
            del data[self.random.randrange(len(data)) :]
        return bytes(data) * self.random.choice([1, 1, 1, 2, 50])

    # --- commands ---

    def commands(self, many: int) -> None:
        """Send broken JSON and wrong fields; every one with an id, or whose id cannot be known, is answered once."""
        one = self._in()
        while self.sent["commands"] < many:
            batch = [self.broken_command() for _ in range(min(BATCH, many - self.sent["commands"]))]
            self.sent["commands"] += len(batch)
            one = self._ask(one, batch)
        one.cut()

    def broken_command(self) -> bytes:
        """Return a command with something wrong."""
        fields = {self.random.choice(FIELDS): self.random.choice(WORDS) for _ in range(self.random.randint(0, 4))}
        data = json.dumps({"id": 5, "do": self.random.choice(DOES), **fields}).encode()
        choice = self.random.random()
        if choice < 0.4:
            return data
        at = self.random.randrange(len(data))
        if choice < 0.6:
            return data[:at]
        until = at + self.random.choice([0, 1, 2, 10])
        return data[:at] + self.random.choice(PIECES) * self.random.choice([1, 1, 2, 100]) + data[until:]

    # --- queries ---

    def queries(self, many: int) -> None:
        """List with senseless parameters, half of them over HTTP."""
        one, http = self._in(), Socket(self.target.port)
        while self.sent["queries"] < many:
            number = min(BATCH, many - self.sent["queries"])
            self.sent["queries"] += number
            batch = []
            for _ in range(number // 2):
                names = self.random.sample(FIELDS[2:11], self.random.randint(0, 6))
                query = {name: self.random.choice(WORDS) for name in names}
                batch.append(json.dumps({"id": 5, "do": self.random.choice(["groups", "users"]), **query}).encode())
            one = self._ask(one, batch)
            self._get(http, [self.broken_path() for _ in range(number - number // 2)], [""])
        one.cut()
        http.cut()

    def broken_path(self) -> str:
        """Return the target of a request for a senseless listing."""
        names = self.random.choices(FIELDS[2:11], k=self.random.randint(0, 5))
        words = (self.random.choice(WORDS) for _ in names)
        values = (word if isinstance(word, str) else json.dumps(word) for word in words)
        query = "&".join(
            f"{name}={quote(value.encode('utf-8', 'replace'))}" for name, value in zip(names, values, strict=True)
        )
        if self.random.random() < 0.3:
            query += self.random.choice(["&", "=", "%", "%zz", "%ff", "%00", "&&a", "+", ";"])
        path = self.random.choice(["/v1/groups", "/v1/groups/%FF/users", "/v1/groups/a%00b/users", "/v1/groups//users"])
        return f"{path}?{query}"

    # --- tokens ---

    def tokens(self, many: int) -> None:
        """Try to connect with broken tokens, in turn in a command, a header and a query string."""
        with ServerProcess("--rate-limit", "0", "--secret", SECRET, "--identify-timeout", "600") as strict:
            http, one = Socket(strict.port), Socket(strict.port)
            one.upgrade()
            while self.sent["tokens"] < many:
                batch = [self.broken_token() for _ in range(min(BATCH, many - self.sent["tokens"]))]
                self.sent["tokens"] += len(batch)
                third = len(batch) // 3
                commands = [
                    json.dumps({"id": 5, "do": "connect", "token": token.decode("latin-1")}).encode()
                    for token in batch[: 2 * third]
                ]
                one = self._ask(one, commands, UNAUTHORIZED, strict)
                printable = [bytes(byte for byte in token if 32 < byte < 127).decode() for token in batch[2 * third :]]
                self._get(
                    http, ["/v1/groups"], [f"Authorization: Bearer {token}\r\n" for token in printable[::2]], {401}
                )
                for token in printable[1::8]:
                    self._refused(strict, token)
            one.cut()
            http.cut()
            if not all(unharmed(strict).values()):
                self.trouble.append("the server with a secret was harmed")

    def broken_token(self) -> bytes:
        """Return something like a token; none is signed with the secret."""
        header: dict[str, object] = {"alg": self.random.choice(["HS256", "none", "RS256", "", None, 7]), "typ": "JWT"}
        claims: dict[str, object] = {"sub": self.random.choice(WORDS), "exp": self.random.choice([*WORDS, 4e9])}
        if self.random.random() < 0.5:
            claims[self.random.choice(["nbf", "iat", "groups", "role"])] = self.random.choice(WORDS)
        parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
        parts.append(base64.urlsafe_b64encode(self.random.randbytes(self.random.choice([0, 31, 32, 33]))).rstrip(b"="))
        token = bytearray(b".".join(parts))
        for _ in range(self.random.choice([0, 0, 1, 3])):
            token[self.random.randrange(len(token))] = self.random.randrange(256)
        return bytes(token[: self.random.choice([None, None, 20])]) * self.random.choice([1, 1, 1, 2])

    def _refused(self, strict: ServerProcess, token: str) -> None:
        one = Socket(strict.port)
        one.send(UPGRADE % quote(token).encode())
        self._count_status(one.head(), {401} if token else {101, 401})
        one.cut()

    # --- what comes back ---

    def _in(self) -> Socket:
        one = Socket(self.target.port)
        one.upgrade()
        assert "ok" in one.ask(do="connect", guest="malformed", guest_key=GUEST_KEY)
        return one

    def _ask(
        self, one: Socket, batch: list[bytes], only: set[str] | None = None, target: ServerProcess | None = None
    ) -> Socket:
        """Send commands, then one that is right, and read up to its answer; return the connection, or a new one."""
        valid = b"".join(map(frame, batch)) + command(id=10**9, do="groups", limit=1)
        answers = 0
        try:
            one.send(valid)
            while (answer := one.event()).get("id") != 10**9:
                if "type" in answer:  # an event: a senseless post has reached somebody
                    continue
                code = answer["error"]["code"] if "error" in answer else "ok"
                self.answers[code] += 1
                answers += 1
                if code == "INTERNAL" or (only is not None and code not in only):
                    self.trouble.append(f"{code} for one of {batch!r}"[:500])
        except (AssertionError, ConnectionError):  # a frame that is not UTF-8 ends the connection
            self.answers["closed"] += 1
            one.cut()
            one = Socket((target or self.target).port)
            one.upgrade()
            if target is None:
                one.ask(do="connect", guest="malformed", guest_key=GUEST_KEY)
            return one
        if answers > len(batch):
            self.trouble.append(f"{answers} answers to {len(batch)} commands")
        return one

    def _get(self, http: Socket, paths: list[str], headers: list[str], only: set[int] | None = None) -> None:
        """Send requests one after the other on a connection that stays, and look at the status of each."""
        for path in paths:
            for header in headers:
                http.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n".encode())
                head = http.head()
                length = int(dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:])[b"content-length"])
                http.skip(length)
                self._count_status(head, only)

    def _count_status(self, head: bytes, only: set[int] | None) -> None:
        status = int(head.split()[1])
        self.answers[f"HTTP {status}"] += 1
        if status >= 500 or (only is not None and status not in only):
            self.trouble.append(head.decode("latin-1")[:200])


KINDS = [0x81, 0x01, 0x00, 0x80, 0x82, 0x88, 0x89, 0x8A, 0x83, 0xC1, 0xA1]
UNAUTHORIZED = {"UNAUTHORIZED", "INVALID_PARAMETER"}
UPGRADE = (
    b"GET /v1/connect?token=%s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def baseline(target: ServerProcess) -> dict[str, float]:
    """Return what must be as it was: connections, groups, tasks, files. Asking takes one of each of the last two."""
    metrics = target.metrics()
    kept = {name: metrics[f"hubbub_{name}"] for name in ("connections", "groups", "tasks")}
    return {**kept, "files": target.files()}


def main(many: int = 50_000, seed: int = 1) -> int:
    with ServerProcess("--rate-limit", "0") as target:
        bystander = member(target.port, "bystander", "the bystander's own group")
        before = baseline(target)
        delays: list[float] = []
        heard: list[object] = []
        done = threading.Event()
        thread = threading.Thread(target=stand_by, args=(bystander, done, delays, heard))
        thread.start()
        began = time.monotonic()
        malformed = Malformed(target, seed)
        try:
            malformed.run(many)
        finally:
            done.set()
            thread.join()
        seconds = time.monotonic() - began
        after = settle(lambda: baseline(target), before)
        facts = {
            "inputs": malformed.sent,
            "answers": malformed.answers,
            "seed": seed,
            "seconds": round(seconds, 1),
            "before": before,
            "after": after,
            "bystander's posts": len(delays),
            "longest wait of the bystander ms": round(max(delays) * 1000),
            "trouble": malformed.trouble[:5],
        }
        checks = {
            "as many as asked for": malformed.sent.total() == many,
            "all four kinds": len(malformed.sent) == 4,
            "no trouble": not malformed.trouble,
            "nothing left": after == before,
            "the bystander heard his own posts only": heard == list(range(len(delays))),
            **unharmed(target),
        }
        bystander.cut()
        return report("malformed", facts, checks)


def stand_by(one: Socket, done: threading.Event, delays: list[float], heard: list[object]) -> None:
    """Post ten times a second; keep everything that comes and is no reply, and how long each post took."""
    number = 0
    while not done.wait(0.1):
        began = time.monotonic()
        one.send(command(id=1, do="post", to="the bystander's own group", message=number))
        for _ in range(2):  # the message and the reply, in this order
            event = one.event()
            if "id" not in event:
                heard.append(event.get("message") if event["type"] == "message" else event)
        delays.append(time.monotonic() - began)
        number += 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
