"""Paths of mounted hubs: names may have encoded slashes, and servers and frameworks disagree about root paths."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.transports.mounted_path import split_path


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ({"path": "/v1/groups", "raw_path": b"/v1/groups"}, ("", "/v1/groups")),
        ({"path": "/v1/groups/ä", "raw_path": None}, ("", "/v1/groups/%C3%A4")),
        ({"root_path": "/rt", "path": "/rt/v1/a/b", "raw_path": b"/rt/v1/a%2Fb"}, ("/rt", "/v1/a%2Fb")),
        ({"root_path": "/rt", "path": "/rt/", "raw_path": b"/rt/"}, ("/rt", "/")),
        ({"root_path": "/rt", "path": "/rt", "raw_path": b"/rt"}, ("/rt", "/")),
        ({"root_path": "/rt", "path": "/rt/x"}, ("/rt", "/x")),
        ({"root_path": "/räume", "path": "/räume/x", "raw_path": b"/r%C3%A4ume/x"}, ("/r%C3%A4ume", "/x")),
        ({"root_path": "/rt", "path": "/rt/x", "raw_path": b"/%72t/x?query"}, ("/rt", "/x")),
        ({"root_path": "/rt", "path": "/v1/a/b", "raw_path": b"/v1/a%2Fb"}, ("/rt", "/v1/a%2Fb")),  # taken off
        ({"root_path": "/a/b", "path": "/a/b/x", "raw_path": b"/a%2Fb/x"}, ("/a/b", "/x")),
        ({"root_path": "/it's", "path": "/it's/x", "raw_path": b"/it's/x"}, ("/it%27s", "/x")),
    ],
)
def test_what_servers_say(scope: dict[str, Any], expected: tuple[str, str]) -> None:
    assert split_path(scope) == expected


NAMES = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6), min_size=1, max_size=4)


@given(NAMES, NAMES)
def test_any_names_survive(root: list[str], below: list[str]) -> None:
    mount = "/" + "/".join(quote(name, safe="") for name in root)
    rest = "/" + "/".join(quote(name, safe="") for name in below)
    scope = {"root_path": unquote(mount), "path": unquote(mount + rest), "raw_path": (mount + rest).encode()}
    prefix, path = split_path(scope)
    if not unquote(mount).endswith("/"):
        assert path == rest
    assert "'" not in prefix
