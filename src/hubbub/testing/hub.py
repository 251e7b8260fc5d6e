"""``TestHub``: a hub in the process of a test, without sockets and on a virtual clock."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from starlette.types import ASGIApp

from hubbub.auth.authenticator import make_token
from hubbub.errors import HubError
from hubbub.hub.hub import Hub
from hubbub.hub.lifecycle import State
from hubbub.messages import Welcome
from hubbub.node import Node
from hubbub.testing.socket import origin_refused, websocket_scope
from hubbub.testing.user import TestUser
from hubbub.testing.virtual_time import VirtualTime, virtual_time


class TestHub:
    __test__ = False

    def __init__(self, app_hub: Hub | None = None, /, **settings: Any) -> None:
        chosen = {"guests": True, "secret": secrets.token_hex(32)} | settings
        self.app_hub = app_hub or Hub(**chosen)
        self._clock: VirtualTime | None = None
        self._lifecycle = self.app_hub._lifecycle
        self._lifecycle.before_start.append(self._use_virtual_time)
        self._users: list[TestUser] = []

    def _use_virtual_time(self) -> None:
        self._clock = virtual_time()

    async def __aenter__(self) -> Self:
        await self._started()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._time.jumping():
            await self._lifecycle.stop()
        await self._time.settle()

    async def _started(self) -> Node:
        return await self._lifecycle.node()

    @property
    def _time(self) -> VirtualTime:
        assert self._clock is not None
        return self._clock

    async def guest(self, name: str, *, join: str | None = None) -> TestUser:
        return await self._connect(name, {"do": "connect", "guest": name}, join)

    async def user(self, user_id: str, *, join: str | None = None, ttl: float = 3600, groups: Sequence[str] | None = None) -> TestUser:
        await self._started()
        secret = self.app_hub.settings.secret
        assert secret is not None
        token = make_token(user_id, secret, ttl=ttl, groups=groups, now=self._time.unix_time())
        return await self._connect(user_id, {"do": "connect", "token": token}, join)

    async def _connect(self, name: str, command: dict[str, Any], join: str | None) -> TestUser:
        await self._started()
        user = TestUser(self._time, name)
        await user._socket.open(self.app_hub, websocket_scope("/v1/connect"))
        user._welcome = await user._ask(command, Welcome)
        if join is not None:
            await user.join(join)
        return user

    async def sleep(self, seconds: float) -> None:
        with self._time.jumping():
            await asyncio.sleep(seconds)
        await self._time.settle()
