"""``hubbub serve --app``: what is said about wrong options and apps. tests/embedding runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.command import run

APP = """
from hubbub import Hub
app = Hub(secret="a secret for tests, of 32 bytes or more")
nobody = Hub()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "main.py").write_text(APP)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--app", "main:app", "--rate-limit", "5"], 2, "Write Hub(rate_limit=…) in the app"),
        (["--app", "main:app", "--no-demo"], 2, "--no-demo does not go with --app"),
        (["--app", "main:nothing"], 2, 'Attribute "nothing" not found'),
        (["--app", "nowhere:app"], 2, 'Could not import module "nowhere"'),
        (["--app", "main"], 2, "<module>:<attribute>"),
        (["--app", "main:app", "--prot", "1"], 2, "Did you mean --port?"),
        (["--app", "main:app", "--log-level", "loud"], 2, "log_level must be"),
        (["--app", "main:nobody", "--port", "0"], 1, "cannot tell who connects"),
        (["--app", "main:app", "--port", "0", "--workers", "2"], 1, 'cannot share the backend "memory"'),
    ],
)
async def test_errors(folder: Path, arguments: list[str], code: int, text: str) -> None:
    ran = await run("serve", *arguments, cwd=folder)
    assert ran.code == code
    assert text in " ".join(ran.err.split())


async def test_the_app_can_come_from_the_environment(folder: Path) -> None:
    ran = await run("serve", cwd=folder, env={"HUBBUB_APP": "main:nothing"})
    assert (ran.code, "app comes from HUBBUB_APP" in ran.err) == (2, True)


async def test_the_help_names_it(folder: Path) -> None:
    ran = await run("serve", "--help", cwd=folder)
    assert "hubbub serve --app main:app" in ran.out
