"""The demo page in Chromium: the two programs under "Build this" run."""

from __future__ import annotations

import asyncio
import sys

import pytest
from playwright.async_api import expect

from support.browser import Person, needs_chromium

pytestmark = [needs_chromium, pytest.mark.asyncio(loop_scope="module")]  # one browser for all, so one loop for all


async def test_the_browser_snippet_works(two: tuple[Person, Person]) -> None:
    alice, bob = two
    program = await alice.page.locator("#build-dialog [data-snippet=browser]").text_content()
    assert program is not None
    assert len(program.splitlines()) == 6
    await bob.page.evaluate(f"(async () => {{ {program} }})()")
    await expect(alice.message("Hello")).to_contain_text("Ada")


async def test_the_python_snippet_works(two: tuple[Person, Person]) -> None:
    alice, _ = two
    program = await alice.page.locator("#build-dialog [data-snippet=python]").text_content()
    assert program is not None
    running = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    try:
        await expect(alice.message("Hello")).to_contain_text("Grace")
    finally:
        running.kill()
        await running.wait()
