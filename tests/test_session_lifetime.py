"""How a connection lives and ends: deadlines, limits, close. Time is whatever the test says."""

from __future__ import annotations

import asyncio

import msgspec

from hubbub.auth.authenticator import make_token
from hubbub.auth.identity import Identity
from hubbub.dialects.base import Wire
from hubbub.dialects.skapi import Skapi
from hubbub.errors import Close
from hubbub.messages import Private, UserRow
from hubbub.rate_limit import WASTED_PER_COMMAND
from hubbub.session_lifetime import CLOSE_TIMEOUT, NEVER, SLOW_READER_CLOSE_TIMEOUT
from support.fake_link import SECRET, FakeLink, SlowJoins, enter, make_node, new_frames, settle, turn


async def test_unidentified_connections_are_closed() -> None:
    end = FakeLink("c", make_node(identify_timeout=5))
    end.session.tick(end.born + 4.9)
    assert end.closed == []
    end.session.tick(end.born + 5)
    assert end.closed == [Close.NOT_IDENTIFIED]


async def test_who_reads_too_slowly_has_less_time_to_answer_the_close() -> None:
    end = enter(make_node())
    end.session.close(Close.TOO_SLOW, end.born)
    end.session.tick(end.born + SLOW_READER_CLOSE_TIMEOUT - 0.1)
    assert not end.aborted
    end.session.tick(end.born + SLOW_READER_CLOSE_TIMEOUT)
    assert end.aborted


async def test_who_stops_saying_that_it_is_still_here_is_closed() -> None:
    node = make_node()
    ends = [FakeLink(f"c{number}", node, Wire(Skapi(), bytes)) for number in range(3)]
    for end in ends:
        end.session.adopt(Identity("ada"))
    now, (steady, forgotten, program) = ends[0].born, ends
    steady.say(action="keepAlive")
    forgotten.say(action="keepAlive")
    for seconds in range(15, 150, 15):
        for end in ends:
            end.session.heard = True  # a browser answers pings whatever the page does
        steady.say(after=seconds, action="keepAlive")
        for end in ends:
            end.session.tick(now + seconds)
        assert seconds >= 60 or not forgotten.closed
    assert forgotten.closed == [Close.PING_TIMEOUT]
    assert steady.closed == program.closed == []  # who never said so need not


async def test_who_does_not_answer_the_close_is_cut() -> None:
    end = FakeLink("c", make_node(identify_timeout=5))
    end.session.tick(end.born + 5)
    end.session.tick(end.born + 5 + CLOSE_TIMEOUT - 0.1)
    assert not end.aborted
    end.session.tick(end.born + 5 + CLOSE_TIMEOUT)
    assert (end.aborted, end.closed) == (True, [Close.NOT_IDENTIFIED])


async def test_the_idle_are_pinged_and_the_dead_are_closed() -> None:
    node = make_node(ping_interval=25)
    end = enter(node)
    now = node.now()
    end.session.tick(now + 26)  # it has said something in this interval
    assert end.pings == 0
    end.session.tick(now + 52)
    assert end.pings == 1
    end.session.heard = True  # the pong
    end.session.tick(now + 78)
    end.session.tick(now + 104)
    assert (end.pings, end.closed) == (2, [])
    end.session.tick(now + 130)
    assert end.closed == [Close.PING_TIMEOUT]


async def test_a_connection_ends_with_its_token() -> None:
    node = make_node(secret=SECRET)
    end = FakeLink("c", node)
    end.say(id=1, do="connect", token=make_token("ada", SECRET, ttl=20, now=1000.0))
    assert (await new_frames(end))[0]["ok"]["expires"] == 1020.0
    now = node.now()
    end.session.tick(now + 19)
    assert end.closed == []
    end.session.tick(now + 21)
    assert end.closed == [Close.TOKEN_EXPIRED]


async def test_waste_is_forgotten_at_the_rate() -> None:
    end = enter(make_node(rate_limit=10, rate_burst=5))
    for moment in range(1000):
        end.session.waste(end.born + moment / (WASTED_PER_COMMAND * 10))
    assert end.closed == []


async def test_nothing_is_written_to_a_lost_connection_even_while_its_command_runs() -> None:
    backend = SlowJoins()
    node = make_node(backend)
    ada, bob = FakeLink("ada", node), FakeLink("bob", node)
    for end in (ada, bob):
        end.say(id=0, do="connect", guest="ada")
    await settle(node)
    ada.say(id=1, do="join", group="g")
    await asyncio.sleep(0)
    written = ada.written
    ada.session.lost()  # from here on the transport refuses every write, and with it all that stand behind it
    assert await backend.post_to_user("ada", Private(msgspec.Raw(b"1"), "eve", None)) == 1
    await turn(node)
    assert (ada.written, bob.heard()[-1]["type"]) == (written, "private")
    backend.gate.set()
    await settle(node)
    assert await backend.count() == (0, 1)


