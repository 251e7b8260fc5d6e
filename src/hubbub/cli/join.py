"""``hubbub join``: follow a group in the terminal, and post to it."""

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
from hubbub.cli.terminal.line_commands import HELP, Line, parse_line, unknown_command
from hubbub.cli.terminal.screen import Screen
from hubbub.cli.terminal.view import JsonView, TextView, View
from hubbub.client import Client, Problem
from hubbub.errors import CommandError, HubbubError, SettingsError

LEAVE_TIMEOUT = 2.0
"""Seconds that leaving the group may take at the end."""
IN_BACKGROUND = "This is a background job, so nothing is read from the terminal."

Flag = Annotated[bool, Parameter(negative=())]


def join(
    group: Annotated[str, Parameter(show_default=False)],
    /,
    *,
    follow: Flag = False,
    json: Flag = False,
    access: Access | None = None,
) -> int:
    """Follow a group and post to it; Ctrl-D or Ctrl-C leaves.

    Shows messages, private messages to you, and who joins and leaves. Each line
    that you type is posted as {"msg": "the line"}; /help shows what else can be
    typed. A lost connection reconnects by itself. Input from a pipe is posted
    line by line, with slashes and all:

        hubbub join HelloWorld --as alice
        hubbub join HelloWorld --token "$(hubbub token alice)"
        tail -f app.log | hubbub join logs
        hubbub join HelloWorld --follow </dev/null >>HelloWorld.log
        hubbub join HelloWorld --json --follow </dev/null | jq .message

    Args:
        group: The group.
        follow: Stay when input has ended; Ctrl-C leaves.
        json: Print each event as a line of JSON, and read a JSON value from each line of input.
        access: The server and your identity.
    """
    if not group:
        raise SettingsError("GROUP must be the name of a group: at least one character")
    return run(_join(access or Access(), group, follow=follow, as_json=json))


async def _join(access: Access, group: str, *, follow: bool, as_json: bool) -> int:
    keyboard = Keyboard()
    screen, remarks = Screen(Console(), keyboard.typed), Screen(Console(stderr=True), keyboard.typed)
    async with connected(access) as client:
        await client.join_realtime(group)
        view: View = (
            JsonView(client, screen, remarks) if as_json else TextView(client, screen, remarks, echo=not keyboard.edits)
        )
        await view.begin(group)
        if keyboard.in_background:
            remarks.remark(IN_BACKGROUND if follow else f"{IN_BACKGROUND} Use --follow to stay in the group.")
        return await Conversation(client, view, keyboard, remarks, as_json=as_json).run(follow=follow)


class Conversation:
    """Shows events and posts the lines of input, until one of the two ends.

    Args:
        client: Connected, and in a group.
        view: Shows events.
        keyboard: The source of lines.
        remarks: Shows why a line could not be posted.
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
        """Stay until input ends (unless `follow`), SIGTERM comes or this task is cancelled; then leave.

        Returns:
            The exit code: 1 if a line from a pipe could not be posted.

        Raises:
            HubbubError: The server closed the connection with a final code, or no longer allows us in the group.
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
                print()  # end the line with the prompt
        for end in ends:
            if isinstance(end, Exception):
                raise end
        return int(self._failed and not self._keyboard.edits)

    async def _show(self) -> None:
        """Show all events until the connection is closed. Raises `HubbubError` if we did not close it."""
        async for event in self._client:
            if isinstance(event, Problem) and self._client.group is None and not self._leaving:
                raise HubbubError(event.message)
            self._view.show(event)

    async def _type(self) -> None:
        async for line in self._keyboard.lines():
            if not line.strip():
                continue
            try:
                if not await self._obey(line):
                    return
            except SettingsError as error:
                self._refuse(str(error))
            except CommandError as error:
                self._refuse(error.message)

    async def _obey(self, line: str) -> bool:
        """Post a line, or do what it says if it is typed and begins with a slash; return False if that is to leave."""
        typed = self._keyboard.edits and not self._as_json
        action, text = parse_line(line) if typed else Line("post", line)
        if action == "post":
            await self._post(text)
        elif action == "help":
            for each in HELP.splitlines():
                self._remarks.remark(each)
        elif action == "users" and self._client.group is not None:
            await self._view.begin(self._client.group)
        elif action == "unknown":
            self._refuse(unknown_command(text))
        return action != "quit"

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
                async with asyncio.timeout(LEAVE_TIMEOUT):
                    await self._client.join_realtime(None)
        await self._client.close_realtime()


def _sigterm() -> asyncio.Future[None]:
    """Return a future that SIGTERM resolves."""
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[None] = loop.create_future()

    def stop() -> None:
        if not stopped.done():
            stopped.set_result(None)

    with suppress(NotImplementedError):  # Windows
        loop.add_signal_handler(signal.SIGTERM, stop)
    return stopped
