"""The policy file: what it may say, and how each mistake is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest

from reroot_fleet.policy.bad_input import of_images, too_long
from reroot_fleet.policy.policy_file import never_starts, read_policy
from reroot_fleet.values.job import Job
from reroot_fleet.values.night import Window
from reroot_fleet.values.policy import HOURLY_CAP, Policy, Rehearsal, Weekday
from reroot_fleet.values.problem import Problems
from tests.policy.scene import host

WHOLE = """
name = "customers"
rehearsal = "required"
rehearsal_max_age = "14 d"
assumed_duration = "90 min"
start_within = "3600 s"

[window]
zone = "Europe/Berlin"
begins = "22:30"
ends = 05:00:00
days = ["mon", "Tuesday"]
never = [2026-12-24, "2026-12-31"]

[limits]
total = 100
hour = 50
per.site = 3

[limits.per]
"""


def test_a_whole_policy() -> None:
    policy = read_policy(WHOLE.replace("\n[limits.per]\n", ""), "policy.toml")
    assert policy.name == "customers"
    assert policy.rehearsal is Rehearsal.REQUIRED
    assert policy.rehearsal_max_age == timedelta(days=14)
    assert policy.assumed_duration == timedelta(minutes=90)
    assert (policy.window.begins, policy.window.ends) == (time(22, 30), time(5))
    assert policy.window.days == {Weekday.MON, Weekday.TUE}
    assert policy.window.never == {date(2026, 12, 24), date(2026, 12, 31)}
    assert (policy.limits.total, policy.limits.hour, policy.limits.per) == (100, 50, {"site": 3})
    assert policy.limits.night == Policy().limits.night


def test_an_empty_file_is_the_default() -> None:
    assert read_policy("", "policy.toml") == Policy()


def test_the_default_can_start_something() -> None:
    assert list(never_starts(Policy())) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[window", "p.toml:1: read a policy: it is no TOML"),
        ("\nnmae = 'x'", "p.toml:2: read a policy: nmae: there is no such key; there are name"),
        ("[limits]\n\ntotl = 1", "p.toml:3: read a policy: limits.totl: there is no such key"),
        ("[limits]\ntotal = '5'", "limits.total: '5' is no whole number"),
        ("[limits]\ntotal = true", "limits.total: True is no whole number"),
        ("[limits]\nrack = -1", "limits.rack: -1 is below zero"),
        ("[limits]\ntotal = 0", "p.toml:2: read a policy: limits.total: it is 0: nothing can ever"),
        ("[limits.per]\nsite = 0", "p.toml:2: read a policy: limits.per.site: it is 0"),
        ("[limits]\nper = 3", "limits.per: it is no table"),
        (f"[limits]\nhour = {HOURLY_CAP + 1}", "which no policy can raise"),
        ("limits = 3", "limits: it is no table: write [limits]"),
        ("[window]\nzone = 'Mars/Base'", "'Mars/Base' is no time zone"),
        ("[window]\nzone = '../etc'", "is no time zone"),
        ("[window]\nbegins = 'ten'", "'ten' is no time of day"),
        ("[window]\nbegins = '22:00+01:00'", "has a time zone: give it as `zone`"),
        ("[window]\ndays = []", "p.toml:2: read a policy: window.days: it has no days"),
        ("[window]\ndays = ['someday']", "are no days"),
        ("[window]\nnever = ['xmas']", "'xmas' is no date"),
        (
            "[window]\nbegins = '22:00'\nends = '22:00'",
            "p.toml:3: read a policy: window.ends: it begins",
        ),
        (
            "[window]\nbegins = '22:00'\nends = '23:00'",
            "assumed_duration: it is 2 h, and the longest",
        ),
        ("[waves]\nramp = []", "p.toml:2: read a policy: waves.ramp: it has a wave of no machines"),
        ("[waves]\nramp = [5, 0]", "waves.ramp: it has a wave of no machines"),
        ("[waves]\nramp = 5", "waves.ramp: 5 is no list"),
        ("[waves]\ncanaries = 0", "waves.canaries: each class needs at least one canary"),
        ("[waves]\na_night = 0", "waves.a_night: it is less than 1"),
        (
            "[waves]\na_night = 2\n[gate]\nbake = '1 d'",
            "p.toml:4: read a policy: gate.bake: it is 24 h",
        ),
        ("[gate]\nbake = 30", "gate.bake: 30 is no length of time"),
        ("[budget]\nreverted_pauses = 3", "3 is no share: give 0.03 or '3%'"),
        ("rehearsal = 'sometimes'", "'sometimes' is none of none, optional, required"),
        ("[hooks]\ndrain = 'drain.sh'", "'drain.sh' is no path from the root"),
        ("[hooks]\ndrian = '/x'", "hooks.drian: there is no such key"),
    ],
)
def test_a_mistake_is_told_by_its_line(text: str, says: str) -> None:
    with pytest.raises(Problems) as e:
        read_policy(text, "p.toml")
    assert says in str(e.value)


def test_a_year_without_nights_can_never_start_anything() -> None:
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(500)]
    never = ", ".join(str(d) for d in days)
    with pytest.raises(Problems) as e:
        read_policy(f"[window]\nnever = [{never}]", "p.toml", today=date(2026, 1, 1))
    assert "no night is left" in str(e.value)


def test_a_share_may_be_a_percentage() -> None:
    policy = read_policy("[budget]\nreverted_pauses = '5%'", "p.toml")
    assert policy.budget.reverted_pauses == 0.05


def test_an_image_whose_digest_differs_between_hosts() -> None:
    hosts = [host(n, image="trixie") for n in ("a", "b", "c")]
    (problem,) = of_images(hosts, {"a": "d1", "b": "d2", "c": "d1"}, {"trixie": "d1"})
    assert "the image trixie has 2 digests: d1… for a, c; d2… for b" in str(problem)


def test_an_image_that_changed_since_the_survey() -> None:
    (problem,) = of_images([host("a", image="trixie")], {"a": "d1"}, {"trixie": "d2"})
    assert "surveyed as d1…, and is d2… now" in str(problem)
    assert not of_images([host("a", image="trixie")], {"a": "d2"}, {"trixie": "d2"})


def test_an_image_that_is_not_there_and_a_host_without_one() -> None:
    problems = of_images([host("a", image="trixie"), host("b")], {}, {})
    assert "host a" in str(problems[0])
    assert "host b" in str(problems[1])


def test_a_job_that_is_longer_than_any_window() -> None:
    opens = datetime(2026, 1, 10, 22, tzinfo=UTC)
    job = Job("x", "n", "a", "d1", deadlines_s=3600)
    (problem,) = too_long([job], Window(opens, opens + timedelta(minutes=59)))
    assert "60 min, and the window has 59 min" in str(problem)
    assert not too_long([replace(job, deadlines_s=None)], Window(opens, opens))
