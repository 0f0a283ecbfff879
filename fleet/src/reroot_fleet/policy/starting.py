"""Which jobs start now: one after the other, against what is already taken.

Canaries first, then the ramp, then a machine that the fleet itself stands on. Most of a long queue is
passed over at a look: by its class, its wave, or a limit that is reached.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from reroot_fleet.policy.decision import Gate, Posting, Stop
from reroot_fleet.policy.gates import Passage, WaveState, wave_state
from reroot_fleet.policy.history import ALONE_FROM, Group, History, size_of
from reroot_fleet.policy.queue import Line, Part, Queue
from reroot_fleet.policy.site import UNKNOWN, Seat, Site
from reroot_fleet.policy.taken import Taken, image_key
from reroot_fleet.policy.windows import room
from reroot_fleet.values.job import Job
from reroot_fleet.values.night import Night

GOES_ALONE = "the fleet stands on it: it goes when nothing else does"
NOT_KNOWN = "the inventory does not know it"
TOO_LONG = "its deadlines end after the window does"
ON_ITS_WAY = "its class's canary is on its way"


@dataclass(slots=True)
class Bucket:
    """Queued jobs that one answer is for."""

    why: str = ""
    """Why none of them starts, where none does."""
    canaries: int = 0
    """How many canaries they still want; 0 where they are of the ramp."""
    line: Line = field(default_factory=Line)


@dataclass(slots=True)
class Buckets:
    """The queue, sorted by what each job is for."""

    of_classes: list[Bucket] = field(default_factory=list)
    """Those that want canaries, and those of which none starts."""
    of_images: dict[str, Bucket] = field(default_factory=dict)
    """The ramp: proven machines of all classes together."""

    def all(self) -> list[Bucket]:
        """All of them."""
        return [*self.of_classes, *self.of_images.values()]


@dataclass(slots=True)
class Wave:
    """A wave of an image that takes machines now."""

    number: int
    room: int
    why_full: str
    ended: bool = False
    """It has members, and all of them have ended."""


@dataclass(slots=True)
class Starting:
    """Chooses what starts. `consider` once; then read `post`, `withheld`, `gates`, `look_again`."""

    now: datetime
    night: Night
    begun: list[Job]
    site: Site
    history: History
    stops: tuple[Stop, ...]
    taken: Taken
    post: list[Posting] = field(default_factory=list)
    withheld: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    gates: list[Gate] = field(default_factory=list)
    look_again: datetime | None = None
    seconds_left: float = field(init=False)
    """Of the window."""
    assumed: float = field(init=False)
    """Seconds that a job is taken to need while its plan is not known."""

    def __post_init__(self) -> None:
        """Takes out of the night what is asked for each job."""
        self.seconds_left = room(self.night.window, self.now).total_seconds()
        self.assumed = self.night.policy.assumed_duration.total_seconds()

    def consider(self, queue: Queue) -> None:
        """Takes the canaries, then the ramp, then one of the fleet's own."""
        self._note(self.taken.room_again)
        if self.taken.room <= 0:
            self.withheld[self.taken.why_no_room] = queue.whole.behind(0)
            return
        buckets = self._sort(queue.many)
        for bucket in buckets.of_classes:
            self._canaries(bucket)
        for image, bucket in buckets.of_images.items():
            self._ramp(image, bucket.line)
        for bucket in self._sort(queue.alone).all():
            self._alone(bucket)

    # -- what each job belongs to

    def _sort(self, part: Part) -> Buckets:
        buckets = Buckets()
        why_class, canaries = self._stopped_classes(), self._canaries_begun()
        proven: defaultdict[str, set[str]] = defaultdict(set)
        for group, line in part.groups():
            bucket = self._bucket(group, why_class, canaries[group])
            if bucket.why or bucket.canaries:
                bucket.line = line
                buckets.of_classes.append(bucket)
            else:
                proven[group[1]].add(group[0])
        for image, keys in proven.items():
            buckets.of_images[image] = Bucket(line=part.line_of(image, keys))
        return buckets

    def _stopped_classes(self) -> dict[str, str]:
        why = dict.fromkeys(self.night.stopped_classes, "its class is stopped")
        for key in self.history.open_holds:
            why.setdefault(key, "a machine of its class waits for a person since an earlier night")
        for stop in self.stops:
            if stop.machine_class is not None:
                why[stop.machine_class] = f"its class is stopped: {stop.cause}"
        why[UNKNOWN.machine_class] = NOT_KNOWN
        return why

    def _canaries_begun(self) -> defaultdict[Group, list[Job]]:
        jobs: defaultdict[Group, list[Job]] = defaultdict(list)
        for job in self.begun:
            if job.wave == 0:
                jobs[self.site.class_of(job), job.image].append(job)
        return jobs

    def _bucket(self, group: Group, why_class: dict[str, str], canaries: list[Job]) -> Bucket:
        if group[0] in why_class:
            return Bucket(why_class[group[0]])
        if group in self.history.proven:
            return Bucket()
        wanted = self.night.policy.waves.canaries
        state = wave_state(canaries, wanted, self.night.policy.gate, self.now)
        if state.passage is Passage.OPEN:
            self.gates.append(Gate(group[1], 0, group[0]))
            return Bucket()
        if state.room:
            return Bucket(canaries=wanted - state.members)
        return Bucket(self._why_shut(state, "its class's canary"))

    def _why_shut(self, state: WaveState, what: str) -> str:
        match state.passage:
            case Passage.RUNNING:
                return f"{what} is on its way"
            case Passage.BAKING:
                self._note(state.opens_at)
                return f"{what} has not run long enough yet"
            case _:
                return f"{what} failed"

    # -- canaries, and what waits for them

    def _canaries(self, bucket: Bucket) -> None:
        wanted = bucket.canaries
        for n, (job, seat) in enumerate(bucket.line):
            if wanted <= 0:
                self.withheld[bucket.why or ON_ITS_WAY] += bucket.line.behind(n)
                return
            wanted -= self._try_or_tell(job, seat, 0)

    # -- the ramp

    def _ramp(self, image: str, line: Line) -> None:
        """Fills the wave that takes machines, or the next one where nobody fits into this one."""
        withheld: dict[str, list[str]] = {}
        for wave in self._waves(image):
            if wave.number == 0 and withheld:
                break  # no further wave tonight: why this one took none says more
            posted = len(self.post)
            withheld = self._fill(image, line, wave)
            if len(self.post) > posted or not wave.ended:
                break
        for why, ids in withheld.items():
            self.withheld[why] += ids

    def _fill(self, image: str, line: Line, wave: Wave) -> dict[str, list[str]]:
        """Starts what fits into a wave; who does not, by the reason."""
        room, withheld = wave.room, defaultdict[str, list[str]](list)
        full = self.taken.full
        shut = wave.why_full if room <= 0 else self._why_none(image)
        for n, (job, seat) in enumerate(line):
            if shut:
                withheld[shut] += line.behind(n)
                break
            # At a look, since a long queue may wait for one customer.
            for key in seat.keys:
                if key in full:
                    withheld[full[key]].append(job.id)
                    break
            else:
                why = self._try(job, seat, wave.number)
                if why is not None:
                    withheld[why].append(job.id)
                    continue
                room -= 1
                shut = wave.why_full if room <= 0 else self._why_none(image)
        return withheld

    def _why_none(self, image: str) -> str:
        """Why no more of an image starts, where that is so for all of it."""
        taken = self.taken
        return taken.why_no_room if taken.room <= 0 else taken.full.get(image_key(image), "")

    def _waves(self, image: str) -> Iterator[Wave]:
        """The wave of an image that takes machines now; asked on, the one behind it.

        A wave that has ended and that nobody fits into any more does not keep the next one waiting.
        """
        stage, policy = self.history.stage.get(image, 0), self.night.policy
        for number in range(1, policy.waves.a_night + 1):
            size = size_of(policy, stage)
            jobs = [j for j in self.begun if j.image == image and j.wave == number]
            state = wave_state(jobs, size, policy.gate, self.now)
            if state.room:
                ended = wave_state(jobs, state.members, policy.gate, self.now)
                may_end = state.members > 0 and ended.passage is not Passage.RUNNING
                yield Wave(number, size - state.members, f"the wave of {size} is full", may_end)
                state = ended
            else:
                stage += 1
            if state.passage is not Passage.OPEN:
                yield Wave(number, 0, self._why_shut(state, f"the wave of {size}"))
                return
            self.gates.append(Gate(image, number))
        yield Wave(0, 0, "tonight's waves are over")

    # -- one job

    def _try(self, job: Job, seat: Seat, wave: int) -> str | None:
        """Starts a job; or why it does not."""
        seconds = self.assumed if job.deadlines_s is None else job.deadlines_s
        if seconds > self.seconds_left:
            return TOO_LONG
        if seat is UNKNOWN:
            return NOT_KNOWN
        why = self.taken.why_not(seat, job.image, wave)
        if why is None:
            self.post.append(Posting(job.id, job.host, wave))
            self.taken.start(seat, job.image, wave)
        return why

    def _try_or_tell(self, job: Job, seat: Seat, wave: int) -> bool:
        why = self._try(job, seat, wave)
        if why is not None:
            self.withheld[why].append(job.id)
        return why is None

    # -- the fleet's own machines

    def _alone(self, bucket: Bucket) -> None:
        """A conductor, its database or its board goes alone: a wave of its own, nothing beside it."""
        for job, seat in bucket.line:
            if bucket.why:
                self.withheld[bucket.why].append(job.id)
            elif self.taken.busy:
                self.withheld[GOES_ALONE].append(job.id)
            else:
                used = [w for w in self.taken.members if w >= ALONE_FROM]
                self._try_or_tell(job, seat, max(used, default=ALONE_FROM - 1) + 1)

    def _note(self, at: datetime | None) -> None:
        """Remembers a moment at which more may start."""
        if at is not None and (self.look_again is None or at < self.look_again):
            self.look_again = at
