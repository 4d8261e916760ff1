"""The chaincode stream against a peer on loopback: order, concurrency, and everything a peer may send."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest
from fabric_protos.peer import chaincode_pb2, chaincode_shim_pb2

from chaincode import Creator, Response, Stub, dispatch
from chaincode.shim import PeerRefused, TransactionEnded
from ledger.canonical import canonical, parse_json
from tests.chaincode.memory import Organisation, certificate
from tests.chaincode.peer import (
    DEADLINE_S,
    NOW_S,
    PACKAGE_ID,
    Message,
    Peer,
    connected,
    echo,
    one_value,
    page_bytes,
    payload,
    proposal,
    serving,
)


def test_register_with_the_package_id_comes_first() -> None:
    with serving(echo) as port, Peer(port, greets=False) as peer:
        first = peer.next()
        assert first.type == Message.REGISTER
        assert chaincode_pb2.ChaincodeID.FromString(first.payload).name == PACKAGE_ID


def test_the_stub_tells_what_the_proposal_says() -> None:
    seen: list[Any] = []

    def look(stub: Stub) -> Response:
        seen.append((list(stub.args), stub.channel, stub.tx_id, stub.timestamp_ms, stub.creator))
        return Response(200)

    creator = Creator("Org1MSP", b"a certificate")
    with connected(look) as peer:
        message = Message(
            type=Message.TRANSACTION, channel_id="c", txid="t", payload=payload(b"f", b"\xff", b"")
        )
        message.proposal.proposal_bytes = proposal("c", "t", creator, nanos=999_999_999)
        peer.send_raw(message.SerializeToString())
        response, _ = peer.completed("t")
    assert response.status == 200
    assert seen == [([b"f", b"\xff", b""], "c", "t", NOW_S * 1000 + 999, creator)]


def test_the_contracts_run_over_the_stream() -> None:
    first = Organisation.named("Org1MSP")
    with connected(dispatch) as peer:
        registration = canonical(first.registration())
        assert peer.invoke("t1", b"organisations:register", registration, creator=first.admin).status == 200
        note = first.log.note(7)
        peer.begin("t2", b"checkpoints:submit", note, b"[]", creator=first.user)
        response, message = peer.completed("t2")
        assert (response.status, response.message) == (200, "")
        assert message.chaincode_event.event_name == "checkpoint"
        assert message.chaincode_event.payload == response.payload
        peer.state.update(peer.writes["t2"])
        refused = peer.invoke("t3", b"checkpoints:submit", note, b"[]", creator=first.user)
        assert (refused.status, refused.payload) == (409, b"")
        assert refused.message.startswith("already-anchored: ")
        assert peer.writes["t3"] == []
        history = peer.invoke("t4", b"checkpoints:history", first.log.origin.encode(), b"0", b"5")
        assert [one["size"] for one in parse_json(history.payload)] == [7]


def test_a_value_larger_than_grpcs_usual_limit_passes_both_ways() -> None:
    def doubled(stub: Stub) -> Response:
        value = stub.get_state("k")
        assert value is not None
        stub.put_state("k", value + value)
        return Response(200, value)

    with connected(doubled) as peer:
        peer.state["k"] = bytes(5_000_000)
        assert len(peer.invoke("t").payload) == 5_000_000
        assert len(peer.state["k"]) == 10_000_000


def listed(stub: Stub) -> Response:
    """Answer with all keys of a range; the first argument is the page size asked for."""
    found = stub.get_state_by_range("k/", "k0", int(stub.args[0]))
    return Response(200, b",".join([key.encode() + b"=" + value for key, value in found]))


@pytest.mark.parametrize(("entries", "nexts"), [(0, 0), (1, 0), (2, 0), (3, 1), (7, 3)])
def test_a_range_is_read_over_all_its_pages(entries: int, nexts: int) -> None:
    with connected(listed, page=2) as peer:
        peer.state.update(
            {f"k/{number}": b"%d" % number for number in range(entries)} | {"j": b"x", "k0": b"x"}
        )
        expected = b",".join([b"k/%d=%d" % (number, number) for number in range(entries)])
        assert peer.invoke("t", b"0").payload == expected
        range_, next_ = Message.GET_STATE_BY_RANGE, Message.QUERY_STATE_NEXT
        assert peer.asked["t"] == [range_, *[next_] * nexts, Message.COMPLETED]


def test_a_page_size_is_asked_for_and_kept_to() -> None:
    with connected(listed) as peer:
        peer.state.update({f"k/{number}": b"v" for number in range(9)})
        assert peer.invoke("t", b"3").payload == b"k/0=v,k/1=v,k/2=v"
        assert peer.asked["t"] == [Message.GET_STATE_BY_RANGE, Message.COMPLETED]


def test_a_page_size_is_kept_to_with_a_peer_that_gives_more() -> None:
    with connected(listed, answers=False) as peer:
        peer.begin("t", b"1")
        question = peer.next()
        entries = [("k/1", b"a"), ("k/2", b"b")]
        peer.send(Message.RESPONSE, question, payload=page_bytes(entries, True, "q"))
        closing = peer.next()
        assert closing.type == Message.QUERY_STATE_CLOSE
        assert chaincode_shim_pb2.QueryStateClose.FromString(closing.payload).id == "q"
        peer.send(Message.RESPONSE, closing)
        assert peer.completed("t")[0].payload == b"k/1=a"


def test_a_range_that_is_left_early_is_closed() -> None:
    def first_alone(stub: Stub) -> Response:
        found = stub.get_state_by_range("k/", "k0")
        key, _ = next(found)
        del found
        return Response(200, key.encode())

    with connected(first_alone, page=2) as peer:
        peer.state.update({f"k/{number}": b"v" for number in range(9)})
        assert peer.invoke("t").payload == b"k/0"
        assert peer.asked["t"][1:] == [Message.QUERY_STATE_CLOSE, Message.COMPLETED]


def _errors_of(handler: Callable[[Stub], Response], seen: list[Exception]) -> Callable[[Stub], Response]:
    def run(stub: Stub) -> Response:
        try:
            return handler(stub)
        except Exception as error:
            seen.append(error)
            raise

    return run


@pytest.mark.parametrize(
    ("handler", "answers"),
    [
        (one_value, [(Message.ERROR, b"the secret of the state")]),
        (one_value, [(Message.ERROR, b"\xff\xfe")]),
        (listed, [(Message.ERROR, b"no")]),
        (listed, [(Message.RESPONSE, b"\xff")]),
        (listed, [(Message.RESPONSE, page_bytes([("k/1", b"a")], True, "q")), (Message.ERROR, b"no")]),
        (listed, [(Message.RESPONSE, page_bytes([("k/1", b"a")], True, "q")), (Message.RESPONSE, b"\xff")]),
    ],
)
def test_an_error_of_the_peer_gives_500_at_once_and_tells_nothing(
    handler: Any, answers: list[tuple[int, bytes]]
) -> None:
    seen: list[Exception] = []
    with connected(_errors_of(handler, seen), answers=False) as peer:
        peer.begin("t", b"0")
        for kind, text in answers:
            peer.send(kind, peer.next(), payload=text)
        response, _ = peer.completed("t")
        assert (response.status, response.message) == (500, "internal-error: the chaincode failed")
        assert [type(error) for error in seen] == [PeerRefused]
        peer.begin("t2", b"0")
        assert peer.next().txid == "t2"


def test_a_write_that_the_peer_refuses_gives_500_and_no_event() -> None:
    def write(stub: Stub) -> Response:
        stub.set_event("told", b"x")
        stub.put_state("k", b"v")
        return Response(200)

    with connected(write, answers=False) as peer:
        peer.begin("t")
        peer.send(Message.ERROR, peer.next(), payload=b"no")
        response, message = peer.completed("t")
        assert response.status == 500
        assert not message.HasField("chaincode_event")


@pytest.mark.parametrize("status", [400, 404, 499, 500])
def test_a_refused_transaction_has_no_event(status: int) -> None:
    def refuse(stub: Stub) -> Response:
        stub.set_event("told", b"x")
        return Response(status, message="no")

    with connected(refuse) as peer:
        peer.begin("t")
        response, message = peer.completed("t")
        assert response.status == status
        assert not message.HasField("chaincode_event")


@pytest.mark.parametrize(("key", "value"), [("", b"v"), ("k", b"")])
def test_an_empty_key_or_value_is_not_sent(key: str, value: bytes) -> None:
    def write(stub: Stub) -> Response:
        stub.put_state(key, value)
        return Response(200)

    with connected(write) as peer:
        assert peer.invoke("t").status == 500
        assert peer.writes["t"] == []


def test_a_handler_that_raises_gives_500_at_once_and_the_stream_goes_on() -> None:
    def fail(stub: Stub) -> Response:
        if stub.args:
            return Response(200, b"fine")
        raise RuntimeError("the secret of the state")

    with connected(fail) as peer:
        response = peer.invoke("t1")
        assert (response.status, response.message) == (500, "internal-error: the chaincode failed")
        assert peer.invoke("t2", b"x").payload == b"fine"


@pytest.fixture
def let_pass(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the clock that deadlines are kept by."""
    passed_s = [0.0]
    monkeypatch.setattr("chaincode.shim.monotonic", lambda: monotonic() + passed_s[0])

    def move(seconds: float) -> None:
        passed_s[0] += seconds

    return move


