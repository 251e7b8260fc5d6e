"""Durations as people write them: ``90s``, ``15m``, ``1h``, ``7d``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, TypeAlias

from cyclopts import Parameter, Token

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"([0-9]{1,6})([smhd])")


def parse_duration(text: str) -> float:
    """Return the seconds that `text` stands for. Raises `ValueError` with a sentence for the user."""
    found = _DURATION.fullmatch(text)
    if found is None or int(found[1]) == 0:
        raise ValueError(f'"{text}" is not a duration; write it as 90s, 15m, 1h or 7d')
    return float(int(found[1]) * _UNITS[found[2]])


def _convert(_kind: object, tokens: Sequence[Token]) -> float:
    return parse_duration(tokens[0].value)


Duration: TypeAlias = Annotated[float, Parameter(converter=_convert, metavar="TIME")]
"""A parameter in seconds that is written as a duration."""
