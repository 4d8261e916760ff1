"""Webhooks: what is told of them, and what their receivers get, from a node that delivers to a real server on loopback."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.app import create_app
from fabric.store import credentials
from fabric.subscription.signature import is_signed
from ledger.shape import time_text
from tests.api.door import Door
from tests.fabric.subscription.receiver import Delivery, Receiver, until
from tests.simulator import EPCIS

JSON = "application/json"
LOT = "https://id.gs1.org/01/09506000134352/10/S"
TOKEN = "what-only-we-two-know"


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A node that delivers to loopback, tries again soon, and gives up early."""
    settings = {
        "subscription_destinations": "127.0.0.0/8",
        "subscription_timeout_s": 20.0,
        "subscription_retry_s": 0.05,
        "subscription_attempts": 4,
    }
    with Door(tmp_path_factory.mktemp("subscribing") / "node", **settings) as door:
        door.admit("farm", parties=["9506000134352"])
        door.admit("shop", parties=["9506000134369"])
        door.admit("packer")
        with door.app.state.services.subscribing.deliveries:
            yield door


class Subscribed:
    """A query of one place, by a member, and what is subscribed to it."""

    number = 0

    def __init__(self, door: Door, member: str = "farm") -> None:
        Subscribed.number += 1
        self.door, self.member = door, member
        self.place = f"https://id.gs1.org/414/9506000134352/254/{Subscribed.number}"
        self.path = f"/epcis/queries/subscribed-{Subscribed.number}"
        query = {"name": self.path.rpartition("/")[2], "query": {"EQ_bizLocation": [self.place]}}
        assert door.post(query, member, JSON, "/epcis/queries").status_code == 201

    def ask(self, body: Any) -> Any:
        return self.door.post(body, self.member, JSON, f"{self.path}/subscriptions")

    def to(self, receiver: Receiver, **controls: Any) -> str:
        """Subscribe; gives the subscription's address."""
        body = {"dest": receiver.url, **(controls if "schedule" in controls else {"stream": True} | controls)}
        answer = self.ask(body)
        assert answer.status_code == 201, answer.text
        location: str = answer.headers["location"]
        return location

    def events(self, count: int = 1) -> list[dict[str, Any]]:
        return [self.door.sim.event(epcList=[LOT], bizLocation={"id": self.place}) for _ in range(count)]

    def capture(self, count: int = 1, member: str | None = None) -> list[str]:
        """Capture events that the query finds, in one document; their IDs."""
        made = self.events(count)
        self.door.captured(self.door.sim.document(made), member or self.member, EPCIS)
        return [one["eventID"] for one in made]

    def told(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self.door.get(path, self.member).json()
        return found

    def waits_for(self, path: str, **state: Any) -> dict[str, Any]:
        """The subscription once its delivery state has these members."""
        until(lambda: state.items() <= self.told(path)["delivery"].items())
        return self.told(path)


def test_events_come_as_a_signed_document_under_the_names_of_both(door: Door) -> None:
    with Receiver() as receiver:
        subscribed = Subscribed(door)
        path = subscribed.to(receiver, signatureToken=TOKEN)
        wanted = subscribed.capture(3)
        receiver.wait_for_ids(*wanted)
        (heard,) = receiver.heard
    assert heard.ids == wanted
    assert heard.document["type"] == "EPCISQueryDocument"
    assert heard.results["queryName"] == subscribed.path.rpartition("/")[2]
    assert heard.results["subscriptionID"] == path.rpartition("/")[2]
    assert heard.headers["content-type"] == JSON
    assert heard.headers["gs1-epcis-version"] == "2.0.0"
    assert heard.headers["gs1-epc-format"] == "Always_GS1_Digital_Link"
    assert all(one["recordTime"] for one in heard.events)
    now_s = int(time.time())
    assert is_signed(heard.headers["gs1-signature"], TOKEN, heard.name, heard.body, now_s)
    assert not is_signed(heard.headers["gs1-signature"], TOKEN + "x", heard.name, heard.body, now_s)
    told = subscribed.waits_for(path, delivered=1)
    assert told["lastNotifiedAt"] >= told["createdAt"]
    assert told["minRecordTime"] >= told["initialRecordTime"]


def test_a_token_is_in_no_answer_and_without_one_nothing_is_signed(door: Door) -> None:
    with Receiver() as receiver:
        subscribed = Subscribed(door)
        answer = subscribed.ask({"dest": receiver.url, "secret": TOKEN, "stream": True})
        plain = subscribed.to(receiver)
        shown = [answer.text, subscribed.door.get(f"{subscribed.path}/subscriptions").text]
        shown += [
            door.get(answer.headers["location"]).text,
            door.get("/metrics").text,
            door.get("/readyz").text,
        ]
        assert not any(TOKEN in text for text in shown)
        wanted = subscribed.capture()
        receiver.wait_for(lambda heard: len(heard) == 2)
        signed = [one for one in receiver.heard if "gs1-signature" in one.headers]
    assert [one.ids for one in receiver.heard] == [wanted, wanted]
    assert len(signed) == 1
    assert signed[0].results["subscriptionID"] != plain.rpartition("/")[2]


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ({"dest": "http://10.0.0.1/x", "stream": True}, "destination-refused"),
        ({"dest": "https://169.254.169.254/latest", "stream": True}, "destination-refused"),
        ({"dest": "http://[::1]/x", "stream": True}, "destination-refused"),
        ({"dest": "https://localhost/x", "stream": True}, "destination-refused"),
        ({"dest": "http://client.example.com/x", "stream": True}, "bad-destination"),
        ({"dest": "https://client.example.com/x"}, "stream-or-schedule"),
        (
            {"dest": "https://client.example.com/x", "stream": True, "schedule": {"hour": "1"}},
            "stream-or-schedule",
        ),
        ({"dest": "https://client.example.com/x", "schedule": {"hour": "24"}}, "bad-schedule"),
        ({"dest": "https://client.example.com/x", "stream": True, "reportIfEmpty": True}, "bad-shape"),
        ({"dest": "https://client.example.com/x", "stream": True, "initialRecordTime": "now"}, "bad-time"),
        ([], "bad-shape"),
    ],
)
def test_what_cannot_be_obeyed_is_refused_and_not_kept(door: Door, body: Any, rule: str) -> None:
    subscribed = Subscribed(door)
    with door.unchanged():
        answer = subscribed.ask(body)
        door.refused(answer, 400, rule, "SubscriptionControlsException")
    assert door.get(f"{subscribed.path}/subscriptions").json() == []


