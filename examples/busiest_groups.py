"""A dashboard in the terminal: the ten largest groups, live.

python examples/busiest_groups.py [address] [how many changes, default: until interrupted]
"""

import asyncio
import sys

import hubbub


async def main(url: str = "http://127.0.0.1:8000", changes: str = "") -> None:
    async with (
        hubbub.connect(url, guest="dashboard") as client,
        client.watch_realtime_groups("number_of_users", 1, ">=", ascending=False, limit=10, every=0.5) as busiest,
    ):
        number = 0
        async for change in busiest:
            print(f"--- {len(change.list)} of {change.count} groups")
            for row in change.list:
                print(f"{row.number_of_users:>7}  {row.group}", flush=True)
            number += 1
            if str(number) == changes:
                return


asyncio.run(main(*sys.argv[1:]))
