"""What one user can do to others through the store: several real nodes on a real Valkey.

    python benchmarks/abuse/store_attack.py burst     # one user's burst keeps a node busy: are there false notices?
    python benchmarks/abuse/store_attack.py fill      # one user fills a store of 48 MB: who is refused?

Prints one line of JSON, and fails if others noticed anything. `burst` takes the number of connections and of posts of
each, `fill` the number of connections, as further arguments.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from support.frames import GUEST_KEY, command, frame
from support.server_process import ServerProcess
from support.store import Store

NESTED = "[" + ",".join(["[]"] * 21_000) + "]"
"""64 KiB of JSON that costs as much to check as any."""

LARGE = json.dumps("x" * 60_000)


async def enter(server: ServerProcess, guest: str, group: str) -> ClientConnection:
    """Return a connection that is a member of `group`."""
    socket = await connect(f"ws://127.0.0.1:{server.port}/v1/connect", max_size=None, ping_interval=None)
    await socket.send(json.dumps({"id": 1, "do": "connect", "guest": guest, "guest_key": GUEST_KEY}))
    assert "ok" in json.loads(await socket.recv())
    await socket.send(json.dumps({"id": 2, "do": "join", "group": group}))
    while json.loads(await socket.recv()).get("id") != 2:
        pass
    return socket


async def drain(socket: ClientConnection, heard: list[dict[str, Any]]) -> None:
    """Read until the connection ends; keep notices, answers and errors."""
    async for received in socket:
        if not str(received[:30]).startswith('{"type":"message"'):
            heard.append(json.loads(received))  # noqa: PERF401  (what came before a cut counts)


def post(group: str, message: str, number: int = 10) -> bytes:
    """Return the frame of a post; the message is JSON already."""
    return frame(f'{{"id":{number},"do":"post","to":{{"group":"{group}"}},"message":{message}}}'.encode())


async def burst(connections: int = 10, posts: int = 190) -> dict[str, Any]:
    """One user posts all that the rate allows at once, to one node; a group spans that node and another."""
    with Store() as store:
        busy, calm = (ServerProcess("--backend", store.url()) for _ in range(2))
        try:
            members = [await enter(busy, f"member{number}", "g") for number in range(20)]
            observer = await enter(calm, "observer", "g")
            heard: list[dict[str, Any]] = []
            reading = [asyncio.create_task(drain(observer, heard))]
            reading += [asyncio.create_task(drain(member, [])) for member in members]
            attackers = [await enter(busy, "attacker", f"alone{number}") for number in range(connections)]
            answers: list[dict[str, Any]] = []
            reading += [asyncio.create_task(drain(attacker, answers)) for attacker in attackers]
            began = time.monotonic()
            for number, attacker in enumerate(attackers):
                attacker.transport.write(post(f"alone{number}", NESTED) * posts)
            while sum("id" in each for each in answers) < 0.9 * connections * posts:
                await asyncio.sleep(0.05)
                if time.monotonic() - began > 60:
                    break
            took = time.monotonic() - began
            await asyncio.sleep(5)  # as long as it takes to notice that a node failed
            notices = [each["code"] for each in heard if each.get("type") == "notice"]
            for task in reading:
                task.cancel()
            return {
                "attack": "burst",
                "posts": connections * posts,
                "answered": len(answers),
                "busy_s": round(took, 2),
                "notices": len(notices),
                "ok": not notices,
            }
        finally:
            for server in (busy, calm):
                server.stop()


async def fill(connections: int = 25) -> dict[str, Any]:
    """One user fills the histories of eight groups on each of many connections; a bystander posts meanwhile."""
    with Store("--maxmemory", "48mb", "--maxmemory-policy", "noeviction") as store:
        server = ServerProcess("--backend", store.url())
        try:
            bystander = await enter(server, "bystander", "g")
            attackers = [await enter(server, "attacker", f"alone{number}") for number in range(connections)]
            answers: list[dict[str, Any]] = []
            reading = [asyncio.create_task(drain(attacker, answers)) for attacker in attackers]
            before = await used(store)
            began = time.monotonic()
            for number, attacker in enumerate(attackers):
                for group in (f"own{number}.{n}" for n in range(8)):
                    attacker.transport.write(command("join", 9, group=group) + post(group, LARGE) * 9)
            total = connections * 72
            while sum(each.get("id") == 10 for each in answers) < total and time.monotonic() - began < 30:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            most, refused = 0, 0
            for number in range(20):
                bystander.transport.write(post("g", LARGE, number))
                while (answer := json.loads(await bystander.recv())).get("id") != number:
                    pass
                refused += "error" in answer
                most = max(most, await used(store) - before)
                await asyncio.sleep(0.05)
            for task in reading:
                task.cancel()
            codes: dict[str, int] = {}
            for answer in answers:
                code = answer.get("error", {}).get("code", "sent")
                codes[code] = codes.get(code, 0) + 1
            return {
                "attack": "fill",
                "seconds": round(time.monotonic() - began, 1),
                "answers": codes,
                "kept_mb": round(most / 1e6, 1),
                "bystander_refused": refused,
                "ok": not refused,
            }
        finally:
            server.stop()


async def used(store: Store) -> int:
    """Return the bytes that the store uses."""
    info = await store.run("INFO", "memory")
    assert isinstance(info, bytes)
    return int(info.partition(b"used_memory:")[2].split()[0])


if __name__ == "__main__":
    result = asyncio.run({"burst": burst, "fill": fill}[sys.argv[1]](*map(int, sys.argv[2:])))
    print(json.dumps(result))
    sys.exit(not result["ok"])
