"""One subscription's turns, with a real store and a receiver that is told what to say: what is noted when, and what is sent.

Each write is made to fail twice, before it was stored and after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import Connection

from fabric.capture.node import Node
from fabric.capture.writer import QueueFull, Ticket
from fabric.query.errors import QueryParameter, QueryTooComplex
from fabric.query.run import Events
from fabric.subscription import courier as courier_module
from fabric.subscription import subscriptions
from fabric.subscription.courier import Courier, Overtaken
from fabric.subscription.destination import Allowed
from fabric.subscription.progress import END_OF_CAPTURE, Outcome, RetryRule, is_due
from fabric.subscription.service import SubscriptionService
from fabric.subscription.subscriptions import Subscription
from fabric.visibility.reader import Reader
from ledger.errors import InvalidInput, Unavailable
from tests.simulator import Simulator

TAKEN, FAILED = Outcome(200, "status-200"), Outcome(500, "status-500")
DEST = "https://client.example.com/x"
LOT = "https://id.gs1.org/01/09506000134352/10/C"


@dataclass
class Core:
    """A node whose next writes fail as told: `before` they are stored, or after."""

    node: Node
    before: list[bool] = field(default_factory=list)
    after: list[bool] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.node, name)

    @property
    def published_size(self) -> int:
        return self.node.published_size

    @property
    def is_sequencing(self) -> bool:
        return self.node.is_sequencing

    def reader(self, member: str | None) -> Reader:
        return self.node.reader(member)

    def submit(self, run: Callable[[Connection], Any]) -> Ticket:
        if self.before and self.before.pop(0):
            raise QueueFull("the queue of captures is full; try again soon")
        ticket = self.node.submit(run)
        if self.after and self.after.pop(0):
            ticket.stored.result(30)
            lost: Future[Any] = Future()
            lost.set_exception(Unavailable("the writer stopped; restarting the node recovers it"))
            return Ticket(lost, ticket.settled)
        return ticket


@dataclass
class Receiver:
    """Answers each attempt with the next of its outcomes, then with 200; remembers names and bodies."""

    outcomes: list[Outcome] = field(default_factory=list)
    heard: list[tuple[str, str, bytes]] = field(default_factory=list)

    def post(self, _dest: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        self.heard.append((headers["Loomark-Delivery"], headers["Content-Type"], body))
        return self.outcomes.pop(0) if self.outcomes else TAKEN


class Scene:
    """A member's stream of everything it sees, and couriers that deliver it."""

    def __init__(self, folder: Path) -> None:
        self.sim = Simulator(folder)
        self.sim.admit("farm")
        self.core, self.receiver, self.counted = Core(self.sim.node), Receiver(), list[str]()
        self.refusals: list[InvalidInput] = []
        self._numbers = count(1)
        node = self.sim.node
        service = SubscriptionService(node, node.reading, Allowed(), clock=self.sim._clock, draw=self._draw)
        service.make_query("farm", {"name": "all", "query": {}}, {})
        body = {"dest": DEST, "stream": True}
        self.service, self.id = service, service.subscribe("farm", "all", body, "No_Preference").id

    def _draw(self, size: int) -> bytes:
        return next(self._numbers).to_bytes(size, "big")

    def courier(self, by: str = "me", attempts: int = 3) -> Courier:
        return Courier(
            self.core,
            self._events,
            self.receiver,
            RetryRule(attempts=attempts),
            by=by,
            clock=self.sim._clock,
            draw=self._draw,
            chance=lambda: 0.5,
            count=self.counted.append,
        )

    def _events(self) -> Events:
        if self.refusals:
            raise self.refusals.pop(0)
        return Events(self.sim.node.reading, lambda _iri, _time_us: None)

    def stored(self) -> Subscription:
        return self.service.subscription("farm", "all", self.id)

    def capture(self, events: int = 1) -> list[str]:
        made = [self.sim.event(epcList=[LOT]) for _ in range(events)]
        assert self.sim.capture("farm", made).state == "sequenced"
        return [one["eventID"] for one in made]

    def sent(self) -> list[int]:
        """How many events each attempt had."""
        return [body.count(b'"eventID"') for _, _, body in self.receiver.heard]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "node")
    yield made
    made.sim.node.close()


