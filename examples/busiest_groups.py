"""A dashboard in the terminal: the ten largest groups, as they change.

python examples/busiest_groups.py [address] [how many times, default: until interrupted]
"""

import asyncio
import itertools
import sys

import hubbub


async def main(url: str = "http://127.0.0.1:8000", times: str = "") -> None:
    async with hubbub.connect(url, guest="dashboard") as client:
        for round_number in itertools.count(1):
            page = await client.get_realtime_groups("number_of_users", 1, ">=", ascending=False, limit=10)
            print(f"--- {len(page.list)} groups")
            for row in page.list:
                print(f"{row.number_of_users:>7}  {row.group}", flush=True)
            if str(round_number) == times:
                return
            await asyncio.sleep(1)


asyncio.run(main(*sys.argv[1:]))
