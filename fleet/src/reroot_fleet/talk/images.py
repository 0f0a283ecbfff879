"""Which file an image's name stands for, and its digest."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from reroot_fleet.machine.seam import ImageFile
from reroot_fleet.memory import images
from reroot_fleet.memory.images import Image
from reroot_fleet.talk import fleet
from reroot_fleet.values.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

_CHUNK = 1 << 20


def find(c: Connection, name: str) -> Image:
    """The image of a name or a path; written down with its digest as it is now."""
    path = Path(name)
    if path.suffix != ".reroot":
        path = Path(fleet.settings().images) / f"{name}.reroot"
    path = path.absolute()
    try:
        digest, size = _digest(path)
    except OSError as error:
        raise Problem(
            f"read the image {name}",
            f"{path}: {error.strerror}",
            then="build it there with `reroot build`, or set `images` in the settings",
        ) from error
    image = Image(digest, path.stem, str(path), size, fleet.now())
    images.add(c, image)
    return image


def file(image: Image) -> ImageFile:
    """The image as machines are given it."""
    return ImageFile(image.digest, Path(image.path), image.bytes)


def same_everywhere(name: str, digests: Iterable[tuple[str, str]]) -> None:
    """Refuse an image whose digest differs between hosts: pairs of host and digest."""
    seen: dict[str, str] = {}
    for host, digest in digests:
        seen.setdefault(digest, host)
    if len(seen) > 1:
        shown = "; ".join(f"{digest[:19]}… on {host}" for digest, host in seen.items())
        raise Problem(
            f"use the image {name}",
            f"its digest differs between hosts: {shown}",
            then="copy one file to every conductor, or give the machines another image's name",
        )


def _digest(path: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size
