"""Coming back: every interleaving of posts, drops and resumes, against a model that keeps every message there ever was.

The model is told of nothing but the answers to posts. What a client has to hear follows from the contract alone: in the
order of the numbers, each once, and all of them, unless it was told of a gap.
"""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from hubbub.auth.authenticator import Authenticator
from hubbub.backends.memory import MemoryBackend
from hubbub.groups.history import Window
from hubbub.node import Node
from hubbub.settings import Settings
from support.clients import SECRET, token
from support.fake_link import FakeLink, turn

KEPT = 5
AGE = 100.0


class Listener:
    """One client: what it has heard so far, and where it stands; it outlives its connections."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.end: FakeLink | None = None
        self.read = 0
        self.position: dict[str, Any] | None = None
        self.heard: list[int] = []
        self.missing: list[int] = []  # what a gap has told it about
        self.gone_at = 0.0

    def listen(self) -> None:
        """Read what has come, as a client does: the answer to a join first, then everything by number."""
        assert self.end is not None
        frames = self.end.heard()
        for frame in frames[self.read :]:
            ok = frame.get("ok", {})
            if "position" in ok:
                replayed = ok.get("replayed", 0)
                begin = ok["position"]["seq"] - replayed
                if self.position is None or ok.get("gap"):  # a new member gets no earlier messages
                    self.missing += range(len(self.heard) + len(self.missing) + 1, begin + 1)
                self.position = {"epoch": ok["position"]["epoch"], "seq": begin}
            elif frame.get("type") == "message":
                assert self.position is not None
                assert frame["seq"] == self.position["seq"] + 1  # no hole, no double, in order
                self.position["seq"] = frame["seq"]
                self.heard.append(frame["message"])
        self.read = len(frames)


class ResumeMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.time = 0.0
        self.node = self.loop.run_until_complete(self.make())
        self.sender = FakeLink("sender", self.node)
        self.sender.say(id=0, do="connect", guest="sender")
        self.sender.say(id=1, do="join", group="g")
        self.listeners = [Listener("ada"), Listener("bob")]
        self.posted = 0
        self.times: list[float] = []
        self.connections = 0

    async def make(self) -> Node:
        options = Settings(rate_limit=0)
        backend = MemoryBackend(Window(messages=KEPT, age=AGE), now=lambda: self.time)
        return Node(options, backend, Authenticator(options))

    @rule(number=st.integers(1, 4), again=st.booleans())
    def post(self, number: int, again: bool) -> None:
        for _ in range(number):
            self.posted += 1
            self.times.append(self.time)
            for _ in range(1 + again):  # with the same key it is the same post
                self.sender.say(id=9, do="post", to="g", message=self.posted, key=f"k{self.posted}")

    @precondition(lambda self: any(each.end is None for each in self.listeners))
    @rule(data=st.data())
    def come(self, data: st.DataObject) -> None:
        who = data.draw(st.sampled_from([each for each in self.listeners if each.end is None]))
        self.connections += 1
        who.end, who.read = FakeLink(f"c{self.connections}", self.node), 0
        who.end.say(id=0, do="connect", guest=who.name)
        since = who.position
        position: dict[str, Any] = {} if since is None else {"since": since}
        who.end.say(id=1, do="join", group="g", **position)
        joined = who.end
        self.tick()
        answer = next(frame["ok"] for frame in joined.heard() if frame.get("id") == 1)
        if since is None:
            return
        missed = self.posted - since["seq"]
        young = sum(when > self.time - AGE for when in self.times)
        if missed <= min(KEPT, young):
            assert not answer.get("gap")  # all of it is within the window
        if missed > KEPT:
            assert answer["gap"]  # nobody can have it any more

    @precondition(lambda self: any(each.end is not None for each in self.listeners))
    @rule(data=st.data(), heard=st.booleans())
    def drop(self, data: st.DataObject, heard: bool) -> None:
        who = data.draw(st.sampled_from([each for each in self.listeners if each.end is not None]))
        if heard:
            self.tick()
        who.listen()  # what was written has arrived; the rest of the tick is lost on the way
        assert who.end is not None
        who.end.session.lost()
        who.end = None

    @rule(seconds=st.sampled_from([1.0, AGE / 2, AGE * 2]))
    def time_passes(self, seconds: float) -> None:
        self.time += seconds
        backend = self.node.backend
        assert isinstance(backend, MemoryBackend)
        backend.sweep()

    @rule()
    def tick(self) -> None:
        self.loop.run_until_complete(turn(self.node))
        for each in self.listeners:
            if each.end is not None:
                each.listen()
                # Everything that was ever posted was heard, or belongs to a gap that was told.
                assert sorted(each.heard + each.missing) == list(range(1, self.posted + 1))
                assert each.heard == sorted(each.heard)

    def teardown(self) -> None:
        self.tick()
        self.loop.close()


TestResume = ResumeMachine.TestCase
TestResume.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def node(**options: Any) -> Node:
    given = Settings(rate_limit=0, **options)
    return Node(given, MemoryBackend(Window(messages=given.history_messages)), Authenticator(given))


def enter(place: Node, name: str, **connect: Any) -> FakeLink:
    end = FakeLink(f"{name}{len(place.sessions)}", place)
    end.say(id=0, do="connect", guest=name, **connect)
    return end


async def test_the_inbox_is_replayed_behind_the_welcome_and_live_behind_that() -> None:
    place = node()
    first, ada = enter(place, "bob"), enter(place, "ada")
    await turn(place)
    inbox = first.heard()[0]["ok"]["inbox"]
    first.session.lost()
    for number in range(2):
        ada.say(id=1, do="post", to={"user_id": "bob"}, message=number)
    second = enter(place, "bob", since=inbox)
    ada.say(id=1, do="post", to={"user_id": "bob"}, message=2)
    await turn(place)
    welcome, *privates = second.heard()
    assert (welcome["ok"]["replayed"], welcome["ok"]["gap"], welcome["ok"]["inbox"]["seq"]) == (2, False, 2)
    assert [(event["message"], event["seq"]) for event in privates] == [(0, 1), (1, 2), (2, 3)]


async def test_what_would_not_fit_into_the_queue_is_a_gap() -> None:
    place = node(max_queue=10_000)
    ada = enter(place, "ada")
    ada.say(id=1, do="join", group="g")
    await turn(place)
    start = ada.heard()[1]["ok"]["position"]
    for _ in range(4):
        ada.say(id=2, do="post", to="g", message="x" * 3000)
    bob = enter(place, "bob")
    bob.say(id=1, do="join", group="g", since=start)
    await turn(place)
    answer = bob.heard()[1]["ok"]
    assert (answer["gap"], answer.get("replayed", 0), answer["position"]["seq"]) == (True, 0, 4)
    assert len(bob.heard()) == 2


async def test_bad_values_are_refused_by_name() -> None:
    place = node()
    ada = enter(place, "ada")
    joins: list[dict[str, Any]] = [{"history": -1}, {"since": {"epoch": "e"}}, {"since": 7}]
    posts: list[dict[str, Any]] = [{"key": ""}, {"key": "k" * 129}, {"key": 1}, {"min_recipients": -1}]
    for fields in joins:
        ada.say(id=1, do="join", group="g", **fields)
    for fields in posts:
        ada.say(id=2, do="post", to={"user_id": "ada"}, message=1, **fields)
    await turn(place)
    errors = [frame["error"] for frame in ada.heard()[1:]]
    assert [error["code"] for error in errors] == ["INVALID_PARAMETER"] * 7
    for error, name in zip(errors, ["history", "since", "since", "key", "key", "key", "min_recipients"], strict=True):
        assert f'"{name}' in error["message"]


async def test_a_token_that_lost_a_group_gets_neither_history_nor_what_was_missed() -> None:
    given = Settings(rate_limit=0, secret=SECRET)
    place = Node(given, MemoryBackend(), Authenticator(given))
    ends = {}
    for name, groups in (("before", ["g"]), ("after", ["other"])):
        ends[name] = FakeLink(name, place)
        ends[name].say(id=0, do="connect", token=token("ada", groups=groups))
    ends["before"].say(id=1, do="join", group="g")
    ends["before"].say(id=2, do="post", to="g", message="secret")
    await turn(place)
    start = ends["before"].heard()[1]["ok"]["position"]
    ends["after"].say(id=1, do="join", group="g", since=start)
    ends["after"].say(id=2, do="join", group="g", history=5)
    await turn(place)
    _, *answers = ends["after"].heard()
    assert [answer["error"]["code"] for answer in answers] == ["FORBIDDEN", "FORBIDDEN"]
    assert b"secret" not in ends["after"].written
