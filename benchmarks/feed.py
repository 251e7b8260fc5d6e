"""What the feed costs, and whether a mirror made of it is true.

``python benchmarks/feed.py joins [ROUNDS]``: CPU time of a Valkey for each join: without and with a reader. With the
``PYTHONPATH`` of code that has no feed, the cost before.
``python benchmarks/feed.py memory [CHANGES]``: random changes in memory, compared with a mirror that follows.
"""

from __future__ import annotations

import asyncio
import random
import re
import sys
import time
from pathlib import Path
from statistics import median

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from hubbub.backends.memory import MemoryBackend
from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.backend import ValkeyBackend
from hubbub.messages import UserRow
from support.store import Store

CONNECTIONS, GROUPS = 1000, 300
JOINS = 20_000


async def store_cpu(store: Store) -> float:
    """Return the seconds of CPU time that the store has used."""
    info = await store.run("INFO", "cpu")
    assert isinstance(info, bytes)
    found = dict(re.findall(r"(used_cpu_(?:sys|user)):([\d.]+)", info.decode()))
    return float(found["used_cpu_sys"]) + float(found["used_cpu_user"])


async def joins(rounds: int) -> None:
    """Print the CPU time of the store for each join."""
    found: dict[str, list[float]] = {}
    with Store() as store:
        backend = ValkeyBackend(parse_address(store.url()))
        await backend.start()
        rows = [UserRow(f"user-{number}", str(number)) for number in range(CONNECTIONS)]
        for row in rows:
            await backend.connect(row, 10)
        chance = random.Random(1)
        for number in range(2 * rounds + 2):
            reader = None
            case = "without a reader"
            if number % 2 and hasattr(backend, "feed"):
                case = "with a reader"
                reader = asyncio.create_task(follow(backend))
                await asyncio.sleep(0.3)
            began = await store_cpu(store)
            for _ in range(JOINS // 200):
                some = chance.sample(rows, 200)
                await asyncio.gather(*(backend.join(row, f"group-{chance.randrange(GROUPS)}") for row in some))
            used = (await store_cpu(store) - began) / JOINS * 1e6
            if number > 1:
                found.setdefault(case, []).append(used)
            if reader is not None:
                reader.cancel()
                await asyncio.wait({reader})
                await store.run("DEL", "hubbub:{0.0}:feed")
                await asyncio.sleep(0.6)
        await backend.close()
    for case, costs in found.items():
        print(f"{case:17} {median(costs):6.2f} us of the store for each join ({min(costs):.2f} to {max(costs):.2f})")


async def follow(backend: ValkeyBackend) -> None:
    """Read the feed until cancelled."""
    at = (await backend.feed.read(None, 500)).positions
    while True:
        read = await backend.feed.read(at, 500)
        at = read.positions
        if not read.events:
            await asyncio.sleep(backend.feed.pause)


async def memory(changes: int) -> None:
    """Make random changes, follow them, compare."""
    from support.feed_mirror import Mirror, agrees

    backend, chance = MemoryBackend(), random.Random(1)
    there: list[UserRow] = []
    number, began, compared = 0, time.process_time(), 0
    async with Mirror(backend) as mirror:
        for step in range(changes):
            what = chance.random()
            if what < 0.2 or not there:
                number += 1
                there.append(UserRow(f"user-{chance.randrange(3000)}", str(number)))
                await backend.connect(there[-1], 1000)
            elif what < 0.65:
                await backend.join(chance.choice(there), f"group-{chance.randrange(500)}")
            elif what < 0.8:
                await backend.leave(chance.choice(there))
            else:
                at = chance.randrange(len(there))
                there[at], there[-1] = there[-1], there[at]
                await backend.remove_connection(there.pop())
            if step % 100 == 0:
                await asyncio.sleep(0)
            if step % 20_000 == 19_999:
                online = {row.user_id for row in there}
                while not await agrees(mirror, backend, online):  # noqa: ASYNC110  # a mirror that differs is never equal
                    await asyncio.sleep(0.01)
                compared += 1
        events = sum(mirror.counts.values())
        assert not mirror.repeated
        print(
            f"{changes} changes, {events} events, {mirror.counts['gap']} gaps; compared {compared} times, equal; "
            f"{time.process_time() - began:.0f} s of CPU time with the mirror"
        )


if __name__ == "__main__":
    what, number = sys.argv[1], sys.argv[2:]
    if what == "joins":
        asyncio.run(joins(int(number[0]) if number else 8))
    else:
        asyncio.run(memory(int(number[0]) if number else 1_000_000))
