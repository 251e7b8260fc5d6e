"""``hubbub serve --app main:app``: run an app with a hub until a signal stops it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from hubbub.app_server import AppServer, AppSettings, load_app
from hubbub.cli.process.free_memory import map_large_blocks, return_freed_memory
from hubbub.cli.process.gc_policy import collect_rarely
from hubbub.cli.process.loop import run
from hubbub.cli.process.open_files import allow_open_files
from hubbub.cli.process.workers import run_workers
from hubbub.cli.serve import SPARE_FILES, set_up_log, stop_on_signal, stop_with_parent
from hubbub.errors import SettingsError
from hubbub.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class _Named(AppSettings):
    app: str


def serve_app(
    *,
    app: str,
    config: Annotated[Path | None, Parameter(env_var="HUBBUB_CONFIG")] = None,
    settings: Annotated[AppSettings | None, Parameter(name="*")] = None,
) -> None:
    """Run an app with a hub in it; Ctrl-C stops it.

    Args:
        app: The app, as "module:attribute".
        config: Settings file, of which the address is used.
        settings: Address, processes and log.
    """
    given = settings or AppSettings()
    named = _Named(app=app, **{name: getattr(given, name) for name in AppSettings.__dataclass_fields__})
    if named.log_level not in {"debug", "info", "warning", "error"}:
        raise SettingsError(f"log_level must be debug, info, warning or error, not {named.log_level!r}")
    set_up_log(named.log_level)
    allow_open_files(Settings().max_connections + SPARE_FILES)
    if named.workers > 1:
        load_app(app)  # a wrong name is an error of this command, not of each worker
        run_workers(named, _work)
    else:
        run(_serve(named))


async def _serve(settings: _Named, announces: bool = True) -> None:
    stopped = stop_on_signal()
    stop_with_parent(stopped)
    async with AppServer(load_app(settings.app), settings) as server:
        collect_rarely()
        returning_memory = asyncio.create_task(return_freed_memory())
        map_large_blocks()
        if announces:
            console = Console(highlight=False)
            line = Text.assemble("Hubbub is listening on ", (server.url, "bold cyan"), f" with {settings.app}")
            console.print(line, soft_wrap=True)
            console.file.flush()
        await stopped.wait()
        returning_memory.cancel()


def _work(settings: _Named, announces: bool) -> None:
    """Run one of several workers."""
    set_up_log(settings.log_level)
    run(_serve(settings, announces))
