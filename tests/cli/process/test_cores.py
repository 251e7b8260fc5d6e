from __future__ import annotations

import os
from pathlib import Path

import pytest

from hubbub.cli.process.cores import usable_cores

HERE = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limited(tmp_path: Path, **quotas: str) -> int:
    """Return the cores of a process in the group ``a/b``, with these contents of ``cpu.max`` in the groups a and b."""
    folders = {"root": tmp_path, "a": tmp_path / "a", "b": tmp_path / "a" / "b"}
    for folder in folders.values():
        folder.mkdir(exist_ok=True)
    for name, quota in quotas.items():
        (folders[name] / "cpu.max").write_text(quota)
    (tmp_path / "cgroup").write_text("1:cpuset:/x\n0::/a/b\n")
    return usable_cores(tmp_path, tmp_path / "cgroup")


@pytest.mark.parametrize(
    "quotas",
    [{}, {"b": "max 100000\n"}, {"a": "90000000 100000\n"}, {"b": "nonsense"}, {"b": "1"}],
)
def test_without_a_limit_all_cores_of_the_process_count(tmp_path: Path, quotas: dict[str, str]) -> None:
    assert limited(tmp_path, **quotas) == HERE


@pytest.mark.parametrize(
    "quotas", [{"b": "100000 100000"}, {"a": "199999 100000"}, {"a": "50000 100000", "b": "max 9"}]
)
def test_a_limit_of_cpu_time_counts_in_whole_cores_and_at_least_one(tmp_path: Path, quotas: dict[str, str]) -> None:
    assert limited(tmp_path, **quotas) == 1


def test_the_root_group_of_a_container_counts(tmp_path: Path) -> None:
    assert limited(tmp_path, root="100000 100000") == 1


def test_systems_without_control_groups(tmp_path: Path) -> None:
    assert usable_cores(tmp_path, tmp_path / "missing") == HERE


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cannot pin a process here")
def test_what_the_process_is_pinned_to_counts() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
