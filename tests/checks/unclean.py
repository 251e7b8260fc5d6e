"""The list of files that do not yet pass a check, which only gets shorter.

A check that arrives late finds a hundred old offences. Files on the list are let off; every other file must pass, and a
file that has become clean must leave the list, so that it stays clean. ``unclean.txt`` has one line for each check and
file: ``words docs/cli.md``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).with_name("unclean.txt")


def excused(check: str, listing: Path = LIST) -> set[str]:
    """Return the paths, relative to the project, that `check` lets off."""
    lines = listing.read_text().splitlines() if listing.exists() else []
    return {path for name, _, path in (line.partition(" ") for line in lines) if name == check and path}


def rewrite(check: str, paths: Iterable[str], listing: Path = LIST) -> None:
    """Make `paths` the files that `check` lets off; lines of other checks stay."""
    lines = listing.read_text().splitlines() if listing.exists() else []
    others = [line for line in lines if line and line.partition(" ")[0] != check]
    text = "".join(f"{line}\n" for line in sorted([*others, *(f"{check} {path}" for path in paths)]))
    if not listing.exists() or text != listing.read_text():
        listing.write_text(text)


def judge(check: str, offences: dict[str, list[str]], arguments: list[str], listing: Path = LIST) -> int:
    """Print the offences of files that are not let off, and return the exit code of the check.

    Args:
        check: The name of the check, the first word of its lines in the list.
        offences: What is wrong, by path; every path has at least one line.
        arguments: Of the command line: ``--adopt`` puts every file with an offence on the list (once, after files were
            moved); ``--shrink`` takes the clean ones off.
        listing: The list.
    """
    listed = excused(check, listing)
    if "--adopt" in arguments:
        rewrite(check, offences, listing)
        return 0
    clean = listed - offences.keys()
    if "--shrink" in arguments:
        rewrite(check, listed - clean, listing)
        clean = set()
    failed = {path: lines for path, lines in offences.items() if path not in listed}
    for path in sorted(failed):
        print("\n".join(failed[path]))
    for path in sorted(clean):
        print(f"{path}: is clean now, or gone: run make fix, which removes it from {listing.name}")
    if failed or clean:
        print(f"{check}: {len(failed)} files fail, {len(clean)} are clean and still in {listing.name}", file=sys.stderr)
    return 1 if failed or clean else 0