def test_a_turn_delivers_all_there_is_and_then_has_nothing_to_do(scene: Scene) -> None:
    scene.capture(250)
    turned = scene.courier().turn(scene.stored())
    assert scene.sent() == [100, 100, 50]
    assert turned.progress == scene.stored().progress
    assert turned.seen == scene.sim.node.published_size - 1
    assert scene.courier().turn(scene.stored()).progress == turned.progress
    assert scene.sent() == [100, 100, 50]
    assert scene.counted == ["taken"] * 3


def test_what_a_turn_leaves_of_the_last_capture_is_due_at_once_and_after_a_restart(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier_module, "IN_A_TURN", 1)
    scene.capture(150)
    turned = scene.courier().turn(scene.stored())
    size, now_ms = scene.sim.node.published_size, scene.sim.now_ms
    assert scene.sent() == [100]
    assert is_due(turned.progress, False, turned.seen, size, now_ms)
    assert is_due(scene.stored().progress, False, -1, size, now_ms)
    turned = scene.courier().turn(scene.stored(), turned.seen)
    turned = scene.courier().turn(scene.stored(), turned.seen)
    assert scene.sent() == [100, 50]
    assert not is_due(turned.progress, False, turned.seen, size, now_ms)


def test_nothing_is_sent_where_it_could_not_be_noted_first(scene: Scene) -> None:
    scene.capture(2)
    before = scene.stored().progress
    scene.core.before = [True]
    with pytest.raises(Unavailable):
        scene.courier().turn(scene.stored())
    assert (scene.sent(), scene.stored().progress) == ([], before)
    scene.core.after = [True]
    with pytest.raises(Unavailable):
        scene.courier().turn(scene.stored())
    # Noted, and the writer died before it said so: what goes on sends just that.
    sending = scene.stored().progress.sending
    assert sending is not None
    assert scene.sent() == []
    scene.courier().turn(scene.stored())
    assert [name for name, _, _ in scene.receiver.heard] == [sending.delivery]
    assert scene.sent() == [2]


def test_what_was_taken_is_noted_as_soon_as_that_can_be_done_and_not_sent_again(scene: Scene) -> None:
    scene.capture(2)
    scene.core.before = [False, True, True]
    turned = scene.courier().turn(scene.stored())
    assert scene.sent() == [2]
    assert (turned.progress.delivered, scene.stored().progress.sending) == (1, None)


def test_what_was_noted_by_a_writer_that_did_not_say_so_is_not_sent_again(scene: Scene) -> None:
    """The note of a 2xx is stored, its answer lost: whoever believes otherwise is overtaken by what is stored."""
    scene.capture(2)
    scene.core.after = [False, True]
    with pytest.raises(Overtaken):
        scene.courier().turn(scene.stored())
    assert scene.stored().progress.delivered == 1
    scene.courier().turn(scene.stored())
    assert scene.sent() == [2]


def test_a_retry_has_the_same_name_and_events_whatever_came_since(scene: Scene) -> None:
    scene.capture(3)
    scene.receiver.outcomes = [FAILED, FAILED]
    failed = scene.courier().turn(scene.stored()).progress
    scene.capture(4)
    assert failed.failures == 1
    scene.courier().turn(scene.stored())
    scene.courier().turn(scene.stored())
    names = [name for name, _, _ in scene.receiver.heard]
    assert scene.sent() == [3, 3, 3, 4]
    assert len(set(names[:3])) == 1
    assert names[3] != names[0]
    assert scene.stored().progress.failures == 0


def test_another_process_takes_over_under_the_same_name_and_the_first_cannot_undo_it(scene: Scene) -> None:
    scene.capture(2)
    scene.receiver.outcomes = [FAILED]
    scene.courier("first").turn(scene.stored())
    old = scene.stored()
    scene.courier("second").turn(scene.stored())
    assert len({name for name, _, _ in scene.receiver.heard}) == 1
    after = scene.stored().progress
    assert after.delivered == 1
    scene.capture(1)
    with pytest.raises(Overtaken):
        scene.courier("first").turn(old)
    assert scene.stored().progress == after
    taken_over = replace(old.progress, sending=replace(old.progress.sending, by="third"))  # type: ignore[type-var]
    with pytest.raises(Overtaken):
        scene.courier("first").turn(replace(old, progress=taken_over))
    assert scene.stored().progress == after


