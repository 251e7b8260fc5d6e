"""A connection that reads more slowly than it is written to: watched, and closed before it costs others anything."""

from __future__ import annotations

from asyncio import Transport

from hubbub.errors import Close
from hubbub.session import Session
from hubbub.transports.base import TransportNode
from hubbub.transports.websocket.backlog import LOOK, Backlog


class SlowReader:
    """The watch over one connection, from when something begins to wait for it until it has caught up or is given up.

    Args:
        transport: Where the bytes wait.
        session: Whose they are; the fan-out writes to it through this watch for as long as it lasts.
        node: Gives the limit, the time and the fan-out.
    """

    __slots__ = ("_backlog", "_node", "_over", "_session", "_transport")

    def __init__(self, transport: Transport, session: Session, node: TransportNode) -> None:
        self._transport = transport
        self._session = session
        self._node = node
        self._backlog = Backlog(transport, node.settings.max_queue, node.now())
        self._over = False
        if self._backlog.overfull:
            self._give_up()
        else:
            node.fanout.rewire(session, self._write_if_room)
            node.loop.call_later(LOOK, self._look)

    def end(self) -> None:
        """Stop watching: it has caught up, or it is gone."""
        if not self._over:
            self._over = True
            self._node.fanout.rewire(self._session, self._transport.write)

    def _write_if_room(self, data: bytes) -> None:
        if self._over or self._backlog.admit(len(data)):
            self._transport.write(data)
        else:
            self._give_up()

    def _look(self) -> None:
        if not self._over:
            if self._backlog.stalled(self._node.now()):
                self._give_up()
            else:
                self._node.loop.call_later(LOOK, self._look)

    def _give_up(self) -> None:
        """Let what waits be the last that it hears, and close; nothing may follow where something was left out."""
        self._over = True
        self._node.fanout.rewire(self._session, _drop)
        self._node.loop.call_soon(self._cut)  # not at once: we may be within the fan-out's flush

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
