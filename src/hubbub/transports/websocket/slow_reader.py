"""Watches a connection that reads too slowly, and closes it before it uses too much memory."""

from __future__ import annotations

from typing import Protocol

from hubbub.errors import Close
from hubbub.session import Session
from hubbub.transports.base import TransportNode
from hubbub.transports.websocket.backlog import LOOK, Backlog, Queue


class Unread(Queue, Protocol):
    """Where the bytes of one connection wait."""

    def write(self, data: bytes) -> object:
        """Queue bytes."""
        ...


class SlowReader:
    """The watch over one connection, until the client has caught up or is closed.

    Args:
        transport: The bytes wait in its buffer.
        session: The session of the connection. While the watch lasts, the fan-out writes to it through the watch.
        node: Has the limit, the clock and the fan-out.
    """

    __slots__ = ("_backlog", "_budget", "_node", "_over", "_session", "_transport")

    def __init__(self, transport: Unread, session: Session, node: TransportNode) -> None:
        self._transport = transport
        self._session = session
        self._node = node
        self._backlog = Backlog(transport, node.settings.max_queue, node.now())
        self._over = False
        self._budget = session.budget
        self._budget.slow[session] = transport
        session.slow = True
        if self._backlog.overfull:
            self._give_up()
        else:
            node.fanout.rewire(session, self._write_if_room)
            node.loop.call_later(LOOK, self._look)

    def end(self) -> None:
        """Stop watching: the client has caught up, or the connection is lost."""
        self._budget.slow.pop(self._session, None)
        self._session.slow = False
        if not self._over:
            self._over = True
            self._node.fanout.rewire(self._session, self._transport.write)

    def _write_if_room(self, data: bytes) -> None:
        if self._over or (self._user_has_room(len(data)) and self._backlog.admit(len(data))):
            self._transport.write(data)
        else:
            self._give_up()

    def _user_has_room(self, size: int) -> bool:
        """Return whether `size` more bytes may wait for all connections of the user together."""
        budget, settings = self._budget, self._node.settings
        if len(budget.slow) * settings.max_queue <= settings.max_queue_user:  # then max_queue sees to it
            return True
        return budget.unread() + size <= max(settings.max_queue, settings.max_queue_user)

    def _look(self) -> None:
        if not self._over:
            if self._backlog.stalled(self._node.now()):
                self._give_up()
            else:
                self._node.loop.call_later(LOOK, self._look)

    def _give_up(self) -> None:
        """Write nothing more, and close: no message may follow where one was left out."""
        self._over = True
        self._node.fanout.rewire(self._session, _drop)
        self._node.loop.call_soon(self._cut)  # not at once: the fan-out may be calling us

    def _cut(self) -> None:
        session = self._session
        if session.gone:
            return
        self._node.counters.queue_cuts += 1
        self._node.fanout.remove(session)
        self._node.fanout.rewire(session, self._transport.write)
        if session.closing:
            session.link.abort()
        else:
            session.close(Close.TOO_SLOW, self._node.now())


def _drop(_data: bytes) -> None:
    """Write nothing."""
