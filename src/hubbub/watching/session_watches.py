"""The watches of the connections of a node: what is allowed, the commands, and what a new token changes."""

from __future__ import annotations

from itertools import count

from hubbub.auth.identity import Identity
from hubbub.errors import CommandError, ErrorCode, invalid
from hubbub.fanout import Fanout
from hubbub.groups.cursors import FIELD as SEALED
from hubbub.groups.cursors import Cursors
from hubbub.groups.view_query import GroupUsers, ListedGroups, ViewPage, ViewQuery, parse_watch
from hubbub.messages import UNWATCHED, Success, Unwatch, Unwatched, Watch, Watched
from hubbub.session_lifetime import SessionLifetime
from hubbub.settings import Settings
from hubbub.watching.view import NOT_STARTED, Frames, View, ViewKey, Watcher
from hubbub.watching.views import Views

EVERY = 0.25
"""Least seconds between two events, unless the reader says otherwise."""

MAX_EVERY = 3600.0
"""The most that a reader may say."""


class SessionWatcher:
    """A watch of one connection: see `hubbub.watching.view.Watcher`."""

    __slots__ = ("_fanout", "_session", "behind", "number", "seen", "view")

    def __init__(self, session: SessionLifetime, number: int, fanout: Fanout) -> None:
        self._session = session
        self._fanout = fanout
        self.number = number
        self.view: View | None = None
        self.seen = NOT_STARTED
        self.behind = False

    @property
    def slow(self) -> bool:
        """Whether bytes wait for the client, or it is being closed."""
        return self._session.slow or self._session.closing

    def send(self, frames: Frames) -> bool:
        """Write now, or, behind frames that wait for the end of the tick, then."""
        session = self._session
        if session.slow or session.closing:
            return False
        data, lane = frames.encode(session.wire, self.number), session.lane
        if session.outbox or (lane is not None and lane.shared):
            self._fanout.send(session, data)
        else:
            session.write(data)
        return True

    def end(self, error: CommandError) -> None:
        """Send `Unwatched`."""
        session = self._session
        if not session.closing:
            event = Unwatched(self.number, error.code, error.message)
            self._fanout.send(session, session.wire.event(event))


class WatchRules:
    """What a reader may watch, and how often it is told.

    Args:
        settings: The limits.
        cursors: Decrypts the cursors of readers from whom groups are hidden.
    """

    def __init__(self, settings: Settings, cursors: Cursors) -> None:
        self._settings = settings
        self._cursors = cursors

    def key(self, identity: Identity, command: Watch) -> ViewKey:
        """Return the view that a command asks for.

        Raises:
            CommandError: ``INVALID_PARAMETER``: a field is wrong; ``FORBIDDEN``: a group is not allowed.
        """
        settings, reader = self._settings, identity.user_id

        def open_cursor(cursor: dict[str, object], order: str) -> dict[str, object]:
            sealed = identity.groups is not None or SEALED in cursor
            return self._cursors.open(cursor, reader, order) if sealed else cursor

        query = parse_watch(command, settings.max_page, settings.max_group_name, open_cursor)
        self.check_rights(identity, query)
        rights = rights_in(identity, query)
        shortest = self._shortest(rights)
        every = max(EVERY, shortest) if command.every is None else command.every / 1000
        if not shortest <= every <= MAX_EVERY:
            why = "" if rights is None else ", because your token limits the groups that you see"
            bounds = f"{shortest * 1000:g} to {MAX_EVERY * 1000:.0f}"
            raise invalid(f'"every" must be {bounds} milliseconds{why}, not {command.every:g}.')
        return ViewKey(query, every, rights)

    def renewed_key(self, identity: Identity, key: ViewKey) -> ViewKey:
        """Return the view of a reader who has other rights now. Raises `CommandError` ``FORBIDDEN``."""
        self.check_rights(identity, key.query)
        rights = rights_in(identity, key.query)
        return key if rights == key.rights else ViewKey(key.query, max(key.every, self._shortest(rights)), rights)

    def check_rights(self, identity: Identity, query: ViewQuery) -> None:
        """Raise `CommandError` ``FORBIDDEN`` unless the reader may see the groups that are named."""
        if isinstance(query, GroupUsers):
            identity.require_group(query.group)
        elif not isinstance(query, ListedGroups):
            for name in query.names:
                identity.require_group(name)

    def reply(self, identity: Identity, key: ViewKey, number: int, page: ViewPage) -> Watched:
        """Return the reply to the command; its cursor is encrypted where it may name a hidden group."""
        start_key = page.start_key
        if key.rights is not None and isinstance(key.query, ListedGroups) and isinstance(start_key, dict):
            start_key = self._cursors.seal(start_key, identity.user_id, key.query.query.order)
        return Watched(number, page.rows, page.count, start_key, page.end_of_list)

    def _shortest(self, rights: tuple[str, ...] | None) -> float:
        settings = self._settings
        return (
            settings.view_interval if rights is None else max(settings.view_interval, settings.view_interval_filtered)
        )