def test_a_subscription_to_a_limited_query_is_refused(door: Door) -> None:
    for name, more in (
        ("first", {"orderBy": "eventTime", "eventCountLimit": 1}),
        ("few", {"maxEventCount": 3}),
    ):
        assert door.post({"name": name, "query": more}, "farm", JSON, "/epcis/queries").status_code == 201
        with door.unchanged():
            body = {"dest": "https://client.example.com/x", "stream": True}
            answer = door.post(body, "farm", JSON, f"/epcis/queries/{name}/subscriptions")
            door.refused(answer, 400, "limited-query", "SubscriptionControlsException")


def test_a_subscription_is_its_members_own(door: Door) -> None:
    subscribed = Subscribed(door)
    answer = subscribed.ask(
        {"dest": "https://client.example.com/x", "schedule": {"hour": "1", "minute": "5"}}
    )
    path = answer.headers["location"]
    assert door.get(path).json() == answer.json()
    assert answer.json()["schedule"] == {"hour": "1", "minute": "5"}
    assert "stream" not in answer.json()
    with door.unchanged():
        for member in ("shop", "packer"):
            door.refused(door.get(path, member), 404, "no-such-name", "NoSuchNameException")
            gone = door.http.delete(path, headers=door.headers(member))
            door.refused(gone, 404, "no-such-name", "NoSuchNameException")
        unknown = f"{subscribed.path}/subscriptions/nobody"
        door.refused(door.get(unknown), 404, "no-such-subscription", "NoSuchNameException")
        door.refused(
            door.post({}, "farm", JSON, f"{unknown}/resume"),
            404,
            "no-such-subscription",
            "NoSuchNameException",
        )
        door.refused(door.post({}, "farm", JSON, f"{path}/resume?skip=true"), 409, "nothing-to-skip")
    assert door.get(f"{subscribed.path}/subscriptions").json() == [door.get(path).json()]
    assert door.http.delete(path, headers=door.headers("farm")).status_code == 204
    with door.unchanged():
        door.refused(door.get(path), 404, "no-such-subscription", "NoSuchNameException")


