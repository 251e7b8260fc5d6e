"""Compare Hubbub with other servers on this machine: ``make compare``.

All servers get the same load from the same generator, one after the other: the server is on one core, the load on
another. They take turns for several rounds, so that whatever else slows the machine down concerns all of them. There is
no real-time priority; the spread is shown instead. Quote ratios: they hold on other machines, the figures do not.

With ``--collect``, rounds are added to those that earlier calls have left in a file, if others need the machine, too.

What is not on this machine is installed into a folder (``--folder``): packages from npm and PyPI. Programs that only
root can install are left out if they are missing, and the report says so.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Set
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "tests")]

from figures import Sample, sample  # noqa: E402
from loads import DELIVERY, LOADS, Load  # noqa: E402
from peers import THAT_MATTER, Installer, NotHereError, Peer  # noqa: E402
from table import report  # noqa: E402

from support.server_process import LOAD_CPU, SERVER_CPU, environment, pin  # noqa: E402
from support.store import Store, free_port  # noqa: E402

PATIENCE = 20.0
"""Seconds within which a server must listen, and end."""

LONGEST = 120.0
"""Seconds after which a run is given up: some servers need minutes for 5,000 clients that join at once."""


class Comparison:
    """Runs loads on servers.

    Args:
        folder: Where servers are installed.
        names: The servers, by the names of `Installer.every`.
        seconds: How long a load is measured.
        store: The URL of a store that the servers use; None if they are measured in memory.
        brief: Whether the pauses around a measurement are as short as possible, for tests.

    Attributes:
        peers: The servers that are there.
        left_out: The others, with the reason.
    """

    def __init__(
        self, folder: Path, names: list[str], seconds: float, store: str | None = None, *, brief: bool = False
    ) -> None:
        self._installer = Installer(folder)
        self._generator = self._installer.compile(HERE / "load.c")
        self._store = store
        pauses = ("--warmup", "0.1", "--settle", "0.1", "--drain", "0.1") if brief else ()
        self._options = ("--duration", str(seconds), *pauses)
        self.peers: list[Peer] = []
        self.left_out: dict[str, str] = {}
        for name, install in self._installer.every():
            if name in names:
                self._add(name, install)

    def _add(self, name: str, install: object) -> None:
        assert callable(install)
        try:
            peer = install()
        except NotHereError as error:
            self.left_out[name] = str(error)
            print(f"!!! {name} is left out: {error}", file=sys.stderr)
            return
        if self._store is None or peer.on_store:
            self.peers.append(peer)
        else:
            self.left_out[peer.name] = "it cannot share its groups through a store"

    def run(self, load: Load, rounds: int, collected: Path | None = None) -> dict[str, list[Sample | None]]:
        """Run a load on all servers in turn, `rounds` times; return these rounds, behind those in the file `collected`.

        The new rounds are added to the file.
        """
        results: dict[str, list[Sample | None]] = {peer.name: [] for peer in self.peers}
        if collected is not None:
            for samples in _read(collected, load.title, results.keys()):
                for name, found in samples.items():
                    results[name].append(None if found is None else Sample(**found))
        for _ in range(rounds):
            for peer in self.peers:
                results[peer.name].append(self._measure(peer, load))
            if collected is not None:
                last = {name: None if samples[-1] is None else asdict(samples[-1]) for name, samples in results.items()}
                with collected.open("a") as file:
                    file.write(json.dumps([load.title, last]) + "\n")
        return results

    def _measure(self, peer: Peer, load: Load) -> Sample | None:
        port = free_port()
        try:
            with self._serve(peer, port) as pid:
                found = self._put_load(load, peer, port, pid)
        except (OSError, ValueError, TimeoutError, subprocess.SubprocessError) as error:
            print(f"!!! {peer.name}: {load.title}: {error}", file=sys.stderr)
            return None
        print(f"{load.title}: {peer.name}: {getattr(found, load.figure):,.2f} {load.unit}", file=sys.stderr)
        return found

    @contextmanager
    def _serve(self, peer: Peer, port: int) -> Iterator[int]:
        """Run a server until the block ends; return the process that works."""
        log = self._installer.folder / "server.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                peer.start(port, self._store),
                stdout=output,
                stderr=output,
                env=environment(),
                preexec_fn=lambda: pin(SERVER_CPU),
            )
        try:
            _wait_until_it_listens(process, port, log)
            yield _only_child(process.pid) if peer.child else process.pid
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _put_load(self, load: Load, peer: Peer, port: int, pid: int) -> Sample:
        dialect = list(peer.dialect)
        if load.idle:
            where = dialect.index("--pub")
            del dialect[where : where + 2]
        before = _memory(pid)
        command = [str(self._generator), "--port", str(port), *load.options, *dialect, *self._options]
        with subprocess.Popen(
            [*command, "--cpu-pid", str(pid)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: pin(LOAD_CPU),
        ) as generator:
            assert generator.stdout is not None
            limit = threading.Timer(LONGEST, generator.kill)
            limit.start()
            line = generator.stdout.readline()  # of an idle load it comes while the connections are open
            after = _memory(pid)
            _, problem = generator.communicate()
            limit.cancel()
        if not line:
            raise ValueError(f"the load failed or took {LONGEST:g} s: {problem.strip()[:300]}")
        return sample(json.loads(line), before, after)


def _read(collected: Path, title: str, servers: Set[str]) -> Iterator[dict[str, dict[str, Any] | None]]:
    """Yield the rounds of a load on just these servers."""
    for line in collected.read_text().splitlines() if collected.exists() else ():
        load, samples = json.loads(line)
        if load == title and samples.keys() == servers:
            yield samples


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as probe:
                if probe.getsockname() != probe.getpeername():  # the system may connect a socket with itself
                    return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"it does not start: {log.read_text(errors='replace')[-300:]}") from None
            time.sleep(0.02)


def _only_child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _memory(pid: int) -> float:
    """Return the resident memory of a process in kilobytes (proc(5))."""
    text = Path(f"/proc/{pid}/status").read_text()
    return float(text.partition("VmRSS:")[2].split()[0])


def machine() -> str:
    """Return what this machine is."""
    text = Path("/proc/cpuinfo").read_text()
    model = text.partition("model name")[2].partition(":")[2].partition("\n")[0].strip() or platform.machine()
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release()}"


def main() -> int:
    """Run the comparison that the command line asks for, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loads", nargs="*", choices=LOADS, default=list(DELIVERY), help="default: %(default)s")
    parser.add_argument("--peers", nargs="*", default=list(THAT_MATTER), help='or "all"; default: %(default)s')
    parser.add_argument("--rounds", type=int, default=3, help="how often each takes its turn; default: %(default)s")
    parser.add_argument("--seconds", type=float, default=4, help="how long a load is measured; default: %(default)s")
    parser.add_argument("--store", action="store_true", help="all servers use a Valkey, which is started for them")
    parser.add_argument("--folder", type=Path, default=Path(".compare"), help="where servers are installed")
    parser.add_argument("--output", type=Path, help="where the report goes; default: report.md in the folder")
    parser.add_argument(
        "--collect", type=Path, help="a file of rounds with the same servers, which is read and added to"
    )
    options = parser.parse_args()
    with ExitStack() as stack:
        store = stack.enter_context(Store()) if options.store else None
        url = None if store is None else f"redis://127.0.0.1:{store.port}/0"
        names = [name for name, _ in Installer(options.folder.absolute()).every()]
        chosen = names if options.peers == ["all"] else options.peers
        if unknown := set(chosen) - set(names):
            parser.error(f"there is no peer {', '.join(sorted(unknown))}; choose from {', '.join(names)}")
        comparison = Comparison(options.folder.absolute(), chosen, options.seconds, url)
        results = [
            (LOADS[name], comparison.run(LOADS[name], options.rounds, options.collect)) for name in options.loads
        ]
    rounds = max(len(samples) for _, found in results for samples in found.values())
    about = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "groups are": "in memory" if url is None else "on a Valkey",
        "runs": f"{rounds} rounds, {options.seconds:g} s each; medians, in brackets the least and the greatest",
        "versions": ", ".join(f"{peer.name} {peer.version}" for peer in comparison.peers)
        + f", Python {platform.python_version()}",
    }
    text = report(about, results, comparison.left_out)
    output = options.output or options.folder / "report.md"
    output.write_text(text)
    print(text)
    print(f"written to {output}", file=sys.stderr)
    failed = any(None in samples for _, rounds in results for samples in rounds.values())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
