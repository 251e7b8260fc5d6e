"""Break delivery on purpose, in a copy, and check that the tests notice: ``python benchmarks/mutants.py [NUMBER ...]``.

Each mutant replaces one piece of text, which must occur exactly once, and names the tests that must fail. A mutant
whose text is no longer in the source, or that no test catches, is an error; so is a test that fails without a mutant.
``--check`` only checks that every text and every test of the list exists.
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
    Mutant("the epoch is not compared", "groups/history.py",
           "position.epoch != self.epoch or not 0", "not 0", HISTORY),
    Mutant("one message too few is replayed", "groups/history.py",
           "missed = self.seq - position.seq\n", "missed = max(0, self.seq - position.seq - 1)\n", RESUME),
    Mutant("messages that left the window are no gap", "groups/history.py",
           "not 0 <= missed <= self.seq - self._dropped", "not 0 <= missed", RESUME),
    Mutant("the history has no bound", "groups/history.py",
           "if size > self._bytes or seq - self._dropped > self._limit:\n", "if False:\n", HISTORY),
    Mutant("messages that are too old are kept", "groups/history.py",
           "marks[0][0] <= old or ", "", HISTORY),
    Mutant("a post key counts for other senders", "backends/memory.py",
           'scope_of(message.sender, f"group:', 'scope_of("", f"group:', CONTRACT),
    Mutant("a repeated key is delivered again, in the store", "backends/valkey/scripts/post.lua",
           "if known then return tonumber(known) end", "", CONTRACT),
    Mutant("min_recipients is ignored", "limits.py",
           "if listening < least:", "if listening < 0:", CONTRACT),
    Mutant("a message between the replay and the join is lost", "commands.py",
           "        frames, replayed, gap = replay_frames(session, replay, ",
           "        self._fanout.leave(session)\n        import asyncio\n        await asyncio.sleep(0)\n"
           "        self._join_fanout(session, group, notices=True, visible=True)\n"
           "        frames, replayed, gap = replay_frames(session, replay, ", SEAM),
    Mutant("a message arrives before the replay", "commands.py",
           "        try:\n            if command.invisible:",
           "        self._fanout.join(session, group)\n        try:\n            if command.invisible:", SEAM),
    Mutant("rights are not checked on a rejoin", "commands.py",
           "        identity.require_group(group)\n",
           "        if command.since is None:\n            identity.require_group(group)\n", RESUME),
    Mutant("the inbox is not replayed", "connect_command.py",
           "frames, welcome.replayed, welcome.gap = replay_frames(session, inbox, settings)",
           "frames, welcome.replayed, welcome.gap = [], 0, False", RESUME),
    Mutant("the client delivers duplicates", "client/positions.py",
           "if event.seq <= self.position.seq:", "if event.seq < 0:", "tests/client"),
    Mutant("the client does not report a gap", "client/positions.py",
           "if joined.gap and self.position:", "if False:", "tests/client"),
    Mutant("the client forgets its position", "client/reconnecting.py",
           "call = self.join(group, since, notices", "call = self.join(group, None, notices", "tests/client"),
    Mutant("each attempt of a post is another post", "client/client.py",
           "if key is None and keep:\n", "if False:\n", "tests/client"),
    Mutant("a message that is not kept gets a number", "backends/memory.py",
           "        if keep:\n            self._keep(entry.history, message, key)\n        else:\n",
           "        self._keep(entry.history, message, key)\n        if False:\n",
           "tests/backends/test_quiet_contract.py"),
    Mutant("an invisible connection is counted", "fanout.py", "if lane.visible:", "if True:",
           "tests/test_fanout.py tests/test_invisible.py"),
    Mutant("who posts without echo does not learn the number", "fanout.py",
           "if isinstance(event, Message) and event.seq is not None:", "if False:", "tests/test_fanout.py"),
    Mutant("anybody may be invisible", "commands.py",
           "        if command.invisible:\n            identity.require_invisible()\n", "", "tests/test_invisible.py"),
    Mutant("the browser client delivers duplicates", "web/client/hubbub.js",
           "if (seq <= last.seq) return;", "", "tests/system/test_web_client.py"),
    Mutant("a store that lost its tail goes on in the same epoch", "backends/valkey/scripts/register.lua",
           "if redis.call('GET', P .. 'run') ~= run then", "if redis.call('EXISTS', P .. 'run') == 0 then", TAIL),
    Mutant("messages from an outage of the store are not fetched", "backends/valkey/registration.py",
           "        await correction.catch_up(shard)\n", "", FAULTS),
    Mutant("a message is published and not kept, in the store", "backends/valkey/scripts/posts.lua",
           "  local seq = keep(P .. 'h:' .. group, numbers, found, pool, MOST, time, entries, total)",
           "  local seq = tonumber(found[1]) + #entries", CONTRACT),
    Mutant("a stopping node does not announce its connections as returning", "node.py",
           "await self.backend.send_off([", "_ = list([", DRAIN),
    Mutant("a return is announced, in the store", "backends/valkey/scripts/move.lua",
           "announce(returned and '' or ARGV[7]", "announce(ARGV[7]", ABSENCES),
    Mutant("a client that does not return is never announced as gone", "backends/memory.py",
           "for group, user in self._absences.expire(now):\n            self._stayed_away(group, user, now)\n",
           "self._absences.expire(now)\n", ABSENCES),
    Mutant("a ticket outlives its token", "auth/tickets.py",
           'min(claims["exp"], identity.expires or 0)', 'claims["exp"]', "tests/auth/test_tickets.py"),
    Mutant("new connections are admitted without a limit", "admission.py",
           "(SLOWER if busy else FASTER)", "FASTER", "tests/test_admission.py"),
    Mutant("a closing connection still receives messages", "session_lifetime.py",
           "        self._node.fanout.silence(self)\n", "", ENDED),
    Mutant("a kick misses a user who is still connecting", "node.py",
           "found += [session for", "[session for", ENDED),
    Mutant("the waiting commands of a kicked user are executed", "session_lifetime.py",
           "if self._queue is not None:\n                    self._queue.clear()\n            self.ending",
           "pass\n            self.ending", ENDED),
    Mutant("the store accepts a banned user", "backends/valkey/scripts/connect.lua",
           "if left > 0 then return -left end", "", BANS),
    Mutant("memory accepts a banned user", "backends/memory.py",
           "        self._bans.require_free(user.user_id, now)\n", "", BANS),
    Mutant("a node that reconnects to the store does not check bans", "backends/valkey/registration.py",
           "        await correction.close_banned(shard)\n", "", KEPT_OUT),
    Mutant("a ticket is accepted twice", "backends/valkey/scripts/connect.lua",
           "'NX', 'PX', ARGV[11]", "'PX', ARGV[11]", BANS),
    Mutant("a kick does not revoke tickets", "backends/valkey/scripts/disconnect.lua",
           "redis.call('SET', P .. 'd:' .. user, '', 'PX', ARGV[5])", "", BANS),
    Mutant("a ticket widens the rights of a connection", "connect_command.py",
           "if renewed and command.ticket is not None:", "if False:", KEPT_OUT),
    Mutant("a cursor works for other users", "groups/cursors.py",
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


def stale() -> list[str]:
    """Return what is wrong with the list itself: texts that do not occur exactly once, and tests that do not exist."""
    wrong = []
    for number, mutant in enumerate(MUTANTS, 1):
        path = ROOT / "src" / "hubbub" / mutant.file
        if not path.is_file() or path.read_text().count(mutant.old) != 1:
            wrong.append(f"mutant {number}: {mutant.file} does not have this text exactly once: {mutant.old!r}")
        wrong += [f"mutant {number}: there is no {test}" for test in mutant.tests.split() if not (ROOT / test).exists()]
    return wrong


def caught(copy: Path, mutant: Mutant) -> bool:
    """Say whether the tests notice, and put everything right again."""
    path = copy / "src" / "hubbub" / mutant.file
    whole = path.read_text()
    path.write_text(whole.replace(mutant.old, mutant.new))
    try:
        return not tests_pass(copy, mutant.tests)
    finally:
        path.write_text(whole)


def main(numbers: list[int]) -> None:
    """Try them all, or those with these numbers, and fail if one survives."""
    chosen = [(number, each) for number, each in enumerate(MUTANTS, 1) if not numbers or number in numbers]
    survivors = 0
    if wrong := stale():
        sys.exit("\n".join(wrong))
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
    if sys.argv[1:] == ["--check"]:
        sys.exit("\n".join(stale()) or 0)
    main([int(number) for number in sys.argv[1:]])
