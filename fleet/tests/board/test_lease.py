"""The lease that a claim's holder believes in."""

from __future__ import annotations

from reroot_fleet.board.lease import Lease


def test_a_lease_ends_before_its_claim_and_counts_from_when_it_was_asked_for() -> None:
    lease = Lease(10.0, asked=100.0)
    assert lease.holds(107.4)
    assert not lease.holds(107.6)
    lease.renewed(asked=105.0)
    assert lease.holds(112.4)
    lease.lose()
    lease.renewed(asked=200.0)
    assert not lease.holds(200.0)
