"""Every module has a test module of its name, which covers it: ``check_modules.py [--coverage [PATH ...]]``.

The tests of ``src/hubbub/groups/directory.py`` are in ``tests/groups/test_directory.py``. A module that only declares
(no function of it has a statement) needs none; any other without such a file stands in `NO_TESTS_OF_ITS_OWN` with the
reason. An exception that is no longer needed is an error too, so that both lists only get shorter.

``--coverage`` runs those test modules, each counted for its own module only: a line that only the tests of other
modules reach is not covered. What counts are the statements in functions; those of a module or class run when it is
imported. With paths, only these modules are measured.
"""

from __future__ import annotations

import ast
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import unclean

if TYPE_CHECKING:
    import pytest

SOURCE = unclean.ROOT / "src" / "hubbub"
TESTS = unclean.ROOT / "tests"

LEAST = 75
"""Percent of the statements in functions that a module's own tests must run."""

NO_TESTS_OF_ITS_OWN: dict[str, str] = {
    "app_server.py": "tests/embedding/test_ways.py: one of the ways to run a hub",
    "auth/claims.py": "tests/auth/test_authenticator.py: what a claim may be is said of whole tokens",
    "auth/token_format.py": "tests/auth/test_authenticator.py: every malformed token",
    "backends/choose.py": "tests/test_server.py: every server chooses one",
    "backends/memory.py": "the contract of all backends: tests/backends/test_contract.py and its neighbours",
    "backends/memory_feed.py": "tests/backends/test_feed_contract.py: the contract of all backends",
    "backends/valkey/backend.py": "the contract of all backends: tests/backends/test_contract.py and its neighbours",
    "backends/valkey/correction.py": "tests/backends/valkey/test_registration.py: it runs when a node registers",
    "backends/valkey/expiry.py": "tests/backends/valkey/test_faults.py: a node that is killed",
    "backends/valkey/inbound.py": "tests/backends/test_seam.py, valkey/test_faults.py: two nodes on a store are needed",
    "backends/valkey/listings.py": "tests/backends/test_contract.py: the pages of all backends",
    "backends/valkey/repair.py": "tests/backends/valkey/test_wrong_keys.py: every key of the wrong type",
    "backends/valkey/views.py": "tests/backends/test_views_contract.py: the views of all backends",
    "backends/valkey/visitor.py": "tests/backends/valkey/test_visit.py, tests/publisher/test_store_transport.py",
    "backends/valkey/scripts/__init__.py": "a loader; every test on a store runs what it loads",
    "cli/__init__.py": "tests/cli/test_help.py: the list of commands",
    "cli/http_post.py": "tests/cli/test_post.py: the command that is its only user",
    "cli/load/client.py": "tests/cli/test_bench.py: the command that is its only user",
    "cli/load/local_server.py": "tests/cli/test_bench.py: the command that is its only user",
    "cli/load/run.py": "tests/cli/test_bench.py: the command that is its only user",
    "cli/terminal/json_lines.py": "tests/cli/test_join.py: needs a process with a pipe",
    "cli/terminal/keyboard.py": "tests/cli/test_join_terminal.py: needs a process with a terminal",
    "cli/terminal/view.py": "tests/cli/test_join_terminal.py: needs a process with a terminal",
    "contrib/gunicorn.py": "tests/matrix/test_app_servers.py: needs gunicorn, which forks",
    "http_hooks/asking.py": "tests/http_hooks/test_hooks.py: every outcome of a question",
    "hub/call.py": "tests/embedding/test_ways.py: it needs an app that calls",
    "hub/entrance.py": "tests/embedding/test_ways.py: it needs an app that calls",
    "hub/running.py": "tests/hub/test_calls.py, tests/http_hooks/test_hooks.py: both ways to ask an app run through it",
    "hub/hub.py": "tests/hub/test_lifecycle.py, test_lifespan.py and others: it delegates to its parts",
    "listeners.py": "tests/test_server.py: addresses that are taken, not available, shared",
    "hooks.py": "a protocol: tests/test_hooked_commands.py, tests/hub/test_calls.py have both of its sides",
    "messages.py": "structs, which the vectors of both dialects fill: tests/dialects",
    "publisher/loop_thread.py": "tests/publisher/test_publisher.py: threads, forks and ends of what runs in it",
    "publisher/publishing.py": "tests/publisher/test_contract.py: what every publisher does, and its neighbours",
    "transports/asgi/connection.py": "tests/embedding/test_ways.py, test_test_client.py: it needs an ASGI server",
    "transports/asgi/opening.py": "tests/embedding/test_ways.py, test_test_client.py: it needs an ASGI server",
    "transports/http/openapi_parts.py": "tests/transports/http/test_openapi.py: the document that they are parts of",
    "transports/http/skapi_discovery.py": "tests/transports/http/test_skapi.py, tests/skapi: in pages",
    "transports/takeover.py": "tests/transports/websocket/test_app_protocol.py: its other half",
    "transports/websocket/acceptance.py": "tests/transports/websocket/test_opening.py: its first user",
    "uvicorn_server.py": "tests/test_server.py and tests/embedding: start and stop of both servers",
    # To be written: so far the tests of their neighbours reach them.
    **dict.fromkeys(
        [
            "backends/valkey/connection.py",
            "backends/valkey/discovery.py",
            "backends/valkey/link.py",
            "backends/valkey/shard.py",
            "backends/valkey/shards.py",
            "backends/valkey/transfer.py",
        ],
        "to be written",
    ),
}
"""Modules without a test module of their name, and why."""

