from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import anyio
import pytest
from rich.console import Console
from starlette.testclient import TestClient

from reroot_fleet.alerts.metrics import registry
from reroot_fleet.memory import events, jobs, nights, sightings
from reroot_fleet.memory.database import Memory, connect, open_memory
from reroot_fleet.memory.look import look
from reroot_fleet.page.app import app
from reroot_fleet.page.guard import COOKIE, Guard, guard
from reroot_fleet.page.stream import stream
from reroot_fleet.talk.watch import drawn
from reroot_fleet.values.event import Event, What
from reroot_fleet.values.job import JobState
from reroot_fleet.values.night import NightState
from reroot_fleet.values.problem import Problem
from reroot_fleet.values.settings import PageSettings
from reroot_fleet.values.sighting import Sighting
from tests.page.scene import NIGHT, paint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 11, 29, 1, 0, tzinfo=UTC)
GUARD = Guard("s3cret", "x-remote-user", ("testclient",), public_metrics=False)
ALICE = {"x-remote-user": "alice"}
OURS = {"sec-fetch-site": "same-origin"}


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A painted night's database, made once and copied."""
    directory = tmp_path_factory.mktemp("painted")
    memory = open_memory(f"sqlite:///{directory}/fleet.sqlite")
    paint(memory, NOW)
    memory.close()
    return directory / "fleet.sqlite"


