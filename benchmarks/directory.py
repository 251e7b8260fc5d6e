"""How long pages and changes of the directory take, with few groups and with many.

    python benchmarks/directory.py [--groups N]

Prints microseconds: the mean and the 99th percentile per kind of page, checking of the command included, at 1,000
groups and at N (default 1,000,000), and the same for changes. Python's garbage collector runs as usual. The figures to
meet: every page at most 1,000 µs at p99 and at most 3 times what it takes at 1,000 groups; every change at most 40 µs.
"""

from __future__ import annotations

import argparse
import random
import resource
import time
from collections.abc import Callable, Iterator

from hubbub.auth.identity import Identity
from hubbub.groups.directory import Directory, parse_query
from hubbub.messages import Groups, Page

FEW = 1_000
MAX_PAGE = 1000
ROUNDS = 3_000
Timings = list[float]


def names(count: int) -> list[str]:
    """Return names as applications make them: long shared prefixes, some of them not ASCII."""
    shapes = ("room:{:08}", "tenant-{:02}/chat/{:06}", "doc-{:x}", "部屋-{}", "🎮 game {}", "Straße {}")
    made = []
    for i in range(count):
        shape = shapes[0] if i % 2 else shapes[i // 2 % len(shapes)]
        made.append(shape.format(i % 97, i) if shape.count("{") == 2 else shape.format(i))
    return made


def fill(count: int, chance: random.Random) -> tuple[Directory, list[str], Timings]:
    """Return a directory of `count` groups, put in any order, most of them small and a few very large."""
    directory, groups, timings = Directory(), names(count), []
    chance.shuffle(groups)
    groups = [f"{group} "[:-1] for group in groups]  # as after joins in any order: neighbours far apart in memory
    for group in groups:
        users = min(int(chance.paretovariate(1.1)), 20_000)
        start = time.perf_counter()
        directory.put(group, users, users)
        timings.append(time.perf_counter() - start)
    return directory, groups, timings


def pages(directory: Directory, groups: list[str], chance: random.Random) -> Iterator[tuple[str, Timings]]:
    """Time every kind of page of 50, each at random places."""

    def name() -> str:
        return chance.choice(groups)

    def size() -> int:
        return int(chance.paretovariate(1.1))

    def name_cursor() -> dict[str, object]:
        return {"group": name()}

    def size_cursor() -> dict[str, object]:
        row = directory.get(name())
        assert row is not None
        return {"number_of_users": row.number_of_users, "group": row.group}

    kinds: dict[str, Callable[[], Groups]] = {
        "all": lambda: Groups(),
        "by name, =": lambda: Groups(value=name()),
        "by name, !=": lambda: Groups(value=name(), condition="!="),
        "by name, >": lambda: Groups(value=name(), condition=">"),
        "by name, < descending": lambda: Groups(value=name(), condition="<", ascending=False),
        "by name, starts with": lambda: Groups(value=name()[: chance.randint(1, 8)], condition=">="),
        "by name, range": lambda: Groups(value=name(), range=name()),
        "by name, resumed": lambda: Groups(start_key=name_cursor()),
        "by name, resumed, descending": lambda: Groups(start_key=name_cursor(), ascending=False),
        "by size": lambda: Groups(search_for="number_of_users"),
        "by size, =": lambda: Groups(search_for="number_of_users", value=size()),
        "by size, !=": lambda: Groups(search_for="number_of_users", value=size(), condition="!="),
        "by size, >=": lambda: Groups(search_for="number_of_users", value=size(), condition=">="),
        "by size, <= descending": lambda: Groups(
            search_for="number_of_users", value=size(), condition="<=", ascending=False
        ),
        "by size, range": lambda: Groups(search_for="number_of_users", value=size(), range=size() + 10),
        "by size, resumed": lambda: Groups(search_for="number_of_users", start_key=size_cursor()),
        "by size, resumed, descending": lambda: Groups(
            search_for="number_of_users", start_key=size_cursor(), ascending=False
        ),
    }
    for kind, make in kinds.items():
        yield kind, [_timed_page(directory, make()) for _ in range(ROUNDS)]
    one_room = Identity("alice", groups=("room:0000001?",))
    yield "of the few visible groups", [_timed_page(directory, Groups(), one_room) for _ in range(ROUNDS // 10)]


def _timed_page(directory: Directory, command: Groups, reader: Identity | None = None) -> float:
    start = time.perf_counter()
    page: Page = directory.page(parse_query(command, MAX_PAGE), reader.visible if reader else None, time.thread_time)
    spent = time.perf_counter() - start
    assert len(page.list) <= 50
    return spent


def changes(directory: Directory, groups: list[str], chance: random.Random) -> Iterator[tuple[str, Timings]]:
    """Time what joins and leaves do to the directory. The number of groups is the same afterwards."""
    chosen = [chance.choice(groups) for _ in range(ROUNDS * 5)]
    rows = [directory.get(group) for group in dict.fromkeys(chosen)]
    known = [(row.group, row.number_of_users, row.number_of_connections) for row in rows if row]
    fresh = [(f"room:new {group}", 1, 1) for group, _, _ in known]

    def timed(do: Callable[..., None], arguments: list[tuple[object, ...]]) -> Timings:
        timings = []
        for args in arguments:
            start = time.perf_counter()
            do(*args)
            timings.append(time.perf_counter() - start)
        return timings

    yield "join, a known user", timed(directory.put, [(g, u, c + 1) for g, u, c in known])
    yield "join, one more user", timed(directory.put, [(g, u + 1, c + 1) for g, u, c in known])
    yield "leave, one user less", timed(directory.put, [(g, u, c) for g, u, c in known])
    yield "join, a new group", timed(directory.put, list(fresh))
    yield "leave, the last user", timed(directory.remove, [(g,) for g, _, _ in fresh])


def summary(timings: Timings) -> tuple[float, float, float]:
    """Return mean, 99th percentile and maximum in microseconds."""
    ordered = sorted(timings)
    return (
        sum(ordered) / len(ordered) * 1e6,
        ordered[int(len(ordered) * 0.99)] * 1e6,
        ordered[-1] * 1e6,
    )


def measure(count: int) -> dict[str, tuple[float, float, float]]:
    """Return the summaries of everything at `count` groups."""
    chance = random.Random(1)
    directory, groups, filling = fill(count, chance)
    figures = {kind: summary(timings) for kind, timings in pages(directory, groups, chance)}
    figures |= {kind: summary(timings) for kind, timings in changes(directory, groups, chance)}
    return figures | {"put, while filling": summary(filling)}


def main() -> None:
    options = argparse.ArgumentParser(description="Time the directory; see the module's docstring.")
    options.add_argument("--groups", type=int, default=1_000_000)
    count = options.parse_args().groups
    few, many = measure(FEW), measure(count)
    print(f"{'µs':30}{f'{FEW:,} groups':>22}{f'{count:,} groups':>32}{'ratio':>9}")
    print(f"{'':30}{'mean':>11}{'p99':>11}{'mean':>11}{'p99':>11}{'max':>10}{'of means':>9}")
    for kind, (mean, p99, worst) in many.items():
        before, before_p99, _ = few[kind]
        print(f"{kind:30}{before:11.1f}{before_p99:11.1f}{mean:11.1f}{p99:11.1f}{worst:10.0f}{mean / before:9.1f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"\nmost memory used, names included: {peak} MB")


if __name__ == "__main__":
    main()
