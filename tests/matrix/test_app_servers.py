"""The contract of mounted hubs, on servers of other people: each as a process of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from support.app_process import app_process
from support.mounted_contract import MountedContract, Way


@dataclass
class Command:
    """How a server is started.

    Attributes:
        words: The program and its arguments.
        tier: What the hub's metrics must say.
        full: Whether it does all that ASGI offers; daphne has neither lifespan nor refusals, closes without reasons and
            not with codes such as 1009, and never makes the app wait.
    """

    words: tuple[str, ...]
    tier: int = 3
    full: bool = True


COMMANDS = {
    "gunicorn": Command(
        ("gunicorn", "{app}", "-k", "hubbub.contrib.gunicorn.Worker", "-b", "127.0.0.1:{port}", "--no-control-socket"),
        tier=2,
    ),
    "hypercorn": Command(("hypercorn", "{app}", "-b", "127.0.0.1:{port}")),
    "granian": Command(("granian", "--interface", "asgi", "{app}", "--port", "{port}")),
    "daphne": Command(("daphne", "{app}", "-p", "{port}"), full=False),
}


@pytest.fixture(params=list(COMMANDS.values()), ids=list(COMMANDS), scope="module")
def command(request: pytest.FixtureRequest) -> Command:
    chosen: Command = request.param
    return chosen


@pytest.fixture
async def way(command: Command) -> AsyncIterator[Way]:
    async with app_process(*command.words) as server:
        full = command.full
        yield Way(server.url, command.tier, full, reads_refusals=full, reserved_codes=full, waits=full)
        assert await server.stop() == 0, server.log()
        assert "hubbub" not in server.log().partition("Traceback")[2], server.log()


class TestServers(MountedContract):
    """Each test has a process of its own, which must end cleanly."""