def test_every_event_is_delivered_once_and_in_the_order_of_the_log(door: Door) -> None:
    """Captures larger and smaller than a delivery, while it delivers."""
    with Receiver() as receiver:
        subscribed = Subscribed(door)
        subscribed.to(receiver)
        wanted = [name for count in (50, 1, 50, 50, 3, 50) for name in subscribed.capture(count)]
        receiver.wait_for_ids(*wanted)
        assert receiver.taken_ids == wanted
        assert max(len(one.ids) for one in receiver.heard) <= 100
        assert len({one.name for one in receiver.heard}) == len(receiver.heard)


def test_what_was_recorded_before_is_delivered_only_where_it_is_asked_for(door: Door) -> None:
    with Receiver() as late, Receiver() as early:
        subscribed = Subscribed(door)
        before = subscribed.capture(2)
        subscribed.to(late)
        subscribed.to(early, initialRecordTime="2020-01-01T00:00:00Z")
        after = subscribed.capture(2)
        late.wait_for_ids(*after)
        early.wait_for_ids(*before, *after)
        assert late.taken_ids == after
        assert early.taken_ids == before + after


def test_a_failure_is_tried_again_under_one_name_and_nothing_else_is_sent_meanwhile(door: Door) -> None:
    with Receiver() as receiver:
        receiver.answer = lambda _: 200 if len(receiver.heard) >= 2 else 500
        subscribed = Subscribed(door)
        path = subscribed.to(receiver)
        first = subscribed.capture(2)
        receiver.wait_for(lambda heard: len(heard) >= 1)
        second = subscribed.capture(2)
        receiver.wait_for_ids(*first, *second)
        assert [one.ids for one in receiver.heard[:3]] == [first] * 3
        assert len({one.name for one in receiver.heard[:3]}) == 1
        assert receiver.taken_ids == first + second
    told = subscribed.waits_for(path, delivered=2)
    assert (told["delivery"]["state"], told["delivery"]["failures"]) == ("active", 0)
    assert told["delivery"]["failedAt"] is not None


def test_after_so_many_attempts_it_is_given_up_and_goes_on_when_resumed(door: Door) -> None:
    with Receiver(lambda _: 500) as receiver:
        subscribed = Subscribed(door)
        path = subscribed.to(receiver)
        first = subscribed.capture(2)
        told = subscribed.waits_for(path, state="dead")
        assert (told["delivery"]["failures"], told["delivery"]["reason"]) == (4, "status-500")
        assert (told["delivery"]["events"], told["delivery"]["nextAttemptAt"]) == (2, None)
        assert len(receiver.heard) == 4
        second = subscribed.capture(1)
        assert "loomark_subscriptions_dead 1.0" in door.get("/metrics", None).text
        receiver.answer = lambda _: 200
        assert door.post({}, "farm", JSON, f"{path}/resume").status_code == 200
        receiver.wait_for_ids(*first, *second)
        assert receiver.taken_ids == first + second
    assert subscribed.waits_for(path, delivered=2)["delivery"]["state"] == "active"


