"""``with hub.refused("FORBIDDEN"):`` the block must be refused, with this code."""

from __future__ import annotations

import re
from difflib import get_close_matches
from types import TracebackType

from hubbub.errors import CommandError, ErrorCode


class Refusal:
    """The context manager that `TestHub.refused` returns; afterwards, what the refusal said.

    Args:
        code: The expected code.
        match: A regular expression that must be found in the text; None for any text.

    Attributes:
        message: The text of the refusal, once the block has ended.

    Raises:
        ValueError: There is no such code.
    """

    def __init__(self, code: str, match: str | None = None) -> None:
        try:
            self.code = ErrorCode(code)
        except ValueError:
            near = get_close_matches(str(code).upper(), list(ErrorCode), n=1)
            hint = f"did you mean {near[0]}?" if near else "there are " + ", ".join(ErrorCode)
            raise ValueError(f"{code!r} is no error code; {hint}") from None
        self._match = match
        self.message = ""

    def __enter__(self) -> Refusal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Take the expected refusal. Anything else that is raised goes on.

        Raises:
            AssertionError: Nothing was refused, or with another code or text.
        """
        if error is None:
            raise AssertionError(f"nothing was refused; expected {self.code}")
        if not isinstance(error, CommandError):
            return False
        if error.code != self.code:
            raise AssertionError(f'refused with {error.code} instead of {self.code}: "{error.message}"') from error
        if self._match is not None and not re.search(self._match, error.message):
            raise AssertionError(f'"{self._match}" is not in the text of the refusal: "{error.message}"') from error
        self.message = error.message
        return True
