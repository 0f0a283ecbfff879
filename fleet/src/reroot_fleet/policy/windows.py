"""When machines may be reinstalled: windows by the site's clock, in UTC, right across clock changes.

Both ends err on the short side: a time that the site's clock shows twice opens at its second and closes
at its first; one that it skips opens after and closes before the gap.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from reroot_fleet.values.night import Window
from reroot_fleet.values.policy import Weekday, WindowRule

LOOK_AHEAD_DAYS = 400
"""Further than that no window is looked for: the rule has none."""


def window_of(rule: WindowRule, evening: date) -> Window | None:
    """The window that begins on a day at the site, or `None` where the rule has none."""
    if list(Weekday)[evening.weekday()] not in rule.days or evening in rule.never:
        return None
    zone = ZoneInfo(rule.zone)
    last_day = evening if rule.begins < rule.ends else evening + timedelta(days=1)
    opens = max(_moments(evening, rule.begins, zone))
    closes = min(_moments(last_day, rule.ends, zone))
    return Window(opens, closes) if opens < closes else None


def current_or_next(rule: WindowRule, now: datetime) -> Window | None:
    """The window that `now` lies in, or the next one; `None` where there never is one."""
    first = now.astimezone(ZoneInfo(rule.zone)).date() - timedelta(days=1)
    for days in range(LOOK_AHEAD_DAYS):
        window = window_of(rule, first + timedelta(days=days))
        if window is not None and now < window.closes:
            return window
    return None


def room(window: Window, now: datetime) -> timedelta:
    """How long a job that starts now may take; zero outside of the window."""
    return window.closes - now if window.contains(now) else timedelta(0)


def evening_of(rule: WindowRule, window: Window) -> date:
    """The day at the site on which a window begins: the night's name."""
    return window.opens.astimezone(ZoneInfo(rule.zone)).date()


def _moments(day: date, at: time, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Both readings of a time on the site's clock; the same one on nearly every day."""
    first, second = (datetime.combine(day, at.replace(fold=f), zone) for f in (0, 1))
    return first.astimezone(UTC), second.astimezone(UTC)
