"""The images that the fleet knows: which digest a name stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from reroot_fleet.memory.schema import images

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Row


@dataclass(frozen=True, slots=True)
class Image:
    """One `.reroot` file."""

    digest: str
    name: str
    path: str
    bytes: int
    added: datetime


def add(connection: Connection, image: Image) -> bool:
    """Write an image down: whether its digest was not known."""
    values = {name: getattr(image, name) for name in Image.__slots__}
    update = sa.update(images).where(images.c.digest == image.digest)
    if connection.execute(update.values(name=image.name, path=image.path)).rowcount:
        return False
    connection.execute(sa.insert(images).values(values))
    return True


def by_digest(connection: Connection, digest: str) -> Image | None:
    """The image of a digest."""
    row = connection.execute(sa.select(images).where(images.c.digest == digest)).one_or_none()
    return None if row is None else _image(row)


def by_name(connection: Connection, name: str) -> Image | None:
    """The newest image of a name."""
    statement = sa.select(images).where(images.c.name == name).order_by(images.c.added.desc())
    row = connection.execute(statement.limit(1)).one_or_none()
    return None if row is None else _image(row)


def every(connection: Connection) -> list[Image]:
    """Every image, the newest first."""
    return [
        _image(row) for row in connection.execute(sa.select(images).order_by(images.c.added.desc()))
    ]


def _image(row: Row[Any]) -> Image:
    return Image(row.digest, row.name, row.path, row.bytes, row.added)
