"""The fixture ``hub`` in projects with and without plugins for async tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import asyncio
import pytest
from hubbub import Hub, User
from hubbub.testing import SyncTestHub, TestHub

loops = []

{mark}
async def test_async(hub):
    assert isinstance(hub, TestHub)
    loops.append(asyncio.get_running_loop())
    alice = await hub.user("alice", join="g", ttl=60)
    await alice.post("hello")
    assert (await alice.next()).message == "hello"
    await hub.sleep(60)
    assert alice.closed == 4002

def test_sync(hub):
    assert isinstance(hub, SyncTestHub)
    alice = hub.user("alice", join="g")
    alice.post("hello")
    assert alice.next().message == "hello"

{mark}
@pytest.mark.parametrize("number", [1, 2])
async def test_parameters(number, hub):
    assert (await hub.user(f"u{{number}}")).user_id == f"u{{number}}"

class TestOfAnApp:
    @pytest.fixture
    def app_hub(self):
        hub = Hub()

        @hub.on_connect
        async def who(conn):
            return User(conn.cookies["user"])

        return hub

    {mark}
    async def test_its_hooks(self, hub, app_hub):
        assert hub.app_hub is app_hub
        assert (await hub.connect(cookies={{"user": "ada"}})).user_id == "ada"

def test_without_a_hub():
    pass
"""


def run(folder: Path, tests: str, *arguments: str) -> str:
    """Run pytest in a folder with these tests; return what it prints."""
    (folder / "test_app.py").write_text(tests)
    (folder / "pytest.ini").write_text(
        "[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("mark", "arguments"),
    [
        ("", ["-p", "no:asyncio", "-p", "no:anyio", "-o", "asyncio_default_fixture_loop_scope=", "-W", "ignore"]),
        ("", []),
        ("", ["-o", "asyncio_mode=auto"]),
        ("@pytest.mark.asyncio", []),
        ("@pytest.mark.asyncio(loop_scope='module')", []),
        ("@pytest.mark.anyio(backends=['asyncio'])", ["-p", "no:asyncio", "-W", "ignore", "-k", "not trio"]),
    ],
    ids=["no plugin", "asyncio that does not run it", "asyncio in auto mode", "asyncio", "a loop per module", "anyio"],
)
def test_who_runs_the_test(tmp_path: Path, mark: str, arguments: list[str]) -> None:
    output = run(tmp_path, TESTS.format(mark=mark), "-p", "hubbub.testing", *arguments)
    assert "6 passed" in output, output
    assert "warning" not in output, output


def test_in_a_conftest_beside_an_import(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('from hubbub.testing import TestHub\npytest_plugins = ["hubbub.testing"]\n')
    output = run(tmp_path, TESTS.format(mark=""))
    assert "6 passed" in output, output


def test_an_async_fixture_may_use_the_hub(tmp_path: Path) -> None:
    tests = """
import pytest

@pytest.fixture
async def alice(hub):
    user = await hub.user("alice", join="g")
    yield user
    await user.close()

async def test_it(alice):
    assert alice.group == "g"
"""
    output = run(tmp_path, tests, "-p", "hubbub.testing", "-o", "asyncio_mode=auto")
    assert "1 passed" in output, output


def test_nothing_happens_unless_asked_for(tmp_path: Path) -> None:
    assert "fixture 'hub' not found" in run(tmp_path, "def test_it(hub): pass\n")


def test_a_failure_is_that_of_the_test(tmp_path: Path) -> None:
    tests = """
import pytest

async def test_fails(hub):
    await (await hub.user("alice", join="g")).next()

async def test_passes(hub):
    await hub.user("alice")
"""
    output = run(tmp_path, tests, "-p", "hubbub.testing")
    assert "1 failed, 1 passed" in output, output
    assert "alice: no message came within 60 s." in output


def test_only_the_plugin_imports_pytest() -> None:
    code = (
        "import sys, hubbub.testing; assert 'pytest' not in sys.modules and 'hubbub.testing.plugin' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
