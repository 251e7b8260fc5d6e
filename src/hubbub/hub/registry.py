"""The hooks of a hub: the decorators that register them, and what is checked of a hook when it is defined."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Literal, NamedTuple, TypeVar, get_args, get_origin, get_type_hints, overload

from hubbub.hub.convert import Converter
from hubbub.hub.patterns import Pattern
from hubbub.hub.types import HookError, Post

Event = Literal["on_connect", "on_join", "on_post", "on_private", "on_leave", "on_disconnect"]

AnyHook = Callable[..., Coroutine[Any, Any, Any]]
F = TypeVar("F", bound=AnyHook)

PARAMETERS: dict[Event, tuple[str, ...]] = {
    "on_connect": ("conn",),
    "on_join": ("member",),
    "on_post": ("post",),
    "on_private": ("post",),
    "on_leave": ("member", "group", "why"),
    "on_disconnect": ("member",),
}
"""What each hook is called with, in order. Behind them come the names in its pattern, as keyword arguments."""

EXAMPLES: dict[Event, str] = {
    "on_connect": "async def who(conn: HTTPConnection) -> User | None",
    "on_join": "async def may_join(member: Member, team: str) -> None",
    "on_post": "async def check(post: Post[ChatMessage], team: str) -> ChatMessage | None",
    "on_private": "async def check(post: Post[ChatMessage]) -> ChatMessage | None",
    "on_leave": "async def left(member: Member, group: str, why: str) -> None",
    "on_disconnect": "async def gone(member: Member) -> None",
}


class Hook(NamedTuple):
    """One registered hook."""

    event: Event
    pattern: Pattern
    function: AnyHook
    converter: Converter
    """What a message is turned into, and back; only used for ``on_post`` and ``on_private``."""

    @property
    def label(self) -> tuple[str, str]:
        """What the metrics and the log call it: the event and the pattern."""
        return self.event, self.pattern.text

    def __str__(self) -> str:
        pattern = f'("{self.pattern.text}")' if self.pattern.text else ""
        return f"{self.event}{pattern} {getattr(self.function, '__qualname__', self.function)}"


class Registry:
    """The hooks of one hub. Its methods are decorators; they return the function unchanged.

    Raises:
        HookError: From each decorator: the function is not async, has other parameters than the hook gets, or its
            pattern names something that is no parameter; there is a hook for the same event and the same groups
            already; the hub has been started.
    """

    def __init__(self) -> None:
        self._hooks: dict[Event, list[Hook]] = {event: [] for event in PARAMETERS}
        self._frozen = False

    # --- decorators ---

    def on_connect(self, function: F, /) -> F:
        """Register what says who a client is: ``async def who(conn: HTTPConnection) -> User | None``.

        It is asked for every connect without a token. `conn` is the opening handshake behind the app's own middleware.
        None means "not by me": the client then needs a token. Raise `Deny` to refuse the client with a text.
        """
        return self._register("on_connect", None, function)

    @overload
    def on_join(self, pattern: str | None = None, /) -> Callable[[F], F]: ...
    @overload
    def on_join(self, function: F, /) -> F: ...
    def on_join(self, given: Any = None, /) -> Any:
        """Register what says whether a connection may join: ``async def may_join(member: Member, team: str) -> None``.

        `pattern` names the groups that it is for (`hubbub.hub.patterns`); its names are parameters. Without a pattern
        it is for all groups that no other pattern matches. Raise `Deny` to refuse. It runs again at a resume.
        """
        return self._decorate("on_join", given)

    @overload
    def on_post(self, pattern: str | None = None, /) -> Callable[[F], F]: ...
    @overload
    def on_post(self, function: F, /) -> F: ...
    def on_post(self, given: Any = None, /) -> Any:
        """Register what sees a post to a group before its members: ``async def check(post: Post[T], …) -> T | None``.

        Return ``post.message`` to publish it, another message to change it, None to swallow it; raise `Deny` to refuse
        it. `pattern` is as in `on_join`. `T` is a msgspec Struct, a dataclass, a pydantic model, or any type that
        msgspec knows; without ``Post[T]`` the message is plain JSON.
        """
        return self._decorate("on_post", given)

    def on_private(self, function: F, /) -> F:
        """Register what sees a private message before its recipient; as `on_post`. ``post.to`` is the recipient."""
        return self._register("on_private", None, function)

    @overload
    def on_leave(self, pattern: str | None = None, /) -> Callable[[F], F]: ...
    @overload
    def on_leave(self, function: F, /) -> F: ...
    def on_leave(self, given: Any = None, /) -> Any:
        """Register what is told that a connection has left a group: ``async def left(member, group, why) -> None``.

        `why` is ``"left"``, ``"switched"`` (it has joined another group), ``"disconnected"`` or ``"node lost"``.
        """
        return self._decorate("on_leave", given)

    def on_disconnect(self, function: F, /) -> F:
        """Register what is told that an identified connection has ended: ``async def gone(member: Member) -> None``."""
        return self._register("on_disconnect", None, function)

    # --- what is registered ---

    def freeze(self) -> None:
        """Refuse further hooks: the hub is about to start."""
        self._frozen = True

    @property
    def has_hooks(self) -> bool:
        """Whether any hook is registered."""
        return any(self._hooks.values())

    def hooks(self, event: Event) -> list[Hook]:
        """Return the hooks for an event, the most specific first."""
        return sorted(self._hooks[event], key=lambda hook: hook.pattern.rank, reverse=True)

    def _decorate(self, event: Event, given: Any) -> Any:
        if given is None or isinstance(given, str):
            return partial(self._register, event, given)
        if callable(given):
            return self._register(event, None, given)
        raise HookError(f'hub.{event} takes a pattern such as "team-{{team}}", or nothing, not {given!r}.')

    def _register(self, event: Event, text: str | None, function: F) -> F:
        if self._frozen:
            raise HookError(f"The hub has been started: register {event} before that, as a rule where the hub is made.")
        pattern = Pattern(text)
        hook = Hook(event, pattern, function, _check(event, pattern, function))
        for other in self._hooks[event]:
            if other.pattern.shape == pattern.shape:
                raise HookError(f"{hook} is for the same groups as {other}. Remove one of them, or do both in one.")
        self._hooks[event].append(hook)
        return function


def _check(event: Event, pattern: Pattern, function: AnyHook) -> Converter:
    """Check a hook's kind and signature, and return the converter for its messages. Raises `HookError`."""
    name = f"{event} {getattr(function, '__qualname__', function)!s}"
    if not callable(function):
        raise HookError(f"hub.{event} decorates a function, not {function!r}.")
    if not _is_async(function):
        raise HookError(
            f'{name} must be "async def": a plain function would stop all connections while it runs. '
            "Run code that blocks with asyncio.to_thread."
        )
    _check_parameters(event, pattern, function, name)
    hints = _hints(function, name)
    returned = hints.get("return", Any)
    if event in {"on_join", "on_leave", "on_disconnect"} and returned not in (Any, None, type(None)):
        raise HookError(f"{name} must return None: to refuse, raise Deny. It is declared to return {returned!r}.")
    if event in {"on_post", "on_private"}:
        return _converter(function, hints, name)
    return Converter(Any, Any)


