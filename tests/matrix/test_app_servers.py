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
        lifespan: Whether it runs the app's lifespan.
        reads_refusals: Whether it passes the status of a refused handshake on.
    """

    words: tuple[str, ...]
    tier: int = 3
    lifespan: bool = True
    reads_refusals: bool = True


COMMANDS = {
    "gunicorn": Command(
        ("gunicorn", "{app}", "-k", "hubbub.contrib.gunicorn.Worker", "-b", "127.0.0.1:{port}", "--no-control-socket"),
        tier=2,
    ),
    "hypercorn": Command(("hypercorn", "{app}", "-b", "127.0.0.1:{port}")),
    "granian": Command(("granian", "--interface", "asgi", "{app}", "--port", "{port}")),
    "daphne": Command(("daphne", "{app}", "-p", "{port}"), lifespan=False, reads_refusals=False),
}


@pytest.fixture(params=list(COMMANDS.values()), ids=list(COMMANDS), scope="module")
def command(request: pytest.FixtureRequest) -> Command:
    chosen: Command = request.param
    return chosen


@pytest.fixture
async def way(command: Command) -> AsyncIterator[Way]:
    async with app_process(*command.words) as server:
        yield Way(server.url, command.tier, command.lifespan, command.reads_refusals)
        assert await server.stop() == 0, server.log()
        assert "hubbub" not in server.log().partition("Traceback")[2], server.log()


class TestServers(MountedContract):
    """Each test has a process of its own, which must end cleanly."""
