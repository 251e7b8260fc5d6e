"""What the scenarios of `delivery` share: clients that record what they receive, posts, and a verdict."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import hubbub
from hubbub.auth.authenticator import make_token
from hubbub.client import Client, Connected, Event, Gap, Message, Notice, Reconnecting
from support.delivery_check import Verdict, judge

LIMITS = ("--rate-limit", "0", "--shutdown-timeout", "0", "--drain-spread", "0", "--log-level", "error")
NEVER = 1_000_000


class History:
    """The messages of its group that one client's callback received.

    Attributes:
        heard: Epoch, number and content of each message, in the order of the callback.
        gaps: Epoch, first and last number of what was said to be missing.
    """

    def __init__(self, group: str) -> None:
        self.group = group
        self.heard: list[tuple[str, int, int]] = []
        self.gaps: list[tuple[str, int, int]] = []

    def judge(self, epoch: str, last: int) -> Verdict:
        """Judge the messages of one epoch, from the first one on."""
        heard = [(seq, content) for each, seq, content in self.heard if each == epoch]
        return judge(heard, [(first, end) for each, first, end in self.gaps if each == epoch], 1, last)


class Listener(History):
    """One client of one group, and everything that its callback received.

    Attributes:
        restarts: Gaps after which the numbers began anew.
        back: When it was connected, each time.
        absences: For how long it was not, seconds, each time.
        notices: Who came and went, since `begin` last forgot it.
        asked: How often it had to fetch a token, if it has any.
    """

    def __init__(self, url: str, name: str, group: str, secret: str | None = None) -> None:
        super().__init__(group)
        self.epoch = ""
        self.restarts = 0
        self.back: list[float] = []
        self.absences: list[float] = []
        self.notices: list[Notice] = []
        self.asked = 0
        self._left = 0.0
        self._name, self._secret = name, secret
        who: dict[str, Any] = {"guest": name} if secret is None else {"token": self._token}
        self.client: Client = hubbub.connect(url, **who, on_event=self.hear, timeout=60, max_events=NEVER)

    async def begin(self) -> None:
        """Connect and join."""
        await self.client
        joined = await self.client.join_realtime(self.group)
        assert joined.position is not None
        self.epoch = joined.position.epoch

    def hear(self, event: Event) -> None:
        """Record an event."""
        match event:
            case Message():
                assert event.seq is not None
                self.heard.append((self.epoch, event.seq, event.message))
            case Gap() if event.group is not None:
                if event.position.epoch != self.epoch:
                    self.restarts += 1
                    self.epoch = event.position.epoch
                    self.gaps.append((self.epoch, 1, event.position.seq))
                else:
                    first = event.since.seq if event.since else 0
                    self.gaps.append((self.epoch, first + 1, event.position.seq))
            case Notice():
                self.notices.append(event)
            case Reconnecting():
                self._left = self._left or time.monotonic()
            case Connected():
                self.back.append(time.monotonic())
                if self._left:
                    self.absences.append(time.monotonic() - self._left)
                    self._left = 0.0

    def _token(self) -> str:
        self.asked += 1
        assert self._secret is not None
        return make_token(self._name, self._secret)


async def begin(listeners: list[Listener]) -> None:
    """Connect them, not all at once."""
    for start in range(0, len(listeners), 50):
        await asyncio.gather(*(each.begin() for each in listeners[start : start + 50]))
    for each in listeners:
        await each.client.get_realtime_groups(value="-")  # so their join notices have arrived
    for each in listeners:
        each.notices.clear()


async def until(condition: Callable[[], bool], patience: float = 60.0) -> None:
    """Wait for a condition that must come true."""
    async with asyncio.timeout(patience):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def level(listeners: list[Listener]) -> None:
    """Wait until all members of each group stand at the same position."""
    for group in {each.group for each in listeners}:
        members = [each.client for each in listeners if each.group == group]
        with suppress(TimeoutError):  # something is lost, and the verdict will say so
            await until(lambda members=members: len({each.position for each in members}) == 1)  # type: ignore[misc]


class Posts:
    """Posts at a steady rate, by random members, each with a number of its own.

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
        """Post `rate` times a second until the given time, and wait for the replies."""
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


def verdict(listeners: Sequence[History], posts: Posts) -> Counter[str]:
    """Judge all histories, and compare them with each other and with the acknowledged posts."""
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
    """Print a line; fail if anything is wrong or no fault took place."""
    print(name, {"proven faults": faults, **found, **more}, flush=True)
    assert faults >= least, "too few faults: nothing was proved"
    assert not any(found[each] for each in ("lost", "doubled", "disordered", "unheard", "differing", "silent"))
