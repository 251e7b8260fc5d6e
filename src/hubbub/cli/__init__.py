"""The command line: one file for each command, imported only when that command is asked for.

Exit codes: 0 success; 1 failure (one line on stderr says why); 2 an error in the command line, the environment or the
settings file; 130 Ctrl-C.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from cyclopts import App, CycloptsError, Parameter, UnknownOptionError
from cyclopts.config import Env

from hubbub.cli.sources import Sources, refuse_flag_of_hub, refuse_old_flag
from hubbub.cli.terminal.screen import escape_controls
from hubbub.errors import CommandError, HubbubError, SettingsError

FAILED = 1
USAGE = 2
INTERRUPTED = 130

sources = Sources()
"""Where the settings of this run came from; adds those of the settings file."""

app = App(
    name="hubbub",
    help="""Realtime groups: join a group by name, post JSON, see who joins and leaves.

Try it, each line in a terminal of its own:

    hubbub serve
    hubbub join HelloWorld --as alice
    hubbub join HelloWorld --as bob

"hubbub COMMAND --help" has examples for each command.""",
    help_format="plaintext",
    default_parameter=Parameter(negative_iterable=()),
)
_COMMANDS: dict[str, list[Callable[..., None]]] = {
    "serve:serve": [Env("HUBBUB_", command=False, show=False), sources],
    "token:token": [sources],
    "listing:groups": [],
    "listing:users": [],
    "events:events": [],
    "post:post": [],
    "join:join": [],
    "bench:bench": [],
}
"""The commands, in the order in which they are listed, and the further sources of their options."""

for _number, (_where, _config) in enumerate(_COMMANDS.items()):
    app.command(f"hubbub.cli.{_where}", name=_where.partition(":")[2], sort_key=_number, config=_config)


_SERVE_APP = "serve-app"  # what "hubbub serve --app" becomes: it takes other options
app.command("hubbub.cli.serve_app:serve_app", name=_SERVE_APP, show=False, config=_COMMANDS["serve:serve"])


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command in `arguments` (if None: those of the process), and exit."""
    _complete_streams()
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        if not given or given[0] in app.help_flags:
            app.resolved_commands()  # imports them all, for their descriptions in the list
        try:
            _run(given)
        finally:
            sys.stdout.flush()  # here, where an error can still be reported
    except CycloptsError as error:
        _fail(re.sub(r"int\|Literal\[auto\](\|None)?", 'a number or "auto"', str(error)), USAGE)
    except SettingsError as error:
        _fail(f"{error}{sources.note(str(error))}", USAGE)
    except CommandError as error:
        _fail(error.message, FAILED)
    except HubbubError as error:
        _fail(str(error), FAILED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # the reader of our output has ended, as with "| head"
        _drop_output()
        sys.exit(FAILED)
    except OSError as error:  # such as a full disk
        _drop_output()
        _fail(str(error), FAILED)
    sys.exit()


def _run(arguments: Sequence[str]) -> None:
    runs_app = _runs_app(arguments)
    try:
        app([_SERVE_APP, *arguments[1:]] if runs_app else arguments, exit_on_error=False, print_error=False)
    except UnknownOptionError as error:
        option = error.token.keyword or error.token.value
        refuse_old_flag(option)
        if runs_app:
            refuse_flag_of_hub(option)
        raise


def _runs_app(arguments: Sequence[str]) -> bool:
    """Return whether ``hubbub serve`` is asked to run an app, for which it takes other options."""
    if arguments[:1] != ["serve"] or any(each in app.help_flags for each in arguments):
        return False
    return bool(os.environ.get("HUBBUB_APP")) or any(each.partition("=")[0] == "--app" for each in arguments)


def _complete_streams() -> None:
    """Open the standard streams that the shell has closed, because libraries rely on all three."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  (open to the end)
    if isinstance(sys.stdout, io.TextIOWrapper):  # peers may write what this terminal's encoding lacks
        sys.stdout.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """Send the rest of the output to /dev/null: it cannot be written, and Python would try again when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, code: int) -> NoReturn:
    print(f"hubbub: {escape_controls(' '.join(message.split()))}", file=sys.stderr)
    sys.exit(code)
