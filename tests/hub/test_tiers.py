"""Which way a hub is run, and several processes without a store."""

from __future__ import annotations

import logging

import pytest

from hubbub.hub.tiers import _supposed_workers, check_workers

UVICORN = ["/bin/uvicorn", "main:app"]


@pytest.mark.parametrize(
    ("arguments", "concurrency", "workers"),
    [
        (["/bin/gunicorn", "main:app", "-w", "4"], "", 4),
        (["/bin/hypercorn", "main:app", "--workers=3"], "", 3),
        (["/bin/granian", "main:app"], "2", 2),
        (["/bin/gunicorn", "-w"], "", 1),
        ([*UVICORN, "--workers", "2"], "", 1),  # not a process that multiprocessing has started
        (UVICORN, "many", 1),
    ],
)
def test_command_lines_that_ask_for_several_processes(arguments: list[str], concurrency: str, workers: int) -> None:
    assert _supposed_workers(arguments, concurrency) == workers


def test_where_it_can_only_be_supposed_there_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sys.argv", ["/bin/hypercorn", "main:app", "--workers", "2"])
    with caplog.at_level(logging.WARNING):
        check_workers("valkey://127.0.0.1")
        assert not caplog.records
        check_workers("memory")
    assert "several worker processes" in caplog.text
