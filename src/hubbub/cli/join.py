"""``hubbub join``: follow a group in the terminal, and type into it."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from hubbub.cli.access import Access, connected, retry_rate_limited
from hubbub.cli.post import parse_message
from hubbub.cli.process.loop import run
from hubbub.cli.terminal.keyboard import Keyboard
from hubbub.cli.terminal.screen import Screen
from hubbub.cli.terminal.view import JsonView, TextView, View
from hubbub.client import Client, Problem
from hubbub.errors import CommandError, HubbubError, SettingsError

LEAVING = 2.0
"""Seconds that leaving may take, when somebody wants to go."""

Flag = Annotated[bool, Parameter(negative=())]


def join(
    group: Annotated[str, Parameter(show_default=False)],
    /,
    *,
    follow: Flag = False,
    json: Flag = False,
    access: Access | None = None,
) -> int:
    """Follow a group and type into it; Ctrl-D or Ctrl-C leaves.

    Shows what is said, privately too, and who comes and goes. Each line that
    you type is a message, {"msg": "the line"}. A lost connection comes back by
    itself. What comes from a pipe is posted line by line:

        hubbub join HelloWorld --as alice
        hubbub join HelloWorld --token "$(hubbub token alice)"
        tail -f app.log | hubbub join logs
        hubbub join HelloWorld --follow </dev/null >>HelloWorld.log
        hubbub join HelloWorld --json --follow </dev/null | jq .message

    Args:
        group: The group.
        follow: Stay when input has ended; Ctrl-C leaves.
        json: Print each event as a line of JSON, and read a JSON value from each line of input.
        access: Where, and as whom.
    """
    if not group:
        raise SettingsError("GROUP must be the name of a group")
    return run(_join(access or Access(), group, follow=follow, as_json=json))


async def _join(access: Access, group: str, *, follow: bool, as_json: bool) -> int:
    keyboard = Keyboard()
    screen, remarks = Screen(Console(), keyboard.typed), Screen(Console(stderr=True), keyboard.typed)
    async with connected(access) as client:
        await client.join_realtime(group)
        view: View = JsonView(screen) if as_json else TextView(client, screen, remarks, echo=not keyboard.edits)
        await view.begin(group)
        return await Conversation(client, view, keyboard, remarks, as_json=as_json).run(follow=follow)


class Conversation:
    """Shows what comes and posts what is typed, until one of the two ends.

    Args:
        client: Connected, and in a group.
        view: Shows events.
        keyboard: Where lines come from.
        remarks: Shows which lines could not be posted.
        as_json: Whether lines are JSON.
    """

    def __init__(self, client: Client, view: View, keyboard: Keyboard, remarks: Screen, *, as_json: bool) -> None:
        self._client = client
        self._view = view
        self._keyboard = keyboard
        self._remarks = remarks
        self._as_json = as_json
        self._leaving = False
        self._failed = False

    async def run(self, *, follow: bool) -> int:
        """Stay until input ends (unless we `follow`), SIGTERM comes or this task is cancelled; then leave.

        Returns:
            The exit code: 1 if a line from a pipe could not be posted.

        Raises:
            HubbubError: The server ended the connection for good, or lets us into the group no more.
        """
        showing, typing = asyncio.create_task(self._show()), asyncio.create_task(self._type())
        stopped = _sigterm()
        try:
            await asyncio.wait({showing, typing, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if follow:
                await asyncio.wait({showing, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            typing.cancel()
            await self._leave()
            ends = await asyncio.gather(showing, typing, return_exceptions=True)
            if self._keyboard.edits:
                print()  # behind the prompt
        for end in ends:
            if isinstance(end, Exception):
                raise end
        return int(self._failed and not self._keyboard.edits)

    async def _show(self) -> None:
        """Show everything until the connection is closed. Raises `HubbubError` if that is not our doing."""
        async for event in self._client:
            if isinstance(event, Problem) and self._client.group is None and not self._leaving:
                raise HubbubError(event.message)
            self._view.show(event)

    async def _type(self) -> None:
        async for line in self._keyboard.lines():
            if not line.strip():
                continue
            try:
                await self._post(line)
            except SettingsError as error:
                self._refuse(str(error))
            except CommandError as error:
                self._refuse(error.message)

    async def _post(self, line: str) -> None:
        group, message = self._client.group, parse_message(line, as_json=self._as_json)
        if group is not None:
            await retry_rate_limited(lambda: self._client.post_realtime(message, {"group": group}))

    def _refuse(self, why: str) -> None:
        self._failed = True
        self._remarks.error(why)

    async def _leave(self) -> None:
        self._leaving = True
        if self._client.state == "connected":
            with suppress(CommandError, TimeoutError):
                async with asyncio.timeout(LEAVING):
                    await self._client.join_realtime(None)
        await self._client.close_realtime()


def _sigterm() -> asyncio.Future[None]:
    """Return what is done when SIGTERM comes."""
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[None] = loop.create_future()

    def stop() -> None:
        if not stopped.done():
            stopped.set_result(None)

    with suppress(NotImplementedError):  # Windows
        loop.add_signal_handler(signal.SIGTERM, stop)
    return stopped
