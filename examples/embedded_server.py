"""A whole Hubbub server in your own program: one process, one event loop, your own tokens.

A web app mounts a `hubbub.Hub` instead: see fastapi_chat.py.

python examples/embedded_server.py
"""

import asyncio
import secrets

import hubbub
from hubbub import Server, Settings, make_token
from hubbub.client import Message

SECRET = secrets.token_hex(32)


async def main() -> None:
    async with Server(Settings(port=0, secret=SECRET)) as server:
        # Your login issues tokens such as this one; `groups` are patterns of the groups that the user may join.
        token = make_token("alice", SECRET, ttl=3600, groups=["orders/*"])
        async with hubbub.connect(server.url, token=token) as alice:
            await alice.join_realtime("orders/17")
            await alice.post_realtime({"status": "paid"}, {"group": "orders/17"})
            async for event in alice:
                if isinstance(event, Message):
                    print(event.sender_rid, event.message)
                    return


asyncio.run(main())
