"""The log is bounded per cause, and says what it leaves out."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from hubbub import log_throttle
from hubbub.cli.serve import set_up_log
from hubbub.log_throttle import CAUSES, LINES, SECONDS, LogThrottle


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Sink(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sink(clock: Clock) -> Sink:
    found = Sink()
    found.addFilter(LogThrottle(clock))
    return found


@pytest.fixture
def log(sink: Sink) -> Iterator[logging.Logger]:
    found = logging.getLogger("hubbub.test_log_throttle")
    found.addHandler(sink)
    found.propagate = False
    yield found
    found.removeHandler(sink)


def test_one_cause_logs_ten_lines_a_minute_and_tells_the_rest(log: logging.Logger, sink: Sink, clock: Clock) -> None:
    for number in range(100):
        log.warning("client %d went", number)
    assert len(sink.lines) == LINES
    assert sink.lines[0] == "client 0 went"
    assert sink.lines[-1] == f"client {LINES - 1} went [further lines like this one are left out for up to 60 s]"
    clock.now += SECONDS
    log.warning("client %d went", 100)
    log.warning("client %d went", 101)
    assert sink.lines[LINES:] == [
        f"[{100 - LINES} more lines like this one were left out in the last 60 s or longer] client 100 went",
        "client 101 went",
    ]


def test_other_causes_are_heard_meanwhile(log: logging.Logger, sink: Sink) -> None:
    for _ in range(100):
        log.warning("flood")
    log.warning("something else")
    for kind in (ValueError, KeyError):
        for _ in range(50):
            try:
                raise kind("x")
            except kind:
                log.exception("failed")
    assert sum(line.startswith("failed") for line in sink.lines) == 2 * LINES
    assert "something else" in sink.lines


def test_texts_that_differ_cannot_fill_memory_or_log(log: logging.Logger, sink: Sink, clock: Clock) -> None:
    throttle = sink.filters[0]
    assert isinstance(throttle, LogThrottle)
    for number in range(3 * CAUSES):
        log.warning(f"made by a client: {number}")
    assert len(throttle._counts) <= CAUSES + 1
    assert len(sink.lines) <= CAUSES + LINES
    clock.now += SECONDS
    log.warning("a new one")  # there is room again
    assert sink.lines[-1] == "a new one"


def test_the_access_log_is_whole(sink: Sink) -> None:
    access = logging.getLogger("hubbub.access")
    access.addHandler(sink)
    try:
        for _ in range(100):
            access.warning("GET / 200")
    finally:
        access.removeHandler(sink)
    assert len(sink.lines) == 100


def test_hubbub_serve_has_it(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    levels = logging.getLogger("uvicorn").level
    try:
        set_up_log("info")
        for number in range(50):
            logging.getLogger("hubbub.http").error("failed %d", number)
        for handler in root.handlers:
            handler.flush()
    finally:
        root.handlers[:] = kept
        root.setLevel(level)
        logging.getLogger("uvicorn").setLevel(levels)
    assert capfd.readouterr().err.count("failed") == log_throttle.LINES
