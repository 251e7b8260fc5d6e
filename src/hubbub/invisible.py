"""Connections that are in a group without being a member: listed, counted and announced nowhere.

The backend does not know them. It only knows that this node listens to the group, as it does for ``hub.listen``.
"""

from __future__ import annotations

from contextlib import suppress

from hubbub.backends.base import Backend
from hubbub.errors import CommandError
from hubbub.groups.history import Replay
from hubbub.messages import Position
from hubbub.session_lifetime import SessionLifetime


async def listen(
    backend: Backend, session: SessionLifetime, group: str, since: Position | None, history: int, before: str | None
) -> Replay:
    """Let `session` leave the group `before` and receive `group` from now on; return what to replay of that.

    Nothing may wait between the return and the delivery to the session: see `hubbub.backends.base.Backend.join`.

    Raises:
        CommandError: ``UNAVAILABLE``; ``RATE_LIMITED``, the group is new and the user's budget is spent. The session is
            where it was. If the backend does not let it return there, it is cut, so that its client joins again.
    """
    was_member = before is not None and session.listens is None
    await backend.leave(session.row)
    try:
        replay = await backend.listen(group, since, history, session.user_id)
    except CommandError:
        if was_member and before is not None:
            await _return_to(backend, session, before)
        raise
    await end_listening(backend, session)
    session.listens = group
    return replay


async def leave(backend: Backend, session: SessionLifetime) -> None:
    """Let `session` leave its group, in which it is a member or invisible. Raises `CommandError` ``UNAVAILABLE``."""
    await backend.leave(session.row)
    await end_listening(backend, session)


async def end_listening(backend: Backend, session: SessionLifetime) -> None:
    """Note that `session` is in no group invisibly. Never raises and, with every backend, never waits."""
    group, session.listens = session.listens, None
    if group is not None:
        await backend.unlisten(group)


async def _return_to(backend: Backend, session: SessionLifetime, group: str) -> None:
    with suppress(CommandError):
        await backend.join(session.row, group)
        return
    session.link.abort()
