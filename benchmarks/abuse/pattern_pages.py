"""Pages of the directory for a token with a thousand patterns that match nothing: how long each holds the loop.

    python benchmarks/abuse/pattern_pages.py [--groups 1000000] [--patterns 1000] [--pages 100]

Prints one line of JSON: CPU milliseconds per page (median and most), for patterns that are prefixes, that begin with
wildcards, and for the worst that have room in a token. Fails if the median is over 5 ms or a page over 20 ms.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

from hubbub.auth.identity import Identity
from hubbub.groups.directory import Directory, parse_query
from hubbub.messages import Groups


def kinds(patterns: int) -> dict[str, tuple[str, ...]]:
    """Return the patterns to try."""
    return {
        "prefixes": tuple(f"team-{number}-*" for number in range(patterns)),
        "wildcards": tuple(f"*a{number:03}*" for number in range(patterns)),
        "worst": tuple("[a-z]*" * 40 + "Z" * number for number in range(25)),
    }


def ask(directory: Directory, reader: Identity, start_key: object) -> tuple[float, object]:
    """Return how long a page took, and what continues the listing."""
    begun = time.thread_time()
    visible = getattr(reader, "visible", reader.may_join)  # older versions have the latter only
    query = parse_query(Groups(limit=1000, start_key=start_key), 1000)  # type: ignore[arg-type]
    try:
        page = directory.page(query, visible, time.thread_time)
    except TypeError:
        page = directory.page(query, visible)
    return time.thread_time() - begun, page.start_key


def main() -> int:
    """Measure; return 1 if a page held the loop for too long."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--groups", type=int, default=1_000_000)
    parser.add_argument("--patterns", type=int, default=1000)
    parser.add_argument("--pages", type=int, default=100)
    options = parser.parse_args()
    directory = Directory()
    for number in range(options.groups):
        directory.put(f"room:{number:08}", 1, 1)
    result: dict[str, dict[str, float]] = {}
    failed: list[str] = []
    for kind, globs in kinds(options.patterns).items():
        reader, start_key, spent = Identity("eve", globs), None, []
        for _ in range(options.pages):
            took, start_key = ask(directory, reader, start_key)
            spent.append(took * 1000)
        result[kind] = {"median_ms": round(statistics.median(spent), 3), "most_ms": round(max(spent), 3)}
        if result[kind]["median_ms"] > 5 or result[kind]["most_ms"] > 20:
            failed.append(kind)
    print(json.dumps({**result, "failed": failed}))
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
