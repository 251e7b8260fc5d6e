"""How ``hubbub join`` shows events: in words for people, or as JSON lines for programs."""

from __future__ import annotations

from typing import Protocol

from rich.text import Text

from hubbub.cli.terminal.json_lines import json_line
from hubbub.cli.terminal.screen import Screen, harmless, message_line, notice_line, one_line
from hubbub.client import Client, Closed, Connected, Event, Gap, Message, Notice, Other, Private, Problem, Reconnecting


class View(Protocol):
    """Shows what a client hears."""

    async def begin(self, group: str) -> None:
        """Say that the group has been joined."""

    def show(self, event: Event) -> None:
        """Show an event."""


class JsonView:
    """Each event is a line on `screen`, as a program gets it."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    async def begin(self, group: str) -> None:
        """Say nothing: there is no event for it."""

    def show(self, event: Event) -> None:
        """Show an event; one of a later server as it came."""
        self._screen.show(json_line(event.data if isinstance(event, Other) else event))


class TextView:
    """What is said, and who comes and goes, on `screen`; how the connection is doing on `remarks`.

    Args:
        client: Connected, and in a group.
        screen: For what peers do.
        remarks: For what we have to say.
        echo: Whether to show our own messages. Whoever types them sees them anyway.
    """

    def __init__(self, client: Client, screen: Screen, remarks: Screen, *, echo: bool) -> None:
        self._client = client
        self._screen = screen
        self._remarks = remarks
        self._echo = echo
        self._away = False

    async def begin(self, group: str) -> None:
        """Say who we are, and who else is there, as far as a page of them goes."""
        page = await self._client.get_realtime_users(group)
        others = dict.fromkeys(row.user_id for row in page.list if row.connection_id != self._client.connection_id)
        names = ", ".join(others) + ("" if page.end_of_list else ", …")
        there = f"with {names}" if others else "alone"
        self._remarks.remark(one_line(f'You are {self._client.user_id} in "{group}", {there}.'))

    def show(self, event: Event) -> None:
        """Show an event."""
        match event:
            case Message(message, sender, sender_cid):
                if self._echo or sender_cid is None or sender_cid != self._client.connection_id:
                    self._screen.show(message_line(sender, message))
            case Private(message, sender):
                self._screen.show(message_line(sender, message, privately=True))
            case Notice():
                self._screen.show(notice_line(event.sender, event.code, event.user_connections))
            case Gap():
                self._remarks.remark(gap_text(event))
            case Other():
                self._screen.show(Text(harmless(json_line(event.data)), style="dim"))
            case Reconnecting():
                if not self._away:  # once is enough, however many attempts it takes
                    self._remarks.remark(f"The connection is lost ({event.code}: {event.reason}). Trying again ...")
                self._away = True
            case Connected():
                self._remarks.remark("Connected again.")
                self._away = False
            case Problem():
                self._remarks.error(event.message)
            case Closed():
                pass


def gap_text(gap: Gap) -> str:
    """Return what to say where messages are missing."""
    what = "Private messages" if gap.group is None else "Messages"
    if gap.missed is None:
        return f"{what} may be missing here: the server began anew."
    return f"{what} are missing here: {gap.missed}."
