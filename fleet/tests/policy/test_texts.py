"""Reports, `why` and pictures: what they say, and that they can be read."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import timedelta

import pytest

from reroot_fleet.policy import report_text
from reroot_fleet.policy.drawing.flow import flow_svg
from reroot_fleet.policy.drawing.night import MOST, night_svg
from reroot_fleet.policy.drawing.run import run_svg
from reroot_fleet.policy.drawing.svg import cut, wrap
from reroot_fleet.policy.overview import overview
from reroot_fleet.policy.report import Report, report
from reroot_fleet.policy.timeline import Result, short, timeline
from reroot_fleet.policy.why import NEXT, WORDS, lines, why_text, words
from reroot_fleet.values.atoms import ORDER, Atom
from reroot_fleet.values.event import Event, What
from reroot_fleet.values.job import Job, JobState, Override
from reroot_fleet.values.night import NightState
from tests.policy.scene import CLOSES, METAL, NOW, OPENS, host, hosts, job, night, site_of

S = JobState


def told(*steps: tuple[int, What, dict[str, object]]) -> list[Event]:
    at = OPENS
    return [
        Event(at + timedelta(minutes=m), "conductor a", what, "n", "m0", "j", detail=d)
        for m, what, d in steps
    ]


LIFE = told(
    (
        0,
        What.JOB_QUEUED,
        {"image": "d1", "attempt": 2, "override": {"who": "ann", "why": "old", "entry": "boot"}},
    ),
    (1, What.JOB_POSTED, {"wave": 0}),
    (2, What.STEP_BEGUN, {"step": "check", "try": 1}),
    (3, What.STEP_DONE, {"step": "check", "seconds": 60.0}),
    (3, What.STEP_BEGUN, {"step": "copy", "try": 1}),
    (4, What.STEP_FAILED, {"step": "copy", "error": "ssh: reset", "again_at": OPENS.isoformat()}),
    (5, What.STEP_BEGUN, {"step": "copy", "try": 2}),
    (6, What.STEP_DONE, {"step": "copy"}),
    (7, What.STEP_BEGUN, {"step": "go"}),
    (8, What.GO_INTENDED, {"run": "r1", "after": None, "deadline": CLOSES.isoformat()}),
    (9, What.JOB_HELD, {"cause": "wipe: input/output error"}),
)


def test_the_timeline_of_a_life() -> None:
    spans = {s.atom: s for s in timeline(LIFE)}
    assert spans[Atom.CHECK].result is Result.DONE
    assert spans[Atom.CHECK].took == timedelta(minutes=1)
    copy = spans[Atom.COPY]
    assert (copy.tries, copy.errors, copy.result) == (2, ("ssh: reset",), Result.DONE)
    assert spans[Atom.GO].result is Result.FAILED
    assert spans[Atom.ANSWER].result is Result.AHEAD
    assert [s.atom for s in timeline([])] == list(ORDER)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5, "5 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (5460, "1 h 31")],
)
def test_lengths_are_short(seconds: int, text: str) -> None:
    assert short(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize("what", list(What))
def test_every_event_has_words_even_without_its_detail(what: What) -> None:
    assert what in WORDS
    assert "None" not in words(Event(OPENS, "ann", what))


def test_why_tells_a_life_in_order_with_what_to_do_next() -> None:
    special = Override("ann", "kexec hangs", entry="boot", keep=("/srv",))
    held = job(
        "m0", S.HELD, attempt=2, run="r1", cause="wipe: input/output error", override=special
    )
    text = why_text(host("m0", customer="acme"), [held], LIFE, "Europe/Berlin")
    assert text.startswith("m0: held: wipe: input/output error\n")
    assert "special: entry boot; keep /srv, by ann: kexec hangs" in text
    assert "23:04:00 * copy: failed: ssh: reset; tried again at 22:00:00 UTC  [conductor a]" in text
    assert "do next      look at its console" in text
    order = [text.index(w) for w in ("queued with image", "check: done in 60 s", "about to say go")]
    assert order == sorted(order)


def test_every_state_has_a_next_step_and_none_says_go_to_a_held_machine() -> None:
    assert set(NEXT) == set(JobState)
    assert "requeue" not in NEXT[S.HELD]


def test_a_reason_is_told_once() -> None:
    event = Event(OPENS, "ann", What.NIGHT_HALTED, why="fire", detail={"cause": "fire"})
    assert [line.text for line in lines([event])] == ["the night was halted: fire"]


def a_report(**more: Job) -> Report:
    machines = [*hosts(6, customer="ac|me"), host("b0", machine_class=METAL)]
    times = {"go_at": OPENS, "ended_at": OPENS + timedelta(minutes=30)}
    jobs = [
        job("m0", S.DONE, **times),
        job("m1", S.DONE, **(times | {"ended_at": OPENS + timedelta(minutes=50)})),
        job("m2", S.REVERTED, cause="stop: <mysql> does not stop"),
        job("m3", S.REFUSED, cause="swap | stuck"),
        job("m4"),
        job("b0", S.HELD, cause="loader: no space"),
        *more.values(),
    ]
    it = night(NightState.CLOSED, cause="the window is over")
    events = [
        Event(OPENS, "ann", What.NIGHT_OPENED, it.id),
        Event(NOW, "ann", What.NIGHT_CLOSED, it.id),
    ]
    return report(it, jobs, machines, events, NOW)


def test_what_one_wants_to_know_first_comes_first() -> None:
    r = a_report()
    assert r.headline == (
        "1 machine needs a person; 2 of 6 machines have the new OS; 1 reverted, the old OS as it was; "
        "1 refused by a check; 1 not begun. The night is closed: the window is over."
    )
    assert (r.first_attempts, r.first_failures) == (4, 2)
    assert r.times["median"] == timedelta(minutes=50)


def test_a_machine_that_was_queued_again_counts_by_its_last_attempt() -> None:
    r = a_report(again=job("m2", S.DONE, attempt=2, go_at=OPENS, ended_at=NOW))
    assert r.counts[S.DONE] == 3
    assert S.REVERTED not in r.counts
    assert r.first_failures == 2, "the first attempt did fail"


def test_markdown_and_html_say_the_same_and_escape() -> None:
    r = a_report()
    text, page = report_text.markdown(r), report_text.html(r)
    assert "| 1 | swap \\| stuck | m3 |" in text
    assert "ac\\|me" in text
    assert "<mysql>" not in page
    assert "&lt;mysql&gt;" in page
    assert "<script" not in page
    assert "src=" not in page
    for section in report_text.sections(r):
        assert f"## {section.title}" in text
        assert f">{section.title}</h2>" in page


def test_an_empty_night_has_a_report() -> None:
    r = report(night(), [], [], [], NOW)
    assert r.headline == "0 of 0 machines have the new OS."
    assert report_text.html(r)


def pictures() -> list[str]:
    held = job("m0", S.HELD, run="r1", go_at=OPENS + timedelta(minutes=8), cause="a <b> & c " * 30)
    machines = [*hosts(9, customer="a & b"), *hosts(3, "x")]
    it = night()
    jobs = [job(m.name, s) for m, s in zip(machines, [*JobState, *JobState], strict=False)]
    every = overview(NOW, it, jobs, machines, site_of(machines, it))
    return [
        flow_svg(),
        run_svg(held, timeline(LIFE), NOW, "Europe/Berlin"),
        run_svg(job("m0"), timeline([]), NOW),
        run_svg(replace(job("m0", S.RUNNING), posted_at=NOW), timeline(LIFE[:9]), NOW),
        night_svg(every),
        night_svg(overview(NOW, it, [], [], site_of([], it))),
    ]


@pytest.mark.parametrize("n", range(6))
def test_a_picture_is_well_formed_has_words_and_stays_within_its_frame(n: int) -> None:
    root = ET.fromstring(pictures()[n])  # noqa: S314 - our own text
    wide, high = float(root.get("width", 0)), float(root.get("height", 0))
    name = "{http://www.w3.org/2000/svg}"
    assert root.findtext(f"{name}title")
    assert root.findtext(f"{name}desc")
    for rect in root.iter(f"{name}rect"):
        assert float(rect.get("x", 0)) + float(rect.get("width", 0)) <= wide
        assert float(rect.get("y", 0)) + float(rect.get("height", 0)) <= high
    for text in root.iter(f"{name}text"):
        assert 0 <= float(text.get("x", 0)) <= wide
        assert 0 <= float(text.get("y", 0)) <= high


def test_a_picture_tells_states_by_word_too() -> None:
    assert "held" in pictures()[1]
    assert "no stop reaches it" in pictures()[1]
    for state in (S.DONE, S.HELD, S.REVERTED, S.QUEUED):
        assert f">{state}" in pictures()[4]


def test_a_long_night_shows_what_wants_attention_and_counts_the_rest() -> None:
    machines, it = hosts(MOST + 100), night()
    jobs = [job(m.name, S.DONE) for m in machines[:-1]] + [job(machines[-1].name, S.HELD)]
    text = night_svg(overview(NOW, it, jobs, machines, site_of(machines, it)))
    assert f">{machines[-1].name}<" in text
    assert "and 100 more" in text


def test_words_are_cut_and_wrapped_to_their_room() -> None:
    assert cut("short", 200, 12) == "short"
    assert cut("x" * 99, 70, 12).endswith("…")
    assert len(wrap("a few words that do not fit into one line at all", 100, 12, most=2)) == 2


def test_the_ninth_rack_comes_before_the_tenth() -> None:
    machines, it = [host("m10", rack="r10"), host("m9", rack="r9"), host("m11", rack="r9")], night()
    jobs = [job(m.name) for m in machines]
    (customer,) = overview(NOW, it, jobs, machines, site_of(machines, it)).customers
    assert [(r.name, [m.host for m in r.machines]) for r in customer.racks] == [
        ("r9", ["m9", "m11"]),
        ("r10", ["m10"]),
    ]
