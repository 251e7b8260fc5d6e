"""The command line."""

from __future__ import annotations

from typing import Annotated

import cyclopts

from hubbub.settings import Settings

app = cyclopts.App(name="hubbub", config=[cyclopts.config.Env("HUBBUB_", command=False)])


@app.command
def serve(settings: Annotated[Settings, cyclopts.Parameter(name="*")] | None = None) -> None:
    """Start a server."""
    import uvloop

    from hubbub.server import Server

    uvloop.run(Server(settings).serve(lambda server: print(server.url, flush=True)))


def main() -> None:
    """Run."""
    app()
