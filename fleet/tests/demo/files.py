"""What an operator has before the first night: settings, inventory, policy, hooks, known host keys."""

from __future__ import annotations

import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.demo.machines import Machines, Reached

CUSTOMERS = {"shop1": "acme", "shop2": "bolt", "shop3": "acme", "shop4": "bolt", "shop5": "acme"}

SETTINGS = """\
database = "{database}"
board = "{board}"
images = "{at}/images"
slots = 4

[page]
listen = "127.0.0.1:{port}"
link = "http://127.0.0.1:{port}"
token_file = "{at}/token"

[webhook]
address = "{alerts}"
"""

INVENTORY = """\
[web]
{hosts}

[web:vars]
ansible_host=127.0.0.1
ansible_user=root
ansible_ssh_private_key_file={key}
ansible_ssh_common_args='-o UserKnownHostsFile={at}/known_hosts -o IdentitiesOnly=yes -o Ciphers={cipher}'
reroot_image=trixie
"""

POLICY = """\
# Five machines and two processors: two at a time, and a wave bakes for seconds.
name = "demo"

[window]
zone = "UTC"
begins = "{begins:%H:%M}"
ends = "{ends:%H:%M}"

[limits]
total = 2

[waves]
canaries = 1
ramp = [5]

[gate]
bake = "10 s"

[copies]
at_once = 1

[hooks]
drain = "{at}/drain"
undrain = "{at}/undrain"
"""

HOOK = """\
#!/bin/sh
echo "{name} $1" >>{at}/load-balancer
"""


def write(at: Path, machines: Machines, now: datetime, **parts: object) -> None:
    """All of them, into one directory."""
    (at / "images").mkdir(parents=True)
    (at / "images/trixie.reroot").symlink_to(machines.image)
    (at / "token").write_text("demo\n")
    (at / "fleet.toml").write_text(SETTINGS.format(at=at, **parts))
    hosts = "\n".join(map(_host, machines.all))
    # The cheapest cipher for an emulated processor; a real fleet says nothing here.
    cipher = "aes128-gcm@openssh.com"
    inventory = INVENTORY.format(at=at, hosts=hosts, key=machines.key, cipher=cipher)
    (at / "inventory.ini").write_text(inventory)
    window = {"begins": now - timedelta(minutes=1), "ends": now - timedelta(minutes=2)}
    (at / "policy.toml").write_text(POLICY.format(at=at, **window))
    for name in ("drain", "undrain"):
        (at / name).write_text(HOOK.format(name=name, at=at))
        (at / name).chmod(0o755)
    keys = "".join(map(_host_key, machines.all))
    (at / "known_hosts").write_text(keys)


def _host(machine: Reached) -> str:
    return (
        f"{machine.name} ansible_port={machine.port}"
        f" reroot_customer={CUSTOMERS[machine.name]} reroot_rack=r1"
    )


def _host_key(machine: Reached) -> str:
    command = ["ssh-keyscan", "-T", "120", "-t", "ed25519", "-p", str(machine.port), "127.0.0.1"]
    scanned = subprocess.run(command, check=True, capture_output=True, text=True)
    return scanned.stdout
