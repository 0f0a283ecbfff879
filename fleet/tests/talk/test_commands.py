from __future__ import annotations

import hashlib
import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from reroot_fleet.memory import events, jobs, nights, outbox, surveys
from reroot_fleet.memory.outbox import Action, Message
from reroot_fleet.memory.surveys import Survey
from reroot_fleet.talk import fleet
from reroot_fleet.talk.main import app
from reroot_fleet.values.event import Event, What
from reroot_fleet.values.job import JobState, Override
from reroot_fleet.values.problem import Problem, Problems

INVENTORY = "name,address,customer,rack,image\n" + "".join(
    f"web{n},192.0.2.{n},acme,r{n % 2},trixie\n" for n in range(1, 5)
)
POLICY = '[window]\nzone = "Europe/Berlin"\nbegins = 22:00:00\nends = 06:00:00\n'


class Site:
    """A directory with everything that commands need, and a way to give them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __call__(self, *arguments: str) -> Result:
        found = CliRunner().invoke(app, arguments)
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise found.exception
        return found

    def json(self, *arguments: str) -> dict[str, object]:
        found = self(*arguments, "--json")
        assert found.exit_code == 0, found.output
        document: dict[str, object] = json.loads(found.stdout)
        return document


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/trixie.reroot").write_bytes(b"an image")
    (tmp_path / "hosts.csv").write_text(INVENTORY)
    (tmp_path / "policy.toml").write_text(POLICY)
    (tmp_path / "token").write_text("s3cret")
    settings = tmp_path / "fleet.toml"
    settings.write_text(
        f"""
        database = "sqlite:///{tmp_path}/fleet.sqlite"
        images = "{tmp_path}/images"
        board = "redis://127.0.0.1:1/0"
        """
    )
    monkeypatch.setenv("REROOT_FLEET_SETTINGS", str(settings))
    monkeypatch.setenv("REROOT_FLEET_OPERATOR", "alice")
    fleet.settings.cache_clear()
    fleet.memory.cache_clear()
    return Site(tmp_path)


@pytest.fixture
def queued(site: Site) -> Site:
    site("import", str(site.directory / "hosts.csv"))
    policy = str(site.directory / "policy.toml")
    site("queue", "all", "--night", "2026-11-28", "--policy", policy, "--yes")
    return site


def test_a_night_from_the_inventory_to_its_halt(site: Site) -> None:
    hosts, policy = str(site.directory / "hosts.csv"), str(site.directory / "policy.toml")
    said = site("import", hosts).stdout
    assert said == "imported 4 machines: 4 new, 0 changed, 0 left out, 0 as they were\n"
    said = site("queue", "rack=r1", "--night", "2026-11-28", "--policy", policy, "--yes").stdout
    assert said == "queued 2 machines for the night 2026-11-28\n"
    assert "opened the night 2026-11-28 with 2 machines" in site("start", "--yes").stdout
    assert "paused the night" in site("pause", "--reason", "look").stdout
    assert site("resume", "--yes").stdout == "resumed the night 2026-11-28\n"
    assert "took 1 job back" in site("abort", "web1", "--reason", "not this one", "--yes").stdout
    assert "took 1 job back" in site("halt", "--reason", "enough", "--yes").stdout
    document = site.json("status")
    assert document["night"]["state"] == "halted"  # type: ignore[index]
    assert document["counts"]["withdrawn"] == 2  # type: ignore[index]
    with fleet.memory().read() as c:
        told = [e for e in events.read_all(c) if e.what is What.OPERATOR_COMMAND]
    assert [str(e.detail["command"]).split()[0] for e in told] == [
        "import",
        "queue",
        "start",
        "pause",
        "resume",
        "abort",
        "halt",
    ]
    assert {e.who for e in told} == {"alice"}


def test_a_status_says_what_wants_a_look(queued: Site) -> None:
    with fleet.memory().begin() as c:
        for what, detail in (
            (What.JOB_POSTED, {"wave": 0}),
            (What.JOB_CLAIMED, {"conductor": "one"}),
            (What.STEP_BEGUN, {"step": "answer"}),
            (What.GO_INTENDED, {"run": "r"}),
            (What.JOB_HELD, {"cause": "its disk"}),
        ):
            jobs.record(
                c,
                Event(
                    fleet.now(), "x", what, "2026-11-28", "web1", "2026-11-28/web1/1", "", detail
                ),
            )
    said = queued("status").stdout
    assert "machines: 3 queued, 1 held, of 4" in said
    assert "budget: 1 of 2 held, 0 of 1 reverted" in said
    assert "look at web1 (held): its disk" in said
    with pytest.raises(Problem, match="`go` may not be said to it again"):
        queued("requeue", "web1", "--reason", "again")
    with pytest.raises(Problem, match="no job that is held"):
        queued("settle", "web2", "--as", "done", "--reason", "x", "--yes")
    settled = queued("settle", "web1", "--as", "restored", "--reason", "from the backup", "--yes")
    assert settled.stdout.startswith("settled web1 as restored")
    assert "queued web1 again" in queued("requeue", "web1", "--reason", "again").stdout


def test_a_special_case_is_kept_with_who_and_why(queued: Site) -> None:
    (queued.directory / "images/bookworm.reroot").write_bytes(b"another")
    with pytest.raises(Problem, match="is queued"):
        queued("requeue", "web1", "--reason", "again")
    queued("abort", "web1", "--reason", "its card", "--yes")
    said = queued(
        *("requeue", "web1", "--entry", "boot", "--keep", "/srv", "--force", "smart", "--yes"),
        *("--image", "bookworm", "--reason", "the card needs it"),
    ).stdout
    assert said == (
        "queued web1 again for the night 2026-11-28 with the entry boot and /srv kept"
        " and the image bookworm and smart forced\n"
    )
    with fleet.memory().read() as c:
        job = max(jobs.select(c, host="web1"), key=lambda j: j.attempt)
    assert job.override is not None
    assert job.state is JobState.QUEUED
    assert (job.override.who, job.override.why) == ("alice", "the card needs it")
    with pytest.raises(Problem, match="`pxe` is no entry"):
        queued("requeue", "web1", "--entry", "pxe", "--reason", "x")
    queued("abort", "web2", "--reason", "its first", "--yes")
    said = queued(
        *("queue", "web2", "--night", "2026-11-28", "--rehearse", "--reason", "its first", "--yes")
    ).stdout
    assert said.startswith("queued 1 machine for the night")
    with fleet.memory().read() as c:
        job = max(jobs.select(c, host="web2"), key=lambda j: j.attempt)
    assert job.override == Override("alice", "its first", rehearse=True)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("queue", ""), "means none"),
        (("queue", "@web"), "no machine is of a group web"),
        (("queue", "web9"), "means no machine"),
        (("queue", "all", "--night", "2026-11-28", "--image", "none"), "none.reroot"),
        (("queue", "all", "--night", "tomorrow"), "its name is no day"),
        (("halt", "2020-01-01", "--reason", "x"), "there is none of that name"),
        (("abort", "web9", "--reason", "x"), "means no machine"),
        (("accept", "--reason", "x"), "none was named"),
        (("start", "2026-11-28"), "give --yes"),
    ],
)
def test_a_command_that_cannot_be_is_refused_and_changes_nothing(
    queued: Site, arguments: tuple[str, ...], word: str
) -> None:
    with fleet.memory().read() as c:
        before = events.last_number(c)
    with pytest.raises((Problem, Problems), match=word):
        queued(*arguments)
    with fleet.memory().read() as c:
        assert events.last_number(c) == before


def test_bad_input_is_told_with_file_and_line(site: Site) -> None:
    (site.directory / "hosts.csv").write_text(INVENTORY + "web1,192.0.2.1,acme,r1,trixie\n")
    with pytest.raises(Problems, match=r"hosts\.csv:6"):
        site("import", str(site.directory / "hosts.csv"))
    (site.directory / "policy.toml").write_text("[window]\ndays = []\n")
    (site.directory / "hosts.csv").write_text(INVENTORY)
    site("import", str(site.directory / "hosts.csv"))
    with pytest.raises(Problems, match="nothing can ever start"):
        site("queue", "all", "--policy", str(site.directory / "policy.toml"), "--yes")


def test_an_image_that_changed_under_a_night_is_refused(queued: Site) -> None:
    queued("abort", "web1", "--reason", "x", "--yes")
    (queued.directory / "images/trixie.reroot").write_bytes(b"built again")
    with pytest.raises(Problem, match="its digest differs between hosts"):
        queued("queue", "web1", "--night", "2026-11-28", "--yes")


def _surveyed(host: str, image: bytes, deadlines_s: int = 3600) -> None:
    digest = hashlib.sha256(image).hexdigest()
    survey = Survey(fleet.now(), host, digest, may_go=True, deadlines_s=deadlines_s)
    with fleet.memory().begin() as c:
        surveys.record(c, survey, who="x")


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        ({"web1": b"an image", "web2": b"another"}, "the image trixie has 2 digests"),
        ({"web1": b"the one before"}, "was surveyed as .* survey web1 again"),
    ],
)
def test_an_image_that_is_not_the_one_that_was_surveyed_is_refused(
    site: Site, seen: dict[str, bytes], word: str
) -> None:
    site("import", str(site.directory / "hosts.csv"))
    for host, image in seen.items():
        _surveyed(host, image)
    policy = str(site.directory / "policy.toml")
    with pytest.raises(Problems, match=word):
        site("queue", "all", "--night", "2026-11-28", "--policy", policy, "--yes")
    with fleet.memory().read() as c:
        assert jobs.select(c) == []
        assert nights.every(c) == []


def test_a_machine_whose_plan_is_longer_than_the_window_is_refused_by_its_name(
    site: Site,
) -> None:
    site("import", str(site.directory / "hosts.csv"))
    _surveyed("web1", b"an image", 7 * 3600)
    _surveyed("web2", b"an image", 9 * 3600)
    policy = str(site.directory / "policy.toml")
    with pytest.raises(Problems, match=r"host web2: .*may take 540 min, and the window has 480"):
        site("queue", "all", "--night", "2026-11-28", "--policy", policy, "--yes")
    assert (
        "queued 1 machine"
        in site("queue", "web1", "--night", "2026-11-28", "--policy", policy, "--yes").stdout
    )


def test_findings_are_accepted_by_file_once(queued: Site) -> None:
    file = queued.directory / "accepted"
    file.write_text("# all have it\nold-kernel # since 2012\n\nsmart\n")
    arguments = ("accept", "--file", str(file), "--reason", "known", "--yes")
    assert queued(*arguments).stdout == "accepted old-kernel, smart\n"
    assert queued(*arguments).stdout == "all of them were accepted already\n"
    file.write_text("two words\n")
    with pytest.raises(Problem, match="accepted:1"):
        queued(*arguments)


def test_alerts_are_shown_acknowledged_and_resolved(queued: Site) -> None:
    assert queued("alert").stdout == "no alert is open\n"
    with fleet.memory().begin() as c:
        outbox.put(c, Message(fleet.now(), "night/n", Action.TRIGGER, "halted"), who="x")
    assert "night/n: halted" in queued("alert").stdout
    assert queued("alert", "night/n").stdout == "acknowledged night/n\n"
    with pytest.raises(Problem, match="open are night/n"):
        queued("alert", "night/n")
    assert queued("alert", "night/n", "--resolve").stdout == "resolved night/n\n"


def test_doctor_finds_a_board_that_refuses_and_a_key_that_is_missing(queued: Site) -> None:
    with (queued.directory / "fleet.toml").open("a") as file:
        file.write('\n[pagerduty]\nrouting_key_file = "/nonexistent/key"\n')
    fleet.settings.cache_clear()
    found = queued("doctor", "--json")
    assert found.exit_code == 1
    how = {(f["what"], f["how"]): f["words"] for f in json.loads(found.stdout)}
    assert "refuses or does not answer" in how["board", "bad"]
    assert "/nonexistent/key" in how["alerts", "bad"]
    assert "SQLite is for a first try" in how["database", "warn"]
    assert "conductors" in {what for what, _ in how}
    assert queued("doctor").stdout.splitlines()[0].startswith("ok ")


class _Refuses(BaseHTTPRequestHandler):
    """Answers as PagerDuty does to a key that it does not know."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(400)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's word
        """Nobody reads it."""


