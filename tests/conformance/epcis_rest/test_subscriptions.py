"""Subscriptions to a webhook, which the suite runs itself on loopback."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from .clauses import must, should
from .documents import document, fresh_place, now_text, object_event
from .identifiers import Place, fresh
from .receiver import Receiver
from .server import Server, ids, next_link, refused

CREATE = "POST /queries/{queryName}/subscriptions"
LIST = "GET /queries/{queryName}/subscriptions"
READ = "GET /queries/{queryName}/subscriptions/{subscriptionID}"
DELETE = "DELETE /queries/{queryName}/subscriptions/{subscriptionID}"
CALLBACK = "callback of a subscription"
CONTROLS = ("SubscriptionControlsException", "ValidationException")
SECRET = "a-token-that-stays-between-us"
NOWHERE = "https://client.example.com/queryCallback"


class Subscribed:
    """A named query of one location, and what is subscribed to it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.place: Place = fresh_place()
        self.path = f"/queries/conformance-{fresh()}"
        name = self.path.rpartition("/")[2]
        answer = server.post("/queries", {"name": name, "query": {"EQ_bizLocation": [self.place.urn]}})
        assert answer.status_code == 201, answer.text
        self.name = name

    def ask(self, controls: dict[str, Any]) -> httpx2.Response:
        """The answer to a subscription."""
        return self.server.post(f"{self.path}/subscriptions", controls)

    def subscribe(self, controls: dict[str, Any]) -> dict[str, Any]:
        """A subscription that is made; skips where the server will not send to this machine."""
        answer = self.ask(controls)
        if answer.status_code in (400, 403) and "127.0.0.1" in controls["dest"]:
            pytest.skip(f"the server refuses a destination on loopback: {answer.text[:200]}")
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def capture(self, count: int = 1) -> list[str]:
        """Capture events that the query finds; their IDs."""
        events = [object_event(self.place) for _ in range(count)]
        self.server.capture(document(events))
        return ids(events)

    def close(self) -> None:
        """Delete the query and with it all that is subscribed."""
        self.server.ask("DELETE", self.path)


@pytest.fixture
def subscribed(server: Server) -> Iterator[Subscribed]:
    made = Subscribed(server)
    yield made
    made.close()


@pytest.fixture
def receiver(server: Server) -> Iterator[Receiver]:
    host = urlsplit(server.url).hostname or ""
    try:
        near = ipaddress.ip_address(socket.gethostbyname(host)).is_loopback
    except OSError:
        near = False
    if not near:
        pytest.skip("the server is on another machine and cannot reach this suite's webhook on loopback")
    with Receiver() as made:
        yield made


@must(
    CREATE,
    "201, with the subscription's URL in Location and its ID, destination and time of creation in the body.",
)
@pytest.mark.parametrize("controls", [{"stream": True}, {"schedule": {"hour": "1", "minute": "5"}}])
def test_a_subscription_is_made(
    server: Server, receiver: Receiver, subscribed: Subscribed, controls: dict[str, Any]
) -> None:
    answer = subscribed.ask({"dest": receiver.url, "signatureToken": SECRET, **controls})
    if answer.status_code in (400, 403):
        pytest.skip(f"the server refuses a destination on loopback: {answer.text[:200]}")
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert body["dest"] == receiver.url
    assert body["createdAt"]
    location = server.absolute(answer.headers["location"])
    assert location.endswith(body["subscriptionID"])
    assert server.ask("GET", location).json()["subscriptionID"] == body["subscriptionID"]


@must(CREATE, "The token that signs deliveries is never given back.")
def test_the_token_is_not_shown(server: Server, receiver: Receiver, subscribed: Subscribed) -> None:
    made = subscribed.subscribe({"dest": receiver.url, "signatureToken": SECRET, "stream": True})
    path = f"{subscribed.path}/subscriptions"
    shown = [str(made), server.get(path).text, server.get(f"{path}/{made['subscriptionID']}").text]
    assert not [text for text in shown if SECRET in text]


