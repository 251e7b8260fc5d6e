"""Random interleavings of hooks that wait, deny, raise, change and swallow, against a model of what each member hears.

The model says what a reader of the documentation expects: the commands of one connection run one after the other, each
takes effect when its hook has answered, and nobody else waits for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.hub.registry import Registry
from hubbub.hub.types import Deny, Member, Post
from support.fake_link import FakeLink, make_node, settle, turn

GROUPS = ("a", "b", "free")
"""The last one has no hooks."""

ANSWERS = ("pass", "change", "swallow", "deny", "raise")

CODES = {"deny": "FORBIDDEN", "raise": "INTERNAL"}


class App(Registry):
    """Hooks that do what the plan says: for a post the message itself is the plan, for a join the next of `joins`."""

    def __init__(self) -> None:
        super().__init__()
        self.gates: dict[int, asyncio.Event] = {}
        self.joins: dict[str, deque[tuple[int, str, bool]]] = {}

        for group in GROUPS[:-1]:
            self.on_join(group)(self.may_join)
            self.on_post(group)(self.check)

    async def may_join(self, member: Member) -> None:
        number, answer, waits = self.joins[member.connection_id].popleft()
        await self.decide(number, answer, waits)

    async def check(self, post: Post[Any]) -> Any:
        number, answer, waits = post.message
        await self.decide(number, answer, waits)
        return {"pass": post.message, "change": [number, "changed", False], "swallow": None}[answer]

    async def decide(self, number: int, answer: str, waits: bool) -> None:
        if waits:
            self.gates[number] = asyncio.Event()
            await self.gates[number].wait()
        if answer == "deny":
            raise Deny("No.")
        if answer == "raise":
            raise ValueError("a bug of the app")


@dataclass
class Command:
    """A command of the model, with what its hook will do."""

    number: int
    do: str
    group: str | None
    answer: str
    waits: bool


@dataclass
class Client:
    """A connection of the model."""

    group: str | None = None
    gone: bool = False
    queue: deque[Command] = field(default_factory=deque)
    heard: list[Any] = field(default_factory=list)
    answers: dict[int, str] = field(default_factory=dict)


class Model:
    """What should happen."""

    def __init__(self, number: int) -> None:
        self.clients = [Client() for _ in range(number)]
        self.waiting: dict[int, Client] = {}  # by the number of the command

    def send(self, client: Client, command: Command) -> None:
        client.queue.append(command)
        if len(client.queue) == 1:
            self.run(client)

    def run(self, client: Client) -> None:
        while client.queue:
            command = client.queue[0]
            hooked = command.do != "leave" and command.group in GROUPS[:-1]
            if command.do == "post" and command.group != client.group:
                client.answers[command.number] = "INVALID_REQUEST"
            elif hooked and command.waits:
                self.waiting[command.number] = client
                return
            else:
                self.finish(client, command, command.answer if hooked else "pass")
            client.queue.popleft()

    def release(self, number: int) -> None:
        client = self.waiting.pop(number)
        self.finish(client, client.queue[0], client.queue[0].answer)
        client.queue.popleft()
        self.run(client)

    def finish(self, client: Client, command: Command, answer: str) -> None:
        if code := CODES.get(answer):
            client.answers[command.number] = code
            return
        client.answers[command.number] = "ok"
        if command.do in {"join", "leave"}:
            if not client.gone:
                client.group = command.group
        elif answer != "swallow":
            text = [command.number, "changed", False] if answer == "change" else plan(command)
            for each in self.clients:
                if each.group == command.group and not each.gone:
                    each.heard.append(text)

    def lose(self, client: Client) -> None:
        client.gone = True
        while len(client.queue) > 1:  # the running one ends by itself
            client.queue.pop()


def plan(command: Command) -> list[Any]:
    return [command.number, command.answer, command.waits]


actions = st.lists(
    st.one_of(
        st.tuples(
            st.just("send"),
            st.integers(0, 2),
            st.sampled_from(["post", "post", "join", "leave"]),
            st.sampled_from(GROUPS),
            st.sampled_from(ANSWERS),
            st.booleans(),
        ),
        st.tuples(st.just("release"), st.integers(0, 20)),
        st.tuples(st.just("lose"), st.integers(0, 2)),
    ),
    max_size=30,
)


async def calm() -> None:
    """Let everything run that can run."""
    for _ in range(30):
        await asyncio.sleep(0)


async def play(steps: list[tuple[Any, ...]]) -> None:
    app, model = App(), Model(3)
    node = make_node(registry=app)
    ends = [FakeLink(f"c{number}", node) for number in range(3)]
    for number, end in enumerate(ends):
        app.joins[f"c{number}"] = deque([(0, "pass", False)])
        end.say(do="connect", guest=f"u{number}")
        end.say(do="join", group="a")
        model.clients[number].group = "a"
    await settle(node)
    for number, (kind, index, *rest) in enumerate(steps, 1):
        if kind == "send":
            do, group, answer, waits = rest
            client, end = model.clients[index], ends[index]
            if client.gone:
                continue
            command = Command(number, do, None if do == "leave" else group, answer, waits)
            if do == "join" and group in GROUPS[:-1]:
                app.joins[f"c{index}"].append((number, answer, waits))
            model.send(client, command)
            if do == "post":
                end.say(id=number, do="post", to={"group": group}, message=plan(command))
            else:
                end.say(id=number, do=do, **({"group": group} if do == "join" else {}))
        elif kind == "release":
            running = sorted(model.waiting)
            if not running:
                continue
            chosen = running[index % len(running)]
            app.gates[chosen].set()
            model.release(chosen)
        elif not model.clients[index].gone:
            model.lose(model.clients[index])
            ends[index].session.lost()
        await calm()
    while model.waiting:
        chosen = min(model.waiting)
        app.gates[chosen].set()
        model.release(chosen)
        await calm()
    await settle(node)
    await turn(node)
    for client, end in zip(model.clients, ends, strict=True):
        if client.gone:  # what it was written before is checked by the others
            continue
        heard = [frame["message"] for frame in end.heard() if frame.get("type") == "message"]
        replies = {frame["id"]: frame for frame in end.heard() if frame.get("id")}
        assert heard == client.heard
        assert {
            n: frame["error"]["code"] if "error" in frame else "ok" for n, frame in replies.items()
        } == client.answers
        assert end.session.group == client.group
    assert node.hooks is not None
    assert (node.hooks.running, node.hooks.waiting) == (0, 0)


@settings(max_examples=150, deadline=None)
@given(actions)
def test_every_member_hears_what_the_model_says(steps: list[tuple[Any, ...]]) -> None:
    asyncio.run(play(steps))
