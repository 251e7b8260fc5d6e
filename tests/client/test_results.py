from __future__ import annotations

import msgspec
import pytest

from hubbub.client.results import Joined, Page, Sent
from hubbub.messages import GroupRow, Position


def test_a_page_has_the_names_of_the_wire() -> None:
    row = b'{"group":"g","number_of_users":1,"number_of_connections":2}'
    page = msgspec.json.decode(b'{"list":[%b],"startKey":{"group":"g"},"endOfList":false}' % row, type=Page[GroupRow])
    assert page == Page([GroupRow("g", 1, 2)], {"group": "g"}, end_of_list=False)
    assert page.start_key_history == ()


def test_leaving_has_no_position() -> None:
    assert msgspec.json.decode(b'{"message":"Left"}', type=Joined) == Joined("Left", None, 0, gap=False)
    joined = msgspec.json.decode(b'{"message":"Joined","position":{"epoch":"e","seq":1},"replayed":1}', type=Joined)
    assert joined == Joined("Joined", Position("e", 1), replayed=1)


@pytest.mark.parametrize("reply", [b"{}", b'{"message":"x"}', b'{"message":"x","recipients":"1"}', b"[]", b"null"])
def test_a_reply_with_a_field_missing_or_wrong_is_rejected(reply: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(reply, type=Sent)
