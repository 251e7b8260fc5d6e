"""Which pages may use the server. What a whole handshake makes of it: tests/transports/websocket/test_handshake.py."""

from __future__ import annotations

import pytest

from hubbub.transports.origins import is_allowed, is_local_origin

LOCAL = [
    "http://localhost:5173",
    "https://localhost",
    "http://127.0.0.1:1",
    "http://[::1]:3000",
    "http://app.localhost:8080",
]
NOT_LOCAL = [
    "null",
    "",
    "http://",
    "file://",
    "localhost:5173",
    "capacitor://localhost",
    "http://192.168.0.1:5173",
    "http://localhost.evil.example",
    "http://127.0.0.1.evil.example",
    "http://localhost@evil.example",
    "http://evil.example#localhost",
    "http://localhost:80/evil.example",
]


@pytest.mark.parametrize("origin", LOCAL)
def test_pages_of_this_machine(origin: str) -> None:
    assert is_local_origin(origin)
    assert is_allowed(origin, "127.0.0.1:8000", (), local=True)
    assert not is_allowed(origin, "127.0.0.1:8000", (), local=False)


@pytest.mark.parametrize("origin", NOT_LOCAL)
def test_pages_of_other_machines(origin: str) -> None:
    assert not is_local_origin(origin)
    assert not is_allowed(origin, "127.0.0.1:8000", (), local=True)
