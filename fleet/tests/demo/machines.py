"""The demo's machines: virtual ones, booted by the harness, reached by ssh like any other."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

WORDS = ("shop1:11", "shop2:11", "shop3:10:clings", "shop4:10", "shop5:9:torn")
"""For the harness: the name, the version that the old OS says it has, who cannot leave it, and whose
filesystem has a damage. Three versions are three classes of machines, with a canary each."""


@dataclass(frozen=True)
class Reached:
    """How one is reached."""

    name: str
    port: int
    console: Path


class Machines:
    """They run until this is left."""

    def __init__(self, program: Path, only: list[str]) -> None:
        """`only`: the names of those that are wanted; all of them where it is empty."""
        words = [word for word in WORDS if not only or word.split(":")[0] in only]
        self._process = subprocess.Popen(
            [program, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        if not said:
            raise RuntimeError("the machines did not come up: see what the harness said above")
        found: dict[str, Any] = json.loads(said)
        self.image = Path(found["image"])
        self.key = Path(found["key"])
        self.all = [Reached(m["name"], m["port"], Path(m["console"])) for m in found["machines"]]

    def called(self, name: str) -> Reached:
        """The one of that name."""
        return next(m for m in self.all if m.name == name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
