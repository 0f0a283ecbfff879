"""TaskFlow's persistence, in one row for each job: what the engine has done, fenced by an epoch.

TaskFlow's own SQL backend makes new tables for every connection, looks atoms up without an index and
knows no owner: a conductor that wakes up after its claim has ended writes into the flow that another
one runs. Here every write names the epoch of its claim; who claims raises it, and from then on nobody
else writes, neither here nor (through `fence`) into the job's events.
"""

from __future__ import annotations

import json
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from taskflow import states
from taskflow.persistence import base, models

from reroot_fleet.flow.stop import Stop, Why
from reroot_fleet.memory.errors import MemoryFault
from reroot_fleet.memory.schema import flow_records as flows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sqlalchemy import Connection

    from reroot_fleet.memory.database import Memory

# Statements are made once, for to put one together costs more than to send it.
_MINE = sa.and_(flows.c.job == sa.bindparam("which"), flows.c.epoch == sa.bindparam("claim"))
_LOCK = sa.select(flows.c.epoch).where(_MINE).with_for_update()
_KEEP = sa.update(flows).where(_MINE)
_RAISE = (
    sa.update(flows)
    .where(flows.c.job == sa.bindparam("which"))
    .values(epoch=flows.c.epoch + 1, who=sa.bindparam("by"))
    .returning(flows.c.epoch, flows.c.document, flows.c.notes)
)

_FLOWS = uuid.UUID("0c4c4f57-6f1e-4b53-8f6e-7265726f6f74")
_SAME = {None: "", "PENDING": "", "RUNNING": "", "RESUMING": "", "SUSPENDED": "", "SUSPENDING": ""}
"""States of flows and atoms that a resumed engine treats alike."""
Matter = tuple[str, str | None, str, str | None]
"""Of an atom: its name, state, what is meant to be done with it, and how it failed."""
Matters = tuple[str | None, dict[str, Matter]]
"""Of a flow: its state, and its atoms by their ids."""
_LONGEST = 600
"""Characters of an error that are kept."""


class FlowRecord:
    """A job's flow, as one claim sees it."""

    def __init__(
        self, memory: Memory, job: str, epoch: int, document: str | None, notes: str
    ) -> None:
        self.memory = memory
        self.job = job
        self.epoch = epoch
        self.notes: dict[str, Any] = json.loads(notes)
        found = json.loads(document) if document else {"flow": None, "atoms": {}}
        self._flow: dict[str, Any] | None = found["flow"]
        self._atoms: dict[str, Any] = found["atoms"]
        self._matter = {u: _matter_of(atom["atom"]) for u, atom in self._atoms.items()}
        self._written: Matters | None = self._matters() if document else None
        self._unwritten: Matters | None = None
        """What matters of a document that has changed and is to be written."""

    # -- the claim ----------------------------------------------------------------------------

    @classmethod
    def claim(cls, connection: Connection, memory: Memory, job: str, who: str) -> FlowRecord:
        """Takes the flow over: nobody who had it before can write any more."""
        row = connection.execute(_RAISE, {"which": job, "by": who}).one_or_none()
        if row is None:
            connection.execute(
                sa.insert(flows).values(
                    job=job, epoch=1, who=who, unfinished=True, document=None, notes="{}"
                )
            )
            return cls(memory, job, 1, None, "{}")
        return cls(memory, job, row.epoch, row.document, row.notes)

    @contextmanager
    def writing(
        self,
        notes: dict[str, Any] | None = None,
        *,
        over: bool = False,
        first: Callable[[Connection], None] | None = None,
    ) -> Iterator[Connection]:
        """A transaction of this claim, or `Stop`: what the engine has saved is written with it.

        `over`: nothing is to be done any more. `first`: what is locked before the flow is.
        """
        matters = self._unwritten
        with told(), self.memory.begin() as connection:
            if first is not None:
                first(connection)
            self._fence(connection, notes, over=over)
            yield connection
        if matters is not None:
            self._written, self._unwritten = matters, None
        if notes is not None:
            self.notes = notes

    def _fence(self, connection: Connection, notes: dict[str, Any] | None, *, over: bool) -> None:
        """Locks the row until the transaction ends, if it is still ours; `Stop` otherwise."""
        values: dict[str, Any] = {}
        if self._unwritten is not None:
            document = {"flow": self._flow, "atoms": self._atoms}
            values["document"] = json.dumps(document, default=str)
        if notes is not None:
            values["notes"] = json.dumps(notes, sort_keys=True)
        if over:
            values["unfinished"] = False
        mine = {"which": self.job, "claim": self.epoch}
        if values:
            done = connection.execute(_KEEP, {**mine, **values}).rowcount
        else:
            done = len(connection.execute(_LOCK, mine).all())
        if not done:
            raise Stop(Why.FENCED, self.job)

    @property
    def unwritten(self) -> bool:
        """Whether the engine has saved what is not in the memory yet."""
        return self._unwritten is not None

    # -- what TaskFlow saves ------------------------------------------------------------------

    def detail(self, name: str) -> models.FlowDetail:
        """The flow's detail, new or as it was saved."""
        if self._flow is None:
            return models.FlowDetail(name, str(uuid.uuid5(_FLOWS, self.job)))
        detail = models.FlowDetail.from_dict(self._flow)
        if detail.state in _SAME:
            # It may have been saved in the middle of being suspended, from where nothing resumes.
            detail.state = states.SUSPENDED
        for atom in self._atoms.values():
            detail.add(models.atom_detail_class(atom["type"]).from_dict(atom["atom"]))
        return detail

    def save_flow(self, detail: models.FlowDetail) -> None:
        """Saves the flow and all its atoms."""
        self._flow = detail.to_dict()
        self._atoms = {atom.uuid: _of_atom(atom) for atom in detail}
        self._matter = {u: _matter_of(atom["atom"]) for u, atom in self._atoms.items()}
        self._save()

    def save_atom(self, atom: models.AtomDetail) -> None:
        """Saves one atom."""
        kept = self._atoms[atom.uuid] = _of_atom(atom)
        self._matter[atom.uuid] = _matter_of(kept["atom"])
        self._save()

    def _matters(self) -> Matters:
        state = (self._flow or {}).get("state")
        return _SAME.get(state, state), {u: m for u, m in self._matter.items() if m is not None}

    def _save(self) -> None:
        """Keeps what a resumed engine would act on differently, and nothing else, for the next write.

        An engine saves six times a step. Whether an atom *was begun* changes nothing for who resumes
        it: every step looks before it acts. And that a step is done goes with the word that the next
        one begins, in one transaction: who dies before it does the step again, as ever.
        """
        matters = self._matters()
        self._unwritten = None if matters == self._written else matters


