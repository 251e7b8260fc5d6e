"""Writes the defaults of decoded dataclasses into the instances. Pure.

When msgspec makes a dataclass, it leaves a default to the attribute of the class, and its encoder takes what is in the
instance: without this, a message that a hook returns as it came would lack the fields that its sender left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields
from typing import Any, NamedTuple

from msgspec.inspect import DataclassType, Field, StructType, Type, type_info


class _Found(NamedTuple):
    """What is to be done with an instance of one class."""

    defaults: dict[str, Any]
    """Fields that the class has, and their defaults. Those of a factory are in each instance already."""

    deep: tuple[str, ...]
    """Fields in which a dataclass can be."""


def completer(taken: Any) -> Callable[[Any], None] | None:
    """Return what completes the values of a type; None if no dataclass can be in them.

    Args:
        taken: A type that msgspec knows.
    """
    root = type_info(taken)
    if not _leads_to_dataclass(root):
        return None
    classes: dict[type, _Found] = {}
    for node in _reachable(root):
        if isinstance(node, DataclassType | StructType):
            deep = tuple(field.name for field in node.fields if _leads_to_dataclass(field.type))
            classes[node.cls] = _Found(_defaults(node.cls), deep)

    def complete(value: Any) -> None:
        found = classes.get(type(value))
        if found is not None:
            if found.defaults:
                for name, default in found.defaults.items():
                    value.__dict__.setdefault(name, default)  # a frozen one cannot be assigned to
            for name in found.deep:
                complete(getattr(value, name))
        elif isinstance(value, dict):
            for each in value.values():
                complete(each)
        elif isinstance(value, list | tuple | set | frozenset):
            for each in value:
                complete(each)

    return complete


def _defaults(cls: type) -> dict[str, Any]:
    if not hasattr(cls, "__dataclass_fields__") or cls.__dictoffset__ == 0:  # with slots, msgspec sets all of them
        return {}
    return {field.name: field.default for field in fields(cls) if field.default is not MISSING}


def _leads_to_dataclass(node: Type) -> bool:
    return any(isinstance(each, DataclassType) for each in _reachable(node))


def _reachable(root: Type) -> Iterator[Type]:
    """Return a type and all types in it, each once: a type can contain itself."""
    seen, waiting = {id(root)}, [root]
    while waiting:
        node = waiting.pop()
        yield node
        for child in _children(node):
            if id(child) not in seen:
                seen.add(id(child))
                waiting.append(child)


def _children(node: Type) -> Iterator[Type]:
    for name in node.__struct_fields__:
        value = getattr(node, name)
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, Type):
                yield each
            elif isinstance(each, Field):
                yield each.type
