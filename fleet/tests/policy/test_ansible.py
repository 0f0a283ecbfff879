"""The fleet as an Ansible inventory; what it prints can be imported again."""

from __future__ import annotations

import json

from reroot_fleet.policy.ansible import group_name, inventory, one
from reroot_fleet.policy.inventory import read_inventory
from reroot_fleet.values.job import JobState
from tests.policy.scene import host, job

MACHINES = [
    host(
        "web1",
        customer="corner shop",
        rack="r1",
        image="trixie",
        groups=("front",),
        ssh_options=("ProxyJump=gate", "ConnectTimeout=5"),
        jump_host="gate",
        labels={"site": "fra"},
    ),
    host("web2"),
]


def test_machines_are_grouped_by_how_they_stand_and_what_they_are() -> None:
    jobs = [
        job("web1", JobState.REVERTED, attempt=1),
        job("web1", JobState.DONE, attempt=2, run="r2"),
    ]
    listed = inventory(MACHINES, jobs)
    assert listed["reroot_done"] == {"hosts": ["web1"]}
    assert listed["reroot_never_queued"] == {"hosts": ["web2"]}
    assert listed["reroot_customer_corner_shop"] == {"hosts": ["web1"]}
    assert listed["reroot_night_2026_01_10"] == {"hosts": ["web1"]}
    assert "reroot_reverted" not in listed
    variables = one(listed, "web1")
    assert (variables["reroot_state"], variables["reroot_attempt"]) == ("done", 2)
    assert one(listed, "nobody") == {}


def test_what_is_not_said_in_words_that_ansible_takes_is_made_so() -> None:
    assert group_name("customer", "A&B, Söhne (Köln)") == "reroot_customer_a_b_s_hne_k_ln"


def test_it_can_be_imported_where_nothing_was_reinstalled() -> None:
    text = json.dumps(inventory(MACHINES, []))
    known = text.replace('"reroot_class"', '"class"')
    found = {h.name: h for h in read_inventory(known, "-").hosts}
    web1 = found["web1"]
    assert (web1.address, web1.customer, web1.image) == (
        MACHINES[0].address,
        "corner shop",
        "trixie",
    )
    assert web1.ssh_options == MACHINES[0].ssh_options
    assert (web1.jump_host, web1.labels) == ("gate", {"site": "fra"})