WRONG: dict[str, dict[str, Any]] = {
    "neither a stream nor a schedule": {},
    "a stream and a schedule": {"stream": True, "schedule": {"minute": "5"}},
    "a stream that is false": {"stream": False},
    "an hour that is none": {"schedule": {"hour": "24"}},
    "a second that is none": {"schedule": {"second": "60"}},
    "a day of the week that is none": {"schedule": {"dayOfWeek": "0"}},
    "a month that is none": {"schedule": {"month": "13"}},
    "a word in a schedule": {"schedule": {"minute": "often"}},
    "a field that schedules do not have": {"schedule": {"year": "2030"}},
    "an empty schedule": {"schedule": {}},
    "an initial time that is none": {"stream": True, "initialRecordTime": "yesterday"},
}


@must(
    CREATE,
    "400, SubscriptionControlsException: neither a stream nor a schedule, or both, or a schedule that is none. Reading:"
    " ValidationException is listed beside it.",
)
@pytest.mark.parametrize("name", WRONG)
def test_wrong_controls_are_refused(server: Server, subscribed: Subscribed, name: str) -> None:
    refused(subscribed.ask({"dest": NOWHERE, **WRONG[name]}), 400, *CONTROLS)
    assert server.get(f"{subscribed.path}/subscriptions").json() == []


@must(CREATE, "A subscription without a destination that can be called is refused.")
@pytest.mark.parametrize("dest", [None, "", "somewhere", "ftp://example.com/hook", "file:///etc/passwd", 5])
def test_a_wrong_destination_is_refused(server: Server, subscribed: Subscribed, dest: object) -> None:
    body = {"stream": True} if dest is None else {"stream": True, "dest": dest}
    refused(subscribed.ask(body), 400, *CONTROLS)
    assert server.get(f"{subscribed.path}/subscriptions").json() == []


@must(CREATE, "404, NoSuchNameException: no query has that name.")
def test_a_subscription_to_no_query_is_not_found(server: Server) -> None:
    answer = server.post(f"/queries/{fresh()}/subscriptions", {"dest": NOWHERE, "stream": True})
    refused(answer, 404, "NoSuchNameException")


@must(CREATE, "415, UnsupportedMediaTypeException: a subscription is JSON.")
def test_a_subscription_in_another_form_is_refused(server: Server, subscribed: Subscribed) -> None:
    answer = server.post_bytes(f"{subscribed.path}/subscriptions", b"{}", "text/plain")
    refused(answer, 415, "UnsupportedMediaTypeException")


@must(LIST, "The list holds the subscriptions of the query, each with its controls.")
def test_subscriptions_are_listed(server: Server, receiver: Receiver, subscribed: Subscribed) -> None:
    stream = subscribed.subscribe({"dest": receiver.url, "stream": True})
    timed = subscribed.subscribe({"dest": receiver.url, "schedule": {"minute": "5"}, "reportIfEmpty": True})
    answer = server.get(f"{subscribed.path}/subscriptions")
    assert answer.status_code == 200
    listed = {one["subscriptionID"]: one for one in answer.json()}
    assert set(listed) == {stream["subscriptionID"], timed["subscriptionID"]}
    assert listed[stream["subscriptionID"]]["stream"] is True
    assert listed[timed["subscriptionID"]]["schedule"] == {"minute": "5"}


@must(LIST, "The list is paged.")
def test_subscriptions_are_paged(server: Server, receiver: Receiver, subscribed: Subscribed) -> None:
    made = {
        subscribed.subscribe({"dest": receiver.url, "schedule": {"month": "1"}})["subscriptionID"]
        for _ in range(3)
    }
    answer, seen = server.get(f"{subscribed.path}/subscriptions", {"perPage": "2"}), []
    while True:
        assert 0 < len(answer.json()) <= 2
        seen += [one["subscriptionID"] for one in answer.json()]
        following = next_link(answer)
        if following is None:
            break
        answer = server.ask("GET", server.absolute(following))
    assert sorted(seen) == sorted(made)


@must(READ, "One subscription is told with its controls.")
def test_a_subscription_is_read(server: Server, receiver: Receiver, subscribed: Subscribed) -> None:
    made = subscribed.subscribe({"dest": receiver.url, "schedule": {"second": "0", "hour": "1,[3-5]"}})
    found = server.get(f"{subscribed.path}/subscriptions/{made['subscriptionID']}").json()
    assert found["dest"] == receiver.url
    assert found["schedule"] == {"second": "0", "hour": "1,[3-5]"}
    assert found["createdAt"] == made["createdAt"]


