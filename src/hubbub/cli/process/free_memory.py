"""Returns memory that Python has freed to the system, also after a burst of clients has fragmented the heap.

glibc keeps freed memory for later use, unless it is at the end of the heap. After a burst of large reads the process
would stay as large as it was at its peak. So large blocks are mapped individually, and freed memory is returned when
the process has grown. With any other C library this module does nothing.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys
from collections.abc import Callable
from pathlib import Path

CHECK_INTERVAL = 4.0
"""Seconds between two checks of the process's size."""

GROWTH = 4 << 20
"""Bytes by which the process must have grown since the last time before freed memory is returned."""

TRIES = 5
"""Checks in a row that find a larger process, after which its size counts as what it needs."""

M_MMAP_THRESHOLD = -3  # malloc.h
LARGE = 65_536
"""Blocks of at least this many bytes are mapped individually, and so are returned as soon as they are free."""

_STATM = Path("/proc/self/statm")
_PAGE = 4096


def map_large_blocks() -> None:
    """Make glibc map each large block individually; otherwise it learns from a burst to keep them (mallopt(3))."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if mallopt is not None:
            mallopt(M_MMAP_THRESHOLD, LARGE)


def find_trim() -> Callable[[int], int] | None:
    """Return glibc's malloc_trim(3), or None where there is none."""
    if sys.platform != "linux" or not _STATM.exists():
        return None
    try:
        return ctypes.CDLL(None).malloc_trim
    except AttributeError:  # another libc
        return None


def size() -> int:
    """Return the resident memory of this process in bytes, assuming pages of 4 KiB."""
    return int(_STATM.read_text().split()[1]) * _PAGE


async def return_freed_memory() -> None:
    """Return freed memory to the system, for as long as the process runs."""
    trim = find_trim()
    if trim is None:
        return
    least, tries = size(), 0
    while True:
        await asyncio.sleep(CHECK_INTERVAL)
        if size() < least + GROWTH:
            least, tries = min(least, size()), 0
            continue
        trim(0)
        tries += 1
        if tries == TRIES:  # the memory is in use: this is the new normal size
            least, tries = size(), 0
