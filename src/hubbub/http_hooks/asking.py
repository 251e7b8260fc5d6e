"""One question to an app, or one report: in its turn, within its time, and what its outcome means for the client."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from hubbub.errors import CommandError, ErrorCode
from hubbub.http_hooks.answers import BadAnswerError
from hubbub.http_hooks.app import App, AwayError
from hubbub.http_hooks.checks import HOOK_EVENTS
from hubbub.http_hooks.told import Told
from hubbub.hub.running import AnsweredError, HookRunner

Question: TypeAlias = tuple[bytes, dict[str, str] | None]
"""A body, and the headers of a client that are forwarded."""

log = logging.getLogger("hubbub.hooks")

_BAD_ANSWER = "The app failed to answer; the server's log has the details."


class Asked(NamedTuple):
    """What metrics and log call a question."""

    event: str

    @property
    def label(self) -> tuple[str, str]:
        """The names of hooks in a Python app, so that the metrics are the same."""
        return f"on_{self.event}", ""

    def __str__(self) -> str:
        return f"the app of hooks, asked for {self.event!r},"


ASKED: dict[str, Asked] = {event: Asked(event) for event in HOOK_EVENTS}


class NoAnswerError(CommandError):
    """The app is away."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.UNAVAILABLE, "The app does not answer now. Try again.")


class Inquiries:
    """Asks and tells an app.

    Args:
        app: The app.
        runner: Says whose turn it is, and limits the time.
    """

    def __init__(self, app: App, runner: HookRunner) -> None:
        self._app = app
        self._runner = runner

    async def ask(
        self, event: str, user_id: str | None, question: Callable[[], Question], read: Callable[[bytes], Any]
    ) -> Any:
        """Ask when it is its turn, within the time; return what `read` makes of the answer.

        Args:
            event: One of `HOOK_EVENTS`.
            user_id: Whose turn it takes; None for a connection that is not identified.
            question: Returns the question. It is called when it is its turn: before, thousands of questions that wait
                would take more memory.
            read: Reads an answer. Raises `hubbub.Deny` and `BadAnswerError`.

        Raises:
            CommandError: ``FORBIDDEN``, the app has refused; ``INTERNAL``, its answer is a bad one; ``UNAVAILABLE``, it
                had no turn. `NoAnswerError` or `LateError`, both ``UNAVAILABLE``: there is no answer.
        """
        return await self._runner.run(ASKED[event], user_id, self._call, (event, question, read))

    async def tell(self, told: Told) -> bool:
        """Tell the app; return whether it has taken it."""
        try:
            await self._runner.run(ASKED[told.kind], told.user_id, self._tell, (told,), impatient=False)
        except CommandError:
            return False
        return True

    async def _tell(self, told: Told) -> None:
        await self._call(told.kind, lambda: (told.body, None), _ignore, told.message_id)

    async def _call(
        self, event: str, question: Callable[[], Question], read: Callable[[bytes], Any], message_id: str = ""
    ) -> Any:
        body, headers = question()
        try:
            return read(await self._app.ask(body, headers, message_id))
        except AwayError as error:
            if error.asked:
                log.warning("%s does not answer: %s", ASKED[event], error)
            raise AnsweredError("away", NoAnswerError()) from None
        except BadAnswerError as error:
            log.error("%s gave a bad answer: %s", ASKED[event], error)
            raise AnsweredError("failed", CommandError(ErrorCode.INTERNAL, _BAD_ANSWER)) from None


def _ignore(body: bytes) -> None:
    """Any answer will do."""
