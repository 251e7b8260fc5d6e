"""What a post, or a join and a leave, costs the node besides its sockets: sessions in groups of 2 without sockets.

    python benchmarks/post_path.py [--store] [--joins] [--posts N] [--against SRC] [--pairs N]

Prints microseconds of CPU time from the frame of a command to its reply, and the memory of the process in the end.
With ``--against``, the folder ``src`` of another tree, the two take turns, and the ratios of the pairs are printed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from itertools import cycle
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from hubbub.auth.authenticator import Authenticator
from hubbub.backends.choose import make_backend
from hubbub.cli.process.gc_policy import collect_rarely
from hubbub.cli.process.loop import run
from hubbub.errors import Close
from hubbub.node import Node
from hubbub.session import Session
from hubbub.settings import Settings
from hubbub.transports.websocket.routes import ROUTES
from support.server_process import LOAD_CPU, SERVER_CPU, environment, pin
from support.store import Store

GROUPS, MEMBERS = 1000, 2
AT_ONCE = 100
"""Posts of one tick."""


class Clients:
    """Sessions without sockets, which post again when they have got their replies.

    Args:
        node: What they are connected to.
        joins: Whether they leave and join in turn, instead of posting.

    Attributes:
        ready: Those that may send their next command.
        replies: How many commands were answered.
    """

    def __init__(self, node: Node, *, joins: bool) -> None:
        self.ready: deque[tuple[Session, Iterator[bytes]]] = deque()
        self._joins = joins
        self.replies = 0
        self._node = node
        self._more = asyncio.Event()
        self.sessions = [self._add(number) for number in range(GROUPS * MEMBERS)]

    def _add(self, number: int) -> Session:
        group, node = number % GROUPS, self._node
        mark = f"@~{number:05d}.123456.1234567890123456789~@"
        frames = [f'{{"id":3,"do":"post","to":"g{group}","message":{{"m":"{mark}"}}}}'.encode()]
        if self._joins:
            frames = [b'{"id":3,"do":"leave"}', b'{"id":3,"do":"join","group":"g%d"}' % group]
        commands = cycle(frames)

        def write(data: bytes) -> None:
            if b'{"id":3,' in data:
                self.replies += 1
                self.ready.append((session, commands))
                self._more.set()

        session = Session(f"connection{number:04d}", ROUTES["/v1/connect"], write, self, node, node.now())
        node.admit(session)
        session.receive(b'{"id":1,"do":"connect","guest":"u%d"}' % number, node.now())
        session.receive(b'{"id":2,"do":"join","group":"g%d"}' % group, node.now())
        self.ready.append((session, commands))
        return session

    async def joined(self) -> None:
        """Return when all are members of their groups."""
        while any(session.group is None for session in self.sessions):  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async def post(self, posts: int) -> None:
        """Let them send so many commands, and return when all were answered."""
        ready, now = self.ready, self._node.now
        self.replies, left = 0, posts
        while self.replies < posts:
            for _ in range(min(AT_ONCE, len(ready), left)):
                session, commands = ready.popleft()
                session.budget.left = 1.0
                session.receive(next(commands), now())
                left -= 1
            if ready and left:
                await asyncio.sleep(0)
            else:
                self._more.clear()
                await self._more.wait()

    def close(self, code: Close) -> None:
        """Nothing closes these sessions."""
        raise AssertionError(code)

    def ping(self) -> None:
        """Nobody is there."""

    abort = ping


async def measure(posts: int, url: str, *, joins: bool) -> dict[str, float]:
    """Let all clients post in turn; return what it cost."""
    options = Settings(rate_limit=0, backend=url)
    node = Node(options, make_backend(options), Authenticator(options))
    await node.start()
    collect_rarely()
    clients = Clients(node, joins=joins)
    await clients.joined()
    began = time.thread_time()
    await clients.post(posts)
    cost = time.thread_time() - began
    memory = _memory()
    await node.close()
    return {"us": cost / posts * 1e6, "mib": memory}


def _memory() -> float:
    """Return the resident memory of this process in MiB (proc(5), status)."""
    return float(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0]) / 1024


def child(posts: int, url: str, source: Path | None, *, joins: bool) -> dict[str, float]:
    """Measure in a process of its own, with the code in `source`."""
    variables = {} if source is None else {"PYTHONPATH": str(source.absolute())}
    ran = subprocess.run(
        [sys.executable, __file__, "--child", url, "--posts", str(posts), *(["--joins"] if joins else [])],
        env=environment(**variables), preexec_fn=partial(pin, SERVER_CPU), capture_output=True, check=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", action="store_true", help="on a Valkey instead of in memory")
    parser.add_argument("--joins", action="store_true", help="leaves and joins in turn instead of posts")
    parser.add_argument("--posts", type=int, default=100_000)
    parser.add_argument("--against", type=Path, help="the folder src of another tree")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child is not None:
        print(json.dumps(run(measure(given.posts, given.child, joins=given.joins))))
        return
    pin(LOAD_CPU)
    sources = [None] if given.against is None else [None, given.against]
    found: list[list[dict[str, float]]] = [[] for _ in sources]
    with ExitStack() as stack:
        url = stack.enter_context(Store()).url() if given.store else "memory"
        for turn in range(given.pairs):
            for which in range(len(sources))[:: 1 if turn % 2 else -1]:
                found[which].append(child(given.posts, url, sources[which], joins=given.joins))
    for source, rounds in zip(sources, found, strict=True):
        costs = [each["us"] for each in rounds]
        text = f"{statistics.median(costs):.2f} us ({min(costs):.2f} to {max(costs):.2f})"
        print(f"{source or 'this tree'}: {text}; {statistics.median(each['mib'] for each in rounds):.0f} MiB")
    if given.against is not None:
        ratios = [other["us"] / own["us"] for own, other in zip(*found, strict=True)]
        spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
        print(f"commands per CPU-second, to the other: {statistics.median(ratios):.3f} ({spread})")


if __name__ == "__main__":
    main()