def test_a_handler_that_hangs_is_answered_500_and_writes_nothing_later(
    let_pass: Callable[[float], None],
) -> None:
    has_begun, go_on, seen = threading.Event(), threading.Event(), queue.SimpleQueue[str]()

    def hang(stub: Stub) -> Response:
        if stub.args:
            return Response(200, b"fine")
        has_begun.set()
        go_on.wait(DEADLINE_S)
        try:
            stub.put_state("k", b"late")
        except TransactionEnded:
            seen.put("ended")
        return Response(200, b"late")

    with connected(hang, transaction_s=DEADLINE_S) as peer:
        peer.begin("t1")
        assert has_begun.wait(DEADLINE_S)
        let_pass(DEADLINE_S)
        response, _ = peer.completed("t1")
        assert (response.status, response.message) == (500, "too-slow: not done in time")
        go_on.set()
        assert seen.get(timeout=DEADLINE_S) == "ended"
        assert peer.writes["t1"] == []
        assert peer.invoke("t2", b"x").payload == b"fine"
        assert peer.asked["t1"] == [Message.COMPLETED]


def test_a_peer_that_never_answers_gets_500(let_pass: Callable[[float], None]) -> None:
    with connected(one_value, transaction_s=DEADLINE_S, answers=False) as peer:
        peer.begin("t", b"k")
        question = peer.next()
        assert question.type == Message.GET_STATE
        let_pass(DEADLINE_S)
        assert peer.completed("t")[0].status == 500
        peer.send(Message.RESPONSE, question, payload=b"late")
        peer.begin("t2", b"k")
        peer.send(Message.RESPONSE, peer.next(), payload=b"in time")
        assert peer.completed("t2")[0].payload == b"in time"


