"""Inventories: what is read, and how each mistake is told."""

from __future__ import annotations

import json
import textwrap

import pytest

from reroot_fleet.policy.inventory import read_inventory
from reroot_fleet.policy.inventory.ansible_ini import expand
from reroot_fleet.values.host import Host, MachineClass, Protects
from reroot_fleet.values.problem import Problems

INI = """
# the whole estate
gate ansible_host=192.0.2.1 reroot_protects="jump host"

[acme]
web[01:03] ansible_host=10.0.0.1 ansible_port=2201
web02 ansible_host=10.0.0.2
web03 ansible_host=10.0.0.3 reroot_label_site=fra

[acme:vars]
reroot_customer=acme
reroot_rack = "r1"

[old]
db1 ansible_host=10.0.1.1 reroot_hypervisor=hv1 ansible_user=admin reroot_firmware=bios

[virtual:children]
old

[virtual:vars]
reroot_rack=none
ansible_ssh_common_args='-o ProxyJump=ann@gate:2222 -o ConnectTimeout=5'

[all:vars]
reroot_image=trixie
ansible_ssh_pass=hunter2
"""


def by_name(text: str, file: str = "hosts") -> dict[str, Host]:
    return {h.name: h for h in read_inventory(textwrap.dedent(text), file).hosts}


def test_an_ini_inventory() -> None:
    good = INI.replace("web[01:03] ansible_host=10.0.0.1", "web01 ansible_host=10.0.0.1")
    found = read_inventory(good, "hosts")
    hosts = {h.name: h for h in found.hosts}
    assert list(hosts) == ["gate", "web01", "web02", "web03", "db1"]
    assert hosts["gate"].protects == {Protects.JUMP_HOST}
    assert hosts["web01"] == Host(
        "web01",
        "10.0.0.1",
        port=2201,
        customer="acme",
        rack="r1",
        image="trixie",
        groups=("acme",),
    )
    assert hosts["web03"].labels == {"site": "fra"}
    db1 = hosts["db1"]
    assert (db1.user, db1.rack, db1.hypervisor, db1.jump_host) == ("admin", "none", "hv1", "gate")
    assert db1.ssh_options == ("ProxyJump=ann@gate:2222", "ConnectTimeout=5")
    assert db1.groups == ("old", "virtual")
    assert db1.machine_class == MachineClass(firmware="bios")
    assert found.notes == (
        "hypervisor hv1: not in the inventory, counted by name only",
        "ansible_ssh_pass: not read; ssh logs in by keys",
    )
    assert "hunter2" not in repr(found)


YAML = """
all:
  vars: {reroot_image: trixie}
  hosts:
    gate: {ansible_host: 192.0.2.1}
  children:
    acme:
      vars:
        reroot_customer: acme
      hosts:
        web[1:2]:
        web1: {ansible_host: 10.0.0.1, ansible_port: 22}
      children:
        inner:
          hosts:
            web2: {ansible_host: 10.0.0.2, reroot_protects: [database, board]}
          vars: {reroot_customer: acme-inner}
"""


def test_a_yaml_inventory() -> None:
    hosts = by_name(YAML, "hosts.yml")
    assert list(hosts) == ["gate", "web1", "web2"]
    assert hosts["web1"].customer == "acme"
    assert hosts["web2"].customer == "acme-inner"
    assert hosts["web2"].protects == {Protects.DATABASE, Protects.BOARD}
    assert hosts["web2"].groups == ("acme", "inner")


def test_what_ansible_inventory_prints() -> None:
    listed = {
        "_meta": {"hostvars": {"web1": {"ansible_host": "10.0.0.1", "reroot_rack": "r1"}}},
        "all": {"children": ["ungrouped", "acme", "empty"]},
        "acme": {"hosts": ["web1"]},
    }
    (host,) = read_inventory(json.dumps(listed, indent=1), "-").hosts
    assert (host.address, host.rack, host.groups) == ("10.0.0.1", "r1", ("acme",))


