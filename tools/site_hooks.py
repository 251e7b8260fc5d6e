"""What the site needs besides its pages: files of the repository that pages link to, and Mermaid from a local copy.

Pages are written so that their links work where they lie, in the repository: ``../deploy/nginx.conf`` leaves the
folder of the pages. MkDocs would warn. So each such file is published with the site, Markdown as a page.
"""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import dirname, join, normpath, relpath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
MERMAID = ROOT / "tests/docs/node_modules/mermaid/dist/mermaid.min.js"

PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CODE_OF_CONDUCT.md": "contributing/code_of_conduct.md",
    "CONTRIBUTING.md": "contributing/contributing.md",
    "SECURITY.md": "contributing/security.md",
    "benchmarks/results.md": "benchmarks/results.md",
}
"""Markdown outside the folder of the pages that is a page of the site: where it lies, and its address there."""

_LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")


def on_config(config: MkDocsConfig) -> None:
    """Take Mermaid from npm's copy where there is one; the theme would load it from another host."""
    if MERMAID.exists():
        config.extra_javascript.append("assets/mermaid.js")


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the files that pages link to outside their folder."""
    for place, address in PAGES.items():
        files.append(File.generated(config, address, abs_src_path=str(ROOT / place)))
    if MERMAID.exists():
        files.append(File.generated(config, "assets/mermaid.js", abs_src_path=str(MERMAID)))
    sources = [(page.src_uri, f"docs/{page.src_uri}") for page in files.documentation_pages()]
    sources += [(address, place) for place, address in PAGES.items()]
    for _, place in sources:
        path = ROOT / place
        if not path.exists():
            continue
        for link in _LINK.findall(path.read_text()):
            target = normpath(join(dirname(place), link))
            address = _address(target)
            outside = not target.startswith("docs/") and target not in PAGES
            if outside and (ROOT / target).is_file() and files.get_file_from_path(address) is None:
                files.append(File.generated(config, address, abs_src_path=str(ROOT / target)))


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Turn links of the repository into links of the site; a target that does not exist stays, and MkDocs warns."""
    here = page.file.src_uri
    place = next((place for place, address in PAGES.items() if address == here), f"docs/{here}")

    def rewritten(link: re.Match[str]) -> str:
        target = normpath(join(dirname(place), link[1]))
        return relpath(_address(target), dirname(here) or ".") if (ROOT / target).exists() else link[1]

    return _LINK.sub(rewritten, markdown)


def _address(target: str) -> str:
    """Return the address on the site of a file of the repository."""
    return PAGES.get(target) or target.removeprefix("docs/")
