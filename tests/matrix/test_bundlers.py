"""The npm package with the tools that make test leaves out: webpack, rollup, Next, and other versions of Node."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, expect

from hubbub.server import Server
from support.browser import CHROMIUM, chromium, come
from support.npm import MISSING, READY, install, make_project, pack, page_of_bundle, run, served
from support.waiting import PATIENCE

HERE = Path(__file__).parent
Start = Callable[..., Awaitable[Server]]

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="!!! SKIPPED: no Chromium here: built pages are not tested (apt install chromium)"
)

NODE_CLIENT = """
import { Hubbub } from 'hubbub-client';
const hub = new Hubbub(process.argv[2], { guest: 'node' });
const { user_id } = await hub.connectRealtime();
await hub.closeRealtime();
console.log(user_id, typeof WebSocket);
"""


@pytest.fixture(scope="session")
def tools() -> Path:
    """The tools of the matrix."""
    if not READY:
        pytest.skip(MISSING)
    return install(HERE)


@pytest.fixture(scope="session")
def archive(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The npm package."""
    return pack(tmp_path_factory.mktemp("npm"))


@pytest.fixture
def project(archive: Path, tools: Path, tmp_path: Path) -> Path:
    """A new project of a user."""
    return make_project(tmp_path / "project", archive, tools)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A browser."""
    async with chromium() as running:
        yield running


def webpack(project: Path) -> Path:
    """Build with webpack, for browsers."""
    options = ("--mode=production", "--entry=./main.js", "--output-filename=bundle.js", "--no-devtool")
    run("node_modules/.bin/webpack", *options, cwd=project)
    return page_of_bundle(project)


def rollup(project: Path) -> Path:
    """Build with rollup and the plugin that finds packages."""
    options = ("--plugin=node-resolve", "--format=es", "--file=dist/bundle.js", "--failAfterWarnings")
    run("node_modules/.bin/rollup", "main.js", *options, cwd=project)
    return page_of_bundle(project)


@needs_chromium
@pytest.mark.parametrize("build", [webpack, rollup])
async def test_built_pages_work(build: Callable[[Path], Path], project: Path, browser: Browser, start: Start) -> None:
    with served(build(project)) as origin:
        server = await start(origins=(origin,))
        person = await come(browser, f"{origin}/?server={server.url}", "builder")
        await expect(person.page.locator("#root")).to_have_text("builder: hello from a bundle")
        assert person.complaints == []


@pytest.mark.parametrize("version", ["22", "24"])
async def test_other_versions_of_node(version: str, project: Path, tools: Path, server: Server) -> None:
    node = tools / f"node{version}/bin/node"
    if not node.exists():
        pytest.skip(f"!!! SKIPPED: npm has no Node {version} for this system")
    (project / "client.mjs").write_text(NODE_CLIENT)
    said = await asyncio.to_thread(run, node, "client.mjs", server.url, cwd=project)
    assert said == "node function\n"  # its own WebSocket; Node 20 with ws is tested in tests/packages


@contextmanager
def next_server(project: Path) -> Iterator[str]:
    """Run the built project as in production; yield its origin."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["node_modules/.bin/next", "start", "--port", str(port), "--hostname", "127.0.0.1"]
    env = {**os.environ, "NEXT_TELEMETRY_DISABLED": "1"}
    with (project / "next.log").open("w") as log:
        process = subprocess.Popen(command, cwd=project, env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


async def answers(origin: str, project: Path) -> None:
    """Wait until the server answers."""
    async with httpx.AsyncClient(verify=False, trust_env=False) as client, asyncio.timeout(PATIENCE):
        while True:
            try:
                await client.get(origin)
                return
            except httpx.TransportError:
                await asyncio.sleep(0.1)  # nothing says when it listens
                assert "rror" not in (project / "next.log").read_text()


@needs_chromium
async def test_next_renders_on_the_server_and_in_the_browser(
    archive: Path, tools: Path, tmp_path: Path, browser: Browser, start: Start
) -> None:
    project = make_project(tmp_path / "project", archive, tools, HERE / "next")
    (project / "node_modules/ws").symlink_to(tools / "ws")
    await asyncio.to_thread(run, "node_modules/.bin/next", "build", "--webpack", cwd=project)
    with next_server(project) as origin:
        server = await start(origins=(origin,))
        await answers(origin, project)
        async with httpx.AsyncClient(verify=False, trust_env=False, timeout=30) as client:
            assert "made on the server" in (await client.get(origin)).text
            rendered = (await client.get(f"{origin}/server", params={"server": server.url})).text
        assert re.search(r"rendered for (<!-- -->)?renderer", rendered)
        person = await come(browser, f"{origin}/?server={server.url}", "builder")
        await expect(person.page.locator("#root")).to_have_text("builder: hello from a bundle")
        assert person.complaints == []
