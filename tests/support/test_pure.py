"""The plugin that picks the pure tests, and forbids I/O in them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.pure import TESTS, is_pure, reaches_io


def test_it_tells_pure_tests_from_others() -> None:
    assert is_pure(TESTS / "groups/test_directory.py")
    assert not is_pure(TESTS / "test_server.py")  # imports the server
    assert not is_pure(TESTS / "system/test_delivery_scenarios.py")  # runs a benchmark, which does


def test_enough_tests_are_pure_to_be_worth_it() -> None:
    assert sum(is_pure(path) for path in TESTS.rglob("test_*.py")) > 12


@pytest.mark.parametrize(
    ("source", "does"),
    [
        ("import json", False),
        ("import asyncio", True),
        ("from urllib.request import urlopen", True),
        ("def f():\n    import socket", True),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import socket", False),
        ("import hubbub.groups.directory", False),
        ("from hubbub import server", True),
    ],
)
def test_imports_are_followed(tmp_path: Path, source: str, does: bool) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)
    assert reaches_io(path) is does


@pytest.mark.parametrize(
    ("body", "passes"),
    [
        ("assert True", True),
        ("__import__('subprocess').run(['true'])", False),
        ("__import__('socket').socket().bind(('127.0.0.1', 0))", False),
    ],
)
def test_a_test_that_only_looks_pure_fails(tmp_path: Path, body: str, passes: bool) -> None:
    (tmp_path / "test_it.py").write_text(f"def test_it():\n    {body}\n")
    plugin = ["-p", "support.pure", "--only-pure"]
    command = [sys.executable, "-m", "pytest", *plugin, "-q", "-c", "/dev/null", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(TESTS)})
    assert (ran.returncode == 0) is passes, ran.stdout + ran.stderr
