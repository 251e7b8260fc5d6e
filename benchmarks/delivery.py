"""Put "nothing lost without a word" to the proof: ``benchmarks/delivery.py WHAT [valkey]``, WHAT a scenario below.

Servers are processes of their own, clients are the Python client, and what they heard is judged afterwards by
``tests/histories.py``, which asks no server. A run in which no fault took place fails.
"""

from __future__ import annotations

import asyncio
import random
import signal
import statistics
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from unittest import mock

import uvloop

sys.path += [str(Path(__file__).parents[1] / "tests"), str(Path(__file__).parent / "abuse")]

from load_server import Target, serving

import hubbub
from histories import Verdict, judge
from hubbub.client import Client, Connected, Event, Gap, Message
from network import FAULTS, Proxy
from store import Store

LIMITS = ("--rate-limit", "0", "--shutdown-timeout", "0", "--drain-spread", "0", "--log-level", "error")
NEVER = 1_000_000


# How long a client waits before it comes back grows when it is cut again and again, as here. So that there is something
# to strike at, it comes back at once; only where nodes are killed does it wait as it always does.
def soon(*_: object) -> float:
    """Return the seconds to wait before coming back."""
    return random.uniform(0, 0.1)


quick = mock.patch("hubbub.client.keeper.retry_delay", soon)


class Listener:
    """One client of one group, and everything that its callback was given.

    Attributes:
        heard: Epoch, number and content of each message, in the order of the callback.
        gaps: Epoch, first and last number of what was said to be missing.
        restarts: Gaps after which the numbers began anew.
        back: When it was connected, each time.
    """

    def __init__(self, url: str, name: str, group: str) -> None:
        self.group = group
        self.epoch = ""
        self.heard: list[tuple[str, int, int]] = []
        self.gaps: list[tuple[str, int, int]] = []
        self.restarts = 0
        self.back: list[float] = []
        self.client: Client = hubbub.connect(url, guest=name, on_event=self.hear, timeout=60, max_events=NEVER)

    async def begin(self) -> None:
        """Connect and join."""
        await self.client
        joined = await self.client.join_realtime(self.group)
        assert joined.position is not None
        self.epoch = joined.position.epoch

    def hear(self, event: Event) -> None:
        """Write down what comes."""
        match event:
            case Message():
                self.heard.append((self.epoch, event.seq, event.message))
            case Gap() if event.group is not None:
                if event.position.epoch != self.epoch:
                    self.restarts += 1
                    self.epoch = event.position.epoch
                    self.gaps.append((self.epoch, 1, event.position.seq))
                else:
                    first = event.since.seq if event.since else 0
                    self.gaps.append((self.epoch, first + 1, event.position.seq))
            case Connected():
                self.back.append(time.monotonic())

    def judge(self, epoch: str, last: int) -> Verdict:
        """Judge what was heard of one epoch, from its first message on."""
        heard = [(seq, content) for each, seq, content in self.heard if each == epoch]
        return judge(heard, [(first, end) for each, first, end in self.gaps if each == epoch], 1, last)


@contextmanager
def cluster(number: int, shared: bool) -> Iterator[list[Target]]:
    """Run so many nodes; on a store of their own if `shared`."""
    with ExitStack() as stack:
        options = (*LIMITS, "--max-connections", "20000")
        if shared:
            options += ("--backend", stack.enter_context(Store()).url())
        yield [stack.enter_context(serving(*options)) for _ in range(number)]


