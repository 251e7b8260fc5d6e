"""What the feed costs, and whether a mirror made of it is true.

``python benchmarks/feed.py moves SRC [ROUNDS]``: CPU time of a Valkey for each move of a member between two groups:
with the script of the sources in SRC, without a feed, with one that is not read, and with one that is. In turn.
``python benchmarks/feed.py memory [CHANGES]``: random changes in memory, compared with a mirror that follows.
"""

from __future__ import annotations

import asyncio
import random
import re
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from hubbub.backends.memory import MemoryBackend
from hubbub.backends.valkey import schema
from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.backend import ValkeyBackend
from hubbub.backends.valkey.connection import open_connection
from hubbub.backends.valkey.scripts import load_scripts
from hubbub.groups.history import Window
from hubbub.messages import UserRow
from support.feed_mirror import Mirror, agrees
from support.store import Store

CONNECTIONS, GROUPS = 1000, 300
MOVES = 12_000

OTHER = """
import sys
from hubbub.backends.valkey.scripts import load_scripts
from hubbub.groups.history import Window
sys.stdout.buffer.write(load_scripts(Window())["move"].source)
"""


async def store_cpu(store: Store) -> float:
    """Return the seconds of CPU time that the store has used."""
    info = await store.run("INFO", "cpu")
    assert isinstance(info, bytes)
    found = dict(re.findall(r"(used_cpu_(?:sys|user)):([\d.]+)", info.decode()))
    return float(found["used_cpu_sys"]) + float(found["used_cpu_user"])


async def moves(before: bytes, rounds: int) -> None:
    """Print the CPU time of the store for each move."""
    scripts, key = load_scripts(Window()), "hubbub:{0.0}:feed"
    cases = {
        "before": (before, False, False),
        "no feed": (scripts["move"].source, False, False),
        "feed": (scripts["move+feed"].source, True, False),
        "feed, read": (scripts["move+feed"].source, True, True),
    }
    found: dict[str, list[float]] = {}
    with Store() as store:
        backend = ValkeyBackend(parse_address(store.url()))
        await backend.start()
        rows = [UserRow(f"user-{number}", str(number)) for number in range(CONNECTIONS)]
        for row in rows:
            await backend.connect(row, 10)
        (shard,) = backend._shards
        connection = await open_connection(parse_address(store.url()), lambda channel, payload: None)
        where, chance = dict.fromkeys(rows, ""), random.Random(1)
        for number in range(rounds + 1):
            for case, (script, feed, read) in cases.items():
                digest = await connection.call("SCRIPT", "LOAD", script)
                if feed:
                    await backend.feed.read(None, 1)
                reader = asyncio.create_task(follow(backend)) if read else None
                began = await store_cpu(store)
                for _ in range(MOVES // 200):
                    calls = []
                    for row in chance.sample(rows, 200):
                        group = f"group-{chance.randrange(GROUPS)}"
                        last = [round(time.time() * 1000)] if feed else []
                        what: list[bytes | str | int]
                        what = [schema.row(row), where[row], group, "epoch", "L", "J", "", 0, 0, row.user_id, *last]
                        calls.append(connection.call("EVALSHA", digest, 1, shard.prefix, shard.incarnation, *what))
                        where[row] = group
                    await asyncio.gather(*calls)
                used = (await store_cpu(store) - began) / MOVES * 1e6
                if number:  # the first round warms up
                    found.setdefault(case, []).append(used)
                if reader is not None:
                    reader.cancel()
                    await asyncio.wait({reader})
                await store.run("DEL", key)
                await asyncio.sleep(0.2)
        await backend.abort()
    for case, costs in found.items():
        print(f"{case:10} {median(costs):6.2f} us of the store for each move ({min(costs):.2f} to {max(costs):.2f})")


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
            f"{time.process_time() - began:.1f} s of CPU time with the mirror"
        )


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    if what == "moves":
        environment = {"PYTHONPATH": arguments[0]}
        other = subprocess.run([sys.executable, "-c", OTHER], capture_output=True, check=True, env=environment).stdout
        asyncio.run(moves(other, int(arguments[1]) if arguments[1:] else 8))
    else:
        asyncio.run(memory(int(arguments[0]) if arguments else 1_000_000))
