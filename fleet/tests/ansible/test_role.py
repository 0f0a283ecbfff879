"""The role, played for real against machines that a small program stands for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROLES = HERE.parents[1] / "ansible" / "roles"
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")

FATES = ("done", "refused", "fenced", "committed", "reverted")


@pytest.fixture
def machines(tmp_path: Path) -> dict[str, Path]:
    """A directory for each machine, named by what becomes of it."""
    shutil.copy(HERE / "image.py", tmp_path / "trixie.reroot")
    found = {}
    for fate in FATES:
        found[fate] = tmp_path / fate
        found[fate].mkdir()
        (found[fate] / "fate").write_text(fate)
    # One that was behind its commit point before the play begins.
    runs = [{"run": "r0", "state": "committed", "next": "look at its console"}]
    state = {"runs": runs, "asked": 0, "said": []}
    (found["committed"] / "state.json").write_text(json.dumps(state))
    return found


def play(tmp_path: Path, *limit: str) -> str:
    """Plays the role on the machines; what it says."""
    hosts = {
        fate: {
            "reroot_ssh": ["env", f"MACHINE={tmp_path / fate}", "sh", "-c"],
            "reroot_directory": str(tmp_path / fate / "images"),
        }
        for fate in limit
    }
    wishes = {
        "reroot_image": str(tmp_path / "trixie.reroot"),
        "reroot_pause": 1,
        "reroot_rehearse": True,
    }
    book = [{"hosts": "all", "gather_facts": False, "roles": ["reroot"]}]
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": wishes}}))
    (tmp_path / "book.yml").write_text(json.dumps(book))
    environment = {
        "PATH": f"{PLAYBOOK.parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "ANSIBLE_ROLES_PATH": str(ROLES),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        [PLAYBOOK, "-i", tmp_path / "hosts.json", tmp_path / "book.yml"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    return done.stdout + done.stderr


def said(machine: Path) -> list[list[str]]:
    found: list[list[str]] = json.loads((machine / "state.json").read_text())["said"]
    return found


@pytest.mark.long
def test_a_machine_is_reinstalled_once_and_never_by_a_second_play(
    tmp_path: Path, machines: dict[str, Path]
) -> None:
    text = play(tmp_path, *FATES)
    assert "failed=0" in next(line for line in text.splitlines() if line.startswith("done  ")), text
    for fate in FATES[1:]:
        assert "failed=1" in next(x for x in text.splitlines() if x.startswith(f"{fate} ")), text
    (first, _), (second, after) = said(machines["done"])
    assert (first, second) == ("rehearse", "go")
    assert after.startswith("2"), "go comes after the rehearsal"
    assert not (machines["refused"] / "state.json").exists() or not said(machines["refused"])
    assert said(machines["committed"]) == [], "never go behind the commit point"
    assert "look at its console" in text
    assert said(machines["fenced"]) == [["rehearse", "none"]]

    again = play(tmp_path, "done")
    assert "failed=0" in again
    assert len(said(machines["done"])) == 2
