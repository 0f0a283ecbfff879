"""Windows: by the site's clock, short rather than long."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reroot_fleet.policy.windows import current_or_next, evening_of, room, window_of
from reroot_fleet.values.night import Window
from reroot_fleet.values.policy import Weekday, WindowRule


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


BERLIN = WindowRule(zone="Europe/Berlin")
NEW_YORK = WindowRule(zone="America/New_York")


@pytest.mark.parametrize(
    ("rule", "evening", "opens", "closes"),
    [
        pytest.param(BERLIN, "2026-01-10", "2026-01-10T21:00", "2026-01-11T05:00", id="winter"),
        pytest.param(BERLIN, "2026-07-10", "2026-07-10T20:00", "2026-07-11T04:00", id="summer"),
        pytest.param(
            BERLIN, "2026-03-28", "2026-03-28T21:00", "2026-03-29T04:00", id="spring: 7 hours"
        ),
        pytest.param(
            BERLIN, "2026-10-24", "2026-10-24T20:00", "2026-10-25T05:00", id="autumn: 9 hours"
        ),
        pytest.param(
            NEW_YORK, "2026-11-01", "2026-11-02T03:00", "2026-11-02T11:00", id="west of UTC"
        ),
        pytest.param(
            WindowRule("Australia/Lord_Howe"),
            "2026-04-04",
            "2026-04-04T11:00",
            "2026-04-04T19:30",
            id="half an hour of summer time",
        ),
        pytest.param(
            WindowRule("UTC", time(0), time(6)),
            "2026-01-10",
            "2026-01-10T00:00",
            "2026-01-10T06:00",
            id="begins at midnight",
        ),
        pytest.param(
            WindowRule("UTC", time(18), time(0)),
            "2026-01-10",
            "2026-01-10T18:00",
            "2026-01-11T00:00",
            id="ends at midnight",
        ),
        pytest.param(
            WindowRule("Europe/Berlin", time(2, 30), time(6)),
            "2026-03-29",
            "2026-03-29T01:30",
            "2026-03-29T04:00",
            id="opens behind a gap: 03:30 summer time",
        ),
        pytest.param(
            WindowRule("Europe/Berlin", time(22), time(2, 30)),
            "2026-03-28",
            "2026-03-28T21:00",
            "2026-03-29T00:30",
            id="closes before a gap: 01:30 winter time",
        ),
        pytest.param(
            WindowRule("Europe/Berlin", time(2, 30), time(6)),
            "2026-10-25",
            "2026-10-25T01:30",
            "2026-10-25T05:00",
            id="opens at the second 02:30",
        ),
        pytest.param(
            WindowRule("Europe/Berlin", time(22), time(2, 30)),
            "2026-10-24",
            "2026-10-24T20:00",
            "2026-10-25T00:30",
            id="closes at the first 02:30",
        ),
    ],
)
def test_a_window_is_by_the_sites_clock(
    rule: WindowRule, evening: str, opens: str, closes: str
) -> None:
    assert window_of(rule, date.fromisoformat(evening)) == Window(utc(opens), utc(closes))


def test_a_window_that_lies_in_a_gap_is_none() -> None:
    rule = WindowRule("Europe/Berlin", time(2), time(2, 45))
    assert window_of(rule, date(2026, 3, 29)) is None
    assert window_of(rule, date(2026, 3, 30)) is not None


def test_the_night_of_yesterday_goes_on_after_midnight() -> None:
    window = current_or_next(BERLIN, utc("2026-01-11T03:00"))
    assert window == window_of(BERLIN, date(2026, 1, 10))


def test_at_its_end_a_window_is_over() -> None:
    window = current_or_next(BERLIN, utc("2026-01-11T05:00"))
    assert window == window_of(BERLIN, date(2026, 1, 11))


def test_days_are_those_on_which_a_night_begins() -> None:
    rule = WindowRule("UTC", days=frozenset({Weekday.FRI}))
    window = current_or_next(rule, utc("2026-01-10T03:00"))  # a Saturday's early morning
    assert window == Window(utc("2026-01-09T22:00"), utc("2026-01-10T06:00"))
    assert current_or_next(rule, utc("2026-01-10T06:00")) == Window(
        utc("2026-01-16T22:00"), utc("2026-01-17T06:00")
    )


def test_a_date_on_which_none_begins_is_passed_over() -> None:
    rule = WindowRule("UTC", never=frozenset({date(2026, 12, 24)}))
    window = current_or_next(rule, utc("2026-12-24T12:00"))
    assert window is not None
    assert evening_of(rule, window) == date(2026, 12, 25)


def test_a_rule_without_days_has_no_window() -> None:
    assert current_or_next(WindowRule(days=frozenset()), utc("2026-01-10T00:00")) is None


ZONES = ["Europe/Berlin", "America/New_York", "America/St_Johns", "Asia/Kathmandu", "Africa/Cairo"]


@given(
    zone=st.sampled_from(ZONES),
    now=st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    begins=st.times(),
    ends=st.times(),
)
def test_the_next_window_is_not_over_and_never_longer_than_a_day_and_an_hour(
    zone: str, now: datetime, begins: time, ends: time
) -> None:
    rule = WindowRule(zone, begins.replace(microsecond=0), ends.replace(microsecond=0))
    window = current_or_next(rule, now)
    if window is None:
        return
    assert now < window.closes
    assert window.opens < window.closes <= window.opens + timedelta(hours=25)
    assert window == window_of(rule, evening_of(rule, window))
    assert room(window, now) <= window.closes - now
