"""Machines by their cause: what differs from host to host is set aside."""

from __future__ import annotations

import pytest

from reroot_fleet.policy.causes import NONE, by_cause, pattern
from reroot_fleet.values.job import JobState
from tests.policy.scene import job

S = JobState


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/dev/sda1 is full", "/dev/mapper/vg-root is full"),
        ("run 20261128T220103Z-7f2a failed", "run 20261129T010203Z-0a1b failed"),
        ("ssh: connect to 192.0.2.1:22", "ssh: connect to 198.51.100.7:2222"),
        ("12 MiB are free, 40 MiB needed", "3 MiB are free, 41 MiB needed"),
        ("no link on 52:54:00:12:34:56", "no link on 52:54:00:aa:bb:cc"),
        ("digest 4f6c0d1f6f1b7a55 differs", "digest 00aa0d1f6f1b7a55 differs"),
        ("silent since 2026-11-28 22:01 UTC", "silent since 2026-11-29 01:15 UTC"),
        ("pid 411 holds /var", "pid 9 holds /var"),
    ],
)
def test_what_differs_is_set_aside(one: str, other: str) -> None:
    assert pattern(one) == pattern(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/var is open for writing by mysqld", "/var is open for writing by apache2"),
        ("check swap", "check stuck"),
        ("ext4 is not known", "xfs is not known"),
    ],
)
def test_what_tells_of_the_cause_is_kept(one: str, other: str) -> None:
    assert pattern(one) != pattern(other)


def test_a_hosts_own_name_is_set_aside() -> None:
    assert (
        pattern("web1: no answer from web1.example", "web1") == "HOST: no answer from HOST.example"
    )


def test_the_most_frequent_cause_comes_first() -> None:
    jobs = [
        job("a", S.REVERTED, cause="stop: mysql does not stop in 90 s"),
        job("c", S.REVERTED, cause="load: no memory"),
        job("b", S.REVERTED, cause="stop: mysql does not stop in 120 s"),
        job("d", S.HELD),
        job("e", S.DONE),
    ]
    first, *rest = by_cause(jobs, [S.REVERTED, S.HELD])
    assert first.hosts == ("a", "b")
    assert first.what == "stop: mysql does not stop in 90 s"
    assert [c.what for c in rest] == ["load: no memory", NONE]
