"""Gives memory that Python has freed back to the system, also after a burst of clients has fragmented the heap.

glibc keeps freed memory for later, unless it lies at the end of the heap. After a burst of large reads the process
would stay as large as it was at the peak. So large blocks are mapped one by one, and freed memory is returned when the
process has grown. With another C library nothing is done.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys
from collections.abc import Callable
from pathlib import Path

LOOK = 4.0
"""Seconds between two looks at the size."""

GROWTH = 4 << 20
"""Bytes by which the process must be larger than after the last time, so that what is free is given back."""

TRIES = 5
"""Looks in a row at a larger process after which its size counts as what it needs."""

M_MMAP_THRESHOLD = -3  # malloc.h
LARGE = 65_536
"""Bytes from which on a block of memory is mapped by itself, and so is returned as soon as it is free."""

_STATM = Path("/proc/self/statm")
_PAGE = 4096


def map_large_blocks() -> None:
    """Let glibc map each large block by itself; otherwise it learns from a burst to keep them (mallopt(3))."""
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
    """Return the bytes of memory that this process occupies, as far as pages of 4 KiB tell."""
    return int(_STATM.read_text().split()[1]) * _PAGE


async def give_back() -> None:
    """Give freed memory back to the system, for as long as the process runs."""
    trim = find_trim()
    if trim is None:
        return
    least, tries = size(), 0
    while True:
        await asyncio.sleep(LOOK)
        if size() < least + GROWTH:
            least, tries = min(least, size()), 0
            continue
        trim(0)
        tries += 1
        if tries == TRIES:  # it is in use: this is how large the process is now
            least, tries = size(), 0
