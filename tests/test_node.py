"""The operations, as a state machine of connections that join, leave, switch, post and drop, against a model.

The model knows nothing of fan-out, backend or directory: it keeps plain dictionaries and records, frame by frame, what
each connection has to hear.
"""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hubbub.auth.authenticator import Authenticator
from hubbub.backends.memory import MemoryBackend
from hubbub.fanout import SHARED_FROM
from hubbub.messages import notice
from hubbub.node import Node
from hubbub.settings import Settings
from support.fake_link import FakeLink, turn
from support.frames import GUEST_KEY

USERS = st.sampled_from(["ada", "bob", "eve"])
GROUPS = st.sampled_from(["a", "b", "ü-\U0001f600"])


class Person(FakeLink):
    """An end with what the model knows of it."""

    def __init__(self, number: int, node: Node) -> None:
        super().__init__(f"c{number}", node)
        self.user = ""
        self.group: str | None = None
        self.expected: list[dict[str, Any]] = []


class NodeMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.node = self.loop.run_until_complete(self.make())
        self.ends: list[Person] = []
        self.seq: dict[str, int] = {}
        self.privates: dict[str, int] = {}
        self.number = 0

    async def make(self) -> Node:
        options = Settings(rate_limit=0)
        return Node(options, MemoryBackend(), Authenticator(options))

    def tick(self) -> None:
        self.loop.run_until_complete(turn(self.node))

    # --- the model ---

    def members(self, group: str | None) -> list[Person]:
        return [end for end in self.ends if group is not None and end.group == group]

    def announce(self, code: str, group: str, who: Person, text: str) -> None:
        left = sum(end.user == who.user for end in self.members(group))
        for end in self.members(group):
            if end is not who:
                end.expected.append(
                    {
                        "type": "notice",
                        "message": f'User "{who.user}" {text}',
                        "sender": who.user,
                        "sender_cid": who.session.connection_id,
                        "sender_rid": group,
                        "code": code,
                        "user_connections": left,
                    }
                )

    def depart(self, end: Person, code: str, text: str) -> None:
        group, end.group = end.group, None
        if group is not None:
            self.announce(code, group, end, text)

    # --- what happens ---

    @rule(user=USERS)
    def connect(self, user: str) -> None:
        self.number += 1
        end = Person(self.number, self.node)
        end.say(id=1, do="connect", guest=user)
        end.user = user
        welcome = {"user_id": user, "connection_id": f"c{self.number}", "node": self.node.node_id, "ping": 25.0}
        inbox = {"inbox": {"epoch": ..., "seq": self.privates.setdefault(user, 0)}, "replayed": 0, "gap": False}
        inbox["guest_key"] = GUEST_KEY
        end.expected.append({"id": 1, "ok": {**welcome, "max_message": 65536, "expires": None, **inbox}})
        self.ends.append(end)

    @precondition(lambda self: self.ends)
    @rule(data=st.data(), group=GROUPS)
    def join(self, data: st.DataObject, group: str) -> None:
        end = data.draw(st.sampled_from(self.ends))
        end.say(id=2, do="join", group=group)
        if end.group != group:
            self.depart(end, "USER_LEFT", "has left the message group.")
            self.seq.setdefault(group, 0)
            end.group = group
            self.announce("USER_JOINED", group, end, "has joined the message group.")
        text = f'Joined realtime message group: "{group}".'
        position = {"epoch": ..., "seq": self.seq[group]}
        end.expected.append({"id": 2, "ok": {"type": "success", "message": text, "position": position}})

    @precondition(lambda self: self.ends)
    @rule(data=st.data(), how=st.sampled_from(["leave", "", None]))
    def leave(self, data: st.DataObject, how: str | None) -> None:
        end = data.draw(st.sampled_from(self.ends))
        if how == "leave":
            end.say(id=3, do="leave")
        else:
            end.say(id=3, do="join", group=how)
        self.depart(end, "USER_LEFT", "has left the message group.")
        end.expected.append({"id": 3, "ok": {"type": "success", "message": "Left realtime message group."}})

    @precondition(lambda self: self.ends)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        end = data.draw(st.sampled_from(self.ends))
        end.session.lost()
        end.session.lost()
        self.ends.remove(end)
        self.depart(end, "USER_DISCONNECTED", "has been disconnected and left the message group.")

    @precondition(lambda self: self.ends)
    @rule(data=st.data(), group=GROUPS, message=st.sampled_from([None, 0, False, "", "hi", {"a": [1, {}]}]))
    def post(self, data: st.DataObject, group: str, message: Any) -> None:
        end = data.draw(st.sampled_from(self.ends))
        to = data.draw(st.sampled_from([group, {"group": group}]))
        end.say(id=4, do="post", to=to, message=message)
        if end.group != group:
            text = no_recipient(group) if to == group else not_joined(group)
            end.expected.append({"id": 4, "error": {"code": "INVALID_REQUEST", "message": text}})
            return
        self.seq[group] += 1
        event = {"type": "message", "message": message, "sender": end.user, "sender_cid": end.session.connection_id}
        event |= {"sender_rid": group, "seq": self.seq[group], "code": None}
        for member in self.members(group):
            member.expected.append(event)
        self.expect_sent(end, len(self.members(group)))

    @precondition(lambda self: self.ends)
    @rule(data=st.data(), user=USERS, exactly=st.booleans())
    def post_to_user(self, data: st.DataObject, user: str, exactly: bool) -> None:
        end = data.draw(st.sampled_from(self.ends))
        end.say(id=5, do="post", to={"user_id": user} if exactly else user, message=1)
        own = [other for other in self.ends if other.user == user]
        if not own and not exactly:
            end.expected.append({"id": 5, "error": {"code": "INVALID_REQUEST", "message": no_recipient(user)}})
            return
        event = {"type": "private", "message": 1, "sender": end.user, "sender_cid": end.session.connection_id}
        if user in self.privates:  # else nobody of that name was ever here
            self.privates[user] += 1
        for other in own:
            other.expected.append({**event, "sender_rid": None, "code": None, "seq": self.privates[user]})
        self.expect_sent(end, len(own), 5)

    def expect_sent(self, end: Person, recipients: int, command: int = 4) -> None:
        ok = {"type": "success", "message": "Message sent.", "recipients": recipients}
        end.expected.append({"id": command, "ok": ok})

    @precondition(lambda self: self.ends)
    @rule(data=st.data(), order=st.sampled_from(["group", "number_of_users"]), ascending=st.booleans())
    def groups(self, data: st.DataObject, order: str, ascending: bool) -> None:
        end = data.draw(st.sampled_from(self.ends))
        end.say(id=6, do="groups", searchFor=order, ascending=ascending)
        rows = []
        for group in {other.group for other in self.ends if other.group is not None}:
            users = {member.user for member in self.members(group)}
            row = {"group": group, "number_of_users": len(users), "number_of_connections": len(self.members(group))}
            rows.append(row)
        rows.sort(key=lambda row: (row["number_of_users"] if order != "group" else 0, row["group"]))
        end.expected.append({"id": 6, "ok": page(rows if ascending else rows[::-1])})

    @precondition(lambda self: self.ends)
    @rule(data=st.data(), group=GROUPS, user=st.none() | USERS)
    def users(self, data: st.DataObject, group: str, user: str | None) -> None:
        end = data.draw(st.sampled_from(self.ends))
        end.say(id=7, do="users", group=group, user_id=user)
        members = [member for member in self.members(group) if user in (None, member.user)]
        rows = sorted((member.user, member.session.connection_id) for member in members)
        listed = [{"user_id": user_id, "connection_id": connection_id} for user_id, connection_id in rows]
        end.expected.append({"id": 7, "ok": page(listed)})

    @rule()
    def end_of_tick(self) -> None:
        self.tick()
        for end in self.ends:
            heard = end.heard()
            for frame in heard:
                for name in ("position", "inbox"):
                    if name in frame.get("ok", {}):
                        frame["ok"][name]["epoch"] = ...
            assert heard == end.expected
            assert end.closed == []

    @invariant()
    def nothing_is_left_behind(self) -> None:
        assert set(self.node.sessions) == {end.session.connection_id for end in self.ends}

    def teardown(self) -> None:
        self.end_of_tick()
        for end in list(self.ends):
            end.session.lost()
        self.tick()
        fanout, backend = self.node.fanout, self.node.backend
        assert isinstance(backend, MemoryBackend)
        assert (fanout.connections, fanout.users, fanout.groups, self.node.sessions) == ({}, {}, {}, {})
        assert self.loop.run_until_complete(backend.count()) == (0, 0)
        self.loop.close()


def not_joined(group: str) -> str:
    return f'You are not in the group "{group}". To post to it, join it first.'


def no_recipient(name: str) -> str:
    return (
        f'No user "{name}" is connected, and you are not in a group "{name}". To post to a group, join it first. '
        'To leave a message for a user who was connected lately, post to {"user_id": …}.'
    )


def page(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"list": rows, "startKey": "end", "endOfList": True}


NodeMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestNode = NodeMachine.TestCase


async def test_what_comes_after_a_flush_does_so_while_a_large_group_has_something_to_hear() -> None:
    node = Node(Settings(), MemoryBackend(), Authenticator(Settings()))
    ends = [FakeLink(f"c{number}", node) for number in range(SHARED_FROM + 1)]
    for end in ends:
        node.fanout.join(end.session, "a")
    await turn(node)
    sizes = []
    node.fanout.publish("a", notice("USER_LEFT", "a", ends[0].session.row, 0))
    node.after_tick(lambda: sizes.append(len(ends[1].written)))
    assert node.fanout.crowded
    await turn(node)
    assert sizes == [len(ends[1].written)] != [0]
