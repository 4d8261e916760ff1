"""How many queries and subscriptions a member has, where a subscription begins, and what dropping takes with it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy.engine import Connection

from fabric.query.errors import NoSuchName, SubscriptionControls
from fabric.subscription import queries, subscriptions
from fabric.subscription.destination import Allowed
from fabric.subscription.errors import NameTaken, TooManySubscriptions
from fabric.subscription.progress import END_OF_CAPTURE
from fabric.subscription.service import SubscriptionService
from fabric.subscription.wanted import parse_webhook
from ledger.errors import Forbidden
from ledger.shape import time_text
from tests.simulator import Simulator

STREAM = {"dest": "https://client.example.com/x", "stream": True}
LOT = "https://id.gs1.org/01/09506000134352/10/V"


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[Simulator]:
    with Simulator(tmp_path / "node") as sim:
        sim.admit("farm")
        sim.admit("shop")
        yield sim


@pytest.fixture
def service(sim: Simulator) -> SubscriptionService:
    numbers = count(1)
    return SubscriptionService(
        sim.node,
        sim.node.reading,
        Allowed(),
        clock=lambda: sim.now_ms,
        draw=lambda size: next(numbers).to_bytes(size, "big"),
    )


def test_a_member_has_a_bounded_number_of_queries(sim: Simulator, service: SubscriptionService) -> None:
    def fill(connection: Connection) -> None:
        for number in range(queries.MOST_PER_MEMBER):
            queries.create(connection, "farm", f"q{number}", {}, {}, sim.now_ms)

    sim.node.submit(fill).stored.result(60)
    with pytest.raises(Forbidden) as caught:
        service.make_query("farm", {"name": "one more", "query": {}}, {})
    assert caught.value.rule == "too-many-queries"
    assert len(service.queries("farm", None, 2000)) == queries.MOST_PER_MEMBER
    assert service.make_query("shop", {"name": "one more", "query": {}}, {}).member == "shop"
    service.drop_query("farm", "q7")
    assert service.make_query("farm", {"name": "one more", "query": {}}, {}).name == "one more"


def test_a_member_has_a_bounded_number_of_subscriptions(sim: Simulator, service: SubscriptionService) -> None:
    first = service.make_query("farm", {"name": "first", "query": {}}, {})
    service.make_query("farm", {"name": "second", "query": {}}, {})
    wanted = parse_webhook(STREAM, Allowed())

    def fill(connection: Connection) -> None:
        for number in range(subscriptions.MOST_PER_MEMBER):
            place = (0, END_OF_CAPTURE)
            subscriptions.create(
                connection, f"s{number}", first, wanted, "No_Preference", place, None, sim.now_ms
            )

    sim.node.submit(fill).stored.result(60)
    with pytest.raises(TooManySubscriptions):
        service.subscribe("farm", "second", STREAM, "No_Preference")
    assert service.subscriptions("farm", "second", None, 10) == []
    service.unsubscribe("farm", "first", "s7")
    assert service.subscribe("farm", "second", STREAM, "No_Preference").dest == STREAM["dest"]


def test_dropping_a_query_takes_its_own_subscriptions_only(service: SubscriptionService) -> None:
    for member in ("farm", "shop"):
        service.make_query(member, {"name": "all", "query": {}}, {})
    service.make_query("farm", {"name": "other", "query": {}}, {})
    gone = service.subscribe("farm", "all", STREAM, "No_Preference")
    kept = [
        service.subscribe("shop", "all", STREAM, "No_Preference"),
        service.subscribe("farm", "other", STREAM, "No_Preference"),
    ]
    query = service.query("farm", "all")
    service.drop_query("farm", "all")
    with pytest.raises(NoSuchName):
        service.subscription("farm", "all", gone.id)
    assert not service.is_there(query)
    again = service.make_query("farm", {"name": "all", "query": {}}, {})
    # A websocket that was open on the dropped query is not on this one.
    assert again.id != query.id
    assert not service.is_there(query)
    assert service.subscriptions("farm", "all", None, 10) == []
    assert service.subscriptions("shop", "all", None, 10) == kept[:1]
    assert service.subscriptions("farm", "other", None, 10) == kept[1:]


def test_a_taken_name_and_a_limited_query_change_nothing(service: SubscriptionService) -> None:
    before = service.make_query("farm", {"name": "all", "query": {"maxEventCount": 3}}, {})
    with pytest.raises(NameTaken):
        service.make_query("farm", {"name": "all", "query": {}}, {})
    assert service.query("farm", "all") == before
    with pytest.raises(SubscriptionControls):
        service.subscribe("farm", "all", STREAM, "No_Preference")
    assert service.subscriptions("farm", "all", None, 10) == []


def test_a_subscription_begins_behind_what_was_recorded_before_its_time(
    sim: Simulator, service: SubscriptionService
) -> None:
    """A record's time is that of the first seal behind it."""
    service.make_query("farm", {"name": "all", "query": {}}, {})
    jobs = [sim.capture("farm", [sim.event(epcList=[LOT])]) for _ in range(3)]
    second = jobs[1].index
    assert second is not None
    time_ms = sim.now_ms - 1000

    def place(text: str | None) -> tuple[int, int]:
        body = STREAM if text is None else {**STREAM, "initialRecordTime": text}
        return service.subscribe("farm", "all", body, "No_Preference").progress.place

    assert place(None) == (sim.node.published_size - 1, END_OF_CAPTURE)
    assert place("1970-01-01T00:00:00Z") == (-1, END_OF_CAPTURE)
    assert place(time_text(time_ms))[0] < second
    assert place(time_text(time_ms + 1))[0] >= second
    assert place("2999-01-01T00:00:00Z") == (sim.node.published_size - 2, END_OF_CAPTURE)
