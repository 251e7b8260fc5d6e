"""Lines that are typed into ``hubbub join`` and are not messages: those that begin with a slash. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

Action = Literal["post", "help", "users", "quit", "unknown"]

HELP = """\
/help    shows this
/users   shows who is in the group
/quit    leaves; Ctrl-D and Ctrl-C do, too
//text   posts "/text": a line that begins with a slash
All other lines are posted."""

_ACTIONS: dict[str, Action] = {"/help": "help", "/users": "users", "/quit": "quit"}


class Line(NamedTuple):
    """What to do with a line, and its text: what to post or, if `action` is ``unknown``, the unknown command."""

    action: Action
    text: str


def parse_line(line: str) -> Line:
    """Return what a line that was typed at a terminal means."""
    if not line.startswith("/"):
        return Line("post", line)
    if line.startswith("//"):
        return Line("post", line[1:])
    word = line.split()[0]
    return Line(_ACTIONS.get(word, "unknown"), word)


def unknown_command(word: str) -> str:
    """Return the error for a command that does not exist."""
    return f'There is no command "{word}", so nothing was posted: /help shows all. To post the line, add a / before it.'
