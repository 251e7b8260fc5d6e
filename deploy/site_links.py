"""A MkDocs hook: makes the README the first page, and points links to files outside of docs/ to the repository."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).parents[1]
_LINK = re.compile(r"(?<=\]\()(?!https?:|#)(?P<target>[^)#\s]+)")


def on_files(files: Any, config: Any) -> Any:
    """Add the README as index.md."""
    from mkdocs.structure.files import File

    if not files.get_file_from_path("index.md"):
        files.append(File.generated(config, "index.md", content=(ROOT / "README.md").read_text()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Point links out of docs/ at the repository; a link to a file that is not there is left for MkDocs to report."""
    folder = "." if page.file.src_uri == "index.md" else "docs"
    base = config["repo_url"].rstrip("/") + "/blob/main/"

    def resolve(match: re.Match[str]) -> str:
        path = PurePosixPath(folder, match["target"])
        inside = (ROOT / path).resolve()
        if not inside.exists() or not inside.is_relative_to(ROOT):
            return match["target"]
        name = inside.relative_to(ROOT).as_posix()
        return name.removeprefix("docs/") if name.startswith("docs/") else base + name

    return _LINK.sub(resolve, markdown)