def test_init_is_answered_and_runs_nothing() -> None:
    ran: list[str] = []

    def note_it(stub: Stub) -> Response:
        ran.append(stub.tx_id)
        return Response(200)

    with connected(note_it) as peer:
        peer.send(Message.INIT, channel_id="loomark", txid="t", payload=payload(b"init"))
        response, _ = peer.completed("t")
        assert (response.status, response.payload, ran) == (200, b"", [])


def test_keepalive_is_sent_back() -> None:
    with connected(echo) as peer:
        peer.send(Message.KEEPALIVE)
        assert peer.next().type == Message.KEEPALIVE


def test_a_transaction_before_ready_is_an_error_and_runs_nothing() -> None:
    with connected(echo, greets=False) as peer:
        peer.begin("t", b"x")
        message = peer.next()
        assert (message.type, message.txid) == (Message.ERROR, "t")
        peer.send(Message.REGISTERED)
        peer.send(Message.READY)
        assert peer.invoke("t2", b"x").payload == b"x"


@pytest.mark.parametrize("kind", [0, 2, 6, 8, 9, 11, 12, 24, 25, 99, 2**31 - 1, -1])
def test_a_message_of_a_type_that_is_not_a_peers_is_passed_over(kind: int) -> None:
    with connected(echo) as peer:
        peer.send(kind, channel_id="loomark", txid="t", payload=b"\xff")
        assert peer.invoke("t", b"x").payload == b"x"