def _is_async(function: Any) -> bool:
    while isinstance(function, partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def _check_parameters(event: Event, pattern: Pattern, function: AnyHook, name: str) -> None:
    fixed = PARAMETERS[event]
    parameters = list(inspect.signature(function).parameters.values())
    shown = ", ".join([*fixed, *pattern.names])
    example = f"Write for example: {EXAMPLES[event]}."
    positional = [p for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    rest = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if len(positional) < len(fixed) and not rest:
        raise HookError(f"{name} must take ({shown}). {example}")
    own = {p.name for p in positional[: len(fixed)]}
    others = [p for p in parameters if p.name not in own and p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY}]
    for parameter in others:
        if parameter.name not in pattern.names and parameter.default is parameter.empty:
            where = f"in the pattern {pattern.text!r}" if pattern.text else "without a pattern"
            raise HookError(
                f"{name} has a parameter {parameter.name!r} that nothing {where} gives a value: "
                f"it is called with ({shown}). {example}"
            )
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for given in pattern.names:
        if given not in {p.name for p in others} and not takes_any:
            raise HookError(
                f"The pattern {pattern.text!r} names {given!r}, and {name} has no such parameter: "
                f"add {given!r}, so that it takes ({shown})."
            )


def _hints(function: AnyHook, name: str) -> dict[str, Any]:
    """Return the annotations of a hook as types; those that are text are looked up where the hook is defined."""
    target: Any = function
    while isinstance(target, partial):
        target = target.func
    if not inspect.isroutine(target):
        target = type(target).__call__
    if not getattr(target, "__annotations__", None):
        return {}
    try:
        return get_type_hints(target, localns=_local_names(target))
    except Exception as error:  # whatever evaluating an annotation raises
        raise HookError(
            f"The annotations of {name} cannot be read ({error}): import their types where the hook is defined, "
            "and not only for type checkers."
        ) from None


def _local_names(function: Any) -> dict[str, Any]:
    """Return the local variables of the running functions in which the hook is defined: its types may be there."""
    found: dict[str, Any] = {}
    outer = getattr(function, "__qualname__", "").rpartition(".<locals>.")[0]
    frame = sys._getframe(1)
    while outer and frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_qualname == outer:
            found = {**frame.f_locals, **found}
            outer = outer.rpartition(".<locals>.")[0]
    return found


def _converter(function: AnyHook, hints: dict[str, Any], name: str) -> Converter:
    first = next(iter(inspect.signature(function).parameters), "")
    annotation = hints.get(first, Any)
    if annotation in (Any, Post):
        taken: Any = Any
    elif get_origin(annotation) is Post:
        (taken,) = get_args(annotation)
    else:
        raise HookError(f"The first parameter of {name} must be a Post, such as Post[ChatMessage], not {annotation!r}.")
    try:
        return Converter(Any if isinstance(taken, TypeVar) else taken, hints.get("return", Any))
    except TypeError as error:
        raise HookError(f"{name} cannot take messages of the type {taken!r}: {error}") from None
