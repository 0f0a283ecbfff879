"""What is done about a machine, from its status alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reroot_fleet.policy.verdict import DONE, STATES, Action, Intent, judge
from reroot_fleet.values.machine_status import Confirmation, MachineStatus, Run, RunState

NOW = datetime(2026, 1, 10, 23, tzinfo=UTC)
LATER = NOW + timedelta(hours=2)
INTENT = Intent(run="r2", after="r1", deadline=NOW + timedelta(hours=1))
BEFORE = Run("r1", RunState.REVERTED)


def with_run(state: RunState) -> MachineStatus:
    return MachineStatus(runs=(BEFORE, Run("r2", state)))


@pytest.mark.parametrize(
    ("intent", "status", "now", "action"),
    [
        pytest.param(None, None, NOW, Action.ASK_AGAIN, id="silent, nothing intended"),
        pytest.param(None, MachineStatus(), NOW, Action.GO, id="answers, nothing intended"),
        pytest.param(INTENT, None, NOW, Action.WAIT, id="silent within the deadlines"),
        pytest.param(INTENT, None, LATER, Action.PAGE, id="silent past the deadlines"),
        pytest.param(INTENT, MachineStatus((BEFORE,)), NOW, Action.GO, id="never begun"),
        pytest.param(INTENT, MachineStatus((BEFORE,)), LATER, Action.GO, id="never begun, late"),
        pytest.param(INTENT, MachineStatus(), NOW, Action.FENCED, id="its runs are gone"),
        pytest.param(
            INTENT,
            MachineStatus((BEFORE, Run("x", RunState.DONE))),
            NOW,
            Action.FENCED,
            id="somebody else's run",
        ),
        pytest.param(INTENT, with_run(RunState.IN_PROGRESS), NOW, Action.ATTACH, id="in progress"),
        pytest.param(INTENT, with_run(RunState.DONE), LATER, Action.CONFIRM, id="done, if late"),
        pytest.param(INTENT, with_run(RunState.REVERTED), NOW, Action.MAY_BE_QUEUED, id="reverted"),
        pytest.param(
            INTENT, with_run(RunState.INTERRUPTED), NOW, Action.MAY_BE_QUEUED, id="interrupted"
        ),
        pytest.param(INTENT, with_run(RunState.COMMITTED), NOW, Action.WAIT, id="committed"),
        pytest.param(INTENT, with_run(RunState.COMMITTED), LATER, Action.PAGE, id="and late"),
        pytest.param(INTENT, with_run(RunState.UNKNOWN), NOW, Action.WAIT, id="unknown"),
        pytest.param(INTENT, with_run(RunState.UNKNOWN), LATER, Action.PAGE, id="unknown, late"),
        pytest.param(INTENT, with_run(RunState.REHEARSED), NOW, Action.PAGE, id="a rehearsal"),
    ],
)
def test_the_table(
    intent: Intent | None, status: MachineStatus | None, now: datetime, action: Action
) -> None:
    assert judge(intent, status, now).action is action


def test_a_run_that_holds_and_says_so_itself_is_waited_for_by_nobody() -> None:
    def told(state: RunState) -> Action:
        status = replace(with_run(state), in_ram=True)
        return judge(INTENT, status, NOW).action

    assert told(RunState.COMMITTED) is Action.PAGE
    assert told(RunState.IN_PROGRESS) is Action.ATTACH


def test_every_state_has_a_rule() -> None:
    assert set(STATES) | {RunState.DONE} == set(RunState)
    assert set(DONE) == set(Confirmation)


@pytest.mark.parametrize(
    ("confirmation", "now", "action"),
    [
        (Confirmation.NONE, NOW, Action.CONFIRM),
        (Confirmation.PENDING, NOW, Action.WAIT),
        (Confirmation.PENDING, LATER, Action.PAGE),
        (Confirmation.PASSED, LATER, Action.CONFIRM),
        (Confirmation.FELL_SHORT, NOW, Action.PAGE),
        (Confirmation.FAILED, NOW, Action.PAGE),
    ],
)
def test_done_is_as_the_first_boot_says(
    confirmation: Confirmation, now: datetime, action: Action
) -> None:
    run = Run("r2", RunState.DONE, confirmation=confirmation, fell_short=("no gateway",))
    judgement = judge(INTENT, MachineStatus((BEFORE, run)), now)
    assert judgement.action is action
    assert "no gateway" in judgement.why


@pytest.mark.parametrize(("lock", "action"), [("r2", Action.ATTACH), ("rx", Action.FENCED)])
def test_a_run_that_holds_the_lock_is_there_before_it_is_among_the_runs(
    lock: str, action: Action
) -> None:
    assert judge(INTENT, MachineStatus((BEFORE,), in_progress=lock), NOW).action is action


@pytest.mark.parametrize("state", list(RunState))
@pytest.mark.parametrize("now", [NOW, LATER])
def test_nothing_says_go_while_the_run_exists(state: RunState, now: datetime) -> None:
    assert judge(INTENT, with_run(state), now).action is not Action.GO


def test_the_first_run_of_a_machine_may_be_begun() -> None:
    intent = Intent("r1", None, LATER)
    assert judge(intent, MachineStatus(), NOW).action is Action.GO
