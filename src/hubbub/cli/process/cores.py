"""How many CPU cores this process may use: what ``--workers auto`` means."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
"""Where Linux mounts the control groups, version 2."""


def usable_cores(root: Path = CGROUPS, process: Path = Path("/proc/self/cgroup")) -> int:
    """Return how many cores this process may use, at least 1.

    That is what it may run on (``taskset``, cpusets), or less if the CPU time of its control group is limited, as in a
    container with ``--cpus 2``: a part of a core does not count. See cgroup-v2.rst of the kernel, ``cpu.max``.

    Args:
        root: Where the control groups are mounted.
        process: The file that names the control group of this process.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([allowed, *(int(share) for share in _shares(root, process))]))


def _shares(root: Path, process: Path) -> Iterator[float]:
    """Yield the limit of the process's control group and of each group around it, in cores."""
    try:
        lines = process.read_text().splitlines()
    except OSError:
        return
    name = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "/")
    group = root / name.lstrip("/")
    while group.is_relative_to(root) and ".." not in group.parts:
        try:
            quota, period = (group / "cpu.max").read_text().split()
            if quota != "max":
                yield int(quota) / int(period)
        except (OSError, ValueError):  # the outermost group has no such file
            pass
        if group == root:
            return
        group = group.parent