@must(READ, "404: no such subscription.")
def test_an_unknown_subscription_is_not_found(server: Server, subscribed: Subscribed) -> None:
    path = f"{subscribed.path}/subscriptions/{fresh()}"
    names = ("NoSuchNameException", "NoSuchResourceException")
    refused(server.get(path), 404, *names)
    refused(server.ask("DELETE", path), 404, *names)


@must(CALLBACK, "stream: an event that the query finds is sent as an EPCISQueryDocument; each once.")
def test_events_are_sent_as_they_come(receiver: Receiver, subscribed: Subscribed) -> None:
    made = subscribed.subscribe({"dest": receiver.url, "signatureToken": SECRET, "stream": True})
    first = subscribed.capture()
    assert receiver.wait(lambda: len(receiver.accepted()) >= 1), "the event was not delivered"
    then = subscribed.capture(2)
    assert receiver.wait(lambda: len(receiver.accepted()) >= 3), "not every event was delivered"
    assert ids(receiver.accepted()) == sorted(first + then)
    body = receiver.heard[0].body
    assert body["type"] == "EPCISQueryDocument"
    assert receiver.heard[0].headers["content-type"].startswith("application/")
    assert body["epcisBody"]["queryResults"]["queryName"] == subscribed.name
    assert body["epcisBody"]["queryResults"]["subscriptionID"] == made["subscriptionID"]


@must(CALLBACK, "A delivery is signed in GS1-Signature where the client gave a token.")
def test_a_delivery_is_signed(receiver: Receiver, subscribed: Subscribed) -> None:
    subscribed.subscribe({"dest": receiver.url, "signatureToken": SECRET, "stream": True})
    subscribed.capture()
    assert receiver.wait(lambda: bool(receiver.heard))
    signature = receiver.heard[0].headers["gs1-signature"]
    assert signature
    assert SECRET not in signature


@must(CALLBACK, "Events that the query does not find are not sent.")
def test_other_events_are_not_sent(server: Server, receiver: Receiver, subscribed: Subscribed) -> None:
    subscribed.subscribe({"dest": receiver.url, "stream": True})
    server.capture(document([object_event(fresh_place())]))
    wanted = subscribed.capture()
    assert receiver.wait(lambda: bool(receiver.accepted()))
    assert ids(receiver.accepted()) == wanted


@must(
    CALLBACK,
    "Without initialRecordTime a subscription begins now: earlier events are not sent; with it they are.",
)
def test_the_initial_time_decides_what_comes_first(receiver: Receiver, subscribed: Subscribed) -> None:
    start = now_text()
    early = subscribed.capture(2)
    with Receiver() as other:
        subscribed.subscribe({"dest": receiver.url, "stream": True})
        subscribed.subscribe({"dest": other.url, "stream": True, "initialRecordTime": start})
        assert other.wait(lambda: len(other.accepted()) >= 2), "earlier events were not delivered"
        late = subscribed.capture()
        assert other.wait(lambda: len(other.accepted()) >= 3)
        assert receiver.wait(lambda: len(receiver.accepted()) >= 1)
        assert ids(other.accepted()) == sorted(early + late)
    assert ids(receiver.accepted()) == late


@must(
    CALLBACK,
    "A delivery that was not answered with success is made again; what was answered 200 is not repeated.",
)
def test_a_failed_delivery_is_made_again(receiver: Receiver, subscribed: Subscribed) -> None:
    receiver.answer = lambda body: 200 if len(receiver.heard) >= 1 else 500
    subscribed.subscribe({"dest": receiver.url, "stream": True})
    first = subscribed.capture()
    assert receiver.wait(lambda: bool(receiver.accepted())), "the delivery was not made again"
    then = subscribed.capture()
    assert receiver.wait(lambda: len(receiver.accepted()) >= 2)
    assert ids(receiver.accepted()) == sorted(first + then)
    assert receiver.heard[0].status == 500


@must(CALLBACK, "A receiver that answers 413 gets the events in smaller batches.")
def test_a_receiver_that_is_full_gets_smaller_batches(receiver: Receiver, subscribed: Subscribed) -> None:
    def answer(body: dict[str, Any]) -> int:
        return 413 if len(body["epcisBody"]["queryResults"]["resultsBody"]["eventList"]) > 2 else 200

    receiver.answer = answer
    subscribed.subscribe({"dest": receiver.url, "stream": True})
    wanted = subscribed.capture(6)
    assert receiver.wait(lambda: len(receiver.accepted()) >= 6), "smaller batches did not come"
    assert ids(receiver.accepted()) == wanted
    sizes = [len(one.events) for one in receiver.heard]
    if max(sizes) <= 2:
        pytest.skip("the server sends so few events at once that nothing had to be made smaller")


