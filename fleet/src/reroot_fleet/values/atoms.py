"""The steps of a machine's flow, named for ever: memory, logs and boards keep these words."""

from __future__ import annotations

from enum import StrEnum


class Atom(StrEnum):
    """A step of the flow, in the order in which it is done."""

    CHECK = "check"
    COPY = "copy"
    REHEARSE = "rehearse"
    DRAIN = "drain"
    GO = "go"
    SILENCE = "silence"
    ANSWER = "answer"
    CONFIRM = "confirm"
    UNDRAIN = "undrain"
    RELEASE = "release"

    @property
    def before_go(self) -> bool:
        """Whether a stop may still reach a job that is in it."""
        return ORDER.index(self) < ORDER.index(Atom.GO)


ORDER: tuple[Atom, ...] = tuple(Atom)

DOES: dict[Atom, str] = {
    Atom.CHECK: "asks the machine's checks and its plan",
    Atom.COPY: "puts the image on the machine, digest first",
    Atom.REHEARSE: "enters the RAM environment, checks everything, comes back",
    Atom.DRAIN: "takes it out of the load balancer, silences its monitoring",
    Atom.GO: "starts the run, after the newest one, once",
    Atom.SILENCE: "waits for the machine to go away; evidence only",
    Atom.ANSWER: "waits for a new boot and its status",
    Atom.CONFIRM: "asks every check of the first boot, and the fleet's own",
    Atom.UNDRAIN: "gives it back to the load balancer and the monitoring",
    Atom.RELEASE: "writes the outcome down, frees its places",
}
