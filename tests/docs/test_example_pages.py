"""The pages about frameworks show the files in ``examples/`` as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.doc_pages import DOCS, ROOT, blocks

PAGES = sorted(DOCS.glob("how-to/mount-*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_page_shows_the_example(page: Path) -> None:
    shown = {block.title: block.code for block in blocks(page.read_text()) if block.title}
    assert shown
    for title, code in shown.items():
        (path,) = [*ROOT.glob(f"examples/{title}"), *ROOT.glob(f"examples/*/{title}")]
        assert code == path.read_text(), f"{page}: {title} is not {path}"
