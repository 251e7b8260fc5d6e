"""How a program hears a group without being a member: ``async with hub.listen("kitchen") as messages``."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType

import msgspec

from hubbub.backends.base import Backend
from hubbub.client.events import Message as Heard
from hubbub.errors import CommandError, ErrorCode, HubError
from hubbub.messages import Event, Gap, Message, Notice, Private, Signaled, UserRow

MOST_BYTES = 8_388_608
"""Most bytes of messages that wait for one listener."""

_decode = msgspec.json.Decoder(float_hook=float).decode


class Messages(AsyncIterator[Heard]):
    """The messages that one listener has not taken yet. Each message is taken once.

    Args:
        group: The name of the group.
        most: Most messages that wait.
    """

    def __init__(self, group: str, most: int) -> None:
        self._group = group
        self._most = most
        self._waiting: deque[Message] = deque()
        self._bytes = 0
        self._failure: Exception | None = None
        self._filled = asyncio.Event()

    async def __anext__(self) -> Heard:
        """Return the next message, as the Python client does.

        Raises:
            CommandError: Messages are missing from here on: ``UNAVAILABLE``, the store has lost them; or ``TOO_LARGE``,
                this listener was too slow, and those that waited for it were taken before.
            HubError: The hub has been stopped.
        """
        while not self._waiting:
            if self._failure is not None:
                raise self._failure
            self._filled.clear()
            await self._filled.wait()
        message = self._waiting.popleft()
        self._bytes -= len(message.message)
        return Heard(_decode(message.message), message.sender, message.sender_cid, message.sender_rid, message.seq)

    def put(self, event: Message | Gap) -> None:
        """Add what the group was sent. Never raises."""
        if self._failure is not None:
            return
        if isinstance(event, Gap):
            text = f'Messages of the group "{self._group}" are missing: the store has lost them. Listen again.'
            self.fail(CommandError(ErrorCode.UNAVAILABLE, text))
        elif len(self._waiting) >= self._most or self._bytes + len(event.message) > MOST_BYTES:
            text = (
                f'This listener to "{self._group}" is too slow: {len(self._waiting)} messages of {self._bytes} bytes '
                f"wait, at most {self._most} of {MOST_BYTES} bytes may. Take them faster, or raise max_messages."
            )
            self.fail(CommandError(ErrorCode.TOO_LARGE, text))
        else:
            self._waiting.append(event)
            self._bytes += len(event.message)
            self._filled.set()

    def fail(self, error: Exception) -> None:
        """Add nothing more; `error` is raised behind what waits."""
        self._failure = self._failure or error
        self._filled.set()


class Listeners:
    """The listeners of one node: a `hubbub.backends.base.Receiver` that is counted nowhere.

    Args:
        backend: Brings the messages of the groups.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._of: dict[str, list[Messages]] = {}
        backend.attach(self)

    async def add(self, messages: Messages, group: str) -> None:
        """Deliver the messages of `group` from now on. Raises `CommandError` ``UNAVAILABLE``."""
        self._of.setdefault(group, []).append(messages)
        try:
            await self._backend.listen(group)
        except BaseException:
            self._drop(messages, group)
            raise

    async def remove(self, messages: Messages, group: str) -> None:
        """Deliver nothing more."""
        self._drop(messages, group)
        await self._backend.unlisten(group)

    def end(self) -> None:
        """Tell all listeners that the hub has been stopped."""
        for messages in [each for several in self._of.values() for each in several]:
            messages.fail(HubError("The hub was stopped while this listener was waiting for messages."))

    def _drop(self, messages: Messages, group: str) -> None:
        several = self._of[group]
        several.remove(messages)
        if not several:
            del self._of[group]

    # --- what the backend calls: nothing here counts as a recipient ---

    def deliver(self, group: str, event: Event) -> int:
        """Hand a message, or a gap, to the listeners of the group."""
        if group in self._of and isinstance(event, Message | Gap):
            for messages in self._of[group]:
                messages.put(event)
        return 0

    def announce(self, group: str, event: Notice | Message) -> int:
        """Ignore who joins and leaves; a message is for listeners, whoever else does not get it."""
        return self.deliver(group, event)

    def deliver_to_user(self, user_id: str, event: Private | Gap, but: str | None = None) -> int:
        """Ignore private messages."""
        return 0

    def deliver_to_connection(self, connection_id: str, event: Signaled) -> int:
        """Ignore signals."""
        return 0

    def members_lost(self, lost: list[tuple[UserRow, str]]) -> None:
        """Ignore who is lost."""

    def close_connections(self, user_id: str | None, connection_id: str | None) -> int:
        """Close nothing: a listener is no connection."""
        return 0


class Listening:
    """The context manager that ``hub.listen`` returns.

    Args:
        listeners: Returns the listeners of the running node, and starts the hub if it has not started yet.
        group: The name of the group.
        most: Most messages that wait.
    """

    def __init__(self, listeners: Callable[[], Awaitable[Listeners]], group: str, most: int) -> None:
        self._listeners = listeners
        self._group = group
        self._messages = Messages(group, most)
        self._entered: Listeners | None = None

    async def __aenter__(self) -> Messages:
        """Begin to listen; return the messages.

        Raises:
            CommandError: ``UNAVAILABLE``, the store does not answer.
            HubError: The hub was stopped, runs in another event loop, or this object was used before.
        """
        if self._entered is not None:
            raise HubError('This "hub.listen(…)" was used before: call hub.listen again for another "async with".')
        self._entered = await self._listeners()
        await self._entered.add(self._messages, self._group)
        return self._messages

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        assert self._entered is not None
        await self._entered.remove(self._messages, self._group)
