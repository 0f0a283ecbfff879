"""The queue as the planner asks it: who waits, in order, by image and by class, each with its seat.

Made once, and made shorter by whoever starts. A decision looks at the groups first, and at the machines of
a group only where one of them may start.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from reroot_fleet.policy.history import Group
from reroot_fleet.policy.site import Seat, Site
from reroot_fleet.values.job import Job


@dataclass(slots=True)
class Line:
    """Jobs that wait, in the order in which they should go."""

    jobs: list[Job] = field(default_factory=list)
    seats: list[Seat] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[Job, Seat]]:
        """Each with its seat."""
        return zip(self.jobs, self.seats, strict=True)

    def behind(self, n: int) -> list[str]:
        """The jobs from the place `n` on."""
        return [j.id for j in self.jobs[n:]]


@dataclass(slots=True)
class Part:
    """Some of the queue, by image; and by class in each."""

    images: dict[str, Line] = field(default_factory=dict)
    classes: dict[str, dict[str, Line]] = field(default_factory=dict)

    @classmethod
    def of(cls, jobs: list[Job], seats: list[Seat]) -> Part:
        """Those, in their order."""
        part = cls()
        known = part.classes
        for job, seat in zip(jobs, seats, strict=True):
            own = known.get(job.image)
            if own is None:
                own = known[job.image] = {}
            key = job.machine_class or seat.machine_class
            line = own.get(key)
            if line is None:
                line = own[key] = Line()
            line.jobs.append(job)
            line.seats.append(seat)
        if len(known) == 1:
            part.images = dict.fromkeys(known, Line(jobs, seats))
            return part
        for job, seat in zip(jobs, seats, strict=True):
            line = part.images.setdefault(job.image, Line())
            line.jobs.append(job)
            line.seats.append(seat)
        return part

    def groups(self) -> Iterator[tuple[Group, Line]]:
        """Each class of each image."""
        for image, classes in self.classes.items():
            for key, line in classes.items():
                yield (key, image), line

    def line_of(self, image: str, keys: Collection[str]) -> Line:
        """Those of an image that are of some classes, in the order of the queue."""
        if len(keys) == len(self.classes[image]):
            return self.images[image]
        some = Line()
        for job, seat in self.images[image]:
            if (job.machine_class or seat.machine_class) in keys:
                some.jobs.append(job)
                some.seats.append(seat)
        return some


@dataclass(slots=True)
class Queue:
    """Everyone who waits."""

    whole: Line
    many: Part
    alone: Part
    """What the fleet itself stands on: it goes when nothing else does."""

    @classmethod
    def of(cls, queued: Iterable[Job], site: Site) -> Queue:
        """The queue of a night; `queued` are its jobs that wait, in their order."""
        jobs = list(queued)
        return cls._of(Line(jobs, list(site.of(jobs))))

    @classmethod
    def _of(cls, whole: Line) -> Queue:
        if not any(s.alone for s in whole.seats):
            return cls(whole, Part.of(whole.jobs, whole.seats), Part())
        many, alone = Line(), Line()
        for job, seat in whole:
            line = alone if seat.alone else many
            line.jobs.append(job)
            line.seats.append(seat)
        return cls(whole, Part.of(many.jobs, many.seats), Part.of(alone.jobs, alone.seats))

    def without(self, ids: Collection[str]) -> Queue:
        """The queue when those have left it."""
        rest = Line()
        for job, seat in self.whole:
            if job.id not in ids:
                rest.jobs.append(job)
                rest.seats.append(seat)
        return self._of(rest)
