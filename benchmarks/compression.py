"""What permessage-deflate would cost: ``python benchmarks/compression.py``. See docs/protocol.md, "Compression".

Time and size of one message compressed on its own, as it would have to be to be shared by all members of a group (RFC
7692, section 7.1.1.1: no context takeover), and the memory of a compressor and decompressor per connection, without
which small messages hardly shrink.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import time
import zlib
from pathlib import Path

WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "a",
    "lazy",
    "dog",
    "while",
    "seven",
    "wizards",
    "box",
    "clock",
]
CONNECTIONS = 1000


def message(size: int, chance: random.Random) -> bytes:
    """Return an event with text of about `size` bytes, as the server would send it."""
    text = ""
    while len(text) < size:
        text += chance.choice(WORDS) + " "
    event: dict[str, object] = {"type": "message", "message": {"text": text, "at": chance.randrange(10**12)}}
    event |= {"sender": "alice", "sender_cid": f"{chance.getrandbits(72):x}", "sender_rid": "HelloWorld"}
    event |= {"seq": 7, "code": None}
    return json.dumps(event, separators=(",", ":")).encode()


def deflate(data: bytes, compressor: zlib._Compress | None = None) -> bytes:
    """Return `data` as the payload of a compressed frame (RFC 7692, section 7.2.1)."""
    compressor = compressor or zlib.compressobj(wbits=-15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def resident() -> int:
    """Return the bytes of memory that this process occupies."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def main() -> int:
    chance = random.Random(1)
    print("| text, bytes | event, bytes | compressed alone | µs alone | compressed with context | µs to inflate |")
    print("|---|---|---|---|---|---|")
    for size in (20, 200, 1000, 10_000):
        events = [message(size, chance) for _ in range(300)]
        began = time.perf_counter()
        alone = [deflate(each) for each in events]
        spent = time.perf_counter() - began
        kept = zlib.compressobj(wbits=-15)
        context = [deflate(each, kept) for each in events][1:]
        began = time.perf_counter()
        for each in alone:
            zlib.decompressobj(wbits=-15).decompress(each + b"\0\0\xff\xff", 131_072)
        inflating = time.perf_counter() - began
        whole = sum(map(len, events))
        print(
            f"| {size:,} | {whole // 300:,} | {sum(map(len, alone)) / whole:.0%} | {spent / 300 * 1e6:.0f} "
            f"| {sum(map(len, context)) / whole:.0%} | {inflating / 300 * 1e6:.0f} |"
        )
    before = resident()
    held = []
    for _ in range(CONNECTIONS):
        compressor, decompressor = zlib.compressobj(wbits=-15), zlib.decompressobj(wbits=-15)
        decompressor.decompress(deflate(message(1000, chance), compressor) + b"\0\0\xff\xff")
        held.append((compressor, decompressor))
    print(
        f"\nmemory of compressor and decompressor per connection: {(resident() - before) / CONNECTIONS / 1000:.0f} kB"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
