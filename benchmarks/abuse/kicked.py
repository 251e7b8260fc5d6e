"""Kicked users who never answer the close frame: whether they still receive messages, and can reconnect.

    python benchmarks/abuse/kicked.py [--victims 100]

Starts a server of its own with a secret. The victims join a group in which one member posts 20 times a second; they are
kicked over HTTP and keep reading, sending nothing, until they are cut. Then they are kicked with ``for=60`` and try
to reconnect. Prints one line of JSON; fails if anything was received after a close frame, or if a user reconnected.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from hubbub.auth.authenticator import make_token
from support.raw_socket import Socket
from support.server_process import ServerProcess

SECRET = "a secret for this attack, of 32 bytes or more"


def kick(target: ServerProcess, user: str, query: str = "") -> int:
    """Disconnect a user over HTTP; return the status."""
    token = make_token("backend", SECRET, server=True)
    request = urllib.request.Request(
        f"{target.url}/v1/users/{user}{query}", method="DELETE", headers={"Authorization": f"Bearer {token}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def enter(target: ServerProcess, user: str) -> Socket:
    """Connect a user to the group."""
    one = Socket(target.port)
    one.upgrade()
    assert "ok" in one.ask(do="connect", token=make_token(user, SECRET))
    assert "ok" in one.ask(do="join", group="hall")
    return one


def received_after_the_close(victim: Socket) -> tuple[int, float]:
    """Return how many frames follow the close frame, and for how many seconds the connection stays open."""
    victim.close_code()
    began, frames = time.monotonic(), 0
    try:
        while True:
            victim.frame()
            frames += 1
    except ConnectionError:
        return frames, time.monotonic() - began


def main() -> int:
    """Attack; return 1 if a victim received a message after the close frame, or reconnected."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--victims", type=int, default=100)
    victims = parser.parse_args().victims
    with ServerProcess("--secret", SECRET, "--rate-limit", "0") as target:
        talker = enter(target, "talker")
        stop = threading.Event()

        def talk() -> None:
            while not stop.wait(0.05):
                talker.ask(do="post", to={"group": "hall"}, message="for members only")

        sockets = [enter(target, f"victim-{number}") for number in range(victims)]
        talking = threading.Thread(target=talk)
        talking.start()
        for number in range(victims):
            assert kick(target, f"victim-{number}") == 200
        ends = [received_after_the_close(victim) for victim in sockets]
        statuses = {kick(target, f"victim-{number}", "?for=60") for number in range(victims)}
        back = 0
        for number in range(victims):
            again = Socket(target.port)
            again.upgrade()
            back += "ok" in again.ask(do="connect", token=make_token(f"victim-{number}", SECRET))
            again.cut()
        stop.set()
        talking.join()
    frames = [heard for heard, _ in ends]
    wrong = {"heard": sum(frames) > 0, "reconnected": back > 0, "bans refused": statuses != {200}}
    failed = [what for what, is_so in wrong.items() if is_so]
    result = {
        "victims": victims,
        "received_after_the_close": {"sum": sum(frames), "most": max(frames)},
        "longest_s": round(max(stayed for _, stayed in ends), 2),
        "statuses_of_bans": sorted(statuses),
        "reconnected": back,
        "failed": failed,
    }
    print(json.dumps(result))
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