def test_redirects_are_failures(door: Door) -> None:
    with Receiver(lambda _: 302) as receiver:
        subscribed = Subscribed(door)
        path = subscribed.to(receiver)
        subscribed.capture()
        assert subscribed.waits_for(path, state="dead")["delivery"]["reason"] == "status-302"
        assert {one.path for one in receiver.heard} == {"/events"}


def test_a_receiver_that_asks_for_less_gets_less_and_all(door: Door) -> None:
    with Receiver(lambda one: 413 if len(one.events) > 3 else 200) as receiver:
        subscribed = Subscribed(door)
        path = subscribed.to(receiver)
        wanted = subscribed.capture(20)
        receiver.wait_for_ids(*wanted)
        assert receiver.taken_ids == wanted
        assert [len(one.events) for one in receiver.heard if one.status == 413] == [20, 10, 5]
        assert {len(one.events) for one in receiver.taken} == {2}
    assert subscribed.told(path)["delivery"]["failures"] == 0


def test_one_event_that_is_too_large_stops_all_until_somebody_decides(door: Door) -> None:
    with Receiver() as receiver:
        subscribed = Subscribed(door)
        path = subscribed.to(receiver)
        first, large, last = (subscribed.capture()[0] for _ in range(3))
        receiver.wait_for_ids(first, large, last)
        receiver.answer = lambda one: 413 if large in one.ids else 200
        other = subscribed.to(receiver, initialRecordTime="2020-01-01T00:00:00Z")
        told = subscribed.waits_for(other, state="dead")
        assert (told["delivery"]["reason"], told["delivery"]["events"]) == ("status-413", 1)
        name = other.rpartition("/")[2]

        def taken() -> list[str]:
            return [
                one for each in receiver.taken if each.results["subscriptionID"] == name for one in each.ids
            ]

        assert taken() == [first]
        answer = door.post({}, "farm", JSON, f"{other}/resume?skip=true")
        assert answer.json()["delivery"]["state"] == "active"
        until(lambda: taken() == [first, last])
    assert subscribed.told(path)["delivery"]["state"] == "active"


def test_a_slow_receiver_holds_up_nobody_else(door: Door) -> None:
    """More slow receivers than there are threads."""

    def late(_: Delivery) -> int:
        time.sleep(2.0)
        return 200

    slow = [Receiver(late) for _ in range(3)]
    with slow[0], slow[1], slow[2], Receiver() as quick:
        subscribed = Subscribed(door)
        for number in range(18):
            subscribed.to(slow[number % 3])
        subscribed.to(quick)
        wanted = subscribed.capture()
        quick.wait_for_ids(*wanted)
        assert sum(len(one.taken) for one in slow) < 18
        assert door.http.delete(subscribed.path, headers=door.headers("farm")).status_code == 204


def test_a_schedule_reports_when_it_says_and_empty_only_where_asked(door: Door) -> None:
    each_second = {"second": "[0-59]"}
    with Receiver() as told, Receiver() as quiet:
        subscribed = Subscribed(door)
        path = subscribed.to(told, schedule=each_second, reportIfEmpty=True)
        subscribed.to(quiet, schedule=each_second)
        told.wait_for(lambda heard: len(heard) >= 2)
        assert all(one.events == [] for one in told.heard)
        assert quiet.heard == []
        wanted = subscribed.capture(3)
        told.wait_for_ids(*wanted)
        quiet.wait_for_ids(*wanted)
        assert told.taken_ids == quiet.taken_ids == wanted
        until(lambda: subscribed.told(path)["delivery"]["nextAttemptAt"] is not None)
        assert door.http.delete(subscribed.path, headers=door.headers("farm")).status_code == 204


