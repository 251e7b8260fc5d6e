"""What a transport that carries sessions may use of a node; `hubbub.node.Node` has further attributes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from hubbub.admission import Admission
from hubbub.auth.authenticator import Authenticator
from hubbub.counters import Counters
from hubbub.session import Operations, Session


class Caller(Protocol):
    """The call of an app that has brought a connection to a hub."""

    def begun(self, session: Session) -> None:
        """Take the new session, before its first frame."""
        ...

    def ended(self) -> None:
        """Note that the connection is lost."""
        ...


class TransportNode(Operations, Protocol):
    """The node as a transport that carries sessions sees it.

    Attributes:
        admission: The queue of new connections.
        auth: Checks the token of a handshake.
        counters: Where handshakes refused and connections closed are counted.
        loop: The event loop.
        draining: Whether the node is stopping, so that new connections must be refused.
    """

    admission: Admission
    auth: Authenticator
    counters: Counters
    loop: asyncio.AbstractEventLoop
    draining: bool

    @property
    def full(self) -> bool:
        """Whether there are as many connections as the settings allow."""
        ...

    @property
    def now(self) -> Callable[[], float]:
        """The clock of the event loop, seconds."""
        ...

    def admit(self, session: Session) -> None:
        """Add a new session, so that its deadlines are checked."""
        ...

    def send(self, session: Session, data: bytes) -> None:
        """Queue `data` behind everything that was sent to the connection before."""
        ...

    def after_tick(self, callback: Callable[[], object]) -> None:
        """Call `callback` when the fan-out has written everything that is queued now."""
        ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` in a task that is kept until it ends."""
        ...
