"""The app in PHP of the docs, asked by a server. Apart from the other snippets, since few machines have PHP."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from hubbub.server import Server
from support.doc_pages import DOCS, blocks
from support.hook_app import SECRET
from support.store import free_port


@pytest.mark.skipif(shutil.which("php") is None, reason="!!! no PHP here: its snippet is not run (apt install php-cli)")
async def test_the_app_in_php(
    tmp_path: Path, start: Callable[..., Awaitable[Server]], peers: Callable[..., Awaitable[Any]]
) -> None:
    (snippet,) = [block for block in blocks((DOCS / "how-to/http-hooks.md").read_text()) if block.language == "php"]
    (tmp_path / "hooks.php").write_text(snippet.code)
    address = f"127.0.0.1:{free_port()}"
    environment = {**os.environ, "HUBBUB_HOOKS_SECRET": SECRET}
    quiet = asyncio.subprocess.DEVNULL
    php = await asyncio.create_subprocess_exec(
        "php", "-S", address, "hooks.php", cwd=tmp_path, env=environment, stdout=quiet, stderr=quiet
    )
    try:
        async with httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(60):
            while True:
                try:
                    assert (await http.post(f"http://{address}/")).status_code == 401
                    break
                except httpx.ConnectError:
                    await asyncio.sleep(0.05)
        server = await start(hooks=f"http://{address}/", hooks_secret=SECRET)
        ada = await peers(server, additional_headers={"Cookie": "user=ada"})
        assert (await ada.do("connect"))["user_id"] == "ada"
        await ada.do("join", group="g")
        assert (await ada.do("post", to="g", message=1))["recipients"] == 1
        nobody = await peers(server)
        assert (await nobody.fail("connect"))["code"] == "UNAUTHORIZED"
    finally:
        php.terminate()
        await php.wait()
