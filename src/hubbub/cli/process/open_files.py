"""The limit of open files, and so of sockets, of this process."""

from __future__ import annotations

import sys

if sys.platform != "win32":
    import resource


def allow_open_files(wanted: int) -> int:
    """Raise the soft limit to `wanted`, or to the hard limit if that is lower; return the limit that now applies."""
    if sys.platform == "win32":  # has no such limit
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