async def test_too_much_waste_closes_and_then_aborts() -> None:
    end = enter(make_node(rate_limit=10, rate_burst=5))
    for _ in range(WASTED_PER_COMMAND * 5):
        end.session.waste(end.born)
    assert end.closed == []
    end.session.waste(end.born)
    assert (end.closed, end.aborted) == ([Close.FLOODING], False)
    for _ in range(WASTED_PER_COMMAND * 5 + 1):
        end.session.waste(end.born)
    assert (end.closed, end.aborted) == ([Close.FLOODING], True)


async def test_a_connection_is_listed_with_its_user() -> None:
    end = enter(make_node(), guest="ada")
    assert end.session.row == UserRow("ada", "c0")


async def test_the_time_to_identify_stands_still_while_the_transport_does_not_read() -> None:
    end = FakeLink("c", make_node(identify_timeout=5))
    end.session.pause(end.born + 3)
    end.session.pause(end.born + 4)  # changes nothing
    end.session.tick(end.born + 1000)
    assert end.closed == []
    end.session.resume(end.born + 1000)
    end.session.tick(end.born + 1001.9)
    assert end.closed == []
    end.session.tick(end.born + 1002)
    assert end.closed == [Close.NOT_IDENTIFIED]


async def test_silence_is_no_fault_of_a_client_that_is_not_read() -> None:
    end = enter(make_node(ping_interval=25))
    now = end.born
    end.session.tick(now + 26)
    end.session.tick(now + 52)
    assert end.pings == 1  # the answer is not read
    end.session.pause(now + 53)
    for seconds in (78, 104, 130):
        end.session.tick(now + seconds)
    assert end.closed == []
    end.session.resume(now + 131)
    end.session.tick(now + 156)
    end.session.tick(now + 182)
    assert end.closed == []
    end.session.tick(now + 208)
    assert end.closed == [Close.PING_TIMEOUT]


async def test_the_time_for_keep_alive_frames_begins_anew_after_a_pause() -> None:
    end = FakeLink("c", make_node(), Wire(Skapi(), bytes))
    end.session.adopt(Identity("ada"))
    end.say(action="keepAlive")
    end.session.pause(end.born + 1)
    end.session.resume(end.born + 500)
    assert end.session.silent == end.born + 560


async def test_a_client_that_sends_no_keep_alive_frames_need_not_send_them_after_a_pause() -> None:
    end = FakeLink("c", make_node(), Wire(Skapi(), bytes))
    end.session.adopt(Identity("ada"))
    end.session.pause(end.born)
    end.session.resume(end.born + 1)
    assert end.session.silent == NEVER


async def test_a_connection_is_closed_once_with_the_first_code() -> None:
    end = enter(make_node())
    end.session.close(Close.TOKEN_EXPIRED, end.born)
    end.session.close(Close.DISCONNECTED, end.born + 1)
    assert end.closed == [Close.TOKEN_EXPIRED]
    assert end.session.deadline == end.born + CLOSE_TIMEOUT


async def test_after_the_close_nothing_is_delivered() -> None:
    node = make_node()
    closing, other = enter(node), enter(node)
    await turn(node)
    written = closing.written
    closing.session.close(Close.DISCONNECTED, node.now())
    await node.backend.post_to_user("ada", Private(msgspec.Raw(b"1"), "eve", None))
    await turn(node)
    assert (closing.written, other.heard()[-1]["type"]) == (written, "private")


async def test_rights_that_end_take_queued_commands_with_them() -> None:
    for code, groups in [(Close.DISCONNECTED, []), (Close.TOKEN_EXPIRED, []), (Close.GOING_AWAY, ["b"])]:
        backend = SlowJoins()
        node = make_node(backend)
        end = FakeLink("c", node)
        end.say(do="connect", guest="ada")
        await settle(node)
        end.say(do="join", group="a")
        end.say(do="join", group="b")
        await asyncio.sleep(0)
        end.session.close(code, node.now())
        backend.gate.set()
        await settle(node)
        assert backend.joined == ["a", *groups], code


async def test_a_new_identity_keeps_the_deadline_of_the_close() -> None:
    end = enter(make_node())
    end.session.close(Close.DISCONNECTED, end.born)
    end.session.identified(Identity("ada"), NEVER, end.born + 1)
    assert end.session.deadline == end.born + CLOSE_TIMEOUT


async def test_a_connection_is_lost_once() -> None:
    node = make_node()
    end, other = enter(node), enter(node)
    end.session.lost()
    end.session.lost()
    assert (end.session.gone, end.session.closing) == (True, True)
    assert await node.backend.count() == (0, 1)
    assert len(node.budgets) == 1  # that of the other connection, which the user still needs
    assert other.session.budget.connections == 1
