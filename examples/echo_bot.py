"""A bot: answers every message of a group that starts with "!echo", and greets users who join.

python examples/echo_bot.py [address] [group]
"""

import asyncio
import sys

import hubbub
from hubbub.client import Client, Event, Message, Notice


async def answer(client: Client, group: str, event: Event) -> None:
    """Reply to `event`, if it asks for a reply."""
    match event:
        case Message({"msg": str(text)}) if text.startswith("!echo "):
            await client.post_realtime({"msg": text.removeprefix("!echo ")}, {"group": group})
        case Notice(sender=sender, code="USER_JOINED", user_connections=1):  # 2: a second device of this user
            await client.post_realtime({"msg": f"Welcome, {sender}!"}, {"group": group})


async def main(url: str = "http://127.0.0.1:8000", group: str = "HelloWorld") -> None:
    async with hubbub.connect(url, guest="echo bot") as client:
        await client.join_realtime(group)
        print(f"listening in {group}", flush=True)
        async for event in client:
            await answer(client, group, event)


asyncio.run(main(*sys.argv[1:]))
