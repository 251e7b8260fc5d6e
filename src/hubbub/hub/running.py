"""Runs what asks an app: for how long, how many at once, and what an outcome means for the client.

The app may be this process, with hooks as functions, or another one, which is asked over HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol, cast

from hubbub.counters import Counters
from hubbub.errors import CommandError, ErrorCode
from hubbub.hub.deadlines import Deadlines
from hubbub.hub.turns import Turns
from hubbub.hub.types import Deny
from hubbub.settings import Settings

LONGEST_WAIT: Final = 10.0
"""Seconds that a hook may wait for its turn; then the command fails with ``UNAVAILABLE``. Clients wait as long."""

log = logging.getLogger("hubbub.hooks")


class Named(Protocol):
    """A hook, as metrics and log name it: the log with ``str(hook)``."""

    @property
    def label(self) -> tuple[str, str]:
        """The event and the pattern of groups."""
        ...


class AnsweredError(Exception):
    """Raised inside a call whose outcome is known and logged already.

    Args:
        outcome: What the metrics count.
        error: What the client is told.
    """

    def __init__(self, outcome: str, error: CommandError) -> None:
        super().__init__(outcome)
        self.outcome = outcome
        self.error = error


class LateError(CommandError):
    """A hook had no answer within ``hook_timeout``. Arguments: the limit in seconds."""

    def __init__(self, limit: float) -> None:
        super().__init__(ErrorCode.UNAVAILABLE, f"The app did not answer within {limit:g} s. Try again.")


class HookRunner:
    """Runs the hooks of one node.

    Args:
        settings: ``hook_timeout`` and ``hook_concurrency``.
        now: Seconds on a clock that never goes back.

    Attributes:
        counters: Where calls are counted.
        turns: How many run and wait.
    """

    def __init__(self, settings: Settings, now: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._now = now
        self._deadlines = Deadlines(settings.hook_timeout, now)
        self.counters = Counters()
        self.turns = Turns(settings.hook_concurrency)

    async def run(
        self,
        hook: Named,
        user_id: str | None,
        call: Callable[..., Coroutine[Any, Any, Any]],
        arguments: tuple[Any, ...],
        names: dict[str, str] | None = None,
        *,
        impatient: bool = True,
    ) -> Any:
        """Run ``call(*arguments, **names)`` when it is its turn, within its time; count the outcome.

        Args:
            hook: What metrics and log call it.
            user_id: Whose turn it takes; None for a connection that is not identified.
            call: What asks the app.
            arguments: Its arguments.
            names: Its further arguments.
            impatient: Whether a client waits for it, and no longer than `LONGEST_WAIT`.

        Raises:
            CommandError: ``FORBIDDEN``, the hook has refused; ``UNAVAILABLE``, it had no turn or no answer in time;
                ``INTERNAL``, it failed.
        """
        turns, outcome = self.turns, "ok"
        if not turns.take():
            await self._wait_for_turn(hook, user_id, LONGEST_WAIT if impatient else None)
        task, began, late = cast(asyncio.Task[Any], asyncio.current_task()), self._now(), False
        self._deadlines.begin(task, began)
        try:
            try:
                return await call(*arguments, **(names or {}))
            finally:
                late = self._deadlines.end(task)
        except Deny as refusal:
            outcome = "denied"
            raise CommandError(ErrorCode.FORBIDDEN, refusal.text) from None
        except AnsweredError as answered:
            outcome = answered.outcome
            raise answered.error from None
        except (Exception, asyncio.CancelledError) as error:
            if late:
                outcome = "timeout"
                raise self._too_late(hook) from None
            outcome = "failed"
            if isinstance(error, asyncio.CancelledError) and task.cancelling():
                raise  # the node stops; otherwise the hook has waited for something of its own that was cancelled
            log.error("%s failed", hook, exc_info=error)
            raise _internal() from None
        finally:
            turns.done()
            self._count(hook, outcome, self._now() - began)

    def failed(self, hook: Named, error: BaseException) -> CommandError:
        """Log and count that a hook has returned something wrong; return the error for the client."""
        log.error("%s is wrong: %s", hook, error)
        self._count(hook, "failed", 0)
        return _internal()

    def _too_late(self, hook: Named) -> LateError:
        limit = self._settings.hook_timeout
        log.warning("%s had no answer within %g s (hook_timeout)", hook, limit)
        return LateError(limit)

    async def _wait_for_turn(self, hook: Named, user_id: str | None, wait: float | None) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def start() -> bool:
            if turn.done():  # it has waited too long, or its task was cancelled
                return False
            turn.set_result(None)
            return True

        self.turns.wait(user_id, start)
        try:
            async with asyncio.timeout(wait):
                await turn
        except TimeoutError:
            self._count(hook, "busy", 0)
            text = f"The app is busy: {self._settings.hook_concurrency} hooks run already. Try again."
            raise CommandError(ErrorCode.UNAVAILABLE, text) from None
        except BaseException:  # cancelled, perhaps just after it got the place
            if turn.done() and not turn.cancelled():
                self.turns.done()
            raise

    def _count(self, hook: Named, outcome: str, seconds: float) -> None:
        label = hook.label
        self.counters.hooks[(*label, outcome)] += 1
        self.counters.hook_seconds[label] += seconds


def _internal() -> CommandError:
    return CommandError(ErrorCode.INTERNAL, "The app failed to answer; its log has the details.")