def test_a_csv_file() -> None:
    hosts = by_name(
        """\
        Name;Address;Port;Customer;Groups;Site
        web1;10.0.0.1;;acme;shop front;fra

        web2;10.0.0.2;2222;"acme, inc";;
        """,
        "machines.csv",
    )
    assert hosts["web1"].labels == {"site": "fra"}
    assert hosts["web1"].groups == ("front", "shop")
    assert (hosts["web2"].port, hosts["web2"].customer) == (2222, "acme, inc")


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        (
            "m.csv",
            "name\nweb1\nweb1\n",
            "m.csv:3: host web1: read a line of a CSV file: it is there",
        ),
        ("m.csv", "host,rack\nweb1,r1\n", "m.csv:1: read a CSV file: its first line has no column"),
        ("m.csv", "name,rack\nweb1\n", "m.csv:2: host web1: read a line of a CSV file: it has 1"),
        ("m.csv", "name,name\nweb1,a\n", "the column name twice"),
        (
            "m.csv",
            "name,port\nweb1,ssh\n",
            "m.csv:2: host web1: read an inventory: ansible_port: 'ssh'",
        ),
        (
            "m.csv",
            "name,address\na,10.0.0.1\nb,10.0.0.1\n",
            "m.csv:3: host b: read an inventory: it",
        ),
        ("m.csv", "name\n-oProxyCommand=x\n", "'-oProxyCommand=x' is no name"),
        ("m.csv", "name\nweb1/x\n", "'web1/x' is no name"),
        (
            "hosts",
            "web1\nweb1\n",
            "hosts:2: host web1: read an inventory: it is in the group ungrouped",
        ),
        (
            "hosts",
            "[a]\nx ansible_port=1\n[b]\nx ansible_port=2\n",
            "hosts:4: host x: read an inventory",
        ),
        (
            "hosts",
            "web1\n[a:children]\nb\n",
            "hosts:3: read an inventory: a has the child b, and no",
        ),
        (
            "hosts",
            "web1\n[a:vars]\nx=1\n",
            "hosts:2: read an inventory: variables of the group a, and",
        ),
        ("hosts", "web1\n[a:kids]\n", "hosts:2: read an inventory: '[a:kids]' is no section"),
        (
            "hosts",
            "web1 rack\n",
            "hosts:1: host web1: read a host of an inventory: 'rack' is no NAME",
        ),
        ("hosts", "web1 x='\n", "hosts:1: read a host of an inventory"),
        ("hosts", "web[5:1]\n", "its range has 0 names"),
        ("hosts", "web[1:999999]\n", "its range has 999999 names"),
        (
            "hosts",
            "web1 reroot_rak=r1\n",
            "hosts:1: host web1: read an inventory: reroot_rak: no such",
        ),
        ("hosts", "web1 reroot_protects=everything\n", "'everything' is none of conductor"),
        ("hosts", "web1 ansible_host={{ip}}\n", "it is a template"),
        ("hosts", "web1 ansible_ssh_common_args='-F x'\n", "'-F' is none of -o OPTION"),
        ("hosts", "web1 ansible_ssh_common_args='-o'\n", "'-o' is none of -o OPTION"),
        ("hosts", "a reroot_hypervisor=b\nb reroot_hypervisor=a\n", "it is carried by itself"),
        ("hosts", "# nothing\n", "hosts: read an inventory: it has no hosts"),
        ("h.yml", "all: [a]\n", "h.yml:1: read an inventory: the group all is no mapping"),
        ("h.yml", "a: {\n", "it is no YAML"),
        ("h.yml", "a:\n  host: {x: }\n", "h.yml:2: read an inventory: host of the group a is none"),
        ("h.yml", "a:\n  hosts:\n    x: {}\n    x: {}\n", "h.yml:4: read an inventory: x is in"),
        ("h.yml", "", "it has no hosts"),
    ],
)
def test_a_mistake_is_told_by_file_line_and_host(file: str, text: str, says: str) -> None:
    with pytest.raises(Problems) as e:
        read_inventory(text, file)
    assert says in str(e.value)
    assert "nothing was imported" in str(e.value)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(Problems) as e:
        read_inventory("a ansible_port=x\nb ansible_port=y\n[c:children]\nd\n", "hosts")
    assert len(e.value.problems) == 3


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("web", ["web"]),
        ("w[08:11]", ["w08", "w09", "w10", "w11"]),
        ("w[1:5:2]", ["w1", "w3", "w5"]),
        ("db-[a:c].x", ["db-a.x", "db-b.x", "db-c.x"]),
        ("r[1:2]m[1:2]", ["r1m1", "r1m2", "r2m1", "r2m2"]),
    ],
)
def test_ranges(pattern: str, names: list[str]) -> None:
    assert list(expand(pattern)) == names
