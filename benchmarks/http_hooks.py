"""What hooks over HTTP cost, and whether many clients that come back at once are all served.

``python benchmarks/http_hooks.py post [ROUNDS]`` prints the time from a post to its reply, with a no-op ``post`` hook
on loopback and without hooks, in alternating rounds. ``… many [CLIENTS] [SECONDS]`` connects so many clients at once;
the app is asked about each, and takes so many seconds to answer.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import uvloop

import hubbub
from support.frames import HANDSHAKE, command
from support.hook_app import SECRET
from support.server_process import LOAD_CPU, SERVER_CPU, ServerProcess, environment, pin
from support.store import free_port
from support.swarm import Client, Swarm, now

POSTS = 2000
"""Posts of a round, one after the other."""


@contextmanager
def app(delay: float) -> Iterator[str]:
    """Run the app; yield its address."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "http_hooks_app:app", "--port", str(port), "--log-level", "error"]
    process = subprocess.Popen(
        [*command, "--no-access-log", "--backlog", "4096", "--lifespan", "off"],
        env=environment(PYTHONPATH=str(Path(__file__).parent), DELAY=str(delay)),
        preexec_fn=lambda: pin(LOAD_CPU),
    )
    try:
        url = f"http://127.0.0.1:{port}/"
        while True:
            try:
                urllib.request.urlopen(url).close()
                break
            except OSError:
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait()


async def post_times(url: str) -> list[float]:
    """Return the seconds of each post."""
    times = []
    async with hubbub.connect(url, guest="ada") as client:
        await client.join_realtime("g")
        for number in range(POSTS + 200):
            began = time.perf_counter()
            await client.post_realtime({"number": number}, "g")
            if number >= 200:
                times.append(time.perf_counter() - began)
    return times


def measure_posts(rounds: int) -> None:
    """Print the times with and without a hook."""
    found: dict[str, list[float]] = {"without hooks": [], "a no-op post hook": []}
    pin(LOAD_CPU)
    with app(0) as url:
        hook = ("--hooks", url, "--hooks-secret", SECRET, "--hooks-events", "post", "--guests")
        for _ in range(rounds):
            for case, flags in zip(found, ((), hook), strict=True):
                with ServerProcess("--rate-limit", "0", *flags, cpu=SERVER_CPU) as server:
                    found[case] += uvloop.run(post_times(server.url))
    for case, times in found.items():
        p99 = quantiles(times, n=100)[98]
        print(f"{case:20} p50 {median(times) * 1000:.3f} ms, p99 {p99 * 1000:.3f} ms")
    without, with_hook = (median(times) for times in found.values())
    print(f"a hook adds {(with_hook - without) * 1000:.3f} ms at p50")


def measure_many(clients: int, delay: float) -> None:
    """Print when so many clients that come back at once have connected and joined.

    A client that is refused tries again after 1 to 2 s, as ours do.
    """
    pin(LOAD_CPU)
    with app(delay) as url, ServerProcess("--hooks", url, "--hooks-secret", SECRET, cpu=SERVER_CPU) as server:
        swarm, times, refused = Swarm(server.port), list[float](), 0
        kept: list[Client] = []

        def enter(number: int) -> None:
            hello = [command("connect", 1), command("join", 2, group=f"g{number % 100}")]
            request = HANDSHAKE.replace(b"/v1/connect", b"/v1/connect?user=u%d" % number)
            client = Client(swarm, f"u{number}", hello, request)
            client.on_ready = lambda client: entered(client, number)
            client.on_end = lambda client: again(number)
            client.connect(server.port)

        def entered(client: Client, number: int) -> None:
            if client.errors:
                client.cut()  # which calls `again`
                return
            client.on_end, client.on_data = lambda client: lost.append(client), client.look
            times.append(now() - began)
            kept.append(client)

        def again(number: int) -> None:
            nonlocal refused
            refused += 1
            swarm.later(1 + random.random(), lambda: enter(number))

        lost: list[Client] = []
        began = now()
        for number in range(clients):
            enter(number)
        swarm.run(150, lambda: len(times) == clients)
        peak = json.loads(urllib.request.urlopen(url).read())
        outcomes = {name: n for name, n in server.metrics().items() if name.startswith("hubbub_hook_calls")}
        times.sort()
        print(f"{len(times)} of {clients} connected and joined, {len(lost)} lost again, {refused} attempts refused")
        print(f"p50 {median(times):.2f} s, p99 {times[len(times) * 99 // 100]:.2f} s, last {times[-1]:.2f} s")
        print(f"the app: {peak['asked']} requests, at most {peak['peak']} at once")
        print("\n".join(f"{name} {number:g}" for name, number in sorted(outcomes.items())))


def main() -> None:
    """Print the results."""
    what, numbers = sys.argv[1], sys.argv[2:]
    if what == "post":
        measure_posts(int(numbers[0]) if numbers else 3)
    else:
        measure_many(int(numbers[0]) if numbers else 10_000, float(numbers[1]) if numbers[1:] else 0.05)


if __name__ == "__main__":
    main()
