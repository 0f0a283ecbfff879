"""Frozen values to JSON documents and back, by their types.

Every document has a version; a reader refuses a version or a field that it does not know, naming
it, rather than to drop a limit in silence.
"""

# ruff: noqa: ANN401 - a document's parts are of any type
from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from enum import Enum
from typing import Any, TypeVar

from reroot_fleet.memory.errors import MemoryFault

VERSION = 1
_T = TypeVar("_T")
_PLAIN = (str, int, float, bool)
# What annotations name without the module's importing it while it runs.
_NAMES = {
    "Mapping": Mapping,
    "date": date,
    "datetime": datetime,
    "time": time,
    "timedelta": timedelta,
}


def write(value: Any) -> dict[str, Any]:
    """The document of a dataclass."""
    return {"version": VERSION, **_dataclass(value)}


def read(kind: type[_T], document: Mapping[str, Any]) -> _T:
    """The value of a document."""
    fields = dict(document)
    version = fields.pop("version", None)
    if version != VERSION:
        raise MemoryFault(
            f"read a {kind.__name__} of the fleet's database",
            f"its version is {version}, and this release knows {VERSION}",
            then="install the release that wrote it, or a later one",
        )
    value = _read(kind, fields)
    assert isinstance(value, kind)  # noqa: S101 - what `_read` made of this very type
    return value


def _dataclass(value: Any) -> dict[str, Any]:
    return {f.name: _write(getattr(value, f.name)) for f in dataclasses.fields(value)}


def _write(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return _dataclass(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(k): _write(v) for k, v in value.items()}
    if isinstance(value, frozenset):
        return sorted(_write(v) for v in value)
    if isinstance(value, tuple):
        return [_write(v) for v in value]
    if value is None or isinstance(value, _PLAIN):
        return value
    raise TypeError(f"write {value!r} to the fleet's database: no document is known for it")


def _read(kind: Any, value: Any) -> Any:
    origin = typing.get_origin(kind)
    if origin in {typing.Union, types.UnionType}:
        return _read_optional(kind, value)
    if origin is tuple:
        return tuple(_read(typing.get_args(kind)[0], v) for v in value)
    if origin is frozenset:
        return frozenset(_read(typing.get_args(kind)[0], v) for v in value)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {k: _read(typing.get_args(kind)[1], v) for k, v in value.items()}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _read_dataclass(kind, value)
    return _read_scalar(kind, value)


def _read_optional(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    (inner,) = (k for k in typing.get_args(kind) if k is not type(None))
    return _read(inner, value)


def _read_dataclass(kind: type[Any], value: Mapping[str, Any]) -> Any:
    hints = _hints(kind)
    unknown = set(value) - {f.name for f in dataclasses.fields(kind)}
    if unknown:
        raise MemoryFault(
            f"read a {kind.__name__} of the fleet's database",
            f"this release does not know {', '.join(sorted(unknown))}",
            then="install the release that wrote it, or a later one",
        )
    return kind(**{name: _read(hints[name], v) for name, v in value.items()})


_KNOWN: dict[Any, dict[str, Any]] = {}


def _hints(kind: type[Any]) -> dict[str, Any]:
    """The types of a dataclass's fields; to work them out is most of the work of reading one."""
    if kind not in _KNOWN:
        _KNOWN[kind] = typing.get_type_hints(kind, localns=_NAMES)
    return _KNOWN[kind]


def _read_scalar(kind: Any, value: Any) -> Any:
    if kind is Any or kind in _PLAIN:
        return float(value) if kind is float else value
    if kind is timedelta:
        return timedelta(seconds=value)
    if kind in {date, time, datetime}:
        return kind.fromisoformat(value)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    raise TypeError(f"read a {kind} of the fleet's database: no document is known for it")