BELOW_LEAST: dict[str, str] = {
    "auth/identity.py": "to be raised; so far tests/auth/test_authenticator.py reaches the rest",
    "cli/bench.py": "its tests run it as a process of its own, which is not measured",
    "cli/join.py": "its tests run it as a process of its own, which is not measured",
    "cli/process/free_memory.py": "its tests run it as a process of its own, which is not measured",
    "cli/process/workers.py": "its tests run it as a process of its own, which is not measured",
    "cli/serve.py": "its tests run it as a process of its own, which is not measured",
    "client/wire.py": "to be raised; so far tests/client/test_vectors.py reaches the rest",
    "testing/plugin.py": "its tests run it as a process of its own, which is not measured",
    "node.py": "to be raised; so far the tests of sessions and servers reach the rest",
}
"""Modules whose own tests cover less than `LEAST`, and why."""


def modules() -> Iterator[str]:
    """Yield the path of every module whose functions do something, relative to the package."""
    for path in sorted(SOURCE.rglob("*.py")):
        if any(_does_something(node) for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))):
            yield path.relative_to(SOURCE).as_posix()


def _does_something(node: ast.AST) -> bool:
    """Return whether this is a function with more than a docstring or ``...``."""
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not all(
        isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant) for each in node.body
    )


def tests_of(module: str) -> Path:
    """Return the file where the tests of a module belong."""
    path = Path(module)
    if path.name == "__init__.py":
        path = path.parent if path.parts[1:] else Path("hubbub")
    return TESTS / path.parent / f"test_{path.stem}.py"


def wrong_names(found: list[str], exceptions: dict[str, str]) -> Iterator[str]:
    """Yield what is wrong with the names of test modules and with the list of exceptions."""
    for module in found:
        there = tests_of(module)
        name = there.relative_to(unclean.ROOT)
        if module not in exceptions and not there.is_file():
            yield f"{module}: its tests belong in {name}, which does not exist"
        if module in exceptions and there.is_file():
            yield f"{module}: {name} exists; remove the module from NO_TESTS_OF_ITS_OWN"
    for module in exceptions.keys() - set(found):
        yield f"{module}: is in NO_TESTS_OF_ITS_OWN and does not exist"


def statements_in_functions(source: str, statements: set[int]) -> set[int]:
    """Return those of the line numbers that are in the body of a function, without its docstring."""
    inside: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for each in node.body:
                inside |= set(range(each.lineno, (each.end_lineno or each.lineno) + 1))
    return inside & statements


class _ByTestFile:
    """A plugin of pytest that tells coverage.py which test file runs."""

    def __init__(self, measured: object) -> None:
        self._measured = measured

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Count what follows for the file of this test."""
        self._measured.switch_context(item.path.as_posix())  # type: ignore[attr-defined]


def low_coverage(found: list[str]) -> Iterator[str]:
    """Run the tests of these modules; yield the modules that their own tests cover too little, and if a test failed."""
    os.environ["COVERAGE_CORE"] = "ctrace"  # the quicker core sees each line once only, in whichever test file
    import coverage  # only for this check
    import pytest

    with tempfile.TemporaryDirectory() as folder:
        measured = coverage.Coverage(str(Path(folder, "data")), source=[str(SOURCE)], config_file=False)
        measured.start()
        files = sorted({str(tests_of(module)) for module in found})
        code = pytest.main(["-q", "-p", "no:cacheprovider", *files], plugins=[_ByTestFile(measured)])
        measured.stop()
        if code:
            yield "a test failed, so the figures may be too low"
        data = measured.get_data()
        for module in found:
            path = SOURCE / module
            _, statements, *_ = measured.analysis2(str(path))
            wanted = statements_in_functions(path.read_text(encoding="utf-8"), set(statements))
            own = tests_of(module).as_posix()
            reached = {line for line, contexts in data.contexts_by_lineno(str(path)).items() if own in contexts}
            percent = 100 * len(wanted & reached) // len(wanted) if wanted else 100
            missing = ", ".join(map(str, sorted(wanted - reached)[:12]))
            if percent < LEAST and module not in BELOW_LEAST:
                yield f"{module}: its own tests cover {percent} %, at least {LEAST} % are needed; not lines {missing}"
            if percent >= LEAST and module in BELOW_LEAST:
                yield f"{module}: its own tests cover {percent} %; remove it from BELOW_LEAST"


def main(arguments: list[str]) -> int:
    """Check names, or coverage; print what is wrong and return the exit code."""
    found = list(modules())
    wrong = list(wrong_names(found, NO_TESTS_OF_ITS_OWN))
    if not wrong and "--coverage" in arguments:
        chosen = [module for module in found if module not in NO_TESTS_OF_ITS_OWN]
        asked = [each.removeprefix("src/hubbub/") for each in arguments if not each.startswith("--")]
        wrong = list(low_coverage([module for module in chosen if not asked or module in asked]))
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
