"""Sessions, hub, directory, rosters and histories together, with random commands of random people in random order.

Each step has a budget of time. Each command has one answer at most, and none is INTERNAL. What is kept at the end, when
everybody has gone, is what is counted: the histories with their messages, and a little for each remembered name.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import time
import tracemalloc
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fuzz.targets import _COMMANDS, JSON, NUMBERS
from hubbub.auth.authenticator import Authenticator
from hubbub.backends.memory import MemoryBackend
from hubbub.node import Node
from hubbub.settings import Settings
from support.cost import step
from support.fake_link import FakeLink, turn
from support.recipes import recipes

pytestmark = pytest.mark.alone

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
EXAMPLES = 400 if SECONDS else 40

STEPS_BASE, STEPS_PER_BYTE = 100_000, 12.0
"""What one frame may cost, its fan-out to a handful of members included; see `support.cost`."""

KEPT, KEPT_BASE, PER_NAME = 1.3, 60_000, 3_000
"""Bytes kept for each that is counted, on top, and for each group or user that is remembered."""

NAMES = ["a", "b", "", "x" * 256, "\u00e9" * 256, "123e4567-e89b-12d3-a456-426614174000"]
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [
        *NAMES,
        None,
        0,
        1,
        -1,
        2**70,
        10**400,
        1.5,
        True,
        [],
        {},
        "end",
        "start",
        {"group": "a"},
        {"user_id": "a"},
        {"epoch": "e", "seq": 10**30},
        {"number_of_users": 10**300, "group": "a"},
        "x" * 3_000,
        "number_of_users",
        ">=",
    ]
)
FIELDS = [
    "group",
    "guest",
    "token",
    "ticket",
    "since",
    "history",
    "to",
    "message",
    "key",
    "min_recipients",
    "searchFor",
    "value",
    "condition",
    "range",
    "limit",
    "ascending",
    "startKey",
    "user_id",
]


class Step(NamedTuple):
    """What one connection does: says something, lets time pass, or goes."""

    who: int
    frame: bytes | None
    seconds: float


def command(do: str, fields: dict[str, Any]) -> bytes:
    return json.dumps({"id": 1, "do": do, **fields}).encode()


def well_formed(do: str, name: str, size: int, unit: str) -> bytes:
    kinds: dict[str, dict[str, Any]] = {
        "connect": {"guest": name},
        "join": {"group": name, "history": size},
        "post": {"to": {"group": name}, "message": "@", "x": "#"},
        "private": {"to": {"user_id": name}, "message": "@", "x": "#"},
        "keyed": {"to": {"group": name}, "message": "@", "key": name or "k", "x": "#"},
    }
    whole = command("post" if do in {"private", "keyed"} else do, kinds.get(do, {}))
    padding = (unit * (size // len(unit))).encode()
    return whole.replace(b'"@"', b"[" + padding + b"0]" if unit != "#" else b"1").replace(b"#", b"A" * size)


FRAMES = st.one_of(
    st.builds(well_formed, st.just("connect"), st.sampled_from(NAMES[:2]), st.just(0), st.just("#")),
    st.builds(well_formed, st.sampled_from(["join", "leave"]), st.sampled_from(NAMES), st.just(10), st.just("#")),
    st.builds(
        well_formed,
        st.sampled_from(["post", "private", "keyed"]),
        st.sampled_from(NAMES[:2]),
        st.sampled_from([0, 500, 30_000]),
        st.sampled_from(["#", "1,", "[],", '"a",', "1e290,"]),
    ),
    st.builds(
        command,
        st.sampled_from(["connect", "join", "leave", "post", "groups", "users"]),
        st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4),
    ),
    recipes(_COMMANDS, [*JSON, *NUMBERS]).map(lambda recipe: recipe.data(20_000)),
)
STEPS = st.builds(
    Step, st.integers(0, 3), st.one_of(FRAMES, FRAMES, FRAMES, st.none()), st.sampled_from([0, 0, 0.1, 30])
)


async def play(steps: list[Step], traced: bool) -> list[str]:
    """Do the steps; return what was wrong."""
    wrong: list[str] = []
    options = Settings(port=0)
    backend = MemoryBackend()
    node = Node(options, backend, Authenticator(options))
    ends: dict[int, FakeLink] = {}
    made = passed = 0
    everybody: list[FakeLink] = []
    commands = 0
    gc.collect()
    gc.disable()
    if traced:
        tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0] if traced else 0
    try:
        for who, frame, seconds in steps:
            passed += int(seconds)
            end = ends.get(who)
            if end is None or end.session.closing:
                made += 1
                end = ends[who] = FakeLink(f"c{made}", node)
                everybody.append(end)
            began = time.thread_time()
            if frame is None:
                end.session.lost()
                del ends[who]
            else:
                commands += 1
                end.session.receive(bytes(bytearray(frame)), end.born + passed)
                end.session.tick(end.born + passed)
            took = time.thread_time() - began
            await turn(node)
            if not traced and took > (STEPS_BASE + STEPS_PER_BYTE * len(frame or b"")) * step():
                wrong.append(f"{len(frame or b'')} bytes took {took * 1e3:.1f} ms: {(frame or b'')[:80]!r}")
        answers = [heard for end in everybody for heard in end.heard() if "id" in heard]
        if len(answers) > commands:
            wrong.append(f"{len(answers)} answers to {commands} commands")
        wrong += [str(heard) for heard in answers if heard.get("error", {}).get("code") == "INTERNAL"]
        for end in everybody:
            end.session.lost()
            end.written = b""
        await turn(node)
        if node.fanout.connections or node.fanout.groups or node.sessions:
            wrong.append("somebody is still there")
        if traced:
            answers.clear()
            everybody.clear()
            ends.clear()
            del end
            backend._histories.sweep(node.now())
            counted = backend._histories.total
            names = len(backend._groups) + len(backend._users)
            kept = tracemalloc.get_traced_memory()[0] - before
            if kept > counted * KEPT + names * PER_NAME + KEPT_BASE:
                wrong.append(f"{kept} bytes are kept of {names} names, which count as {counted}")
    finally:
        if traced:
            tracemalloc.stop()
        gc.enable()
    return wrong


def run(steps: list[Step]) -> list[str]:
    """Play the steps, for the time that they take and for the memory; again if they took too long."""
    step()
    for _ in range(4):
        if not (slow := asyncio.run(play(steps, traced=False))):
            break
    return slow or asyncio.run(play(steps, traced=True))


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="hubbub")  # a failure would be found as INTERNAL


def test_no_order_of_commands_costs_or_keeps_too_much() -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=not SECONDS,
        print_blob=False,
        phases=set(Phase) - {Phase.explain},
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(STEPS, min_size=1, max_size=40))
    def search(steps: list[Step]) -> None:
        wrong = run(
            [Step(0, well_formed("connect", "a", 0, "#"), 0), Step(0, well_formed("join", "a", 0, "#"), 0), *steps]
        )
        assert not wrong, "\n".join(wrong[:5])

    until = time.monotonic() + SECONDS / 8
    search()
    while time.monotonic() < until:
        search()


@pytest.mark.parametrize("kind", ["post", "private"])
@pytest.mark.parametrize("size", [0, 100, 30_000, 120_000])
def test_what_is_kept_of_a_post_is_what_is_counted(kind: str, size: int) -> None:
    """A field that nobody reads is as long as the frame allows, and the message is one digit."""
    frame = well_formed(kind, "a", size, "#")
    first = [Step(0, well_formed("connect", "a", 0, "#"), 0), Step(0, well_formed("join", "a", 0, "#"), 0)]
    assert asyncio.run(play([*first, *[Step(0, frame, 1)] * 60], traced=True)) == []
