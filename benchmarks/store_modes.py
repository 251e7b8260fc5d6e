"""Modes of ``several_nodes.py`` that need no sockets: the backends of three nodes and the store."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from contextlib import suppress
from typing import Any

from msgspec import Raw

from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.backend import ValkeyBackend
from hubbub.backends.valkey.cluster import SHARDS
from hubbub.errors import CommandError
from hubbub.groups.directory import parse_query
from hubbub.messages import Groups, Message, UserRow
from support import store_faults
from support.cluster import ClusterStore
from support.store import Store
from support.store_model import World


def summary(values: list[float], unit: str = "ms", factor: float = 1000) -> str:
    ordered = sorted(value * factor for value in values)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"median {statistics.median(ordered):.2f}, p99 {p99:.2f}, most {ordered[-1]:.2f} {unit} of {len(ordered)}"


async def faults(rounds: int = 5, seconds: float = 10) -> None:
    """Everything that `store_faults` does to a store; then the time until all nodes list the truth again."""
    saved = ("--appendonly", "yes", "--appendfsync", "always")
    alone = (store_faults.restart, store_faults.kill, store_faults.freeze, store_faults.cut_subscriptions)
    cases: list[tuple[store_faults.Fault, tuple[str, ...], bool]] = [
        (fault, (), False) for fault in (*alone, store_faults.overflow)
    ]
    cases += [(fault, saved, False) for fault in (store_faults.restart, store_faults.kill)]
    cases += [(fault, (), True) for fault in (store_faults.fail_over, store_faults.switch_over)]
    for fault, options, replica in cases:
        took, lost = [], 0
        for turn in range(rounds):
            async with store_faults.staged(*options, replica=replica, seed=turn) as stage:
                world = stage.world
                before = stage.opened()
                await fault(stage, seconds)
                began = time.monotonic()
                await stage.ready()
                await world.settled()
                took.append(time.monotonic() - began)
                lost += sum(after - each for after, each in zip(stage.opened(), before, strict=True))
                for node in world.nodes:
                    await node.close()
        assert lost >= rounds, "no fault took place"
        print(f"{fault.__name__} {'saved' if options else ''}: {summary(took, 's', 1)}; connections lost: {lost}")


async def model(steps: int = 10_000) -> None:
    """Random joins, leaves, drops, cuts and deaths on three nodes, compared with the truth: one server, a cluster."""
    with Store() as store:
        await _model(World(store, 7), steps, "one server")
    with ClusterStore() as cluster:
        await cluster.form()
        await _model(World(cluster.servers[0], 7, cluster.url()), steps, "cluster")


async def _model(world: World, steps: int, name: str) -> None:
    compared = mismatches = refused = cuts = deaths = 0
    for _ in range(3):
        await world.node()
    for n in range(1, steps + 1):
        try:
            await world.step()
        except CommandError:
            refused += 1
            await asyncio.sleep(0.01)  # else all that follow are refused, too
        if n % 250 == 0:
            await world.cut()
            cuts += 1
        if n % 1000 == 0:
            await world.kill()
            deaths += 1
            with suppress(TimeoutError):
                await world.settled()
            for node in world.nodes:
                compared += 1
                mismatches += not await world.agrees(node)
    print(
        f"model, {name}: {steps:,} steps ({refused} refused), {cuts} cuts, {deaths} deaths, {len(world.truth)} "
        f"connections in the end; {compared} views compared, mismatches: {mismatches}"
    )
    for node in world.nodes:
        await node.close()


async def _filled(backend: ValkeyBackend, groups: int, members: int = 1) -> None:
    """Make `groups` groups, each with the same number of members."""

    async def enter(n: int) -> None:
        row = UserRow(f"user{n}", f"c{n:021d}")
        await backend.connect(row, 10)
        await backend.join(row, f"group-{n // members:07d}")

    for start in range(0, groups * members, 1000):
        await asyncio.gather(*(enter(n) for n in range(start, min(start + 1000, groups * members))))


async def cluster_pages(groups: int = 100_000) -> None:
    """Pages of 50 at 100,000 groups on three primaries, from anywhere in both orders."""
    with ClusterStore() as cluster:
        await cluster.form()
        backend = ValkeyBackend(parse_address(cluster.url()))
        await backend.start()
        await _filled(backend, groups)
        for search_for in ("group", "number_of_users"):
            took = []
            for _ in range(2000):
                start_key: dict[str, Any] = {"group": f"group-{random.randrange(groups):07d}"}
                if search_for == "number_of_users":
                    start_key["number_of_users"] = 1
                query = parse_query(Groups(search_for=search_for, start_key=start_key), 1000)
                began = time.perf_counter()
                page = await backend.groups(query)
                took.append(time.perf_counter() - began)
                assert len(page.list) == 50 or page.end_of_list
            print(f"{groups:,} groups in {SHARDS} shards, page of 50 by {search_for}: {summary(took)}")
        await backend.close()


async def cluster_failover(rounds: int = 5, timeout: int = 2000) -> None:
    """Kill a primary of a cluster; the time until its replica has taken over and all nodes list the truth."""
    took = []
    for turn in range(rounds):
        with ClusterStore(timeout) as cluster:
            await cluster.form()
            world = World(cluster.servers[0], turn, cluster.url())
            for _ in range(3):
                await world.node()
            for _ in range(300):
                await world.step()
            await cluster.servers[0].run("WAIT", 1, 1000)
            cluster.servers[0].kill()
            began = time.monotonic()
            while any(node.ready for node in world.nodes):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            while not all(node.ready for node in world.nodes):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await world.settled()
            took.append(time.monotonic() - began)
            for node in world.nodes:
                await node.close()
    print(f"a primary dies, cluster-node-timeout {timeout} ms: {summary(took, 's', 1)}")


async def memory(groups: int = 20_000, members: int = 5) -> None:
    """What a joined connection takes in the store, users and groups included."""
    with Store() as store:
        backend = ValkeyBackend(parse_address(store.url()))
        await backend.start()
        before = await _number(store, "memory", b"used_memory:")
        await _filled(backend, groups, members)
        used = await _number(store, "memory", b"used_memory:") - before
        print(f"{groups * members:,} connections in {groups:,} groups: {used / groups / members:,.0f} bytes for each")
        await backend.close()


async def rates(seconds: float = 4) -> None:
    """What one server does in a second of its own CPU time, asked by one backend 200 at a time."""
    with Store() as store:
        backend = ValkeyBackend(parse_address(store.url()))
        await backend.start()
        await _filled(backend, 1000, 2)
        rows = [UserRow(f"user{n}", f"c{n:021d}") for n in range(200)]
        post = Message(
            Raw(b'{"text":"some hundred bytes, as people write them in a chat: hello, are you there?"}'),
            "u",
            "c",
            "",
            0,
        )

        async def posts(n: int, turn: int) -> None:
            post.sender_rid, post.sender = f"group-{n:07d}", f"user{n}"
            await backend.publish(post)

        async def joins(n: int, turn: int) -> None:
            await backend.join(rows[n], f"group-{(n * 7 + turn) % 1000:07d}")

        for work in (posts, joins):
            before, began, turn = await _number(store, "cpu", b"used_cpu_user:"), time.perf_counter(), 0
            system = await _number(store, "cpu", b"used_cpu_sys:")
            while time.perf_counter() - began < seconds:
                turn += 1
                await asyncio.gather(*(work(n, turn) for n in range(200)))
            used = await _number(store, "cpu", b"used_cpu_user:") - before
            used += await _number(store, "cpu", b"used_cpu_sys:") - system
            print(f"{work.__name__}: {turn * 200 / used:,.0f} per CPU-second of the store")
        await backend.close()


async def _number(store: Store, section: str, name: bytes) -> float:
    info = await store.run("INFO", section)
    assert isinstance(info, bytes)
    return float(info.partition(name)[2].split()[0])
