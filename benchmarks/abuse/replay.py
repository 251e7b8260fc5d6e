"""One user asks for the history of a group again and again: ``python benchmarks/abuse/replay.py [JOINS] [reading]``.

The history has 1,000 messages of a few bytes, so each join of 60 bytes is answered with some 120 kB, in 1,000 frames
that are made for it alone. 90 connections ask; with ``reading`` they read what they get, otherwise nothing.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from support.attack import Attack, Socket, command, member
from support.frames import GUEST_KEY

POSTERS, READERS = 5, 90

HOLD = 4.0
"""Seconds for which the connections stay open; the server cuts those that read nothing after 5."""


def read(one: Socket) -> None:
    """Read until the connection ends."""
    with contextlib.suppress(OSError):
        while one.socket.recv(1 << 20):
            pass


def main(joins: int, *, reading: bool) -> int:
    with Attack() as attack:
        posters = [member(attack.port, "replayer", "replayed") for _ in range(POSTERS)]
        for poster in posters:
            poster.send(command(do="post", to="replayed", message=1) * 200)
        asking = [Socket(attack.port) for _ in range(READERS)]
        for one in asking:
            one.upgrade()
            assert "ok" in one.ask(do="connect", guest="replayer", guest_key=GUEST_KEY)
        with attack.under_way():
            threads = [threading.Thread(target=read, args=(one,)) for one in asking if reading]
            for one in asking:
                with contextlib.suppress(OSError):
                    one.send(command(do="join", group="replayed", history=1000) * joins)
            for thread in threads:
                thread.start()
            time.sleep(HOLD)
            for one in asking:
                with contextlib.suppress(OSError):
                    one.socket.shutdown(2)
            for thread in threads:
                thread.join()
        print(attack.figures.line(f"replay, {joins} joins on {READERS} connections{', reading' if reading else ''}"))
        return 1 if attack.figures.broken() else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20, reading="reading" in sys.argv))
