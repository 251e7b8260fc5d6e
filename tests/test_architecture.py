"""Imports point one way only: the picture in docs/design.md, as a table. A new arrow is a decision, not an accident."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "hubbub"

# From the ground up. A module may import those above its line, never those below.
ORDER = [
    "errors",
    "log_throttle",
    "settings",
    "messages",
    "patterns",
    "identity",
    "limits",
    "rate",
    "budget",
    "waiting",
    "query",
    "directory",
    "cursors",
    "roster",
    "history",
    "keys",
    "budgets",
    "absences",
    "bans",
    "admission",
    "hub",
    "dialects.base",
    "dialects.v1",
    "dialects.skapi",
    "session",
    "backends.base",
    "backends.memory",
    "backends.valkey.address",
    "backends.valkey.keys",
    "backends.valkey.streams",
    "backends.valkey.scripts",
    "backends.valkey.connection",
    "backends.valkey.servers",
    "backends.valkey.cluster",
    "backends.valkey.link",
    "backends.valkey.heartbeat",
    "backends.valkey.listing",
    "backends.valkey.envelope",
    "backends.valkey.places",
    "backends.valkey.hearing",
    "backends.valkey.wrong_keys",
    "backends.valkey.presence",
    "backends.valkey.crossing",
    "backends.valkey.finding",
    "backends.valkey.backend",
    "claims",
    "jwks",
    "auth",
    "tickets",
    "skapi_tokens",
    "counters",
    "services",
    "commands",
    "node",
    "transports",
    "server",
    "client",
    "cli",
    "__main__",
]

# No loop, socket or clock of their own: time, scheduling and writing are passed in.
PURE = [
    "errors",
    "messages",
    "patterns",
    "identity",
    "limits",
    "rate",
    "budget",
    "waiting",
    "query",
    "directory",
    "cursors",
    "roster",
    "history",
    "keys",
    "budgets",
    "absences",
    "bans",
    "admission",
    "hub",
    "dialects",
    "session",
]
IMPURE_MODULES = {"asyncio", "socket", "time", "threading", "selectors", "ssl", "uvloop", "uvicorn", "starlette"}


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        name = (
            ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__").removesuffix("__init__")
        )
        if name:
            found[name] = path
    return found


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def rank(name: str) -> int | None:
    """Return the line in `ORDER` of a module or of the package that it is in."""
    while name:
        if name in ORDER:
            return ORDER.index(name)
        name = name.rpartition(".")[0]
    return None


def test_every_module_has_its_place() -> None:
    packages = {name for name in modules() if any(other.startswith(f"{name}.") for other in ORDER)}
    assert [name for name in modules() if rank(name) is None and name not in packages] == []


@pytest.mark.parametrize("name", modules())
def test_imports_point_down(name: str) -> None:
    own = rank(name)
    for imported in imports(modules()[name]):
        if imported.startswith("hubbub."):
            other = rank(imported.removeprefix("hubbub."))
            assert own is None or other is None or other <= own, f"{name} must not import {imported}"


@pytest.mark.parametrize("name", [name for name in modules() if name.split(".")[0] in PURE])
def test_pure_modules_do_no_io(name: str) -> None:
    assert {imported.split(".")[0] for imported in imports(modules()[name])} & IMPURE_MODULES == set()


def test_one_place_runs_the_websocket_library() -> None:
    servers = {name for name, path in modules().items() if "websockets.server" in imports(path)}
    assert servers == {"transports.strict"}
