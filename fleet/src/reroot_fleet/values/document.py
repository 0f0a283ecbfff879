"""The envelope of reroot's JSON documents: kind, version, required features."""

from __future__ import annotations

import json
from typing import Any

from reroot_fleet.values.problem import Place, Problem


def read(text: str | bytes, kind: str, version: int, *, host: str | None = None) -> dict[str, Any]:
    """The document's fields, if it is of that kind and version and requires nothing unknown.

    Raises `Problem` naming both kinds, both versions or the feature.
    """
    attempted = f"read a document of kind {kind}"
    at = Place(host=host)
    try:
        found = json.loads(text)
    except (ValueError, UnicodeDecodeError) as e:
        raise Problem(attempted, f"it is no JSON: {e}", at=at) from e
    if not isinstance(found, dict):
        raise Problem(attempted, f"it is a {type(found).__name__}, no object", at=at)
    if found.get("kind") != kind:
        raise Problem(attempted, f"it is of kind {found.get('kind')!r}", at=at)
    if found.get("version") != version:
        raise Problem(
            attempted,
            f"it is of version {found.get('version')!r}, and this program reads version {version}",
            at=at,
            then="use a fleet of the same release as the image",
        )
    if requires := found.get("requires"):
        raise Problem(attempted, f"it requires what this program does not know: {requires}", at=at)
    return found


class Fields:
    """Typed access to the fields of a document; every miss names the path."""

    def __init__(self, value: object, what: str, *, host: str | None = None) -> None:
        self.host = host
        self.what = what
        if not isinstance(value, dict):
            raise self.wrong("", "an object", value)
        self.value: dict[str, Any] = value

    def wrong(self, name: str, expected: str, found: object) -> Problem:
        """The error for a field that is not what it has to be."""
        path = f"{self.what}.{name}" if name else self.what
        return Problem(
            f"read {path}",
            f"it should be {expected}, and is {type(found).__name__} {str(found)[:80]!r}",
            at=Place(host=self.host),
        )

    def text(self, name: str) -> str:
        """A string."""
        found = self.value.get(name)
        if not isinstance(found, str):
            raise self.wrong(name, "a string", found)
        return found

    def text_or_none(self, name: str) -> str | None:
        """A string, null or absent."""
        return None if self.value.get(name) is None else self.text(name)

    def number(self, name: str) -> int:
        """An integer."""
        found = self.value.get(name)
        if not isinstance(found, int) or isinstance(found, bool):
            raise self.wrong(name, "an integer", found)
        return found

    def flag(self, name: str, *, absent: bool = False) -> bool:
        """True or false."""
        found = self.value.get(name, absent)
        if not isinstance(found, bool):
            raise self.wrong(name, "true or false", found)
        return found

    def list(self, name: str) -> list[Any]:
        """A list; an absent one is empty."""
        found = self.value.get(name, [])
        if not isinstance(found, list):
            raise self.wrong(name, "a list", found)
        return found

    def inner(self, name: str) -> Fields:
        """An object in it."""
        return Fields(self.value.get(name), f"{self.what}.{name}", host=self.host)
