"""The operator's own programs, run here with the machine's name."""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING

from reroot_fleet.machine.seam import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT_S = 300.0
"""How long a hook may take."""
TOO_LONG = 124
"""Its status then, as `timeout` gives it."""


class ProgramHooks:
    """Hooks as the policy names them: a command line each, to which the host's name is added."""

    def __init__(self, programs: Mapping[str, str]) -> None:
        self._programs = programs

    def call(self, name: str, host: str) -> Answer | None:
        """Runs one; nothing where there is none."""
        line = self._programs.get(name)
        if not line:
            return None
        try:
            done = subprocess.run(
                [*shlex.split(line), host],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Answer(TOO_LONG, f"it did not end within {LIMIT_S:.0f} s")
        except OSError as error:
            return Answer(127, f"it cannot be run: {error}")
        return Answer(done.returncode, done.stdout + done.stderr)
