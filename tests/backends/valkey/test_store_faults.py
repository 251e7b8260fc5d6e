"""Faults of the store: no member is lost, no notices are sent, and recovery is fast. All faults are real."""

from __future__ import annotations

import time

import pytest

from support import store_faults
from support.store_faults import Fault, staged
from support.store_model import NoticeRecorder

SAVED = ("--appendonly", "yes", "--appendfsync", "always")


@pytest.mark.alone
@pytest.mark.parametrize(
    ("fault", "options", "replica", "within"),
    [
        pytest.param(store_faults.restart, (), False, 2, id="restart"),
        pytest.param(store_faults.restart, SAVED, False, 2, id="restart, saved"),
        pytest.param(store_faults.kill, (), False, 2, id="kill"),
        pytest.param(store_faults.kill, SAVED, False, 2, id="kill, saved"),
        pytest.param(store_faults.freeze, (), False, 2, id="freeze"),
        pytest.param(store_faults.cut_subscriptions, (), False, 2, id="cut subscriptions"),
        pytest.param(store_faults.overflow, (), False, 2, id="overflow"),
        pytest.param(store_faults.fail_over, (), True, 5, id="fail over"),
        pytest.param(store_faults.switch_over, (), True, 5, id="switch over"),
    ],
)
async def test_after_a_fault_all_members_are_where_they_were(
    fault: Fault, options: tuple[str, ...], replica: bool, within: float
) -> None:
    async with staged(*options, replica=replica) as stage:
        world = stage.world
        recorders = [
            receiver for node in world.nodes for receiver in node._receivers if isinstance(receiver, NoticeRecorder)
        ]
        for node in world.nodes:
            await node.count()  # all notices have arrived
        for each in recorders:
            each.notices.clear()
        before = stage.opened()
        await fault(stage, 0)
        began = time.monotonic()
        await stage.ready()
        await world.settled()
        assert time.monotonic() - began < within
        assert stage.opened() != before
        assert [each.notices for each in recorders] == [[], [], []]
        for _ in range(100):  # and incarnation goes on
            await world.step()
        await world.settled()
        for node in world.nodes:
            await node.close()
