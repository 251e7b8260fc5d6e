"""The site: builds strictly, every link and anchor of what was built leads somewhere, every diagram can be drawn."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.async_api import Browser, async_playwright

import hubbub
from support.browser import CHROMIUM
from support.doc_pages import DOCS, ROOT, blocks

HERE = Path(__file__).parent
DIAGRAMS = {
    f"{page.relative_to(DOCS)}, line {block.line}": block.code
    for page in sorted(DOCS.rglob("*.md"))
    for block in blocks(page.read_text())
    if block.language == "mermaid"
}


class Links(HTMLParser):
    """What a page links to, and what can be linked to in it."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.anchors: set[str] = {""}
        self.loaded: set[str] = set()
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value or "")
            elif name in {"href", "src"} and value:
                self.targets.add(value)
                if tag in {"script", "img"} or ("rel", "stylesheet") in attrs:
                    self.loaded.add(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as ``make docs`` does."""
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return target


def test_every_link_leads_somewhere(site: Path) -> None:
    pages = {page: Links(page) for page in site.rglob("*.html")}
    dead = []
    for page, links in pages.items():
        for link in links.targets:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or page.name == "404.html":  # that page links from the root
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            target = target / "index.html" if target.is_dir() else target
            found = target.exists() and (target not in pages or unquote(parts.fragment) in pages[target].anchors)
            if not found and not parts.fragment.startswith("__"):  # the theme's own
                dead.append(f"{page.relative_to(site)}: {link}")
    assert len(pages) > 40
    assert dead == []


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "benchmarks/results.md"])
def test_the_links_of_the_repository_lead_somewhere(name: str) -> None:
    page = ROOT / name
    links = re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", page.read_text())
    assert links
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_nothing_is_loaded_from_other_hosts(site: Path) -> None:
    loaded = {page: Links(page).loaded for page in site.rglob("*.html") if page.parent.name != "examples"}
    assert {page: found for page, found in loaded.items() if any(map(is_elsewhere, found))} == {}
    assert all(loaded.values())


def is_elsewhere(link: str) -> bool:
    return bool(urlsplit(link).netloc)


def test_the_public_names_are_on_the_page_made_from_docstrings(site: Path) -> None:
    anchors = {anchor for page in ("api", "hub") for anchor in Links(site / f"reference/python-{page}.html").anchors}
    homes = {name: f"hubbub.{name}" for name in hubbub.__all__ if name != "__version__"}
    homes |= {"connect": "hubbub.client.connect", "Client": "hubbub.client.Client"}
    homes["Position"] = "hubbub.messages.Position"
    assert set(homes.values()) - anchors == set()


@pytest.mark.skipif(CHROMIUM is None, reason="!!! no Chromium here: diagrams are not drawn (apt install chromium)")
@pytest.mark.usefixtures("packages")
async def test_every_diagram_can_be_drawn() -> None:
    async with async_playwright() as playwright:
        browser: Browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page()
        await page.add_script_tag(path=HERE / "node_modules/mermaid/dist/mermaid.min.js")
        for place, code in DIAGRAMS.items():
            drawn = await page.evaluate("async (code) => (await mermaid.render('diagram', code)).svg.length", code)
            assert drawn > 1000, place
        await browser.close()
    assert len(DIAGRAMS) >= 7
