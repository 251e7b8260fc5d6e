"""Break delivery on purpose, in a copy, and see that the tests notice: ``python benchmarks/mutants.py [NUMBER ...]``.

Each mutant replaces one piece of text, which must occur exactly once, and names the tests that have to go red. A mutant
whose text is not there any more, or that survives, is a failure; so is a test that is red without any.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
TIMEOUT = 180
"""Seconds for the tests of one mutant. One that hangs them has been noticed."""

CONTRACT = "tests/backends/test_contract.py"
FAULTS = "tests/backends/valkey/test_faults.py"
SEAM = "tests/backends/test_seam.py"
HISTORY = "tests/groups/test_history.py"
RESUME = "tests/system/test_resume.py"
ABSENCES = "tests/backends/test_absences_contract.py"
DRAIN = "tests/backends/valkey/test_drain.py"
TAIL = "tests/backends/valkey/test_tail.py"
ENDED = "tests/abuse/test_ended_rights.py"
BANS = "tests/backends/test_bans_contract.py"
KEPT_OUT = "tests/abuse/test_kept_out.py"
HIDDEN = "tests/abuse/test_hidden_groups.py"
GUESTS = "tests/abuse/test_guests_and_privates.py"


class Mutant(NamedTuple):
    """One fault: `old` becomes `new` in `file`, below ``src/hubbub``; `tests` are files or directories."""

    what: str
    file: str
    old: str
    new: str
    tests: str


# fmt: off
MUTANTS = [
    Mutant("the epoch is not looked at", "groups/history.py",
           "position.epoch != self.epoch or not 0", "not 0", HISTORY),
    Mutant("one message too few at the seam", "groups/history.py",
           "missed = self.seq - position.seq\n", "missed = max(0, self.seq - position.seq - 1)\n", RESUME),
    Mutant("a window that has passed is no gap", "groups/history.py",
           "not 0 <= missed <= self._length", "not 0 <= missed", RESUME),
    Mutant("the history has no bound", "groups/history.py",
           "if size > self._bytes or len(entries) > self._limit:\n", "if False:\n", HISTORY),
    Mutant("what is too old stays", "groups/history.py",
           "marks[0][0] <= old or ", "", HISTORY),
    Mutant("the key of another sender counts", "backends/memory.py",
           'scope = (message.sender, f"group:', 'scope = ("", f"group:', CONTRACT),
    Mutant("a repeated key is delivered again, in the store", "backends/valkey/scripts/post.lua",
           "if known then return tonumber(known) end", "", CONTRACT),
    Mutant("min_recipients is not looked at", "limits.py",
           "if listening < least:", "if listening < 0:", CONTRACT),
    Mutant("the answer is read before the group is heard", "commands.py",
           "        frames, gap = replay_frames(session, replay, ",
           "        self._fanout.leave(session)\n        import asyncio\n        await asyncio.sleep(0)\n"
           "        self._join_fanout(session, group)\n        frames, gap = replay_frames(session, replay, ", SEAM),
    Mutant("the group is heard before the history is read", "commands.py",
           "        try:\n            replay = await self._backend.join",
           "        self._join_fanout(session, group)\n        try:\n"
           "            replay = await self._backend.join", SEAM),
    Mutant("rights are not checked when one comes back", "commands.py",
           "        session.identity.require_group(group)\n",
           "        if command.since is None:\n            session.identity.require_group(group)\n", RESUME),
    Mutant("the inbox is not replayed", "connect_command.py",
           "frames, welcome.gap = replay_frames(session, inbox, settings.max_queue)",
           "frames, welcome.gap = [], False", RESUME),
    Mutant("the client hears doubles", "client/places.py",
           "if event.seq <= self.position.seq:", "if event.seq < 0:", "tests/client"),
    Mutant("the client says nothing of a gap", "client/places.py",
           "if joined.gap and self.position:", "if False:", "tests/client"),
    Mutant("the client forgets where it was", "client/keeper.py",
           "self.join(self.places.group, self.places.position)", "self.join(self.places.group)", "tests/client"),
    Mutant("each attempt of a post is another post", "client/client.py",
           "if key is None:\n", "if False:\n", "tests/client"),
    Mutant("the browser client hears doubles", "web/hubbub.js",
           "if (seq <= last.seq) return;", "", "tests/system/test_web_client.py"),
    Mutant("a store that lost its tail goes on in the same epoch", "backends/valkey/scripts/revive.lua",
           "if redis.call('GET', P .. 'run') ~= run then", "if redis.call('EXISTS', P .. 'run') == 0 then", TAIL),
    Mutant("what came while the store was away is not asked for", "backends/valkey/presence.py",
           "        await self._catch_up()\n", "", FAULTS),
    Mutant("a message is published and not kept, in the store", "backends/valkey/scripts/post.lua",
           "keep(P .. 'h:' .. ARGV[1], key, ARGV[2], MOST)\n", "", CONTRACT),
    Mutant("nobody is told whom to expect back", "node.py",
           "await self.backend.send_off([", "_ = list([", DRAIN),
    Mutant("a return is announced, in the store", "backends/valkey/scripts/move.lua",
           "number and returns(ARGV[4], ARGV[2]) and '' or ARGV[7]", "ARGV[7]", ABSENCES),
    Mutant("who stays away is never said to have gone", "backends/memory.py",
           "for group, user in self._absences.over(now):\n            self._stayed_away(group, user, now)\n",
           "self._absences.over(now)\n", ABSENCES),
    Mutant("a ticket outlives its token", "auth/tickets.py",
           'min(claims["exp"], identity.expires or 0)', 'claims["exp"]', "tests/auth/test_tickets.py"),
    Mutant("newcomers come in as fast as they like", "admission.py",
           "(SLOWER if busy else FASTER)", "FASTER", "tests/test_admission.py"),
    Mutant("who is closed goes on hearing", "session_lifetime.py",
           "        self._node.fanout.silence(self)\n", "", ENDED),
    Mutant("a kick does not see who is just coming", "node.py",
           "found += [session for", "[session for", ENDED),
    Mutant("what a kicked user has waiting is done", "session_lifetime.py",
           "                self._queue.clear()\n            self.ending(",
           "                pass\n            self.ending(", ENDED),
    Mutant("the store lets in who is kept out", "backends/valkey/scripts/enter.lua",
           "if left > 0 then return -left end", "", BANS),
    Mutant("memory lets in who is kept out", "backends/memory.py",
           "        self._bans.require_free(user.user_id, now)\n", "", BANS),
    Mutant("a node that comes back does not look who is kept out", "backends/valkey/presence.py",
           "        await self._keep_out()\n", "", KEPT_OUT),
    Mutant("a ticket is taken twice", "backends/valkey/scripts/enter.lua",
           "'NX', 'PX', ARGV[11]", "'PX', ARGV[11]", BANS),
    Mutant("a kick leaves tickets alive", "backends/valkey/scripts/disconnect.lua",
           "redis.call('SET', P .. 'd:' .. user, '', 'PX', ARGV[5])", "", BANS),
    Mutant("a ticket widens the rights of a connection", "connect_command.py",
           "if renewed and command.ticket is not None:", "if False:", KEPT_OUT),
    Mutant("a cursor works for others", "groups/cursors.py",
           "return [reader.encode(), order.encode()]", "return [order.encode()]", HIDDEN),
    Mutant("a token may have the id of a guest", "auth/claims.py",
           "if settings.allow_guests and subject", "if False and subject", GUESTS),
    Mutant("signals need no right", "commands.py",
           "        session.identity.require_private()\n        event = Signaled", "        event = Signaled", GUESTS),
]
# fmt: on


def tests_pass(copy: Path, tests: str) -> bool:
    """Run tests on the copy, until the first is red."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests.split()]
    environment = {**os.environ, "PYTHONPATH": str(copy / "src")}
    try:
        done = subprocess.run(
            command, cwd=copy, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT
        )
    except subprocess.TimeoutExpired:
        return False
    assert done.returncode in (0, 1), done.stdout.decode()  # anything else is no verdict
    return done.returncode == 0


