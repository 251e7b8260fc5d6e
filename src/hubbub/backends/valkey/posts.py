"""The posts of this node to the groups of one shard: those of one tick go to the store together, in one script.

The store's answer has the numbers of the messages. The node delivers them to its own connections from there, without
waiting for what the store publishes, which it publishes only if other nodes receive the group. Posts with a key, or
with a least number of recipients, go alone: see ``post.lua``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from hubbub.backends.valkey import envelope, schema
from hubbub.backends.valkey.connection import MAX_PENDING, Argument, overloaded
from hubbub.backends.valkey.inbound import Inbound
from hubbub.backends.valkey.link import Link
from hubbub.errors import CommandError
from hubbub.fanout import SHARED_FROM
from hubbub.groups import kept_bytes
from hubbub.messages import Message

MAX_BATCH = 1000
"""Most messages of one script call: the store serves nobody else meanwhile, and takes some microseconds for each."""

MAX_BATCH_BYTES = 1_048_576
"""Bytes of messages after which a script call gets no more."""

log = logging.getLogger("hubbub.valkey")

UTF_8 = ("utf-8", "surrogatepass")
"""The arguments of `schema.encode`, whose call would cost as much as its work."""

Posted = Callable[[int | CommandError], object]
"""What is called with the result of a post: the number of recipients, or why it was refused."""

_Batch = dict[str, list[tuple[Message, Posted]]]


class Posts:
    """Collects posts and sends them when the tick ends.

    Args:
        link: The connection to the shard.
        inbound: Delivers to this node's connections.
        budget: Most bytes that may be kept because of one user, for the text of the refusal.
    """

    def __init__(self, link: Link, inbound: Inbound, budget: int) -> None:
        self._link = link
        self._inbound = inbound
        self._budget = budget
        self._batch: _Batch = {}
        self._crowded = False  # whether the batch has a message to a large group
        self._collected = self._bytes = 0  # in the batch
        self._unanswered = 0  # in the batch, or on the way to the store and back

    def add(self, message: Message, done: Posted) -> None:
        """Send `message` to the store at the end of the tick, and call `done` once, later, when it was delivered here.

        Raises `CommandError` ``UNAVAILABLE`` at once if the store is away, or too much waits for it.
        """
        batch, group = self._batch, message.sender_rid
        if not batch:
            self._link.require_room()
            asyncio.get_running_loop().call_soon(self._end_tick)
        if self._unanswered >= MAX_PENDING:
            raise overloaded("too many posts wait for it")
        posts = batch.get(group)
        if posts is None:
            batch[group] = [(message, done)]
            if self._inbound.groups.listeners(group) >= SHARED_FROM:
                self._crowded = True
        else:
            posts.append((message, done))
        self._unanswered += 1
        self._collected = collected = self._collected + 1
        self._bytes = size = self._bytes + len(message.message)
        if collected >= MAX_BATCH or size >= MAX_BATCH_BYTES:
            self._send()

    def _end_tick(self) -> None:
        # A message to a large group costs a write for each member, and those that arrive together share the writes. So
        # the node looks at the sockets once more, as `Node.after_tick` does; for small groups that does not pay.
        if self._crowded:
            asyncio.get_running_loop().call_soon(self._send)
        else:
            self._send()

    def _send(self) -> None:
        batch, self._batch, self._crowded = self._batch, {}, False
        if not batch:
            return
        self._collected = self._bytes = 0
        listeners = self._inbound.groups.listeners
        arguments: list[Argument] = []
        for group, posts in batch.items():
            arguments += (group.encode(*UTF_8), 1 if listeners(group) else 0, len(posts))
            for message, _ in posts:
                charged = b"" if message.sender_cid is None else message.sender.encode(*UTF_8)
                arguments += (envelope.pack_message(message), charged)
        try:
            self._link.require_ready()
            self._link.run_soon(partial(self._finish, batch), "posts", *arguments)
        except CommandError as error:
            asyncio.get_running_loop().call_soon(self._finish, batch, error)

    def _finish(self, batch: _Batch, reply: list[Any] | CommandError) -> None:
        """Give each post of a batch its result, and deliver what the store has numbered."""
        if isinstance(reply, CommandError):
            for posts in batch.values():
                self._report(posts, reply)
            return
        answers = iter(reply)
        for (group, posts), last, members, refused in zip(batch.items(), answers, answers, answers, strict=True):
            if last < 0:
                names = {schema.encode(group), *(schema.encode(message.sender) for message, _ in posts)}
                self._report(posts, self._link.fail(tuple(names), members.decode()))
                continue
            numbered = self._refuse_some(posts, refused) if refused else posts
            if last and len(numbered) == 1:  # in small groups nearly always
                numbered[0][0].seq = last
                self._inbound.deliver_own(group, numbered[0][:1])
            elif last and numbered:
                messages, seq = [], last - len(numbered)
                for message, _ in numbered:
                    seq += 1
                    message.seq = seq
                    messages.append(message)
                self._inbound.deliver_own(group, messages)
            self._report(numbered, members)

    def _refuse_some(self, posts: list[tuple[Message, Posted]], refused: list[int]) -> list[tuple[Message, Posted]]:
        """Refuse the posts whose senders have reached their limit, and return the others."""
        waits = dict(zip(refused[::2], refused[1::2], strict=True))
        for index, milliseconds in waits.items():
            self._report([posts[index]], kept_bytes.refusal(self._budget, milliseconds / 1000))
        return [post for index, post in enumerate(posts) if index not in waits]

    def _report(self, posts: list[tuple[Message, Posted]], result: int | CommandError) -> None:
        self._unanswered -= len(posts)
        for _, done in posts:
            try:
                done(result)
            except Exception:  # the other posts must get their results
                log.exception("could not report the result of a post")