def test_what_is_seen_is_decided_when_it_is_sent(door: Door) -> None:
    """A grant that ends between an event and its delivery shows nothing of it."""
    until_ms = door.sim.now_ms + 3_600_000
    granted = {
        "type": "role",
        "grantee": "packer",
        "role": "recall",
        "for": ["farm"],
        "until": time_text(until_ms),
    }
    assert door.state(granted).status_code == 201
    with Receiver() as receiver:
        subscribed = Subscribed(door, "packer")
        path = subscribed.to(receiver)
        shown = subscribed.capture(1, "farm")
        receiver.wait_for_ids(*shown)
        receiver.answer = lambda _: 503
        hidden = subscribed.capture(2, "farm")
        receiver.wait_for(lambda heard: any(one.status == 503 for one in heard))
        door.sim.now_ms = until_ms + 1
        receiver.answer = lambda _: 200
        own = subscribed.capture(1)
        receiver.wait_for_ids(*own)
        assert receiver.taken_ids == shown + own
        assert not set(hidden) & {name for one in receiver.heard if one.status == 200 for name in one.ids}
    assert subscribed.told(path)["delivery"]["state"] == "active"


def test_what_was_erased_is_not_delivered(door: Door) -> None:
    with Receiver(lambda _: 503) as receiver:
        subscribed = Subscribed(door)
        subscribed.to(receiver)
        made = subscribed.events(2)
        job = door.captured(door.sim.document(made), "farm", EPCIS)
        receiver.wait_for(lambda heard: len(heard) >= 1)
        body = {"records": [job["records"][1]["record"]], "reason": "a wish"}
        assert door.post(body, "farm", JSON, "/api/erasures?wait=20").status_code in (200, 201, 202)
        until(lambda: door.get(f"/api/records/{job['records'][1]['record']}").status_code == 410)
        receiver.answer = lambda _: 200
        receiver.wait_for(lambda _: len(receiver.taken) >= 1)
        left = [one["eventID"] for one in made]
        left.remove(receiver_name(job, 1))
        assert receiver.taken_ids == left
        assert receiver.taken[0].name == receiver.heard[0].name


def receiver_name(job: dict[str, Any], position: int) -> str:
    name: str = job["records"][position]["eventID"]
    return name


def test_who_may_not_ask_any_more_is_told_nothing_more(door: Door) -> None:
    door.admit("leaver")
    with Receiver() as receiver, Receiver() as witness:
        left, other = Subscribed(door, "leaver"), Subscribed(door, "farm")
        left.to(receiver)
        wanted = left.capture()
        receiver.wait_for_ids(*wanted)
        now_ms = door.sim.now_ms
        door.sim.node.submit(lambda one: credentials.revoke(one, "leaver", now_ms)).stored.result(30)
        door.app.state.services.subscribing.deliveries.look()
        other.to(witness)
        # Read again with the revocation in it, before anything else is captured.
        witness.wait_for_ids(*other.capture())
        door.sim.capture("leaver", left.events(1))
        witness.wait_for_ids(*other.capture())
        assert receiver.taken_ids == wanted


def test_deliveries_go_on_where_an_earlier_run_ended(tmp_path: Path) -> None:
    """The run that begins later sends what the earlier one had under way, under its name, and then what came since."""
    with (
        Door(tmp_path / "node", subscription_destinations="127.0.0.1") as door,
        Receiver(lambda _: 503) as receiver,
    ):
        door.admit("farm")
        door.app.state.services.subscribing.deliveries.start()
        subscribed = Subscribed(door)
        subscribed.to(receiver)
        first = subscribed.capture(2)
        receiver.wait_for(lambda heard: len(heard) >= 1)
        door.app.state.services.subscribing.deliveries.stop()
        second = subscribed.capture(1)
        receiver.answer = lambda _: 200
        app = create_app(door.sim.node, door.settings, bytes(32))
        with app.state.services.subscribing.deliveries:
            receiver.wait_for_ids(*first, *second)
            assert receiver.taken_ids == first + second
            assert receiver.taken[0].name == receiver.heard[0].name