def rights_in(identity: Identity, query: ViewQuery) -> tuple[str, ...] | None:
    """Return the rights that filter a view. Groups that are named are allowed as a whole, or the watch is refused."""
    return identity.groups if isinstance(query, ListedGroups) else None


class SessionWatches:
    """Executes `Watch` and `Unwatch`.

    Args:
        settings: The limits.
        views: The views of the node.
        rules: What may be watched.
        fanout: Writes to the connections.
    """

    def __init__(self, settings: Settings, views: Views, rules: WatchRules, fanout: Fanout) -> None:
        self._settings = settings
        self._views = views
        self._rules = rules
        self._fanout = fanout

    async def watch(self, session: SessionLifetime, command: Watch) -> Watched | None:
        """Begin a watch; None if the session was closed meanwhile.

        Raises:
            CommandError: See `WatchRules.key` and `hubbub.watching.views.Views.open`; ``INVALID_REQUEST``: the
                connection or the user has too many watches.
        """
        assert session.identity is not None
        key = self._rules.key(session.identity, command)
        watches = session.watches
        if watches is None:
            watches = session.watches = {}
        self._check_number(session, len(watches))
        number = next(each for each in count(1) if each not in watches)
        watcher = watches[number] = SessionWatcher(session, number, self._fanout)
        session.budget.watches += 1  # before it waits, so that many at once cannot exceed the limit
        try:
            page = await self._views.open(key, watcher)
        except BaseException:
            self._forget(session, watcher)
            raise
        if session.closing:
            self._forget(session, watcher)
            return None
        assert session.identity is not None
        return self._rules.reply(session.identity, key, number, page)

    async def unwatch(self, session: SessionLifetime, command: Unwatch) -> Success:
        """End a watch. Raises `CommandError` ``INVALID_REQUEST`` if there is none with this number."""
        watcher = (session.watches or {}).get(command.watch)
        if watcher is None:
            text = f'This connection has no watch {command.watch}: "watch" must be the number in the reply to "watch".'
            raise CommandError(ErrorCode.INVALID_REQUEST, text)
        self._forget(session, watcher)
        return UNWATCHED

    def renewed(self, session: SessionLifetime) -> None:
        """Apply new rights: a view that they filter is replaced, and a watch that they do not allow any more ends."""
        identity = session.identity
        assert identity is not None
        for watcher in list((session.watches or {}).values()):
            view = watcher.view
            if view is None:
                continue
            try:
                key = self._rules.renewed_key(identity, view.key)
                if key != view.key:
                    self._views.move(watcher, key)
            except CommandError as error:
                self._forget(session, watcher)
                watcher.end(error)

    def drop(self, session: SessionLifetime) -> None:
        """End all watches of a connection that is lost."""
        for watcher in list((session.watches or {}).values()):
            self._forget(session, watcher)

    def _check_number(self, session: SessionLifetime, watches: int) -> None:
        settings = self._settings
        if watches >= settings.max_watches:
            text = f'A connection may have at most {settings.max_watches} watches ("max_watches"): unwatch one first.'
            raise CommandError(ErrorCode.INVALID_REQUEST, text)
        if session.budget.watches >= settings.max_watches_per_user:
            text = f"A user may have at most {settings.max_watches_per_user} watches on all connections "
            raise CommandError(ErrorCode.INVALID_REQUEST, text + '("max_watches_per_user"): unwatch one first.')

    def _forget(self, session: SessionLifetime, watcher: Watcher) -> None:
        self._views.leave(watcher)
        assert session.watches is not None
        if session.watches.pop(watcher.number, None) is not None:
            session.budget.watches -= 1
