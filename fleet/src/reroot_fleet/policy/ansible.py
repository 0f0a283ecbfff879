"""The fleet's machines as an Ansible inventory: groups by how they stand, and by what they are."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from reroot_fleet.values.host import Host
from reroot_fleet.values.job import Job

PREFIX = "reroot"


def inventory(hosts: Iterable[Host], jobs: Iterable[Job]) -> dict[str, Any]:
    """What an inventory program prints for `--list`; `jobs`: each machine's last one counts."""
    last: dict[str, Job] = {}
    for job in sorted(jobs, key=lambda j: (j.night, j.attempt)):
        last[job.host] = job
    groups: defaultdict[str, list[str]] = defaultdict(list)
    variables: dict[str, dict[str, Any]] = {}
    for host in hosts:
        found = last.get(host.name)
        variables[host.name] = host_variables(host, found)
        for group in _groups(host, found):
            groups[group].append(host.name)
    return {
        "_meta": {"hostvars": variables},
        "all": {"children": ["ungrouped", *sorted(groups)]},
        **{name: {"hosts": names} for name, names in sorted(groups.items())},
    }


def host_variables(host: Host, job: Job | None) -> dict[str, Any]:
    """A machine's variables: how it is reached, what it is, and how its last job stands."""
    found: dict[str, Any] = {
        "ansible_host": host.address,
        "ansible_user": host.user,
        "ansible_port": host.port,
        "reroot_class": host.machine_class.key,
    }
    if host.ssh_options:
        found["ansible_ssh_common_args"] = " ".join(f"-o {_quoted(o)}" for o in host.ssh_options)
    own = {
        "customer": host.customer,
        "rack": host.rack,
        "hypervisor": host.hypervisor,
        "jump_host": host.jump_host,
        "image": host.image,
    } | {f"label_{k}": v for k, v in host.labels.items()}
    found |= {f"{PREFIX}_{name}": value for name, value in own.items() if value is not None}
    if job is not None:
        found |= {
            "reroot_state": str(job.state),
            "reroot_night": job.night,
            "reroot_attempt": job.attempt,
            "reroot_run": job.run,
            "reroot_cause": job.cause,
        }
    return found


def _groups(host: Host, job: Job | None) -> Iterable[str]:
    yield f"{PREFIX}_{job.state if job else 'never_queued'}"
    if job is not None:
        yield group_name("night", job.night)
    for kind, value in (("customer", host.customer), ("rack", host.rack), ("image", host.image)):
        if value:
            yield group_name(kind, value)
    yield from host.groups


def group_name(kind: str, value: str) -> str:
    """A name that Ansible takes: `reroot_customer_corner_shop`."""
    return f"{PREFIX}_{kind}_{re.sub(r'[^A-Za-z0-9]+', '_', value).strip('_').lower()}"


def _quoted(option: str) -> str:
    return (
        option
        if re.fullmatch(r"[\w@%+=:,./-]+", option)
        else "'" + option.replace("'", "'\\''") + "'"
    )


def one(listed: Mapping[str, Any], host: str) -> dict[str, Any]:
    """What an inventory program prints for `--host NAME`."""
    found: dict[str, Any] = listed["_meta"]["hostvars"].get(host, {})
    return found
