"""A pytest plugin: ``-p support.pure --only-pure`` runs the pure tests, and fails those that do I/O after all.

Which tests are pure is read from their imports, so no list has to be kept. A test module is pure if nothing that it
imports, directly or through modules of ours, does I/O, and it asks for no fixture of a conftest.py that does. While
they run, opening a socket and starting a process are errors.
"""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

TESTS = Path(__file__).parents[1]
SOURCE = TESTS.parent / "src"
BENCHMARKS = TESTS.parent / "benchmarks"  # some tests run them in small
IMPURE = {
    "asyncio", "concurrent", "http", "httpx", "jsonschema", "multiprocessing", "playwright", "selectors", "signal",
    "socket", "ssl", "starlette", "subprocess", "threading", "urllib", "uvicorn", "uvloop", "websockets",
}  # fmt: skip
EXAMPLES = 40
"""Inputs that a property is tried with."""

FORBIDDEN = {"socket.connect", "socket.bind", "subprocess.Popen", "os.fork", "os.exec", "os.posix_spawn"}
"""Audit events (PEP 578) that a pure test must not raise."""


@cache
def _imports(path: Path) -> frozenset[str]:
    """Return the modules that the file imports when it is loaded; what only the type checker reads does not count."""
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            waiting += ast.iter_child_nodes(node)
    return frozenset(found)


def _file(module: str, near: Path) -> Path | None:
    """Return the file of one of our modules, as seen from a test in the folder `near`."""
    parts = module.split(".")
    for base in (SOURCE, TESTS, near, BENCHMARKS, BENCHMARKS / "abuse"):
        for path in (base.joinpath(*parts).with_suffix(".py"), base.joinpath(*parts, "__init__.py")):
            if path.is_file():
                return path
    return None


@cache
def reaches_io(path: Path) -> bool:
    """Return whether a file of ours imports, however indirectly, a module that does I/O."""
    seen: set[Path] = set()
    waiting = [path]
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        for module in _imports(current):
            if module.partition(".")[0] in IMPURE:
                return True
            if own := _file(module, current.parent):
                waiting.append(own)
    return False


@cache
def _fixtures(conftest: Path) -> frozenset[str]:
    """Return the names of the fixtures that a conftest.py defines."""
    tree = ast.parse(conftest.read_text(encoding="utf-8"))
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(
        each.name for each in functions if any("fixture" in ast.unparse(line) for line in each.decorator_list)
    )


@cache
def is_pure(path: Path) -> bool:
    """Return whether every test in this file is pure."""
    if reaches_io(path):
        return False
    conftests = [folder / "conftest.py" for folder in path.parents if folder.is_relative_to(TESTS)]
    impure = {name for each in conftests if each.is_file() and reaches_io(each) for name in _fixtures(each)}
    asked = {
        argument.arg
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for argument in node.args.args
        # What @parametrize and @given fill in is no fixture.
        if not any("given" in text or f"'{argument.arg}" in text for text in map(ast.unparse, node.decorator_list))
    }
    return not impure & asked


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption("--only-pure", action="store_true", help="only tests that do no I/O, which is enforced")


def pytest_configure(config: pytest.Config) -> None:
    """Forbid I/O from now on, until the process ends; let properties have fewer examples than in ``make test``."""
    if config.getoption("--only-pure"):
        sys.addaudithook(_refuse)
        settings.register_profile("unit", max_examples=EXAMPLES)
        settings.load_profile("unit")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the other files before they are imported, which takes longer than the tests."""
    if not config.getoption("--only-pure") or collection_path.suffix != ".py":
        return None
    return None if collection_path.name == "conftest.py" or is_pure(collection_path) else True


def _refuse(event: str, _arguments: object) -> None:
    if event in FORBIDDEN:
        raise AssertionError(f"{event}: a test that imports nothing that does I/O does some; import it directly")