def test_doctor_finds_a_key_that_is_wrong_by_day(queued: Site) -> None:
    server = HTTPServer(("127.0.0.1", 0), _Refuses)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (queued.directory / "key").write_text("s3cret-key\n")
    address = f"http://127.0.0.1:{server.server_port}/"
    with (queued.directory / "fleet.toml").open("a") as file:
        file.write(
            f'\n[pagerduty]\nrouting_key_file = "{queued.directory}/key"\naddress = "{address}"\n'
        )
    fleet.settings.cache_clear()
    said = queued("doctor").stdout
    server.shutdown()
    server.server_close()
    (line,) = [line for line in said.splitlines() if "PagerDuty" in line]
    assert line.startswith("BAD ")
    assert "correct the key's file" in line
    assert "s3cret-key" not in said


def test_migrate_says_that_there_is_nothing_to_do(queued: Site) -> None:
    assert "already" in queued("migrate", "--yes").stdout


def test_watch_ends_with_a_closed_night(queued: Site) -> None:
    from reroot_fleet.values.night import NightState  # noqa: PLC0415

    with fleet.memory().begin() as c:
        for state in (NightState.OPEN, NightState.CLOSED):
            expect = [NightState.PLANNED, NightState.OPEN]
            nights.move(c, "2026-11-28", state, expect=expect, now=fleet.now(), who="x")
    said = queued("watch", "2026-11-28").stdout
    assert "night 2026-11-28: closed" in said


