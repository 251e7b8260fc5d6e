"""Test what you build on Hubbub: a hub in the process of the test, without sockets, on a virtual clock.

`TestHub` is for async tests and `SyncTestHub` for others. With ``pytest_plugins = ["hubbub.testing"]`` in a
``conftest.py``, or with ``-p hubbub.testing``, the fixture ``hub`` is one of the two. Without pytest they work as well.

PYTEST_DONT_REWRITE
"""

from hubbub.testing.hub import TestHub
from hubbub.testing.sync import SyncTestHub, SyncTestUser
from hubbub.testing.user import TestUser

__all__ = ["SyncTestHub", "SyncTestUser", "TestHub", "TestUser"]

pytest_plugins = ("hubbub.testing.plugin",)
"""Read by pytest when this package is used as a plugin; nothing else imports pytest."""
