"""Error texts that dialects and HTTP API share: what msgspec found wrong, as a sentence that names the field."""

from __future__ import annotations

import re
from collections.abc import Sequence

_WHERE = " - at `$"
"""What msgspec writes between a problem and its place; no field of ours has a name like that."""

_LONGEST = 200
"""Most characters of a problem that are repeated: it may quote what the client sent."""

_MISSING = re.compile(r"Object missing required field `(\w+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_SURROGATE = re.compile(rb"\\u[dD][89abAB]")


def explain(problem: str, *, tag: str = "do", tags: Sequence[str] = (), whole: str = "command") -> str:
    """Turn msgspec's description of a wrong value into a sentence that names the field as the client knows it.

    Args:
        problem: The text of a `msgspec.ValidationError`.
        tag: The field that says which command it is.
        tags: The values that this field may have; none if there is no such field.
        whole: What the client calls the JSON object.
    """
    what, found, path = problem.rpartition(_WHERE)
    if not found:
        what, path = problem, ""
    path = path.removeprefix(".").removesuffix("`")
    missing = _MISSING.match(what)
    if tags and (path == tag or (missing and not path and missing[1] == tag)):
        return f'"{tag}" must be one of {", ".join(tags)}.'
    if missing:
        return f'"{f"{path}." if path else ""}{missing[1]}" is missing.'
    if unknown := _UNKNOWN.match(what):
        return f'"{path or whole}" has an unknown field "{_shorten(unknown[1])}".'
    what = _shorten(what).replace("`", "").replace("Expected", "must be").replace("Invalid enum value", "cannot be")
    what = what.replace(" str", " text").replace(" | ", " or ")
    return f'"{path}" {what}.' if path else f"A {whole} {what}."


def explain_malformed(problem: str, payload: bytes) -> str:
    """Turn msgspec's description of a text that is not JSON, or not Unicode, into a sentence."""
    # msgspec calls the first half of a surrogate pair at the end of a text a truncated input.
    if "surrogate" in problem or ("truncated" in problem and _SURROGATE.search(payload)):
        return "The frame contains half of a surrogate pair, which is not valid Unicode text."
    return f"The frame is not JSON: {problem.removeprefix('JSON is malformed: ')}."


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
