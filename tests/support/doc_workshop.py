"""A folder in which the blocks of one page are run one after the other, as a reader would run them.

Ports that pages name are replaced by free ones. Shell blocks share their variables and their folder; what runs in the
background is ended with the page.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import Browser, Page, expect

from support.doc_pages import DOCS, ROOT, Block
from support.store import Store, free_port
from support.waiting import PATIENCE

PORTS = re.compile(r"(?<![\d.])(8000|8001|8002|8080|3000|5000|5173|6379)(?![\d.]\d|\d)")
expect.set_options(timeout=PATIENCE * 1000)
NODE_MODULES = ROOT / "tests/docs/node_modules"

_PARSERS: dict[str, Callable[[str], object]] = {"json": json.loads, "toml": tomllib.loads, "yaml": yaml.safe_load}
_JS = """
import {{ Hubbub }} from './hubbub.js';
const hub = new Hubbub('http://127.0.0.1:8000', {{ guest: 'alice' }});
await hub.connectRealtime(() => {{}});
await hub.joinRealtime({{ group: 'HelloWorld' }});
{code}
hub.closeRealtime();
"""
_PYTHON = """
import asyncio, hubbub
async def main():
    async with hubbub.connect("http://127.0.0.1:8000", guest="alice") as client:
        await client.join_realtime("HelloWorld")
{code}
asyncio.run(main())
"""


class Background:
    """A process that stays. Its output is collected while it runs."""

    def __init__(self, command: list[str], **options: Any) -> None:
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True, **options
        )
        self.output = ""
        self.ended = False
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.output += line
                self._changed.notify_all()
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def wait_for(self, text: str) -> None:
        """Wait until it has written `text`."""
        with self._changed:
            self._changed.wait_for(lambda: text in self.output or self.ended, PATIENCE)
        assert text in self.output, f"{text!r} is not in the output:\n{self.output}"

    def end(self) -> None:
        """End it and all that it started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


