"""``hubbub serve``: run a server until a signal stops it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from dataclasses import replace
from multiprocessing import parent_process
from pathlib import Path
from types import FrameType
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from hubbub.cli import sources
from hubbub.cli.exposed_secrets import warnings
from hubbub.cli.process.cores import usable_cores
from hubbub.cli.process.free_memory import map_large_blocks, return_freed_memory
from hubbub.cli.process.gc_policy import collect_rarely
from hubbub.cli.process.loop import run
from hubbub.cli.process.open_files import allow_open_files
from hubbub.cli.process.private_store import PrivateStore, memory_limit
from hubbub.cli.process.store_binary import find_store_binary
from hubbub.cli.process.workers import run_workers
from hubbub.cli.sources import unknown_variables
from hubbub.log_throttle import LogThrottle
from hubbub.server import Server
from hubbub.settings import Settings

SPARE_FILES = 100
"""Open files that a server needs besides its connections."""

LEAST_DEFAULT = 100
"""Connections below which the default of ``max_connections`` is not lowered without a warning."""

log = logging.getLogger("hubbub.cli")


def serve(
    *,
    app: str | None = None,
    config: Annotated[Path | None, Parameter(env_var="HUBBUB_CONFIG")] = None,
    settings: Annotated[Settings | None, Parameter(name="*")] = None,
) -> None:
    """Start a server; Ctrl-C stops it.

    Without options it listens on 127.0.0.1 and accepts guests. To listen on any
    address but loopback it needs a secret or a JWKS URL:

        hubbub serve
        hubbub serve --port 9000 --rate-limit 20
        hubbub serve --workers auto
        hubbub serve --host 0.0.0.0 --secret-file /etc/hubbub.secret
        hubbub serve --config /etc/hubbub.toml
        hubbub serve --app main:app --port 9000
        hubbub serve --hooks https://app.example.com/hubbub

    With --hooks it asks an app over HTTP who may connect, join and post.

    Every option can also be set in the environment (--max-message as
    HUBBUB_MAX_MESSAGE) and in a TOML file (max_message = 65536). Flags take
    precedence over the environment, and the environment over the file.

    With --app it runs an ASGI app in which a Hub is mounted. Only --host, --port,
    --workers, --log-level and --shutdown-timeout go with it. The other options are
    arguments of the Hub: Hub(max_message=65536).

    Args:
        app: ASGI app to run, as "module:attribute". Default: none, only Hubbub.
        config: Settings file. Default: hubbub.toml in the working directory, if it exists.
        settings: Every option of the server.
    """
    assert app is None  # `hubbub.cli` runs `hubbub.cli.serve_app` then
    settings = settings or Settings()
    set_up_log(settings.log_level)
    for warning in (*warnings(sources.origins), *unknown_variables(os.environ)):
        log.warning("%s", warning)
    settings = fit_open_files(settings, chosen="max_connections" in sources.origins)
    if settings.workers == "auto":
        settings = replace(settings, workers=usable_cores())
    if settings.workers != 1:
        _serve_with_workers(settings)
    else:
        run(_serve(settings))


def fit_open_files(settings: Settings, *, chosen: bool) -> Settings:
    """Raise the limit of open files to what `settings` need; return the settings that fit into the limit.

    Args:
        settings: The settings as they were read.
        chosen: Whether somebody has set ``max_connections``. Then it is kept, with a warning if it does not fit; the
            default is lowered to what fits.
    """
    files = allow_open_files(settings.max_connections + SPARE_FILES)
    if files >= settings.max_connections + SPARE_FILES:
        return settings
    fitting = files - SPARE_FILES
    if not chosen and fitting >= LEAST_DEFAULT:
        log.debug("max_connections is %d: %d open files are allowed", fitting, files)
        return replace(settings, max_connections=fitting)
    log.warning(
        "only %d open files are allowed, too few for max_connections = %d: raise ulimit -Hn or lower the setting",
        files,
        settings.max_connections,
    )
    return settings


def _serve_with_workers(settings: Settings) -> None:
    """Run several workers. With the backend ``memory`` they share a private store, which ends after them."""
    if settings.backend != "memory":
        run_workers(settings, _work)
        return
    with PrivateStore(find_store_binary(), memory_limit(settings)) as store:
        run_workers(replace(settings, backend=store.url), _work, store)


async def _serve(settings: Settings, announces: bool = True) -> None:
    stopped = stop_on_signal()
    stop_with_parent(stopped)
    async with Server(settings) as server:
        collect_rarely()
        returning_memory = asyncio.create_task(return_freed_memory())
        map_large_blocks()
        if announces:
            announce(server.url, settings, Console(highlight=False))
        await stopped.wait()
        returning_memory.cancel()


def _work(settings: Settings, announces: bool) -> None:
    """Run one of several workers."""
    set_up_log(settings.log_level)
    run(_serve(settings, announces))


def announce(url: str, settings: Settings, console: Console) -> None:
    """Print where the server listens and who may connect. The first line has the address; programs read it."""
    here = url.replace("0.0.0.0", "localhost").replace("[::]", "localhost")  # noqa: S104
    console.print(Text.assemble("Hubbub is listening on ", (url, "bold cyan")), soft_wrap=True)
    if settings.demo:
        console.print(Text.assemble("  demo page  ", (f"{here}/", "cyan")), soft_wrap=True)
    console.print(f"  access     {_access(settings)}", markup=False, soft_wrap=True)
    console.file.flush()


def _access(settings: Settings) -> str:
    ways = []
    if settings.allow_guests:
        ways.append("guests, with a name only (from this machine only)")
    if settings.asks_app:
        ways.append("users whom the app of hooks knows")
    if settings.secret is not None:
        ways.append("users with a token signed with the secret; make one with: hubbub token NAME")
    if settings.jwks_url is not None:
        ways.append("users with a token signed with a key of the JWKS URL")
    return (
        "; ".join(ways) or "nobody: guests are off, and there is neither a secret nor a JWKS URL to check tokens with"
    )


def set_up_log(level: str) -> None:
    """Log to stderr: `level` and more severe."""
    logging.basicConfig(
        stream=sys.stderr, level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    for handler in logging.getLogger().handlers:
        handler.addFilter(LogThrottle())


def stop_with_parent(stopped: asyncio.Event) -> None:
    """Set `stopped` when the parent of this worker has ended, for whatever reason."""
    if parent := parent_process():
        asyncio.get_running_loop().add_reader(parent.sentinel, stopped.set)


def stop_on_signal() -> asyncio.Event:
    """Return an event that the first SIGINT or SIGTERM sets; the second ends the process at once."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stopped.is_set():
            os._exit(128 + number)
        stopped.set()
        loop.call_soon_threadsafe(lambda: None)  # wakes the loop

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    return stopped
