"""Variables of an inventory that the fleet reads, and what each becomes: a table."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from reroot_fleet.policy.inventory.mention import Var, Vars
from reroot_fleet.values.host import Host, MachineClass, Protects

PREFIX = "reroot_"
LABEL = "label_"
KNOWN: dict[str, str] = {
    "reroot_customer": "whose machine it is",
    "reroot_rack": "where it stands",
    "reroot_hypervisor": "the host that carries it",
    "reroot_jump_host": "the host that ssh goes through",
    "reroot_image": "the image's name in the fleet's directory of images",
    "reroot_protects": "what of the fleet stands on it: conductor, database, board, jump host",
    "reroot_ssh_options": "options for ssh, parted by blanks: ConnectTimeout=5",
    "reroot_firmware": "bios or uefi; a survey fills it in",
    "reroot_storage": "what its root stands on; a survey fills it in",
    "reroot_old_os": "its OS; a survey fills it in",
    "reroot_network_card": "its network card's driver; a survey fills it in",
}
SECRETS = (
    "ansible_password",
    "ansible_ssh_pass",
    "ansible_ssh_password",
    "ansible_become_pass",
    "ansible_become_password",
    "ansible_ssh_private_key_passphrase",
)
"""Never read, never kept: ssh logs in by keys."""


class Bad(ValueError):  # noqa: N818 - it is raised as a word: a bad value
    """A value that is none; says of which variable."""

    def __init__(self, variable: str, why: str) -> None:
        self.variable = variable
        super().__init__(why)


def to_host(name: str, variables: Vars, groups: Iterable[str]) -> Host:
    """The host that its variables describe; raises `Bad`."""
    values = {k: v.value for k, v in variables.items()}
    for key in values:
        if key.startswith(PREFIX) and key not in KNOWN and not key.startswith(PREFIX + LABEL):
            raise Bad(key, f"no such variable; there are {', '.join(sorted(KNOWN))}")
    options, jump = _ssh(variables)
    return Host(
        name=_word("its name", name),
        address=_word("ansible_host", values.get("ansible_host") or name),
        user=_word("ansible_user", values.get("ansible_user") or "root"),
        port=_port(values.get("ansible_port") or "22"),
        ssh_options=options,
        customer=_text(values, "reroot_customer"),
        rack=_text(values, "reroot_rack"),
        hypervisor=_text(values, "reroot_hypervisor"),
        jump_host=_text(values, "reroot_jump_host") or jump,
        image=_text(values, "reroot_image"),
        machine_class=_class(values),
        groups=tuple(sorted(groups)),
        protects=_protects(values.get("reroot_protects", "")),
        labels={
            k.removeprefix(PREFIX + LABEL): v
            for k, v in sorted(values.items())
            if k.startswith(PREFIX + LABEL) and v
        },
    )


def _text(values: dict[str, str], name: str) -> str | None:
    value = values.get(name, "").strip()
    if "{{" in value:
        raise Bad(name, "it is a template; give what `ansible-inventory --list` prints instead")
    return value or None


def _word(variable: str, value: str) -> str:
    """A name that is safe in a command line and in the id of a job."""
    if "{{" in value:
        raise Bad(variable, "it is a template; give what `ansible-inventory --list` prints instead")
    if (
        not value
        or value.startswith("-")
        or any(c.isspace() or c in "/\\\"'`$;|&<>" for c in value)
    ):
        raise Bad(variable, f"{value!r} is no name")
    return value


def _port(value: str) -> int:
    if not value.isdigit() or not 0 < int(value) < 65536:
        raise Bad("ansible_port", f"{value!r} is no port")
    return int(value)


def _class(values: dict[str, str]) -> MachineClass:
    def fact(name: str) -> str:
        value = _text(values, f"reroot_{name}") or "unknown"
        if "/" in value:
            raise Bad(f"reroot_{name}", f"{value!r} has a slash")
        return value

    return MachineClass(fact("firmware"), fact("storage"), fact("old_os"), fact("network_card"))


def _protects(value: str) -> frozenset[Protects]:
    words = [w.strip().replace("_", " ").replace("-", " ") for w in value.split(",") if w.strip()]
    for word in words:
        if word not in set(Protects):
            raise Bad("reroot_protects", f"{word!r} is none of {', '.join(Protects)}")
    return frozenset(Protects(w) for w in words)


def _ssh(variables: Vars) -> tuple[tuple[str, ...], str | None]:
    """Options for ssh, and the jump host among them."""
    options: list[str] = []
    for name in ("ansible_ssh_common_args", "ansible_ssh_extra_args"):
        if name in variables:
            options += _arguments(name, variables[name])
    if (key := variables.get("ansible_ssh_private_key_file")) is not None:
        options.append(f"IdentityFile={key.value}")
    if (own := variables.get("reroot_ssh_options")) is not None:
        options += own.value.split()
    jump = next((o.split("=", 1)[1] for o in options if o.lower().startswith("proxyjump=")), None)
    if jump is not None:
        jump = jump.split(",")[-1].rpartition("@")[2].partition(":")[0]
    return tuple(options), jump


def _arguments(name: str, var: Var) -> list[str]:
    """`-o OPTION`, `-J HOST` and `-i FILE` as options; anything else is not passed on blindly."""
    try:
        words = shlex.split(var.value)
    except ValueError as e:
        raise Bad(name, f"{var.value!r}: {e}") from e
    found, short = [], {"-J": "ProxyJump=", "-i": "IdentityFile=", "-o": ""}
    while words:
        word = words.pop(0)
        flag, value = word[:2], word[2:] or (words.pop(0) if words and word[:2] in short else "")
        if flag not in short or not value:
            raise Bad(name, f"{word!r} is none of -o OPTION, -J HOST, -i FILE")
        found.append(short[flag] + value)
    return found