@pytest.fixture
def memory(painted: Path, tmp_path: Path) -> Iterator[Memory]:
    for file in painted.parent.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    opened = open_memory(f"sqlite:///{tmp_path}/fleet.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def client(memory: Memory) -> TestClient:
    served = app(memory, GUARD, lambda: NOW, registry(memory, lambda: NOW))
    return TestClient(served, follow_redirects=False)


@pytest.mark.parametrize(
    "path", ["/", "/nights", f"/nights/{NIGHT}", "/machines/web001", "/live", "/none"]
)
def test_a_stranger_sees_nothing_but_the_login(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/login?to={path}"
    assert client.post(f"/nights/{NIGHT}/halt").status_code == 403


def test_a_proxys_word_counts_from_the_proxys_address_only(memory: Memory) -> None:
    served = app(memory, GUARD, lambda: NOW, registry(memory, lambda: NOW))
    stranger = TestClient(served, follow_redirects=False, client=("192.0.2.7", 1))
    assert stranger.get(f"/nights/{NIGHT}", headers=ALICE).status_code == 303


def test_the_token_gives_a_cookie_that_cannot_be_made_up(client: TestClient) -> None:
    form = {"name": "bob", "token": "wrong"}
    assert client.post("/login", data=form, headers=OURS).status_code == 403
    form["token"] = "s3cret"
    answer = client.post("/login?to=//evil.example.net", data=form, headers=OURS)
    assert answer.headers["location"] == "/", "no way out of the page"
    assert client.get(f"/nights/{NIGHT}").status_code == 200
    cookie = client.cookies[COOKIE]
    client.cookies.set(COOKIE, cookie.replace("bob", "root"))
    assert client.get("/nights").status_code == 303
    client.cookies.set(COOKIE, GUARD.cookie("bob", now=0))
    assert client.get("/nights").status_code == 303, "it is over"


def test_without_a_way_in_there_is_no_page() -> None:
    with pytest.raises(Problem, match="nobody could log in"):
        guard(PageSettings(), "")
    assert guard(PageSettings(user_header="x-user"), "").header == "x-user"


def test_the_night_is_told_in_words(client: TestClient) -> None:
    text = client.get(f"/nights/{NIGHT}", headers=ALICE).text
    for words in (
        "1 of 2 held",
        "<b>32</b> done",
        "closes in 5 h 0 min",
        "canaries",
        "behind the commit point and not done: loader: no space left",
        "acme",
        "web047",
        "north: 5 of 200",
    ):
        assert words in text
    assert client.get("/", headers=ALICE).headers["location"] == f"/nights/{NIGHT}"
    assert client.get("/nights/none", headers=ALICE).status_code == 404
    assert NIGHT in client.get("/nights", headers=ALICE).text


def test_what_of_the_budget_is_spent_has_its_colour_and_a_class_its_words(
    client: TestClient, memory: Memory
) -> None:
    with memory.begin() as c:
        (job, *_) = jobs.select(c, night=NIGHT, states=(JobState.RUNNING,))
        tell = {"cause": "its old OS does not let go"}
        jobs.record(c, Event(NOW, "x", What.JOB_REVERTED, NIGHT, job.host, job.id, detail=tell))
        key = "uefi/nvme/debian 11/igb"
        nights.stop_class(c, NIGHT, key, now=NOW, who="x", cause="web005 is held")
    text = client.get(f"/nights/{NIGHT}", headers=ALICE).text
    assert '<p class="big warn">1 of 2 held</p>' in text
    assert '<p class="bad">2 of 41 reverted' in text
    assert "stopped: uefi × nvme × debian 11 × igb" in text


def test_a_machine_has_its_log_and_its_drawing(client: TestClient) -> None:
    text = client.get("/machines/web005", headers=ALICE).text
    assert "job-held" in text
    assert "go-intended" in text
    # Whoever was woken up comes here by the alert's link, on a phone.
    assert "reroot-fleet settle web005" in text
    assert "Do next" not in client.get("/machines/web000", headers=ALICE).text
    assert client.get("/machines/none", headers=ALICE).status_code == 404
    drawn = client.get("/machines/web005/run.svg", headers=ALICE)
    assert drawn.headers["content-type"].startswith("image/svg")
    for path in ("report", "tree.svg"):
        assert client.get(f"/nights/{NIGHT}/{path}", headers=ALICE).status_code == 200


def test_how_far_a_run_is_stands_beside_its_machine(client: TestClient, memory: Memory) -> None:
    with memory.begin() as c:
        (job, *_) = jobs.select(c, night=NIGHT, states=(JobState.RUNNING,))
        tell = {"step": "answer"}
        jobs.record(c, Event(NOW, "x", What.STEP_BEGUN, NIGHT, job.host, job.id, detail=tell))
        sightings.keep(c, {job.id: Sighting("wipe", 43, in_ram=True)}, at=NOW)
    words = "wipe 43 % in RAM"
    assert f"running: answer, {words}" in client.get(f"/nights/{NIGHT}", headers=ALICE).text
    assert words in client.get(f"/machines/{job.host}", headers=ALICE).text
    with memory.begin() as c:
        night = nights.get(c, NIGHT)
        assert night is not None
        console = Console(width=200, record=True, file=io.StringIO())
        console.print(drawn(look(c, night, NOW)))
        assert f"{job.host}: {words}" in console.export_text()
        # Of a step in which no run goes on it is old news.
        tell = {"step": "undrain"}
        jobs.record(c, Event(NOW, "x", What.STEP_BEGUN, NIGHT, job.host, job.id, detail=tell))
    assert words not in client.get(f"/nights/{NIGHT}", headers=ALICE).text


def test_what_machines_say_is_text_and_never_markup(client: TestClient, memory: Memory) -> None:
    with memory.begin() as c:
        note = Event(NOW, "<script>", What.NOTE, NIGHT, "web001", why="<img src=x onerror=x>")
        events.append(c, note)
    for path in (f"/nights/{NIGHT}", "/machines/web001"):
        answer = client.get(path, headers=ALICE)
        assert "<img src=x" not in answer.text
        assert "&lt;img src=x" in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_halt_takes_back_what_is_before_go_and_carries_a_name(
    client: TestClient, memory: Memory
) -> None:
    form = {"why": "smoke in the cellar", "sure": "yes"}
    path = f"/nights/{NIGHT}/halt"
    assert client.post(path, data=form, headers=ALICE).status_code == 403, "from nowhere"
    evil = ALICE | {"sec-fetch-site": "cross-site"}
    assert client.post(path, data=form, headers=evil).status_code == 403
    unsure = {"why": "smoke"}
    assert client.post(path, data=unsure, headers=ALICE | OURS).status_code == 409
    assert client.post(path, data={"sure": "yes"}, headers=ALICE | OURS).status_code == 409
    with memory.read() as c:
        night = nights.get(c, NIGHT)
        assert night is not None
        assert night.state is NightState.OPEN
    assert client.post(path, data=form, headers=ALICE | OURS).status_code == 303
    with memory.read() as c:
        night = nights.get(c, NIGHT)
        assert night is not None
        assert night.state is NightState.HALTED
        assert night.cause == "operator alice: smoke in the cellar"
        assert jobs.counts(c, night=NIGHT)[JobState.QUEUED] == 0
        running = jobs.select(c, night=NIGHT, states=[JobState.RUNNING])
        assert all(job.begun_go for job in running)
    assert client.post(path, data=form, headers=ALICE | OURS).status_code == 409


def test_metrics_have_no_hosts_in_their_labels(client: TestClient, memory: Memory) -> None:
    assert client.get("/metrics").status_code == 401
    bearer = {"authorization": "Bearer s3cret"}
    client.get("/metrics", headers=bearer)
    with memory.begin() as c:
        done = {"step": "copy", "seconds": 12}
        events.append(c, Event(NOW, "x", What.STEP_DONE, NIGHT, "web001", detail=done))
    text = client.get("/metrics", headers=bearer).text
    for line in (
        'reroot_fleet_jobs{state="done"} 32.0',
        "reroot_fleet_budget_held 1.0",
        "reroot_fleet_conductors_alive 2.0",
        'reroot_fleet_step_seconds_bucket{le="15",step="copy"} 1.0',
        'reroot_fleet_events_total{what="step-done"} 1.0',
        "reroot_fleet_memory_up 1.0",
    ):
        assert line in text
    for word in ("web0", "acme", "192.0.2"):
        assert word not in text


def test_a_stream_tells_of_what_happened_and_nothing_else(memory: Memory) -> None:
    async def listened() -> list[str]:
        with memory.read() as c:
            last = events.last_number(c)
        told = []
        async for line in stream(memory, last, looks=3):
            told.append(line)
            if len(told) == 1:
                with memory.begin() as c:
                    events.append(c, Event(NOW, "x", What.NOTE, NIGHT))
        return told

    told = anyio.run(listened)
    assert told[0].startswith("retry:")
    assert len(told) == 2
    assert "event: changed" in told[1]


def test_a_database_that_is_away_is_told(client: TestClient, memory: Memory) -> None:
    assert client.get("/healthz").text == "ok\n"
    memory.close()
    memory.engine = connect("postgresql://fleet:s3cret@127.0.0.1:1/fleet").engine
    answer = client.get(f"/nights/{NIGHT}", headers=ALICE)
    assert answer.status_code == 503
    assert "127.0.0.1" in answer.text
    assert "s3cret" not in answer.text
    assert "reroot_fleet_memory_up 0.0" in client.get("/metrics", headers=ALICE).text


def test_the_dashboard_asks_for_metrics_that_there_are(client: TestClient) -> None:
    from pathlib import Path  # noqa: PLC0415
    from re import findall  # noqa: PLC0415

    dashboard = Path(__file__).parents[2] / "grafana/reroot-fleet.json"
    asked = set(findall(r"reroot_fleet_\w+", dashboard.read_text()))
    text = client.get("/metrics", headers={"authorization": "Bearer s3cret"}).text
    served = set(findall(r"# TYPE (reroot_fleet_\w+)", text))
    bare = {
        name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in asked
    }
    assert bare
    assert {n.removesuffix("_total") for n in bare} <= {n.removesuffix("_total") for n in served}
    assert json.loads(dashboard.read_text())["uid"] == "reroot-fleet"