@pytest.mark.parametrize("kind", [Message.RESPONSE, Message.ERROR])
def test_an_answer_for_an_unknown_transaction_is_passed_over(kind: int) -> None:
    with connected(one_value) as peer:
        peer.state["k"] = b"v"
        peer.send(kind, channel_id="loomark", txid="unknown", payload=b"x")
        peer.send(kind, payload=b"x")
        assert peer.invoke("t", b"k").payload == b"v"
        peer.send(kind, channel_id="loomark", txid="t", payload=b"after the end")
        assert peer.invoke("t", b"k").payload == b"v"


def test_an_answer_that_was_not_asked_for_is_not_taken_for_the_next_question() -> None:
    go_on = threading.Event()

    def wait(stub: Stub) -> Response:
        go_on.wait(DEADLINE_S)
        return one_value(stub)

    with connected(wait, answers=False) as peer:
        peer.begin("t", b"k")
        peer.send(Message.RESPONSE, channel_id="loomark", txid="t", payload=b"forged")
        peer.send(Message.KEEPALIVE)
        # Messages are taken in order, so the forged one was looked at before this came back.
        assert peer.next().type == Message.KEEPALIVE
        go_on.set()
        question = peer.next()
        peer.send(Message.RESPONSE, question, payload=b"true")
        peer.send(Message.RESPONSE, question, payload=b"twice")
        assert peer.completed("t")[0].payload == b"true"


def _transaction(proposal_bytes: bytes, payload_bytes: bytes = payload(b"x")) -> bytes:
    message = Message(type=Message.TRANSACTION, channel_id="loomark", txid="t", payload=payload_bytes)
    message.proposal.proposal_bytes = proposal_bytes
    return bytes(message.SerializeToString())


GOOD = Creator("Org1MSP", b"a certificate")


@pytest.mark.parametrize(
    "raw",
    [
        _transaction(proposal("loomark", "t", GOOD), b"\xff"),
        _transaction(b"\xff"),
        _transaction(b""),
        _transaction(proposal("loomark", "t", b"\xff\xff")),
        _transaction(proposal("loomark", "t", b"\x0a\x02\xff\xfe")),
        _transaction(proposal("loomark", "other", GOOD)),
        _transaction(proposal("other", "t", GOOD)),
        Message(
            type=Message.TRANSACTION, channel_id="loomark", txid="t", payload=payload(b"x")
        ).SerializeToString(),
    ],
)
def test_a_transaction_that_cannot_be_read_is_400_and_runs_nothing(raw: bytes) -> None:
    ran: list[str] = []

    def note_it(stub: Stub) -> Response:
        ran.append(stub.tx_id)
        return Response(200)

    with connected(note_it) as peer:
        peer.send_raw(raw)
        response, _ = peer.completed("t")
        assert response.status == 400
        assert response.message.startswith("bad-proposal: ")
        assert ran == []
        assert peer.invoke("t").status == 200


# A certificate is another one in each process, so its bytes are no name for a test.
@pytest.mark.parametrize(
    "identity",
    [b"", b"garbage" * 40, certificate("Org1MSP", "admin")[:100]],
    ids=["nothing", "garbage", "a part of a certificate"],
)
def test_a_creator_of_garbage_is_refused_by_the_contracts(identity: bytes) -> None:
    first = Organisation.named("Org1MSP")
    with connected(dispatch) as peer:
        registration = canonical(first.registration())
        creator = Creator("Org1MSP", identity)
        response = peer.invoke("t", b"organisations:register", registration, creator=creator)
        assert response.status == 400
        assert peer.writes["t"] == []


@pytest.mark.parametrize("raw", [b"\xff\xff\xff", b"\x0a", b"\x3a\x02\xff\xfe", b"\x1a\xff\xff\xff\xff\x0f"])
def test_bytes_that_are_no_message_end_this_stream_and_no_other(raw: bytes) -> None:
    with serving(one_value) as port, Peer(port, answers=False) as one, Peer(port) as other:
        assert one.next().type == Message.REGISTER
        assert other.next().type == Message.REGISTER
        one.begin("t", b"k")
        assert one.next().type == Message.GET_STATE
        one.send_raw(raw)
        assert one.ended.wait(DEADLINE_S)
        assert one.inbox.empty()
        assert other.invoke("t", b"k").payload == b"nothing"
        with Peer(port) as again:
            assert again.next().type == Message.REGISTER
            assert again.invoke("t", b"k").payload == b"nothing"
