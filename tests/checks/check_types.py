"""mypy over the package, tests, benchmarks and examples; errors of the files in unclean.txt do not count."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import unclean

_ERROR = re.compile(r"(?P<path>[^:\n]+):\d+: error: ")


def offences(report: str) -> dict[str, list[str]]:
    """Return the lines of mypy's report by file; its notes go with the error before them."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in report.splitlines():
        match = _ERROR.match(line)
        if match:
            path = match["path"]
        elif ": note: " not in line or not found:
            continue
        found[path].append(line)
    return dict(found)


def main() -> int:
    """Run mypy and judge what it found."""
    mypy = Path(sys.executable).with_name("mypy")
    done = subprocess.run([mypy, "--no-error-summary"], cwd=unclean.ROOT, capture_output=True, text=True, check=False)
    found = offences(done.stdout)
    if done.stderr or (done.returncode and not found):  # mypy itself failed, or said something of no file
        print(done.stdout, done.stderr, file=sys.stderr)
        return 2
    return unclean.judge("types", found, sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