@must(
    CALLBACK,
    "schedule: the query is run when the schedule says; reportIfEmpty decides whether nothing is told too.",
)
def test_a_schedule_is_kept(receiver: Receiver, subscribed: Subscribed) -> None:
    with Receiver() as quiet:
        each_second = {"schedule": {"second": "[0-59]"}}
        subscribed.subscribe({"dest": receiver.url, "reportIfEmpty": True, **each_second})
        subscribed.subscribe({"dest": quiet.url, "reportIfEmpty": False, **each_second})
        assert receiver.wait(lambda: len(receiver.heard) >= 2), "nothing was told where it was asked for"
        assert quiet.heard == []
        wanted = subscribed.capture()
        assert receiver.wait(lambda: bool(receiver.accepted()))
        assert quiet.wait(lambda: bool(quiet.accepted()))
        assert ids(receiver.accepted()) == ids(quiet.accepted()) == wanted


@must(DELETE, "204: the subscription is gone, and nothing more is sent.")
def test_a_subscription_that_is_deleted_is_silent(
    server: Server, receiver: Receiver, subscribed: Subscribed
) -> None:
    made = subscribed.subscribe({"dest": receiver.url, "stream": True})
    path = f"{subscribed.path}/subscriptions/{made['subscriptionID']}"
    assert server.ask("DELETE", path).status_code == 204
    refused(server.get(path), 404, "NoSuchNameException", "NoSuchResourceException")
    assert server.get(f"{subscribed.path}/subscriptions").json() == []
    with Receiver() as witness:
        subscribed.subscribe({"dest": witness.url, "stream": True})
        subscribed.capture()
        assert witness.wait(lambda: bool(witness.accepted()))
    assert receiver.heard == []


@must("DELETE /queries/{queryName}", "Deleting a query ends all that is subscribed to it.")
def test_deleting_a_query_ends_its_subscriptions(
    server: Server, receiver: Receiver, subscribed: Subscribed
) -> None:
    subscribed.subscribe({"dest": receiver.url, "stream": True})
    assert server.ask("DELETE", subscribed.path).status_code == 204
    with Receiver() as witness:
        other = Subscribed(server)
        other.place = subscribed.place
        other.server.ask("DELETE", other.path)
        query = {"name": other.name, "query": {"EQ_bizLocation": [subscribed.place.urn]}}
        assert server.post("/queries", query).status_code == 201
        other.subscribe({"dest": witness.url, "stream": True})
        subscribed.capture()
        assert witness.wait(lambda: bool(witness.accepted()))
        other.close()
    assert receiver.heard == []


@should(READ, "A subscription tells when it last delivered with success.")
def test_the_last_delivery_is_told(server: Server, receiver: Receiver, subscribed: Subscribed) -> None:
    made = subscribed.subscribe({"dest": receiver.url, "stream": True})
    path = f"{subscribed.path}/subscriptions/{made['subscriptionID']}"
    subscribed.capture()
    assert receiver.wait(lambda: bool(receiver.accepted()))
    assert receiver.wait(lambda: "lastNotifiedAt" in server.get(path).json(), 10)


@should(CREATE, "GS1-EPC-Format of the subscription decides how EPCs are written in its deliveries.")
def test_deliveries_keep_to_the_format(server: Server, receiver: Receiver, subscribed: Subscribed) -> None:
    answer = server.post(
        f"{subscribed.path}/subscriptions",
        {"dest": receiver.url, "stream": True},
        GS1_EPC_Format="Always_EPC_URN",
    )
    if answer.status_code in (400, 403):
        pytest.skip(f"the server refuses a destination on loopback: {answer.text[:200]}")
    with Receiver() as linked:
        subscribed.subscribe({"dest": linked.url, "stream": True})
        subscribed.capture()
        assert receiver.wait(lambda: bool(receiver.accepted()))
        assert linked.wait(lambda: bool(linked.accepted()))
        assert receiver.accepted()[0]["epcList"][0].startswith("urn:epc:id:sgtin:")
        assert linked.accepted()[0]["epcList"][0].startswith("https://id.gs1.org/01/")