@asynccontextmanager
async def network(*targets: Target) -> AsyncIterator[list[Proxy]]:
    """A way to each server that can fail."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Proxy("127.0.0.1", target.port)) for target in targets]


async def begin(listeners: list[Listener]) -> None:
    """Let them come, not all at once."""
    for start in range(0, len(listeners), 50):
        await asyncio.gather(*(each.begin() for each in listeners[start : start + 50]))


async def until(condition: Callable[[], bool], patience: float = 60.0) -> None:
    """Wait for something that has to come."""
    async with asyncio.timeout(patience):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


class Posts:
    """Posts at a steady rate by members taken by chance, each of a number of its own.

    Attributes:
        done: By group, the numbers that were acknowledged.
    """

    def __init__(self, listeners: list[Listener]) -> None:
        self.done: dict[str, set[int]] = {each.group: set() for each in listeners}
        self.failed = 0
        self._listeners = listeners
        self._number = 0
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, rate: float, until: float) -> None:
        """Post `rate` times a second until the time has come, and wait for the answers."""
        began, made = time.monotonic(), 0
        while (now := time.monotonic()) < until:
            while made < (now - began) * rate:
                made += 1
                task = asyncio.create_task(self._post(random.choice(self._listeners)))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
            await asyncio.sleep(0.005)
        while self._running:
            await asyncio.wait(self._running)

    async def _post(self, by: Listener) -> None:
        self._number += 1
        number = self._number
        try:
            await by.client.post_realtime(number, {"group": by.group})
            self.done[by.group].add(number)
        except hubbub.CommandError:
            self.failed += 1


def verdict(listeners: list[Listener], posts: Posts) -> Counter[str]:
    """Judge all histories, and hold them against each other and against the acknowledgements."""
    found: Counter[str] = Counter(lost=0, doubled=0, disordered=0, unheard=0, differing=0)
    for group, done in posts.done.items():
        members = [each for each in listeners if each.group == group]
        truth: dict[tuple[str, int], int] = {}
        for each in members:
            for epoch, seq, content in each.heard:
                found["differing"] += truth.setdefault((epoch, seq), content) != content
        found["doubled"] += len(truth) - len(set(truth.values()))
        found["unheard"] += len(done - set(truth.values()))
        for epoch in {epoch for epoch, _ in truth}:
            last = max(seq for each, seq in truth if each == epoch)
            for each in members:
                lost, doubled, disordered = each.judge(epoch, last)
                found.update(lost=lost, doubled=doubled, disordered=disordered)
        found["owed"] += len(truth) * len(members)
    found["told as a gap"] = sum(last - first + 1 for each in listeners for _, first, last in each.gaps)
    return found


def report(name: str, faults: int, least: int, found: Counter[str], **more: object) -> None:
    """Print a line, and fail if anything is wrong or nothing was proved."""
    print(name, {"proven faults": faults, **found, **more}, flush=True)
    assert faults >= least, "too few faults: nothing was proved"
    assert not any(found[each] for each in ("lost", "doubled", "disordered", "unheard", "differing", "silent"))


# --- scenarios --------------------------------------------------------------------------------------------------------


@quick
async def drops(shared: bool, seconds: float = 120.0) -> None:
    """100 clients in 5 groups hear 10,000 messages a second while about 50 connections a second are struck."""
    with cluster(2 if shared else 1, shared) as nodes:
        async with network(*nodes) as ways:
            listeners = [
                Listener(ways[number % len(ways)].url, f"u{number}", f"g{number % 5}") for number in range(100)
            ]
            await begin(listeners)
            posts, begun = Posts(listeners), time.monotonic()
            posting, step = asyncio.create_task(posts.run(500, begun + seconds)), 0
            while (left := begun + seconds - 1 - time.monotonic()) > 0:
                if sum(sum(way.faults.values()) for way in ways) < 50 * (seconds - left):
                    step += 1
                    ways[step % len(ways)].strike(FAULTS[step // 2 % len(FAULTS)], 5)
                await asyncio.sleep(0.02)
                if step % 3 == 0:
                    for way in ways:
                        way.clear()
            for way in ways:
                way.clear()
            await posting
            await level(listeners)
            faults = sum((way.faults for way in ways), Counter())
            await asyncio.gather(*(each.client.close_realtime() for each in listeners))
    rate = round(sum(len(each.heard) for each in listeners) / seconds)
    report(
        "drops",
        sum(faults.values()),
        int(seconds * 42),
        verdict(listeners, posts),
        kinds=dict(faults),
        rate=round(rate),
    )


async def level(listeners: list[Listener]) -> None:
    """Wait until all members of each group stand at the same position."""
    for group in {each.group for each in listeners}:
        members = [each.client for each in listeners if each.group == group]
        with suppress(TimeoutError):  # then something is lost, and the judge says so
            await until(lambda members=members: len({each.position for each in members}) == 1)  # type: ignore[misc]


@quick
async def restarts(shared: bool, rounds: int = 20, clients: int = 1000) -> None:
    """A node without a store is killed and started again, with posters at once busy: everybody has to be told."""
    assert not shared
    told = wrong = 0
    with ExitStack() as running:
        node = running.enter_context(serving(*LIMITS))
        async with network(node) as (way,):
            listeners = [Listener(way.url, f"u{number}", f"g{number % 10}") for number in range(clients)]
            await begin(listeners)
            posts = Posts(listeners)
            for number in range(1, rounds + 1):
                busy = asyncio.create_task(posts.run(100, time.monotonic() + 2))
                await asyncio.sleep(0.5)
                node.signal(signal.SIGKILL)
                node.wait()
                node = running.enter_context(serving(*LIMITS))
                way.target = ("127.0.0.1", node.port)
                await busy
                await until(lambda number=number: all(len(each.back) > number for each in listeners))  # type: ignore[misc]
                told += sum(each.restarts == number for each in listeners)
                wrong += sum(each.restarts < number for each in listeners)
            await level(listeners)
            await asyncio.gather(*(each.client.close_realtime() for each in listeners))
    found = verdict(listeners, posts)
    del found["unheard"]  # what was in the memory of the dead is told as a gap
    report("restarts", rounds, rounds, found + Counter(silent=wrong), told=told, of=rounds * clients)


@quick
async def keys(shared: bool, rounds: int = 100, batch: int = 50) -> None:
    """Answers are cut on the way: the posts are sent again, every second time to another node."""
    sent = 0
    results: list[int] = []
    with cluster(2 if shared else 1, shared) as nodes:
        async with network(nodes[0]) as (way,):
            poster, listener = Listener(way.url, "poster", "g"), Listener(nodes[-1].url, "listener", "g")
            await begin([poster, listener])
            for number in range(rounds):
                way.target = ("127.0.0.1", nodes[number // 2 % len(nodes)].port)
                way.strike("unanswered")
                calls = [
                    asyncio.create_task(poster.client.post_realtime(number * batch + each, {"group": "g"}))
                    for each in range(batch)
                ]
                await until(lambda number=number: len(listener.heard) >= (number + 1) * batch)  # type: ignore[misc]
                sent += sum(not call.done() for call in calls)  # done by the server, and the client does not know
                way.clear()
                results += [(await call).recipients for call in calls]
            await level([poster, listener])
            for each in (poster, listener):
                await each.client.close_realtime()
    contents = Counter(content for _, _, content in listener.heard)
    found = Counter(
        lost=len(set(range(rounds * batch)) - set(contents)), doubled=sum(contents.values()) - len(contents)
    )
    found["differing"] = sum(poster.heard[number] != each for number, each in enumerate(listener.heard))
    report("keys", sent, rounds * batch * 9 // 10, found, acknowledged=len(results))


async def kills(shared: bool, rounds: int = 20, clients: int = 300) -> None:
    """One of three nodes is killed; its clients go on at the others."""
    times: list[float] = []
    with ExitStack() as running, Store() as store:
        options = (*LIMITS, "--backend", store.url())
        nodes = [running.enter_context(serving(*options)) for _ in range(3)]
        async with network(*nodes) as ways:
            listeners = [Listener(ways[number % 3].url, f"u{number}", f"g{number % 10}") for number in range(clients)]
            await begin(listeners)
            posts = Posts(listeners)
            for number in range(rounds):
                victim = number % 3
                busy = asyncio.create_task(posts.run(100, time.monotonic() + 3))
                await asyncio.sleep(0.5)
                before = {each: len(each.back) for each in listeners[victim::3]}
                nodes[victim].signal(signal.SIGKILL)
                died = time.monotonic()
                nodes[victim].wait()
                ways[victim].target = ("127.0.0.1", nodes[(victim + 1) % 3].port)
                await busy
                await until(lambda before=before: all(len(each.back) > many for each, many in before.items()))  # type: ignore[misc]
                times += [each.back[many] - died for each, many in before.items()]
                nodes[victim] = running.enter_context(serving(*options))
                ways[victim].strike("rst")  # so that they go home
                ways[victim].target = ("127.0.0.1", nodes[victim].port)
                await until(lambda: all(each.client.state == "connected" for each in listeners))
            await level(listeners)
            await asyncio.gather(*(each.client.close_realtime() for each in listeners))
    p99 = statistics.quantiles(times, n=100)[98]
    report(
        "kills", rounds, rounds, verdict(listeners, posts), resumed=len(times), p99=f"{p99:.2f} s", failed=posts.failed
    )


SCENARIOS: dict[str, Callable[[bool], Awaitable[None]]] = {
    "drops": drops,
    "restarts": restarts,
    "keys": keys,
    "kills": kills,
}

if __name__ == "__main__":
    uvloop.run(SCENARIOS[sys.argv[1]]("valkey" in sys.argv[2:]))  # type: ignore[arg-type]
