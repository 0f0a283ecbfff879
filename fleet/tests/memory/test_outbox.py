from __future__ import annotations

from datetime import timedelta

from reroot_fleet.memory import outbox
from reroot_fleet.memory.database import Memory
from reroot_fleet.memory.outbox import Action, Message
from tests.memory.given import NOW


def _message(action: Action = Action.TRIGGER, key: str = "night/x/halted") -> Message:
    return Message(NOW, key, action, "the night is halted", detail={"held": 2})


def test_an_open_alert_is_not_raised_again(memory: Memory) -> None:
    with memory.begin() as c:
        assert outbox.put(c, _message(), who="conductor one")
        assert not outbox.put(c, _message(), who="conductor two")
        assert [o.key for o in outbox.open_alerts(c)] == ["night/x/halted"]
        assert outbox.put(c, _message(Action.ACKNOWLEDGE), who="alice")
        assert not outbox.put(c, _message(), who="conductor two")
        assert outbox.put(c, _message(Action.RESOLVE), who="alice")
        assert not outbox.put(c, _message(Action.RESOLVE), who="alice")
        assert outbox.open_alerts(c) == []
        assert outbox.put(c, _message(), who="conductor two"), "a new trouble of the same kind"


def test_every_channel_delivers_in_order_and_once(memory: Memory) -> None:
    with memory.begin() as c:
        outbox.put(c, _message(), who="x")
        outbox.put(c, _message(Action.RESOLVE), who="x")
        outbox.put(c, _message(key="job/web1"), who="x")
    with memory.begin() as c:
        first = outbox.due(c, "pagerduty", now=NOW)
        assert [(m.key, m.action) for m in first] == [
            ("night/x/halted", Action.TRIGGER),
            ("job/web1", Action.TRIGGER),
        ]
        again = NOW + timedelta(minutes=1)
        outbox.failed(c, first[0], "pagerduty", again_at=again, error="HTTP 500")
        outbox.delivered(c, first[1], "pagerduty", now=NOW)
        assert outbox.due(c, "pagerduty", now=NOW) == []
        assert len(outbox.due(c, "mail", now=NOW)) == 2
        assert outbox.undelivered(c, "pagerduty", now=NOW) == (2, "HTTP 500")
        (retried,) = outbox.due(c, "pagerduty", now=again)
        assert retried.attempts == 1
        outbox.delivered(c, retried, "pagerduty", now=again)
        (resolve,) = outbox.due(c, "pagerduty", now=again)
        assert resolve.action is Action.RESOLVE


def test_last_weeks_alerts_are_not_sent_to_a_new_channel(memory: Memory) -> None:
    with memory.begin() as c:
        outbox.put(c, _message(), who="x")
        assert outbox.due(c, "mail", now=NOW + timedelta(days=7)) == []


def test_two_senders_do_not_send_the_same_and_one_that_died_is_made_up_for(memory: Memory) -> None:
    lease = timedelta(minutes=1)
    with memory.begin() as c:
        outbox.put(c, _message(), who="x")
    with memory.begin() as c:
        (mine,) = outbox.claim(c, "mail", now=NOW, lease=lease)
        assert outbox.claim(c, "mail", now=NOW, lease=lease) == []
        assert outbox.claim(c, "mail", now=NOW + lease, lease=lease) == [mine]
        outbox.delivered(c, mine, "mail", now=NOW)
        assert outbox.claim(c, "mail", now=NOW + 2 * lease, lease=lease) == []


def test_alerts_that_are_not_wanted_any_more_are_resolved(memory: Memory) -> None:
    with memory.begin() as c:
        one, two = (_message(key=f"job/n/{host}/1") for host in ("web1", "web2"))
        other = _message(key="fleet/conductors")
        outbox.put(c, other, who="x")
        assert outbox.agree(c, "job/n/", [one, two], now=NOW, who="x") == (2, 0)
        assert outbox.agree(c, "job/n/", [two], now=NOW, who="x") == (0, 1)
        assert [o.key for o in outbox.open_alerts(c)] == [other.key, two.key]


def test_what_follows_a_trigger_names_its_night_and_machine(memory: Memory) -> None:
    # Seen in a night of real machines: the page told of shop5, and its end told of nobody.
    trigger = Message(NOW, "job/n/web1/1", Action.TRIGGER, "look", night="n", host="web1")
    with memory.begin() as c:
        assert outbox.agree(c, "job/n/", [trigger], now=NOW, who="x") == (1, 0)
        assert outbox.put(c, Message(NOW, trigger.key, Action.ACKNOWLEDGE, "seen"), who="alice")
        assert outbox.agree(c, "job/n/", [], now=NOW, who="x") == (0, 1)
        about = []
        while told := outbox.claim(c, "webhook", now=NOW, lease=timedelta(minutes=1)):
            about += [(m.action, m.night, m.host) for m in told]
            for message in told:
                outbox.delivered(c, message, "webhook", now=NOW)
    actions = (Action.TRIGGER, Action.ACKNOWLEDGE, Action.RESOLVE)
    assert about == [(action, "n", "web1") for action in actions]
