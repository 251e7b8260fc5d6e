"""What pages of refused origins are told, and what the log says about them. Pure."""

from __future__ import annotations

from hubbub.web_addresses import is_origin

LOGGED = 20
"""Most origins that are named in the log within `PERIOD`."""

PERIOD = 3600.0
"""Seconds after which an origin may be logged again."""

LONGEST = 66
"""Most characters of an origin that are repeated: the reason of a close frame has at most 123 bytes."""


def refusal_reason(origin: str) -> str:
    """Return the reason of the close frame that refuses a page: at most 123 bytes of ASCII."""
    return f"origin {_shown(origin)} is not allowed; add it to --origins of the server"


class RefusedOrigins:
    """Decides what the log says about refused pages: one line for each origin, `LOGGED` of them in `PERIOD`."""

    def __init__(self) -> None:
        self._began = 0.0
        self._logged: set[str] = set()
        self._left_out = 0  # refusals of origins that were not logged

    def line(self, origin: str, now: float) -> str | None:
        """Count a refusal, and return the line to log, or None.

        Args:
            origin: The value of the ``Origin`` header.
            now: Seconds, on a clock that never goes back.
        """
        before = ""
        if self._logged and now - self._began >= PERIOD:
            if self._left_out:
                before = f"[{self._left_out} refusals of further origins were not logged] "
            self._logged, self._left_out = set(), 0
        shown = _shown(origin)
        if shown in self._logged:
            return None
        if len(self._logged) >= LOGGED:
            self._left_out += 1
            return None
        if not self._logged:
            self._began = now
        self._logged.add(shown)
        end = f" [refusals of further origins are only counted for up to {PERIOD / 60:g} minutes]"
        return before + _advice(origin, shown) + (end if len(self._logged) == LOGGED else "")


def _advice(origin: str, shown: str) -> str:
    if is_origin(origin) and shown == origin:
        return f"refused a page of the origin {origin}: to allow it, start the server with --origins {origin}"
    return (
        f"refused a page of the origin {shown}, which --origins cannot name: "
        'serve the page from a web server, or allow all pages with --origins "*"'
    )


def _shown(origin: str) -> str:
    """Return an origin without what could break a line or be longer than `LONGEST`."""
    text = "".join(char if "!" <= char <= "~" else "?" for char in origin[: LONGEST + 1])
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
