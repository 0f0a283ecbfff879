"""Leaving a flow at once, without another word to the memory: what a kill does, done on purpose.

TaskFlow is safe against a kill at any moment; so this is the one way out for everything that is not
an outcome of the flow: a claim that ends, a memory that does not answer, a conductor that is ended,
a wait that would keep a thread.
It is no `Exception`, so that neither a step nor TaskFlow takes it for a failure of the step.
"""

from __future__ import annotations

from enum import StrEnum


class Why(StrEnum):
    """Why a flow is left."""

    CLAIM = "the claim ends"
    """This conductor cannot be sure that the job is still its own."""
    FENCED = "another conductor has the job"
    MEMORY = "the memory does not answer"
    ENDING = "the conductor ends"
    WAITING = "there is something to wait for"


class Stop(BaseException):
    """Leaves the flow where it is; whoever resumes it goes on from what was saved."""

    def __init__(self, why: Why, text: str = "") -> None:
        super().__init__(f"{why}: {text}" if text else str(why))
        self.why = why
