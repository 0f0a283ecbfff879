"""The seam to a machine, through a real ssh server, with a stand-in for the image."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from reroot_fleet.machine import commands
from reroot_fleet.machine.faults import Fault, MachineFault
from reroot_fleet.machine.seam import STALE_TICKET, Answer, ImageFile, Order, Ticket, Wishes
from reroot_fleet.machine.ssh import Limits, SshMachine, fault_of
from reroot_fleet.values.machine_status import RunState
from tests.services.process import free_port
from tests.services.sshd import Sshd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STATUS = {
    "kind": "reroot-status", "version": 1, "kexec_loaded": False, "newest": "20261124T155307Z-077c",
    "runs": [{"run": "20261124T155307Z-077c", "state": "done", "mode": "reinstall",
              "confirmation": "fell-short", "fell_short": ["a service is missing"]}],
}  # fmt: skip
REFUSES = """\
note by legacy-ids: 3 files belong to nobody
refused by other-run: the run 20261124T155307Z-077c is in progress
  remedy: wait for it
note by links: /var/www leads to /srv
  remedy: keep what they lead to as well
"""
IMAGE = """#!/bin/sh
echo "$*" >> LOG
case "$1" in
    status) echo 'STATUS' ;;
    check) echo '[{"code": "memory", "question": "Enough?", "verdict": "refuse"}]'; exit 1 ;;
    go) echo "refused: --after none, and the newest run is X" >&2; exit 5 ;;
esac
""".replace("STATUS", json.dumps(STATUS))


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    with Sshd() as server:
        yield server


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(commands, "HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def image(tmp_path: Path) -> ImageFile:
    path = tmp_path / "trixie.reroot"
    path.write_text(IMAGE.replace("LOG", str(tmp_path / "said")))
    return ImageFile(hashlib.sha256(path.read_bytes()).hexdigest(), path, path.stat().st_size)


def order(image: ImageFile, machine: SshMachine, *, seconds: float = 60) -> Order:
    look = machine.look(image.digest)
    ticket = Ticket(look.boot, look.uptime_s + seconds)
    wishes = Wishes(image.digest, "kexec", ("/srv/it's here",), ("memory",))
    return Order("20261128T220000Z-abcd", None, "1.ab", wishes, ticket)


def test_an_image_that_is_a_link_is_copied_as_what_it_links_to(
    sshd: Sshd, home: Path, image: ImageFile
) -> None:
    link = image.path.with_name("newest.reroot")
    link.symlink_to(image.path)
    machine = SshMachine(sshd.host())
    machine.copy(ImageFile(image.digest, link, image.bytes), None)
    assert machine.look(image.digest).image_there
    assert not any(file.is_symlink() for file in home.iterdir())


def test_copies_looks_and_asks(sshd: Sshd, home: Path, image: ImageFile) -> None:
    machine = SshMachine(sshd.host())
    machine.greet()
    assert not machine.look(image.digest).image_there
    machine.copy(image, None)
    look = machine.look(image.digest)
    assert look.image_there
    assert look.uptime_s > 0
    assert look.status.after == "20261124T155307Z-077c"
    assert [p.name for p in home.iterdir()] == [f"{image.digest[:32]}.reroot"]
    (finding,) = machine.check(Wishes(image.digest))
    assert finding.code == "memory"
    confirmation = machine.confirm("20261124T155307Z-077c")
    assert confirmation.known
    assert confirmation.failing == ("a service is missing",)


def test_a_copy_of_another_digest_is_never_put_in_place(
    sshd: Sshd, home: Path, image: ImageFile
) -> None:
    machine = SshMachine(sshd.host())
    with pytest.raises(MachineFault, match="another digest") as fault:
        machine.copy(ImageFile("0" * 64, image.path, image.bytes), None)
    assert fault.value.kind is Fault.COPY
    assert list(home.iterdir()) == []


def test_go_says_all_that_makes_it_safe(
    sshd: Sshd, home: Path, image: ImageFile, tmp_path: Path
) -> None:
    del home
    machine = SshMachine(sshd.host())
    machine.copy(image, 100_000)
    answer = machine.go(order(image, machine))
    assert answer.exit_status == 5
    assert "the newest run is X" in answer.last_line
    assert (tmp_path / "said").read_text().splitlines()[-1] == (
        "go --yes --after none --run 20261128T220000Z-abcd --consent 1.ab --entry kexec"
        " --keep /srv/it's here --force memory"
    )


def test_a_machine_does_not_obey_an_order_that_is_past_its_best_or_of_another_boot(
    sshd: Sshd, home: Path, image: ImageFile, tmp_path: Path
) -> None:
    del home
    machine = SshMachine(sshd.host())
    machine.copy(image, None)
    fresh = order(image, machine)
    late = Ticket(fresh.ticket.boot, fresh.ticket.best_before_s - 120)
    other = Ticket("another-boot", fresh.ticket.best_before_s)
    for ticket in (late, other):
        stale = Order(fresh.run, fresh.after, fresh.consent, fresh.wishes, ticket)
        assert machine.go(stale).exit_status == STALE_TICKET
    assert not any(line.startswith("go") for line in (tmp_path / "said").read_text().splitlines())


def test_another_host_key_is_never_spoken_to(sshd: Sshd, home: Path, image: ImageFile) -> None:
    del home
    sshd.know("other")
    try:
        with pytest.raises(MachineFault) as fault:
            SshMachine(sshd.host()).look(image.digest)
    finally:
        sshd.know("host")
    assert fault.value.kind is Fault.HOST_KEY
    assert not fault.value.passing


def test_nothing_that_listens_is_refused(sshd: Sshd) -> None:
    machine = SshMachine(sshd.host(port=free_port()))
    for ask in (machine.greet, lambda: machine.look("0")):
        with pytest.raises(MachineFault) as fault:
            ask()
        assert fault.value.kind is Fault.REFUSED
        assert fault.value.passing


def test_a_connection_that_is_half_open_ends_in_the_time_that_was_given(
    sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reroot_fleet.machine import banner  # noqa: PLC0415 - this test alone

    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken: list[socket.socket] = []
        threading.Thread(
            target=lambda: taken.extend(listener.accept()[0] for _ in range(2)), daemon=True
        ).start()
        monkeypatch.setattr(banner.greet, "__defaults__", (0.5,))
        machine = SshMachine(sshd.host(port=listener.getsockname()[1]), limits=Limits(look=1.0))
        for ask in (machine.greet, lambda: machine.look("0")):
            begun = time.monotonic()
            with pytest.raises(MachineFault) as fault:
                ask()
            assert fault.value.kind is Fault.SILENT
            assert time.monotonic() - begun < 60


RUN = "20261124T155307Z-077c"
TOLD_IN_RAM = {
    "kind": "reroot-status", "version": 1, "boot_id": "b", "kexec_loaded": False, "newest": RUN,
    "in_progress": RUN, "runs": [{
        "run": RUN, "state": "in-progress", "mode": "reinstall", "behind_commit_point": True,
        "reached": {"step": "wipe", "place": "ram", "result": "running"},
        "progress": {"step": "wipe", "percent": 43},
    }],
}  # fmt: skip
# As the RAM environment's answers: by the last words alone, and everything else is refused with 2.
GREET = """#!/bin/sh
case "$SSH_ORIGINAL_COMMAND" in
    *" status --json") echo 'STATUS' ;;
    *) echo 'reroot: this is the RAM environment: wipe 43 %' >&2; exit 2 ;;