class Workshop:
    """See the module. Use it as a context manager.

    Args:
        folder: Where files are written; empty.
        browser: Gives the browser, when a page needs one.
    """

    def __init__(self, folder: Path, browser: Callable[[], Browser]) -> None:
        self.folder = folder
        self.output = ""
        self.logs: list[Background] = []
        self._names: dict[str, Any] = {}
        self._cwd = folder
        self._browser = browser
        self._ports: dict[str, str] = {}
        self._stack = ExitStack()
        ours = ("HUBBUB_", "FORCE_COLOR", "COLUMNS", "npm_")
        self._env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self._env.update(
            PATH=f"{Path(sys.executable).parent}:{self._env['PATH']}",
            NO_COLOR="1",
            DOCS=str(DOCS),
            NODE_MODULES=str(NODE_MODULES),
            SRC_CLIENT=str(next((ROOT / "src/hubbub/web").rglob("hubbub.js"))),
            PYTHONUNBUFFERED="1",
            HUBBUB_PORT=self.here("8000"),
            HUBBUB_URL=self.here("http://127.0.0.1:8000"),
        )

    def __enter__(self) -> Workshop:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def here(self, text: str) -> str:
        """Return `text` with the ports that are used in place of those that the page names."""
        return PORTS.sub(lambda port: self._ports.setdefault(port[1], str(free_port())), text)

    # --- what blocks and comments do ---

    def do(self, block: Block) -> None:
        """Do what the comments of a block say, then the block, then its checks."""
        for word, text in block.notes:
            if word == "server":
                self.background(f"hubbub serve {text}", "http://")
            elif word == "needs" and shutil.which(text) is None:
                pytest.skip(f"!!! no {text} here: the rest of the page is not run (apt install {text})")
            elif word == "valkey":
                self._valkey()
            elif word == "setup":
                self.sh(text)
        if block.note("output") is not None:
            self.compare(block.code)
        elif block.title and block.note("not run") is None:
            path = self._cwd / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.here(block.code))
        elif block.note("not run") is None:
            self._run(block)
        if block.language in _PARSERS and block.note("output") is None:
            _PARSERS[block.language](block.code)
        for check in block.checks:
            self.check(check)

    def _run(self, block: Block) -> None:
        until, status = block.note("background"), int(block.note("exit") or 0)
        if until is not None:
            self.background(block.code, until.removeprefix("until ") or "http://")
        elif block.language == "sh":
            self.sh(block.code, status)
        elif block.language == "python":
            code = block.code
            if block.note("with") is not None:
                code = _PYTHON.format(code="".join(f"        {line}" for line in code.splitlines(keepends=True)))
            self._program("snippet.py", code, "python", status)
        elif block.language == "js":
            self._fetch_client()
            code = _JS.format(code=block.code) if block.note("with") is not None else block.code
            self._program("snippet.mjs", code, "node", status)

    def _program(self, name: str, code: str, command: str, status: int) -> None:
        (self._cwd / name).write_text(self.here(code))
        self.sh(f"{command} {name}", status)

    def sh(self, code: str, status: int = 0) -> str:
        """Run shell code to its end; its variables and its folder stay for the next."""
        keep = 'ended=$?; env -0 > "$KEEP.env"; pwd > "$KEEP.cwd"; exit $ended'
        done = subprocess.run(
            ["bash", "-c", f"trap {shlex.quote(keep)} EXIT\nset -e\n{self.here(code)}"],
            cwd=self._cwd,
            env={**self._env, "KEEP": f"{self.folder}/.kept"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.output = done.stdout
        assert done.returncode == status, f"exit code {done.returncode}, not {status}:\n{code}\n{done.stdout}"
        kept = Path(f"{self.folder}/.kept.env").read_text().split("\0")
        self._env = dict(each.split("=", 1) for each in kept if "=" in each)
        self._cwd = Path(Path(f"{self.folder}/.kept.cwd").read_text().strip())
        return done.stdout

    def background(self, code: str, until: str) -> Background:
        """Start shell code that goes on while the page does, and wait until it has written `until`."""
        started = Background(["bash", "-c", self.here(code)], cwd=self._cwd, env=self._env, stdin=subprocess.DEVNULL)
        self._stack.callback(started.end)
        self.logs.append(started)
        started.wait_for(self.here(until))
        return started

    def compare(self, shown: str) -> None:
        """Hold the last output against what the page shows; ``…`` stands for anything."""
        pattern = re.escape(self.here(shown).strip()).replace("…", ".*")
        real = re.sub(r" +$", "", self.output.strip(), flags=re.MULTILINE)
        assert re.fullmatch(pattern, real, re.DOTALL), f"shown:\n{shown}\nreal:\n{self.output}"

    def check(self, code: str) -> None:
        """Run Python of a comment; the names that it makes stay. `docs/contributing/docs.md` says what it may use."""
        names = {
            "sh": self.sh,
            "browse": self.browse,
            "here": self.here,
            "background": self.background,
            "logs": self.logs,
            "expect": expect,
        }
        self._names.update(names, output=self.output)
        exec(compile(self.here(code), "check", "exec"), self._names)

    def browse(self, url: str, console: str = "") -> Page:
        """Open a page in a profile of its own, and wait until it wrote `console`. What it throws fails the test."""
        context = self._stack.enter_context(self._browser().new_context())
        context.set_default_timeout(PATIENCE * 1000)
        page = context.new_page()

        def remember(error: object) -> None:
            self._stack.callback(_fail, f"{url}: {error}")

        page.on("pageerror", remember)
        if console:
            with page.expect_console_message(lambda line: console in line.text):
                page.goto(self.here(url))
        else:
            page.goto(self.here(url))
        return page

    def _valkey(self) -> None:
        store = self._stack.enter_context(Store())
        self._ports["6379"] = str(store.port)

    def _fetch_client(self) -> None:
        if not (self._cwd / "hubbub.js").exists():
            self.sh("curl -sfO http://127.0.0.1:8000/hubbub.js")
        if not (self._cwd / "node_modules").exists():
            (self._cwd / "node_modules").symlink_to(NODE_MODULES)
            (self._cwd / "package.json").write_text('{"type": "module"}')


def _fail(text: str) -> None:
    raise AssertionError(text)
