"""How many files, and so sockets, this process may have open."""

from __future__ import annotations

import sys

if sys.platform != "win32":
    import resource


def allow_open_files(wanted: int) -> int:
    """Raise the soft limit towards `wanted`, as far as the hard limit lets us; return how many may be open now."""
    if sys.platform == "win32":  # knows no such limit
        return sys.maxsize
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return sys.maxsize
    raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if raised <= soft:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
    except (OSError, ValueError):  # macOS has a limit of its own, below an infinite hard one
        return soft
    return raised
