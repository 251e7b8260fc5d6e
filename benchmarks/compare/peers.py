"""The servers of a comparison: how each is installed, started and spoken to. What cannot be had here is left out."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
SERVERS = HERE / "servers"
UWEBSOCKETS = "@trufflesuite/uws-js-unofficial"
"""uWebSockets.js on npm: its authors publish it on GitHub only, and this is their build."""


class NotHereError(Exception):
    """A server cannot be measured on this machine; the text says what is missing."""


Start = Callable[[int, str | None], list[str]]
"""Returns the command that starts a server on a port, with the URL of a Redis or Valkey if it should use one."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One server.

    Attributes:
        name: How the report calls it.
        version: Its version.
        start: See `Start`.
        dialect: The options of the generator: path, how to join, how to post.
        on_store: Whether it can share its groups through a store.
        child: Whether the process that works is a child of the one that is started.
    """

    name: str
    version: str
    start: Start
    dialect: tuple[str, ...]
    on_store: bool = False
    child: bool = False


JSON = ("--init", '{"action":"joinRoom","rid":"g{g}"}', "--pub", '{"action":"broadcast","rid":"g{g}","m":"{m}{p}"}')
"""The dialect of the servers that are written here."""

SOCKET_IO = (
    *("--path", "/socket.io/?EIO=4&transport=websocket", "--init", "40", "--init", '42["joinRoom",{"rid":"g{g}"}]'),
    *("--pub", '42["broadcast",{"rid":"g{g}","m":"{m}{p}"}]'),
)

HUBBUB = (
    *("--path", "/v1/connect", "--proto", "hubbub.v1", "--init", '{"id":1,"do":"connect","guest":"u{i}"}'),
    *("--init", '{"id":2,"do":"join","group":"g{g}"}'),
    *("--pub", '{"id":3,"do":"post","to":"g{g}","message":{"m":"{m}{p}"}}'),
)

CENTRIFUGO = (
    *("--path", "/connection/websocket", "--init", '{"id":1,"connect":{}}'),
    *("--init", '{"id":2,"subscribe":{"channel":"g{g}"}}'),
    *("--pub", '{"id":3,"publish":{"channel":"g{g}","data":{"m":"{m}{p}"}}}'),
)


class Installer:
    """Installs servers into a folder of its own. Each method returns a server, or raises `NotHereError`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def every(self) -> Iterator[tuple[str, Callable[[], Peer]]]:
        """Yield the names of all servers, each with what installs it."""
        yield from {
            "hubbub": self.hubbub,
            "epoll": self.epoll_loop,
            "uws": self.uwebsockets,
            "ws": self.ws,
            "socketio": self.socketio,
            "centrifugo": self.centrifugo,
            "nchan": self.nchan,
            "starlette": self.starlette,
            "pysocketio": self.python_socketio,
            "channels": self.django_channels,
        }.items()

    # --- tools ---

    def compile(self, source: Path) -> Path:
        """Compile a C program, unless that is done."""
        there = self.folder / source.stem
        if not there.exists() or there.stat().st_mtime < source.stat().st_mtime:
            self._run("cc", "-O2", "-o", str(there), str(source), needs="a C compiler (apt install gcc)")
        return there

    def _npm(self, *packages: str) -> str:
        """Install packages from npm; return the version of the first."""
        manifest = self.folder / "package.json"
        if not manifest.exists():
            manifest.write_text('{"private": true}\n')
        if not set(packages) <= json.loads(manifest.read_text()).get("dependencies", {}).keys():
            self._run("npm", "install", "--no-audit", "--no-fund", *packages, needs="npm (apt install npm)")
        installed = json.loads((self.folder / "node_modules" / packages[0] / "package.json").read_text())
        return str(installed["version"])

    def _pip(self, *packages: str) -> str:
        """Install packages from PyPI beside uvicorn; return the version of the first."""
        python = self.folder / "python" / "bin" / "python"
        if not python.exists():
            venv.create(self.folder / "python", with_pip=True)
        marker = self.folder / "python" / f"{packages[0]}.installed"
        if not marker.exists():
            every = ("uvicorn", "uvloop", "httptools", "websockets", *packages)
            self._run(str(python), "-m", "pip", "install", "-q", *every, needs="pip")
            marker.touch()
        ask = f"import importlib.metadata as m; print(m.version({packages[0]!r}))"
        return self._run(str(python), "-c", ask, needs="pip").strip()

    def _python(self, script: str, *arguments: str) -> list[str]:
        return [str(self.folder / "python" / "bin" / "python"), str(SERVERS / script), *arguments]

    def _run(self, *command: str, needs: str) -> str:
        if shutil.which(command[0]) is None:
            raise NotHereError(f"{needs} is missing")
        ran = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        if ran.returncode != 0:
            raise NotHereError(f"{' '.join(command)[:80]} failed: {(ran.stderr or ran.stdout).strip()[-200:]}")
        return ran.stdout

    # --- servers ---

    def hubbub(self) -> Peer:
        """Return this tree, with its defaults but for the rate limit."""
        revision = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True, check=False
        )

        def start(port: int, store: str | None) -> list[str]:
            backend = [] if store is None else ["--backend", store.replace("redis://", "valkey://")]
            return [
                *(sys.executable, "-m", "hubbub.cli", "serve", "--config", "/dev/null", "--port", str(port)),
                *("--rate-limit", "0", "--log-level", "error", *backend),
            ]

        return Peer(name="Hubbub", version=revision.stdout.strip(), start=start, dialect=HUBBUB, on_store=True)

    def epoll_loop(self) -> Peer:
        """Return the limit: a loop in C that does nothing but receive and send."""
        program = str(self.compile(SERVERS / "epoll_loop.c"))
        return Peer(name="raw epoll loop", version="-", start=lambda port, _: [program, str(port)], dialect=JSON)

    def uwebsockets(self) -> Peer:
        """Return uWebSockets.js."""
        version = self._npm(UWEBSOCKETS)
        module = str(self.folder / "node_modules" / UWEBSOCKETS)
        script = str(SERVERS / "uwebsockets.cjs")
        return Peer(
            name="uWebSockets", version=version, start=lambda port, _: ["node", script, module, str(port)], dialect=JSON
        )

    def ws(self) -> Peer:
        """Return the library ``ws`` with groups by hand."""
        version = self._npm("ws")
        command = ["node", str(SERVERS / "ws.cjs"), str(self.folder / "node_modules")]
        return Peer(name="ws", version=version, start=lambda port, _: [*command, str(port)], dialect=JSON)

    def socketio(self) -> Peer:
        """Return Socket.IO, with its Redis adapter on a store."""
        version = self._npm("socket.io", "@socket.io/redis-adapter", "redis")
        command = ["node", str(SERVERS / "socketio.cjs"), str(self.folder / "node_modules")]
        return Peer(
            name="Socket.IO", version=version, start=lambda port, store: [*command, str(port), *_given(store)],
            dialect=SOCKET_IO, on_store=True,
        )  # fmt: skip

    def centrifugo(self) -> Peer:
        """Return Centrifugo, if its program is on the ``PATH``."""
        version = self._run("centrifugo", "version", needs="centrifugo on the PATH").strip()

        def start(port: int, store: str | None) -> list[str]:
            config = {
                "http_server": {"address": "127.0.0.1", "port": str(port)},
                "client": {"insecure": True},
                "log": {"level": "error"},
            }
            if store is not None:
                config["engine"] = {"type": "redis", "redis": {"address": store}}
            there = self.folder / "centrifugo.json"
            there.write_text(json.dumps(config))
            return ["centrifugo", "--config", str(there)]

        return Peer(name="Centrifugo", version=version, start=start, dialect=CENTRIFUGO, on_store=True)

    def nchan(self) -> Peer:
        """Return nginx with the module nchan, of Debian."""
        module = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
        if shutil.which("nginx") is None or not module.exists():
            raise NotHereError("nginx with nchan is missing (apt install libnginx-mod-nchan)")
        about = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=False).stderr

        def start(port: int, _: str | None) -> list[str]:
            folder = self.folder / "nchan"
            folder.mkdir(exist_ok=True)
            text = (SERVERS / "nchan.conf").read_text().replace("PORT", str(port)).replace("MODULE", str(module))
            (folder / "nchan.conf").write_text(text)
            return ["nginx", "-p", str(folder), "-c", "nchan.conf", "-e", "stderr"]

        return Peer(
            name="nchan", version=about.rpartition("/")[2].strip(), start=start, child=True,
            dialect=("--path", "/g/g{g}", "--pub", '{"m":"{m}{p}"}'),
        )  # fmt: skip

    def starlette(self) -> Peer:
        """Return Starlette with groups by hand."""
        version = self._pip("starlette")
        return Peer(
            name="Starlette", version=version, start=lambda port, _: self._python("starlette_groups.py", str(port)),
            dialect=("--path", "/ws", *JSON),
        )  # fmt: skip

    def python_socketio(self) -> Peer:
        """Return python-socketio, with its Redis manager on a store."""
        version = self._pip("python-socketio", "redis")
        return Peer(
            name="python-socketio", version=version, dialect=SOCKET_IO, on_store=True,
            start=lambda port, store: self._python("python_socketio.py", str(port), *_given(store)),
        )  # fmt: skip

    def django_channels(self) -> Peer:
        """Return Django Channels, with channels_redis on a store."""
        version = self._pip("channels", "django", "channels_redis")
        return Peer(
            name="Django Channels", version=version, dialect=JSON, on_store=True,
            start=lambda port, store: self._python("django_channels.py", str(port), *_given(store)),
        )  # fmt: skip


THAT_MATTER = ("hubbub", "epoll", "uws", "socketio", "centrifugo")
"""The servers of ``make compare``."""


def _given(store: str | None) -> list[str]:
    return [] if store is None else [store]
