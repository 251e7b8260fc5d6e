"""The token that the docs make in PHP opens a connection. Apart from the other snippets, whose browser has a loop."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from hubbub.server import Server
from support.clients import SECRET
from support.doc_pages import DOCS, blocks


@pytest.mark.skipif(shutil.which("php") is None, reason="!!! no PHP here: its snippet is not run (apt install php-cli)")
async def test_the_token_made_in_php(tmp_path: Path, secured: Server, peers: Callable[..., Awaitable[Any]]) -> None:
    (snippet,) = [block for block in blocks((DOCS / "how-to/tokens.md").read_text()) if block.language == "php"]
    (tmp_path / "token.php").write_text(snippet.code)
    environment, pipe = {**os.environ, "HUBBUB_SECRET": SECRET}, asyncio.subprocess.PIPE
    php = await asyncio.create_subprocess_exec("php", "token.php", cwd=tmp_path, env=environment, stdout=pipe)
    made, _ = await php.communicate()
    alice = await peers(secured, token=made.decode(), group="team-7")
    assert alice.welcome["user_id"] == "alice"
    assert (await alice.fail("join", group="other"))["code"] == "FORBIDDEN"
