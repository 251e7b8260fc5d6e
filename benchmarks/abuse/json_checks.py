"""What decoding and checking a message costs at worst, per byte: hostile texts, and a random search for worse ones.

python benchmarks/abuse/json_checks.py [seconds of search]     one line of JSON
"""

from __future__ import annotations

import gc
import json
import random
import sys
import time
from contextlib import suppress

from hubbub.dialects.v1 import V1
from hubbub.errors import CommandError
from hubbub.limits import check_message
from hubbub.messages import Post

SIZE = 65_536
DEPTH = 64
BUDGET_MS = 5.0
"""Most milliseconds that the largest message may take."""

PIECES = [
    b"[]", b"{}", b'"["', b'"]"', b'""', b"1", b"1e9", b'{"":[]}', b'["["]', b'"\\""', b'"\\\\"', b'"\\ud83d\\ude00"',
    b"0.1",
    b"[" * 60 + b"]" * 60, b"1" * 250, b"1.5e-300", b"null", b'{"a":1,"b":2}', b'"x"', b'"1e999"', b'{"a":{}}',
    b"12345678901234567890123",
]  # fmt: skip

decode = V1().decode


def fill(pieces: list[bytes], last: bytes = b"null") -> bytes:
    """Return an array of `pieces`, over and over, of `SIZE` bytes at most; `last` ends it."""
    one = b",".join(pieces)
    return b"[" + b",".join([one] * ((SIZE - len(last) - 2) // (len(one) + 1)) + [last]) + b"]"


def cost(message: bytes) -> float:
    """Return the milliseconds that a post of `message` takes until it may be published; the best of three."""
    frame = b'{"do":"post","to":"g","message":' + message + b"}"
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        with suppress(CommandError):
            command = decode(frame)
            assert isinstance(command, Post)
            check_message(command.message, SIZE, DEPTH)
        best = min(best, time.perf_counter() - began)
    return best * 1000


def main() -> None:
    gc.disable()  # as good as disabled in the server, too
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    worst: list[tuple[float, bytes]] = []
    ends = [b"null", b"1e999", b"1e999,1", b'"1e9999"', b"1" * 400, b'"' + b"1" * 400 + b'"']
    for piece in PIECES:
        worst += [(cost(text), text) for text in (fill([piece], end) for end in ends)]
    dice, until = random.Random(1), time.monotonic() + seconds
    while time.monotonic() < until:
        text = fill(dice.choices(PIECES, k=dice.randint(1, 4)), dice.choice(ends))
        worst.append((cost(text), text))
        worst = sorted(worst, reverse=True)[:5]
    worst.sort(reverse=True)
    most, text = worst[0]
    facts = {"ms": round(most, 2), "ns_per_byte": round(most * 1e6 / len(text), 1)}
    print(json.dumps({"abuse": "JSON checks", **facts, "text": text[:70].decode(), "end": text[-30:].decode()}))
    for most, text in worst[1:]:
        print(round(most, 2), text[:60], text[-20:], file=sys.stderr)
    sys.exit(most > BUDGET_MS)


if __name__ == "__main__":
    main()
