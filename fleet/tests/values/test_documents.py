"""The machine's documents, as the machine writes them."""

from __future__ import annotations

import json

import pytest

from reroot_fleet.values.findings import Verdict, parse_findings
from reroot_fleet.values.machine_plan import parse_plan, storage
from reroot_fleet.values.machine_status import Confirmation, RunState, parse_status
from reroot_fleet.values.problem import Problem


def status(**run: object) -> str:
    whole = {"run": "r1", "directory": "/.reroot/r1", "mode": "reinstall", "state": "done"} | run
    return json.dumps(
        {"kind": "reroot-status", "version": 1, "runs": [whole], "kexec_loaded": False}
    )


@pytest.mark.parametrize("state", list(RunState))
def test_every_state_of_a_run_is_read(state: RunState) -> None:
    newest = parse_status(status(state=state.value)).newest
    assert newest is not None
    assert newest.state is state


def test_a_state_that_is_not_known_tells_nothing() -> None:
    newest = parse_status(status(state="half-done")).newest
    assert newest is not None
    assert newest.state is RunState.UNKNOWN


def test_what_the_first_boot_says_is_read_and_an_unknown_word_is_no_confirmation() -> None:
    text = status(state="done", confirmation="fell-short", fell_short=["no gateway"])
    newest = parse_status(text).newest
    assert newest is not None
    assert newest.confirmation is Confirmation.FELL_SHORT
    assert newest.fell_short == ("no gateway",)
    newest = parse_status(status(confirmation="mostly")).newest
    assert newest is not None
    assert newest.confirmation is Confirmation.FAILED


def test_the_plans_own_sums_count() -> None:
    plan = {
        "kind": "reroot-plan",
        "version": 1,
        "run": "r",
        "hostname": "web1",
        "image": "trixie",
        "consent": "1.a.b",
        "firmware": "uefi",
        "old_os": {"id": "ubuntu", "version_id": "12.04"},
        "root_device": "/dev/mapper/vg-root",
        "disk": "/dev/sda",
        "network": {"drivers": ["tg3", "tg3"]},
        "entry": {"entry": "kexec"},
        "steps": [
            {"name": "wipe", "deadline_s": 60, "retry": {"attempts": 3, "pause_s": 5}},
            {"name": "load", "deadline_s": 10},
        ],
    }
    without = parse_plan(json.dumps(plan))
    assert (without.deadlines_s, without.consent) == (3 * 60 + 2 * 5 + 10, "1.a.b")
    assert without.machine_class.key == "uefi/lvm+scsi/ubuntu 12.04/tg3"
    assert without.entry == "kexec"
    sums = {"serving_s": 1140, "silent_s": 6125, "confirm_s": 600, "all_s": 7865}
    known = parse_plan(json.dumps(plan | {"deadlines": sums}))
    assert (known.deadlines_s, known.silent_s) == (7865, 6125)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no JSON"),
        ("[]", "no object"),
        ('{"kind": "reroot-plan", "version": 1}', "'reroot-plan'"),
        ('{"kind": "reroot-status", "version": 2}', "version 2"),
        ('{"kind": "reroot-status", "version": 1, "requires": ["x"]}', "x"),
        ('{"kind": "reroot-status", "version": 1, "runs": [{"state": 1}]}', "status.runs[]"),
    ],
)
def test_a_document_of_another_kind_is_refused_by_name(text: str, says: str) -> None:
    with pytest.raises(Problem) as e:
        parse_status(text, host="web1")
    assert says in str(e.value)
    assert "host web1" in str(e.value)


def test_an_unknown_verdict_refuses() -> None:
    (f,) = parse_findings('[{"code": "swap", "question": "q", "verdict": "maybe"}]')
    assert f.verdict is Verdict.REFUSE


@pytest.mark.parametrize(
    ("root", "disk", "word"),
    [
        ("/dev/vda1", "/dev/vda", "virtio"),
        ("/dev/mapper/vg-root", "/dev/sda", "lvm+scsi"),
        ("/dev/md0", "/dev/nvme0n1", "md+nvme"),
        ("", "", "unknown"),
    ],
)
def test_storage_is_told_by_what_the_root_stands_on(root: str, disk: str, word: str) -> None:
    assert storage(root, disk) == word
