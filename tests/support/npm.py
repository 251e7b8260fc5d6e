"""Projects that use the npm package, as it is released, and the tools that people build their pages with."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / "tests/packages"
READY = shutil.which("node") is not None and shutil.which("npm") is not None
MISSING = "!!! SKIPPED: no Node.js here: the npm package is not tested (install node and npm)"


def run(*command: str | Path, cwd: Path, timeout: float = 240) -> str:
    """Run a command, and return what it printed; when it fails, so does the test, with all that it said."""
    env = {**os.environ, "NO_COLOR": "1", "NODE_ENV": "production", "NEXT_TELEMETRY_DISABLED": "1"}
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    text = f"{done.stdout[-20_000:]}\n{done.stderr[-10_000:]}"
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{text}"
    return done.stdout


def install(folder: Path, *options: str) -> Path:
    """Install what the lock file in `folder` says, unless it is there already; return the packages.

    Test processes that need the same packages wait for the one that installs them.
    """
    with (folder / "package-lock.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = lock.read()
        mark = folder / "node_modules/.installed"
        if not mark.exists() or mark.read_bytes() != wanted:
            run("npm", "ci", *options, "--include=dev", "--no-audit", "--no-fund", cwd=folder, timeout=400)
            mark.write_bytes(wanted)
    return folder / "node_modules"


def pack(folder: Path) -> Path:
    """Make the npm package as a release does; return the archive."""
    run(sys.executable, ROOT / "deploy/pack_client.py", folder, cwd=ROOT)
    (found,) = folder.glob("hubbub-client-*.tgz")
    return found


def make_project(folder: Path, archive: Path, tools: Path, pages: Path = PACKAGES / "pages") -> Path:
    """Make a project in `folder`: the pages, the package unpacked where npm would, and links to the tools."""
    shutil.copytree(pages, folder, dirs_exist_ok=True)
    modules = folder / "node_modules"
    modules.mkdir()
    for each in tools.iterdir():
        if each.name != "ws":  # which only those who need it in Node install
            (modules / each.name).symlink_to(each)
    shutil.unpack_archive(archive, folder / "unpacked")
    (folder / "unpacked/package").rename(modules / "hubbub-client")
    (folder / "package.json").write_text('{ "private": true, "type": "module" }\n')
    return folder


def vite(project: Path, entry: str) -> Path:
    """Build with Vite, as ``npm create vite`` sets it up."""
    page = project / "index.html"
    page.write_text(page.read_text().replace("./main.js", f"./{entry}"))
    run("node_modules/.bin/vite", "build", "--base", "./", "--logLevel", "warn", cwd=project)
    return project / "dist"


def esbuild(project: Path, entry: str) -> Path:
    """Build with esbuild into one module for browsers."""
    options = ("--bundle", "--format=esm", "--target=es2022", "--minify", "--define:process.env.NODE_ENV='production'")
    run("node_modules/.bin/esbuild", entry, *options, "--outfile=dist/bundle.js", cwd=project)
    return page_of_bundle(project)


def page_of_bundle(project: Path) -> Path:
    """Make the page for dist/bundle.js; return the folder to serve."""
    page = re.sub(r"\./main\.js", "./bundle.js", (project / "index.html").read_text())
    (project / "dist/index.html").write_text(page)
    return project / "dist"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the files in `folder` on a port of its own; yield the origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
