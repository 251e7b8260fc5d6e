"""How ``hubbub join`` shows events: in words for people, or as JSON lines for programs."""

from __future__ import annotations

from typing import Protocol

from rich.text import Text

from hubbub.cli.terminal.json_lines import json_line
from hubbub.cli.terminal.screen import Screen, escape_controls, message_line, notice_line, one_line
from hubbub.client import Client, Closed, Connected, Event, Gap, Message, Notice, Other, Private, Problem, Reconnecting


class View(Protocol):
    """Shows the events of a client."""

    async def begin(self, group: str) -> None:
        """Show that the group has been joined."""

    def show(self, event: Event) -> None:
        """Show an event."""


class JsonView:
    """Prints each event as a line of JSON on `screen`.

    Args:
        client: Connected, and in a group.
        screen: For events.
        remarks: For what is not an event.
    """

    def __init__(self, client: Client, screen: Screen, remarks: Screen) -> None:
        self._client = client
        self._screen = screen
        self._remarks = remarks

    async def begin(self, group: str) -> None:
        """Show who we are, beside the events: there may be none for a long time."""
        text = f'You are {self._client.user_id} in "{group}". Each event is printed as a line of JSON.'
        self._remarks.remark(one_line(text))

    def show(self, event: Event) -> None:
        """Show an event; an event of a type that we do not know unchanged."""
        self._screen.show(json_line(event.data if isinstance(event, Other) else event))


class TextView:
    """Prints messages and notices on `screen`, and the state of the connection on `remarks`.

    Args:
        client: Connected, and in a group.
        screen: For messages and notices.
        remarks: For the state of the connection and errors.
        echo: Whether to show our own messages. At a terminal the user has just typed them.
    """

    def __init__(self, client: Client, screen: Screen, remarks: Screen, *, echo: bool) -> None:
        self._client = client
        self._screen = screen
        self._remarks = remarks
        self._echo = echo
        self._away = False

    async def begin(self, group: str) -> None:
        """Show who we are, and the first page of the other members."""
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
                self._screen.show(Text(escape_controls(json_line(event.data)), style="dim"))
            case Reconnecting():
                if not self._away:  # only once, however many attempts it takes
                    self._remarks.remark(f"Connection lost ({event.code}: {event.reason}). Reconnecting ...")
                self._away = True
            case Connected():
                self._remarks.remark("Reconnected.")
                self._away = False
            case Problem():
                self._remarks.error(event.message)
            case Closed():
                pass


def gap_text(gap: Gap) -> str:
    """Return the line that reports missing messages."""
    what = "Private messages" if gap.group is None else "Messages"
    if gap.missed is None:
        return f"{what} may be missing here: the server restarted or lost its history."
    return f"{what} are missing here: {gap.missed}."
