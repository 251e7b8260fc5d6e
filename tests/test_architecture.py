"""Imports point one way only: the picture in docs/design.md, as a table. A new arrow is a decision, not an accident."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "hubbub"

LAYOUT = (ROOT / "docs" / "design.md").read_text().split("```text")[1].split("```")[0].splitlines()


def layout() -> dict[str, str]:
    """Return the modules in the order of docs/design.md, each with the heading that it stands under."""
    heading, found = "", {}
    for line in LAYOUT:
        if line.startswith("# "):
            heading = line
        elif line.strip():
            found[line.split()[0].removesuffix(".py").replace("/", ".")] = heading
    return found


ORDER = list(layout())
PURE = [name for name, heading in layout().items() if heading.endswith("(pure)")]
IMPURE_MODULES = {"asyncio", "socket", "time", "threading", "selectors", "ssl", "uvloop", "uvicorn", "starlette"}


def modules() -> dict[str, Path]:
    """Return our modules; the ``__init__.py`` of a package only if it imports something of ours."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        name = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        if path.name != "__init__.py" or ours(path):
            found[name] = path
    del found["__init__"]  # the public names, imported when first used
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


def ours(path: Path) -> set[str]:
    """Return the modules of ours that a file imports."""
    found = set()
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "hubbub" and len(parts) > 1:
            file = SOURCE.joinpath(*parts[1:])
            if file.with_suffix(".py").is_file():
                found.add(".".join(parts[1:]))
            elif (file / "__init__.py").is_file():
                found.add(".".join([*parts[1:], "__init__"]))
    return found


def test_the_layout_names_every_module_once() -> None:
    assert set(ORDER) == set(modules())
    assert len([line for line in LAYOUT if line.strip() and not line.startswith("#")]) == len(ORDER)


@pytest.mark.parametrize("name", modules())
def test_no_import_points_down(name: str) -> None:
    for other in ours(modules()[name]) & set(ORDER) - {name}:
        assert ORDER.index(other) < ORDER.index(name), f"{name} must not import {other}: see docs/design.md"


@pytest.mark.parametrize("name", PURE)
def test_pure_modules_do_no_io(name: str) -> None:
    assert {imported.split(".")[0] for imported in imports(modules()[name])} & IMPURE_MODULES == set()


def test_one_place_runs_the_websocket_library() -> None:
    servers = {name for name, path in modules().items() if "websockets.server" in imports(path)}
    assert servers == {"transports.websocket.strict"}
