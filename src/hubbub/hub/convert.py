"""The messages of ``on_post`` and ``on_private``: JSON to what ``Post[…]`` names, and what a hook returns to JSON.

A message type is a msgspec Struct, a dataclass, a ``TypedDict`` or any other type that msgspec knows, or one with a
pydantic model in it, which pydantic itself then validates. Without a type, a message is what its JSON decodes to.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import msgspec

from hubbub.dialects.explain import explain
from hubbub.errors import CommandError, ErrorCode, invalid
from hubbub.hub.dataclass_defaults import completer

_SMALL = 100
"""Most characters of a value's type, or of pydantic's explanation, that an error text repeats."""


class Converter:
    """Converts the messages of one hook.

    Args:
        taken: The type that the hook takes; ``Any`` for plain JSON.
        returned: The type that the hook is declared to return, with None or without; ``Any`` if it is not declared.

    Attributes:
        decode: Returns a message as the hook takes it. Raises `CommandError` ``INVALID_PARAMETER`` if it is not of that
            type; the text names the field.

    Raises:
        TypeError: Neither msgspec nor pydantic can make a value of `taken` from JSON.
    """

    __slots__ = ("_expected", "_may_swallow", "_shown", "decode")

    def __init__(self, taken: Any, returned: Any) -> None:
        self.decode: Callable[[msgspec.Raw], Any] = _decoder(taken)
        given = _alternatives(returned)
        self._may_swallow = returned is Any or NoneType in given
        classes = [each for each in (_alternatives(taken) if returned is Any else given) if each is not NoneType]
        plain = not classes or any(not _is_class(each) for each in classes)
        self._expected: tuple[type, ...] | None = None if plain else tuple(classes)
        self._shown = " or ".join(each.__name__ for each in self._expected or ())

    def encode(self, value: Any) -> msgspec.Raw | None:
        """Return what a hook has returned as JSON; None if that was None: nothing is to be sent.

        Raises:
            TypeError: It is not of the declared type, or cannot be represented in JSON. The text is for the app's log.
        """
        if value is None:
            if not self._may_swallow:
                raise TypeError("it returned None, which swallows the post, and is declared to return a message")
            return None
        if self._expected is not None and not isinstance(value, self._expected):
            raise TypeError(
                f"it returned {type(value).__name__} instead of {self._shown}: "
                "return post.message, another message, or None to swallow the post"
            )
        return encode_message(value)


def encode_message(value: Any) -> msgspec.Raw:
    """Return a message of the program as JSON.

    Args:
        value: Anything that msgspec can encode, or a pydantic model; ``msgspec.Raw`` is JSON already.

    Raises:
        TypeError: It cannot be represented in JSON.
    """
    if type(value) is msgspec.Raw:
        return value
    try:
        if hasattr(type(value), "__pydantic_serializer__"):  # msgspec would take a pydantic dataclass for its own
            value = _encode_model(value)
        return msgspec.Raw(_encode(value))
    except UnicodeEncodeError:  # half of a surrogate pair, which the legacy client may send and which JSON can escape
        return msgspec.Raw(json.dumps(msgspec.to_builtins(value)).encode("ascii"))
    except (ValueError, RecursionError, OverflowError) as error:
        raise TypeError(f"the message cannot be represented in JSON: {error}") from None


def _encode_model(value: Any) -> Any:
    if hasattr(type(value), "__pydantic_serializer__"):
        # With aliases, as FastAPI answers: members hear the names that the sender of the message has used.
        return type(value).__pydantic_serializer__.to_python(value, mode="json", by_alias=True)
    text = (
        f"{type(value).__name__} cannot be represented in JSON: use a Struct, dataclass, pydantic model or plain JSON"
    )
    raise TypeError(text)


_encode = msgspec.json.Encoder(enc_hook=_encode_model).encode


def _decoder(taken: Any) -> Callable[[msgspec.Raw], Any]:
    if taken is Any or taken is object:
        return _decode_plain
    if _has_model(taken):
        return _pydantic(taken)
    msgspec.json.schema(taken)  # raises TypeError for a type that msgspec does not know
    complete = completer(taken)

    def convert(message: msgspec.Raw) -> Any:
        try:
            # In two steps: msgspec's parser of floats takes 10 µs for each number like 1e290, Python's 0.1 µs.
            value = msgspec.convert(_decode_plain(message), taken)
        except msgspec.ValidationError as error:
            raise invalid(_explain(str(error))) from None
        if complete is not None:
            complete(value)
        return value

    return convert


_plain = msgspec.json.Decoder(float_hook=float).decode


def _decode_plain(message: msgspec.Raw) -> Any:
    try:
        return _plain(message)
    except ValueError:  # half of a surrogate pair: only the legacy client may send it
        return json.loads(bytes(message))


def _explain(problem: str) -> str:
    """Turn msgspec's text into one that names the field as part of ``message``."""
    what, found, path = problem.rpartition(" - at `$")
    return explain(f"{what} - at `$.message{path}" if found else f"{problem} - at `$.message`")


def _pydantic(taken: Any) -> Callable[[msgspec.Raw], Any]:
    from pydantic import TypeAdapter, ValidationError  # only an app that has it can name a model of it
    from pydantic.errors import PydanticUserError

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(taken)
    except PydanticUserError as error:  # say a model and a Struct in one union
        raise TypeError(str(error).partition("\n")[0]) from None

    def validate(message: msgspec.Raw) -> Any:
        try:
            return adapter.validate_json(bytes(message))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            path = ".".join(map(str, ("message", *first["loc"])))
            raise invalid(f'"{_shorten(path)}": {_shorten(first["msg"])}.') from None
        except RecursionError:
            raise CommandError(ErrorCode.TOO_LARGE, '"message" is nested too deep.') from None

    return validate


def _has_model(taken: Any) -> bool:
    """Whether a pydantic model or dataclass occurs in a type."""
    return hasattr(taken, "__pydantic_validator__") or any(_has_model(each) for each in get_args(taken))


def _alternatives(taken: Any) -> tuple[Any, ...]:
    if get_origin(taken) in (Union, UnionType):
        return get_args(taken)
    return (NoneType,) if taken is None else (taken,)


def _is_class(taken: Any) -> bool:
    """Whether it is a class whose instances tell a message from everything else: not so for ``dict`` or ``float``."""
    marks = ("__struct_fields__", "__dataclass_fields__", "__pydantic_validator__")
    return isinstance(taken, type) and any(hasattr(taken, mark) for mark in marks)


def _shorten(text: str) -> str:
    return text if len(text) <= 2 * _SMALL else f"{text[: 2 * _SMALL]}…"