def caught(copy: Path, mutant: Mutant) -> bool:
    """Say whether the tests notice, and put everything right again."""
    path = copy / "src" / "hubbub" / mutant.file
    whole = path.read_text()
    assert whole.count(mutant.old) == 1, f"{mutant.file} has changed: {mutant.old!r}"
    path.write_text(whole.replace(mutant.old, mutant.new))
    try:
        return not tests_pass(copy, mutant.tests)
    finally:
        path.write_text(whole)


def main(numbers: list[int]) -> None:
    """Try them all, or those with these numbers, and fail if one survives."""
    chosen = [(number, each) for number, each in enumerate(MUTANTS, 1) if not numbers or number in numbers]
    survivors = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy")
        ignored = shutil.ignore_patterns(".git", ".venv", ".*cache", "__pycache__", ".hypothesis")
        shutil.copytree(ROOT, copy, symlinks=True, ignore=ignored)
        for tests in sorted({mutant.tests for _, mutant in chosen}):
            assert tests_pass(copy, tests), f"{tests} is red without a mutant"
        for number, mutant in chosen:
            began = time.monotonic()
            found = caught(copy, mutant)
            survivors += not found
            verdict = "caught" if found else "SURVIVED"
            print(f"{number:2} {verdict:9}{time.monotonic() - began:5.1f} s  {mutant.what}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} caught")
    sys.exit(survivors > 0)


if __name__ == "__main__":
    main([int(number) for number in sys.argv[1:]])
