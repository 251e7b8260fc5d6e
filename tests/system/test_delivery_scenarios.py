"""The scenarios of ``benchmarks/delivery.py`` in quick form: the same servers, clients, faults and judge, for seconds.

The long form is ``make soak``. A scenario fails by itself when something was lost silently, arrived twice or out of
order, and also when no fault took place.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import delivery
from delivery_many import stopped
from delivery_rolling import rolling
from delivery_stores import stores

Scenario = Callable[..., Awaitable[None]]


@pytest.mark.parametrize(
    ("scenario", "shared", "size"),
    [
        (delivery.drops, True, {"seconds": 4}),
        (delivery.keys, True, {"rounds": 4}),
        (delivery.restarts, False, {"rounds": 1, "clients": 40}),
        (delivery.kills, True, {"rounds": 1, "clients": 30}),
        (stores, True, {"rounds": 1}),
        (rolling, True, {"rounds": 1, "clients": 60}),
        (stopped, False, {"seconds": 6.0, "clients": 10}),
    ],
    ids=["drops", "keys", "restarts", "kills", "stores", "rolling", "stopped"],
)
async def test_nothing_is_lost_silently(scenario: Scenario, shared: bool, size: dict[str, Any]) -> None:
    await scenario(shared, **size)