def test_what_became_of_it_is_told_and_drawn(queued: Site) -> None:
    assert "web1" in queued("why", "web1").stdout
    assert queued.json("why", "web1")["kind"] == "reroot-fleet-why"
    with pytest.raises(Problem, match="never did"):
        queued("why", "web9")
    assert "2026-11-28" in queued("report").stdout
    for name, arguments in {
        "report.html": ("report",),
        "flow.svg": ("graph",),
        "run.svg": ("graph", "--host", "web1"),
        "night.svg": ("graph", "--night", "last"),
    }.items():
        file = queued.directory / name
        queued(*arguments, "--output", str(file))
        assert file.read_text().lstrip().startswith("<")
    with pytest.raises(Problem, match="neither"):
        queued("report", "-o", "report.pdf")


def test_every_command_explains_itself(site: Site) -> None:
    for command in app.registered_commands:
        said = site(str(command.name), "--help")
        assert said.exit_code == 0
        assert command.callback is not None
        assert (command.callback.__doc__ or "").strip()


def test_time_is_told_in_two_words() -> None:
    from reroot_fleet.policy.overview import span  # noqa: PLC0415

    lengths = (timedelta(seconds=5), timedelta(minutes=7), timedelta(hours=3), timedelta(2, 3600))
    assert [span(x) for x in lengths] == ["5 s", "7 min", "3 h 0 min", "2 d 1 h"]
