"""The npm package: what is in it, that Node loads it both ways, and that pages built with it work in Chromium."""

from __future__ import annotations

import asyncio
import json
import shutil
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from hubbub.server import Server
from support.browser import CHROMIUM, chromium, come
from support.npm import esbuild, run, served, vite

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="!!! SKIPPED: no Chromium here: built pages are not tested (apt install chromium)"
)

NODE_CLIENT = """
const hub = new Hubbub(process.argv[2], { guest: 'node' });
const heard = new Promise((resolve) => hub.connectRealtime((event) => event.type === 'message' && resolve(event)));
await hub.joinRealtime({ group: 'g' });
await hub.postRealtime('from node', 'g');
console.log((await heard).message);
await hub.closeRealtime();
"""


def test_it_holds_every_file_that_it_promises_and_no_other(archive: Path) -> None:
    with tarfile.open(archive) as files:
        names = {name.removeprefix("package/") for name in files.getnames()}
        package = json.load(files.extractfile("package/package.json") or pytest.fail("no package.json"))
    assert names == {*package["files"], "package.json"}
    assert "dependencies" not in package

    def targets(value: object) -> set[str]:
        return {str(value)} if isinstance(value, str) else set().union(*map(targets, dict(value).values()))  # type: ignore[call-overload]

    promised = targets(package["exports"]) | {package[field] for field in ("main", "module", "types")}
    assert {each.removeprefix("./") for each in promised} <= names


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("client.mjs", f"import {{ Hubbub }} from 'hubbub-client';{NODE_CLIENT}"),
        ("client.cjs", f"const {{ Hubbub }} = require('hubbub-client');(async () => {{{NODE_CLIENT}}})();"),
    ],
    ids=["import", "require"],
)
async def test_node_loads_it_as_both_kinds_of_module(
    server: Server, project: Path, tools: Path, name: str, text: str
) -> None:
    (project / "node_modules/ws").symlink_to(tools / "ws")
    (project / name).write_text(text)
    said = await asyncio.to_thread(run, "node", name, server.url, cwd=project)  # the server is in this loop
    assert said == "from node\n"


def test_types_for_both_kinds_of_module(project: Path) -> None:
    source = """
        import {{ Hubbub, type HubbubEvent }} from 'hubbub-client';
        {react}
        const hub: Hubbub = new Hubbub({{ guest: 'a' }});
        export const hear = (event: HubbubEvent) => event.type;
        hub.connectRealtime(hear);
    """
    react = """
        import { useHubbub, useRealtimeGroup } from 'hubbub-client/react';
        export function Chat() {
          const connection = useHubbub({ guest: 'a', url: 'http://x' });
          const { messages, members, post } = useRealtimeGroup(connection, 'g', { history: 5 });
          // @ts-expect-error: not both token and guest
          useHubbub({ url: 'http://x', guest: 'a', token: 'b' });
          const seqs: (number | null | undefined)[] = messages.map(
            (each) => (each.type === 'message' ? each.seq : undefined));
          return [seqs, members.join(' '), () => post({ text: 'x' }).then((result) => result.recipients)];
        }
    """
    (project / "module.mts").write_text(source.format(react=react))
    (project / "common.cts").write_text(source.format(react=""))
    options = {
        "strict": True,
        "noEmit": True,
        "module": "nodenext",
        "target": "es2022",
        "lib": ["es2022", "dom", "dom.iterable"],
    }
    (project / "tsconfig.json").write_text(
        json.dumps({"compilerOptions": {**options, "types": []}, "files": ["module.mts", "common.cts"]})
    )
    run("node_modules/.bin/tsc", "--project", "tsconfig.json", cwd=project)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@needs_chromium
@pytest.mark.parametrize("copied", [False, True], ids=["package", "copy"])
@pytest.mark.parametrize("build", [vite, esbuild])
async def test_built_pages_work(
    build: Callable[[Path, str], Path],
    copied: bool,
    project: Path,
    browser: Browser,
    start: Callable[..., Awaitable[Server]],
) -> None:
    if copied:  # hubbub.js lies among the page's own files
        shutil.copy(project / "node_modules/hubbub-client/hubbub.js", project)
        page = project / "main.js"
        page.write_text(page.read_text().replace("'hubbub-client'", "'./hubbub.js'"))
    with served(build(project, "main.js")) as origin:
        server = await start(origins=(origin,))
        person = await come(browser, f"{origin}/?server={server.url}", "builder")
        await expect(person.page.locator("#root")).to_have_text("builder: hello from a bundle")
        assert person.complaints == []
