from __future__ import annotations

import hashlib
import hmac
import json
import smtplib
import threading
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from reroot_fleet.alerts.channel import NotSentError
from reroot_fleet.alerts.channels import channels, secret
from reroot_fleet.alerts.mail import Mail
from reroot_fleet.alerts.pagerduty import PagerDuty
from reroot_fleet.alerts.sender import Sender, pause
from reroot_fleet.alerts.watchdog import watch
from reroot_fleet.alerts.webhook import Webhook
from reroot_fleet.memory import outbox
from reroot_fleet.memory.conductors import Sign
from reroot_fleet.memory.database import Memory
from reroot_fleet.memory.outbox import Action, Message
from reroot_fleet.values.night import Night, NightState, Window
from reroot_fleet.values.policy import Policy
from reroot_fleet.values.problem import Problem
from reroot_fleet.values.settings import parse_settings
from tests.memory.given import NOW

PAGE = "https://fleet.example.net"
HALTED = Message(NOW, "night/n", Action.TRIGGER, "two held", night="n", detail={"held": "web1"})


class Told:
    """A server's end: answers as told, and remembers what it was sent."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.bodies: list[bytes] = []
        self.headers: list[httpx.Headers] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(request.read())
        self.headers.append(request.headers)
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status == 0:
            raise httpx.ConnectError("refused")
        return httpx.Response(status)

    def pagerduty(self) -> PagerDuty:
        return PagerDuty("k" * 32, "https://pd.example.net/", PAGE, httpx.MockTransport(self))


def test_pagerduty_gets_the_fields_of_its_second_version() -> None:
    told = Told(202)
    told.pagerduty().send(HALTED)
    event = json.loads(told.bodies[0])
    assert event["routing_key"] == "k" * 32
    assert event["event_action"] == "trigger"
    assert event["dedup_key"] == "reroot-fleet/night/n"
    assert event["client_url"] == f"{PAGE}/nights/n"
    assert event["payload"]["summary"] == "two held"
    assert event["payload"]["severity"] == "critical"
    assert event["payload"]["timestamp"] == "2026-11-28T22:00:00+00:00"
    assert event["payload"]["custom_details"] == {"held": "web1"}


@pytest.mark.parametrize("action", [Action.ACKNOWLEDGE, Action.RESOLVE])
def test_an_acknowledge_or_resolve_has_the_key_of_its_trigger_and_no_payload(
    action: Action,
) -> None:
    told = Told(202)
    told.pagerduty().send(Message(NOW, "night/n", action, "over"))
    event = json.loads(told.bodies[0])
    assert event == {
        "routing_key": "k" * 32,
        "event_action": str(action),
        "dedup_key": "reroot-fleet/night/n",
    }


@pytest.mark.parametrize(
    ("status", "word"), [(400, "routing key"), (429, "patience"), (500, "500"), (0, "not answer")]
)
def test_what_pagerduty_does_not_take_is_told_without_the_key(status: int, word: str) -> None:
    with pytest.raises(NotSentError, match=word) as error:
        Told(status).pagerduty().send(HALTED)
    assert "kkkk" not in str(error.value)
    with pytest.raises(NotSentError, match=word) as error:
        Told(status).pagerduty().test()
    assert "kkkk" not in str(error.value)


def test_a_webhooks_body_is_signed() -> None:
    told = Told(204)
    Webhook("https://hook.example.net/", "s3", PAGE, httpx.MockTransport(told)).send(HALTED)
    signature = hmac.new(b"s3", told.bodies[0], hashlib.sha256).hexdigest()
    assert told.headers[0]["x-reroot-signature"] == f"sha256={signature}"
    assert json.loads(told.bodies[0])["link"] == f"{PAGE}/nights/n"


def test_mail_threads_by_the_alerts_key(monkeypatch: pytest.MonkeyPatch) -> None:
    mail = Mail("localhost:25", "fleet@example.net", ("night@example.net",), PAGE)
    trigger = mail.letter(HALTED)
    resolve = mail.letter(Message(NOW, "night/n", Action.RESOLVE, "over\nand out", number=2))
    assert trigger["References"] == resolve["References"]
    assert resolve["Subject"] == "[reroot] resolved: over and out"
    assert f"{PAGE}/nights/n" in trigger.get_content()

    def refuses(*_: object, **__: object) -> smtplib.SMTP:
        raise ConnectionRefusedError("Connection refused")

    monkeypatch.setattr(smtplib, "SMTP", refuses)
    with pytest.raises(NotSentError, match="Connection refused"):
        mail.send(HALTED)


def test_an_outbox_survives_whoever_sends_it_and_a_channel_that_fails(memory: Memory) -> None:
    now = [NOW]
    told = Told(500, 202)
    sender = Sender(memory, [told.pagerduty()], lambda: now[0])
    with memory.begin() as c:
        outbox.put(c, HALTED, who="conductor one")
    assert sender.send_once() == (0, 1)
    assert sender.send_once() == (0, 0), "it waits"
    now[0] += timedelta(seconds=30)
    # A new process has nothing but the memory.
    assert Sender(memory, sender.channels, sender.now).send_once() == (1, 0)
    assert sender.send_once() == (0, 0)
    assert len(told.bodies) == 2


def test_forty_machines_of_a_halted_night_are_one_alert(memory: Memory) -> None:
    told = Told(202)
    with memory.begin() as c:
        for _ in range(40):
            outbox.agree(c, "n", [HALTED], now=NOW, who="conductor one")
    Sender(memory, [told.pagerduty()], lambda: NOW).send_once()
    assert len(told.bodies) == 1


def test_pauses_grow_and_end() -> None:
    assert [pause(n).seconds for n in (0, 1, 2, 40)] == [10, 20, 40, 300]


def test_a_sender_stops_when_told() -> None:
    stop = threading.Event()
    stop.set()
    Sender(None, [], lambda: NOW).run(stop)  # type: ignore[arg-type]


def test_it_is_told_when_nobody_conducts_an_open_night() -> None:
    night = Night("n", Window(NOW, NOW + timedelta(hours=8)), Policy(), state=NightState.OPEN)
    sign = Sign("one", "c1", 7, "0.1.0", NOW, NOW, 200, 3, "running")
    assert watch([night], [sign], NOW).action is Action.RESOLVE
    assert watch([night], [sign], NOW + timedelta(minutes=4)).action is Action.TRIGGER
    assert watch([], [], NOW).action is Action.RESOLVE


def test_settings_name_channels_and_secrets_are_in_files(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("abc\n")
    text = f"""
    [pagerduty]
    routing_key_file = "{key}"
    [webhook]
    address = "https://hook.example.net/"
    [mail]
    to = ["night@example.net"]
    """
    settings = parse_settings(text, "fleet.toml", {})
    assert [c.name for c in channels(settings)] == ["pagerduty", "webhook", "mail"]
    key.write_text("")
    with pytest.raises(Problem, match="the file is empty"):
        channels(settings)
    with pytest.raises(Problem, match="No such file"):
        secret(f"{tmp_path}/none")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("databse = 'x'", "`databse`, which is no setting.*there are board, database"),
        ("slots = 'many'", "`slots` should be a int"),
        ("[page]\nproxies = 'x'", "`page.proxies` should be a list of strings"),
        ("page = 1", "`page` should be a table"),
        ("=", "fleet.toml"),
    ],
)
def test_settings_that_are_none_are_refused_by_their_name(text: str, word: str) -> None:
    with pytest.raises(Problem, match=word):
        parse_settings(text, "fleet.toml", {})


def test_the_environment_wins_over_the_file() -> None:
    found = parse_settings("database = 'a'", "f", {"REROOT_FLEET_DATABASE": "b"})
    assert found.database == "b"
