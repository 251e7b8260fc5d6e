"""Dialect ``v1``: one JSON object per text frame, the structs of `hubbub.messages` as they are (design, section 3)."""

from __future__ import annotations

import math
import re

import msgspec

from hubbub.dialects.base import BadCommandError
from hubbub.errors import CommandError, ErrorCode
from hubbub.messages import AnyCommand, Post, Reply

COMMANDS = ("connect", "join", "leave", "post", "groups", "users")

# The id of a frame that is no JSON, if it stands first, where our own clients write it.
_LEADING_ID = re.compile(rb'\s*\{\s*"id"\s*:\s*(-?\d{1,15})\s*[,}]')
_SURROGATE = re.compile(rb"\\u[dD][89abAB]")
_WHERE = " - at `$"
"""What msgspec writes between a problem and its place; no field of ours has a name like that."""
_LONGEST = 200
"""Most characters of a problem that are repeated: it may quote what the client sent."""
_MISSING = re.compile(r"Object missing required field `(\w+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)


class _Ok(msgspec.Struct, gc=False):
    id: int
    ok: Reply


class _Error(msgspec.Struct):
    code: str
    message: str


class _Failed(msgspec.Struct):
    id: int | None
    error: _Error


class _IdOnly(msgspec.Struct):
    id: int | None = None


class V1:
    """The dialect object; see `hubbub.dialects.base.Dialect` for what each method promises."""

    name = "v1"
    subprotocol: str | None = "hubbub.v1"
    connects = True
    silence = math.inf

    def __init__(self) -> None:
        # For numbers in cursors, of which a client decides how many there are: msgspec's own way to read the likes of
        # 1e290 takes 10 µs each, Python's a hundredth of that.
        self._decode = msgspec.json.Decoder(AnyCommand, float_hook=float).decode
        # An event goes out as it is, the sender's message in it byte by byte.
        self._encode = self.event = msgspec.json.Encoder().encode

    def decode(self, payload: bytes) -> AnyCommand:
        """Decode one command. Duplicate keys: the last one counts, as in ``JSON.parse``. Unknown keys are ignored."""
        try:
            command: AnyCommand = self._decode(payload)
        except msgspec.ValidationError as error:
            raise BadCommandError(ErrorCode.INVALID_PARAMETER, explain(str(error)), _find_id(payload)) from None
        except RecursionError:
            raise BadCommandError(ErrorCode.TOO_LARGE, "The command is nested too deep.", _find_id(payload)) from None
        except (msgspec.DecodeError, UnicodeError) as error:
            raise BadCommandError(
                ErrorCode.INVALID_PARAMETER, _malformed(str(error), payload), _find_id(payload)
            ) from None
        if type(command) is Post:  # what was decoded is a view of the frame, and would keep all of it in memory
            command.message = command.message.copy()
        return command

    def reply(self, id: int, reply: Reply) -> bytes:  # noqa: A002
        """Encode ``{"id", "ok"}``."""
        return self._encode(_Ok(id, reply))

    def sent(self, id: int, recipients: int) -> bytes:  # noqa: A002
        """Encode the reply that is needed most often, three times as quickly as `reply` does."""
        return b'{"id":%d,"ok":{"type":"success","message":"Message sent.","recipients":%d}}' % (id, recipients)

    def error(self, id: int | None, error: CommandError) -> bytes:  # noqa: A002
        """Encode ``{"id", "error": {"code", "message"}}``."""
        return self._encode(_Failed(id, _Error(error.code, error.message)))


def explain(problem: str) -> str:
    """Turn msgspec's description of a wrong value into a sentence that names the field as the client knows it."""
    what, found, path = problem.rpartition(_WHERE)
    if not found:
        what, path = problem, ""
    path = path.removeprefix(".").removesuffix("`")
    if missing := _MISSING.match(what):
        return f'"{f"{path}." if path else ""}{missing[1]}" is missing.'
    if unknown := _UNKNOWN.match(what):
        return f'"{path or "command"}" has an unknown field "{_shorten(unknown[1])}".'
    if path == "do":
        return f'"do" must be one of {", ".join(COMMANDS)}.'
    what = _shorten(what).replace("`", "").replace("Expected", "must be").replace("Invalid enum value", "cannot be")
    what = what.replace(" str", " text").replace(" | ", " or ")
    return f'"{path}" {what}.' if path else f"A command {what}."


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _malformed(problem: str, payload: bytes) -> str:
    # msgspec calls the first half of a pair at the end of a text a truncated input.
    if "surrogate" in problem or ("truncated" in problem and _SURROGATE.search(payload)):
        return "The frame holds half of a surrogate pair, which is no Unicode text."
    return f"The frame is not JSON: {problem.removeprefix('JSON is malformed: ')}."


def _find_id(payload: bytes) -> int | None:
    try:
        return msgspec.json.decode(payload, type=_IdOnly).id
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        found = _LEADING_ID.match(payload)
        return int(found[1]) if found else None