esac
"""


@contextmanager
def ram(tmp_path: Path, greet: str) -> Iterator[SshMachine]:
    """A machine whose RAM environment answers with that program."""
    program = tmp_path / "greet"
    program.write_text(greet)
    program.chmod(0o755)
    more = f"VersionAddendum reroot-ram\nForceCommand {program}\n"
    with Sshd(more) as server:
        yield SshMachine(server.host())


def test_the_ram_environment_tells_of_its_run_and_does_nothing(tmp_path: Path) -> None:
    with ram(tmp_path, GREET.replace("STATUS", json.dumps(TOLD_IN_RAM))) as machine:
        machine.greet()
        look = machine.look("0")
        assert look.in_ram
        assert not look.image_there
        (run,) = look.status.runs
        assert (run.id, run.state, run.reached, run.percent) == (
            RUN, RunState.IN_PROGRESS, "wipe", 43,
        )  # fmt: skip
        assert not machine.confirm(RUN).known
        for ask in (
            lambda: machine.check(Wishes("0")),
            lambda: machine.plan(Wishes("0")),
            lambda: machine.clear("0"),
        ):
            with pytest.raises(MachineFault, match="RAM environment") as fault:
                ask()
            assert fault.value.kind is Fault.SILENT


def test_where_too_many_ask_the_ram_environment_it_is_asked_again(tmp_path: Path) -> None:
    full = "#!/bin/sh\necho 'reroot: 6 sessions are open already; close one of them' >&2; exit 2\n"
    with ram(tmp_path, full) as machine, pytest.raises(MachineFault) as fault:
        machine.look("0")
    assert fault.value.kind is Fault.SILENT


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (REFUSES, "refused by other-run: the run 20261124T155307Z-077c is in progress"),
        ("it begins\nrefused: --after none, and X\n", "refused: --after none, and X"),
        ("one\n\n two \n", "two"),
        ("", "it said nothing"),
    ],
)
def test_the_line_that_says_why_is_found_among_notes_and_remedies(said: str, line: str) -> None:
    assert Answer(1, said).last_line == line


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("Host key verification failed.", Fault.HOST_KEY),
        ("root@shop1: Permission denied (publickey).", Fault.LOGIN),
        ("ssh: connect to host shop1 port 22: Connection refused", Fault.REFUSED),
        ("ssh: connect to host shop1 port 22: Connection timed out", Fault.SILENT),
        ("Connection timed out during banner exchange", Fault.SILENT),
        ("client_loop: send disconnect: Broken pipe", Fault.BROKEN),
        ("", Fault.BROKEN),
    ],
)
def test_what_ssh_says_is_understood(said: str, fault: Fault) -> None:
    assert fault_of(said) is fault
