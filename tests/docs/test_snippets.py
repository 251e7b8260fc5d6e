"""Every block of code in the docs is run, or says why it is not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from support.browser import CHROMIUM
from support.doc_pages import CHECKED, DOCS, FREE, RUN, WORDS, blocks, pages
from support.doc_workshop import Workshop

NAMES = {page.relative_to(DOCS).as_posix(): page for page in pages()}


@pytest.fixture(scope="module")
def browser() -> Iterator[Callable[[], Browser]]:
    """Give a function that returns the browser; it is started when first asked for."""
    with ExitStack() as stack:
        started: list[Browser] = []

        def start() -> Browser:
            if not started:
                if CHROMIUM is None:
                    pytest.skip("!!! no Chromium here: pages that need a browser are not run (apt install chromium)")
                playwright = stack.enter_context(sync_playwright())
                options = ["--no-sandbox", "--disable-gpu"]
                started.append(playwright.chromium.launch(executable_path=CHROMIUM, args=options))
                stack.callback(started[0].close)
            return started[0]

        yield start


@pytest.mark.parametrize("name", NAMES)
def test_every_block_says_what_it_is(name: str) -> None:
    for block in blocks(NAMES[name].read_text()):
        place = f"{name}, line {block.line}"
        assert block.language, f"{place}: name the language; `text` for what is no code"
        reason = block.note("not run")
        assert reason is None or len(reason) > 10, f"{place}: say why it is not run"
        known = block.language in RUN | CHECKED | FREE
        covered = known or block.title or reason is not None or block.note("output") is not None
        assert covered, f"{place}: {block.language} is neither run nor a file (title=…) nor marked <!-- not run: … -->"


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("name", NAMES)
def test_the_page_runs(name: str, tmp_path: Path, browser: Callable[[], Browser]) -> None:
    with Workshop(tmp_path, browser) as workshop:
        for block in blocks(NAMES[name].read_text()):
            try:
                workshop.do(block)
            except AssertionError as error:
                logs = "\n".join(log.output[-2000:] for log in workshop.logs)
                raise AssertionError(f"docs/{name}, line {block.line}: {error}\nin the background:\n{logs}") from None


@pytest.mark.parametrize("name", NAMES)
def test_no_comment_is_misspelt(name: str) -> None:
    comments = re.findall(r"^ *<!-- ?(.*)", NAMES[name].read_text(), re.MULTILINE)
    assert [text for text in comments if not text.startswith(WORDS)] == []