def unfinished(connection: Connection) -> frozenset[str]:
    """The jobs whose flow has not come to its end, whatever the job's own state says."""
    return frozenset(connection.execute(sa.select(flows.c.job).where(flows.c.unfinished)).scalars())


@contextmanager
def told() -> Iterator[None]:
    """A memory that does not answer is no failure of a step: the flow is left where it is."""
    try:
        yield
    except MemoryFault as fault:
        raise Stop(Why.MEMORY, str(fault)) from fault


def _matter_of(atom: dict[str, Any]) -> Matter | None:
    """What a resumed engine acts on; a retry controller that was never asked decides nothing."""
    failure = atom["failure"]
    if "patience" in atom["name"] and atom["intention"] == "EXECUTE" and not failure:
        return None
    state = atom["state"]
    said = str(failure.get("exception_str", "")) if failure else None
    return atom["name"], _SAME.get(state, state), atom["intention"], said


def _of_atom(atom: models.AtomDetail) -> dict[str, Any]:
    return {"type": models.atom_detail_type(atom), "atom": _trimmed(atom.to_dict())}


def _trimmed(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Without tracebacks, which are in the log; with errors of a bounded length."""
    if not value or isinstance(value, str):
        return value
    if isinstance(value, dict):
        if "exc_type_names" in value:
            text = str(value.get("exception_str", ""))[:_LONGEST]
            return {
                **value,
                "traceback_str": "",
                "causes": [],
                "exception_str": text,
                "exc_args": [text],
            }
        return {k: _trimmed(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_trimmed(v) for v in value]
    return value


class RecordBackend(base.Backend):  # type: ignore[misc]  # TaskFlow has no types
    """What TaskFlow's engine sees of a record."""

    def __init__(self, record: FlowRecord) -> None:
        super().__init__({})
        self._connection = RecordConnection(self, record)

    def get_connection(self) -> RecordConnection:
        """There is one, and it has no state."""
        return self._connection

    def close(self) -> None:
        """Nothing is open."""


class RecordConnection(base.Connection):  # type: ignore[misc]  # TaskFlow has no types
    """The five calls that an engine makes; a record has no logbooks."""

    def __init__(self, backend: RecordBackend, record: FlowRecord) -> None:
        self._backend = backend
        self._record = record

    @property
    def backend(self) -> RecordBackend:
        """Whose it is."""
        return self._backend

    def close(self) -> None:
        """Nothing is open."""

    def upgrade(self) -> None:
        """`ensure` makes the table."""

    def validate(self) -> None:
        """Every write finds out."""

    def update_atom_details(self, atom_detail: models.AtomDetail) -> models.AtomDetail:
        """Saves an atom."""
        self._record.save_atom(atom_detail)
        return atom_detail

    def update_flow_details(self, flow_detail: models.FlowDetail) -> models.FlowDetail:
        """Saves a flow."""
        self._record.save_flow(flow_detail)
        return flow_detail

    def clear_all(self) -> None:
        """Nobody asks for it."""
        raise NotImplementedError

    def save_logbook(self, book: models.LogBook) -> None:
        """There are none."""
        raise NotImplementedError

    def destroy_logbook(self, book_uuid: str) -> None:
        """There are none."""
        raise NotImplementedError

    def get_logbook(self, book_uuid: str, lazy: bool = False) -> models.LogBook:  # noqa: FBT001, FBT002 - TaskFlow's
        """There are none."""
        raise NotImplementedError

    def get_logbooks(self, lazy: bool = False) -> Iterable[models.LogBook]:  # noqa: FBT001, FBT002 - TaskFlow's
        """There are none."""
        raise NotImplementedError

    def get_flows_for_book(self, book_uuid: str) -> Iterable[models.FlowDetail]:
        """There are none."""
        raise NotImplementedError

    def get_flow_details(self, fd_uuid: str, lazy: bool = False) -> models.FlowDetail:  # noqa: FBT001, FBT002 - TaskFlow's
        """The engine is given its detail."""
        raise NotImplementedError

    def get_atom_details(self, ad_uuid: str) -> models.AtomDetail:
        """The engine is given its detail."""
        raise NotImplementedError

    def get_atoms_for_flow(self, fd_uuid: str) -> Iterable[models.AtomDetail]:
        """The engine is given its detail."""
        raise NotImplementedError