def test_a_dropped_subscription_is_not_brought_back_by_a_delivery(scene: Scene) -> None:
    scene.capture(1)
    one = scene.stored()
    scene.service.drop_query("farm", "all")
    with pytest.raises(Overtaken):
        scene.courier().turn(one)
    assert scene.sent() == []
    with scene.sim.node.reading.connect() as connection:
        assert subscriptions.of_all(connection) == []


def test_a_query_that_is_too_much_work_is_asked_again_and_given_up_with_a_problem(scene: Scene) -> None:
    wanted = scene.capture(1)
    scene.refusals = [QueryTooComplex("too much work")]
    hindered = scene.courier().turn(scene.stored()).progress
    assert (hindered.failures, hindered.reason, hindered.is_dead) == (1, "query-too-complex", False)
    assert scene.sent() == []
    assert scene.courier().turn(scene.stored()).progress.failures == 0
    assert scene.sent() == [len(wanted)]
    scene.capture(1)
    for _ in range(3):
        scene.refusals = [QueryTooComplex("too much work")]
        scene.courier().turn(scene.stored())
    dead = scene.stored().progress
    assert (dead.is_dead, dead.reason, dead.sending) == (True, "query-too-complex", None)
    _, media_type, body = scene.receiver.heard[-1]
    assert media_type == "application/problem+json"
    assert b'"epcisException:QueryTooComplexException"' in body
    assert len(scene.receiver.heard) == 2


def test_a_query_that_cannot_be_read_any_more_is_given_up_at_once(scene: Scene) -> None:
    scene.capture(1)
    scene.refusals = [QueryParameter("expected another parameter", rule="unknown-parameter")]
    scene.courier().turn(scene.stored())
    dead = scene.stored().progress
    assert (dead.is_dead, dead.reason) == (True, "unknown-parameter")
    assert [media_type for _, media_type, _ in scene.receiver.heard] == ["application/problem+json"]
    scene.service.resume("farm", "all", scene.id)
    scene.courier().turn(scene.stored())
    assert scene.sent()[-1] == 1


def test_nothing_is_begun_after_the_order_to_stop(scene: Scene) -> None:
    scene.capture(1)
    courier = scene.courier()
    courier.stop()
    assert courier.turn(scene.stored()).progress == scene.stored().progress
    assert scene.sent() == []


def test_a_stream_looks_through_each_part_of_the_log_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also over runs: what holds nothing for it is noted now and then."""
    asked: list[tuple[int, int]] = []
    real = Events.since

    def since(self: Events, reader: Reader, query: Any, *, after: Any, **more: Any) -> Any:
        asked.append(after)
        return real(self, reader, query, after=after, **more)

    monkeypatch.setattr(Events, "since", since)
    monkeypatch.setattr(courier_module, "_FAR", 2)
    courier, start = scene.courier(), scene.stored().progress.place
    scene.sim.admit("shop")
    seen = courier.turn(scene.stored()).seen
    assert seen == scene.sim.node.published_size - 1
    assert scene.stored().progress.place == (seen, END_OF_CAPTURE)
    monkeypatch.setattr(courier_module, "_FAR", 1000)
    scene.sim.admit("mill")
    later = courier.turn(scene.stored(), seen).seen
    scene.capture(1)
    courier.turn(scene.stored(), later)
    assert scene.sent() == [1]
    assert asked[:3] == [start, (seen, END_OF_CAPTURE), (later, END_OF_CAPTURE)]


def test_what_was_too_much_at_once_comes_in_parts_in_the_same_run(scene: Scene) -> None:
    """What a turn has looked through ends before the first event that it found."""
    for _ in range(4):
        scene.capture(1)
    scene.receiver.outcomes = [Outcome(413, "status-413"), Outcome(413, "status-413")]
    courier, seen = scene.courier(), -1
    for _ in range(3):
        seen = courier.turn(scene.stored(), seen).seen
    assert scene.sent() == [4, 2, 1, 1, 1, 1]
    assert scene.stored().progress.delivered == 4
