"""Many transactions on a stream, many streams on a server, and how they end."""

from __future__ import annotations

import queue
import random
import threading
from collections.abc import Callable

import pytest
from fabric_protos.peer import chaincode_shim_pb2, proposal_response_pb2

from chaincode import Response, Stub
from chaincode.shim import ChaincodeServer, TransactionEnded
from tests.chaincode.peer import DEADLINE_S, PACKAGE_ID, Message, Peer, connected, echo, one_value, serving


def test_two_hundred_transactions_are_in_flight_at_once_and_none_is_mixed_up(seed: int) -> None:
    def both(stub: Stub) -> Response:
        first = stub.get_state("a" + stub.args[0].decode())
        second = stub.get_state("b" + stub.args[0].decode())
        stub.set_event("told", stub.args[0])
        return Response(200, (first or b"") + (second or b""))

    count = 200
    with connected(both, answers=False) as peer:
        for number in range(count):
            peer.begin(f"t{number}", b"%d" % number)
        for prefix in (b"a", b"b"):
            questions = [peer.next() for _ in range(count)]
            assert {one.txid for one in questions} == {f"t{number}" for number in range(count)}
            random.Random(seed).shuffle(questions)
            for one in questions:
                assert (
                    chaincode_shim_pb2.GetState.FromString(one.payload).key.encode()
                    == prefix + one.txid[1:].encode()
                )
                peer.send(Message.RESPONSE, one, payload=prefix + one.txid.encode())
        answers = {}
        for _ in range(count):
            response, message = peer.completed()
            answers[message.txid] = response.payload
            assert message.chaincode_event.payload == message.txid[1:].encode()
        assert answers == {f"t{n}": f"at{n}bt{n}".encode() for n in range(count)}


def test_one_id_on_two_channels_is_two_transactions() -> None:
    with connected(one_value, answers=False) as peer:
        peer.begin("t", b"k", channel="one")
        peer.begin("t", b"k", channel="two")
        for question in sorted([peer.next(), peer.next()], key=lambda one: str(one.channel_id), reverse=True):
            peer.send(Message.RESPONSE, question, payload=question.channel_id.encode())
        answers = {
            message.channel_id: response.payload for response, message in (peer.completed(), peer.completed())
        }
        assert answers == {"one": b"one", "two": b"two"}


def test_a_second_transaction_of_an_open_id_does_not_disturb_the_first() -> None:
    with connected(one_value, answers=False) as peer:
        peer.begin("t", b"k")
        question = peer.next()
        peer.begin("t", b"other")
        peer.send(Message.KEEPALIVE)
        assert peer.next().type == Message.KEEPALIVE
        peer.send(Message.RESPONSE, question, payload=b"v")
        assert peer.completed("t")[0].payload == b"v"
        assert peer.asked["t"] == [Message.GET_STATE, Message.COMPLETED]


def test_beyond_the_limit_a_transaction_is_answered_503_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chaincode.shim.MAX_TRANSACTIONS", 2)
    with connected(one_value, answers=False) as peer:
        for number in range(2):
            peer.begin(f"t{number}", b"k")
        questions = [peer.next(), peer.next()]
        peer.begin("t2", b"k")
        assert peer.completed("t2")[0].status == 503
        for question in questions:
            peer.send(Message.RESPONSE, question, payload=b"v")
            assert peer.completed(question.txid)[0].status == 200
        peer.begin("t3", b"k")
        assert peer.next().txid == "t3"


@pytest.mark.parametrize("ending", [Peer.close, Peer.finish])
def test_a_stream_that_ends_ends_its_transactions(ending: Callable[[Peer], None]) -> None:
    ended: queue.SimpleQueue[str] = queue.SimpleQueue()

    def wait(stub: Stub) -> Response:
        try:
            return one_value(stub)
        except TransactionEnded:
            ended.put(stub.tx_id)
            raise

    with serving(wait) as port:
        with Peer(port, answers=False) as peer:
            assert peer.next().type == Message.REGISTER
            for number in range(20):
                peer.begin(f"t{number}", b"k")
            for _ in range(20):
                assert peer.next().type == Message.GET_STATE
            ending(peer)
            assert {ended.get(timeout=DEADLINE_S) for _ in range(20)} == {
                f"t{number}" for number in range(20)
            }
            assert peer.ended.wait(DEADLINE_S)
            assert peer.inbox.empty()
        with Peer(port) as again:
            assert again.next().type == Message.REGISTER
            assert again.invoke("t0", b"k").payload == b"nothing"


def test_a_server_that_stops_ends_its_streams() -> None:
    server = ChaincodeServer(PACKAGE_ID, echo)
    with Peer(server.start()) as peer:
        assert peer.next().type == Message.REGISTER
        assert peer.invoke("t", b"x").payload == b"x"
        server.stop(0)
        assert peer.ended.wait(DEADLINE_S)


def test_a_server_that_stops_answers_what_is_open_first_and_takes_no_more() -> None:
    server = ChaincodeServer(PACKAGE_ID, one_value)
    with Peer(server.start(), answers=False) as peer:
        assert peer.next().type == Message.REGISTER
        peer.begin("t1", b"k")
        peer.begin("t2", b"k")
        questions = [peer.next(), peer.next()]
        stopping = threading.Thread(target=server.stop, args=(DEADLINE_S,))
        stopping.start()
        # Until the stop is known here as well, a new transaction may still be taken; it asks, and is answered.
        number, response = 3, None
        while response is None:
            peer.begin(f"t{number}", b"k")
            message = peer.next()
            if message.type == Message.GET_STATE:
                peer.send(Message.RESPONSE, message, payload=b"v")
                assert peer.completed(f"t{number}")[0].payload == b"v"
                number += 1
                continue
            response = proposal_response_pb2.Response.FromString(message.payload)
        assert response.status == 503
        for question in questions:
            peer.send(Message.RESPONSE, question, payload=b"v")
            assert peer.completed(question.txid)[0].payload == b"v"
        assert peer.ended.wait(DEADLINE_S)
        assert peer.error is None
        stopping.join(DEADLINE_S)
        assert not stopping.is_alive()


def test_a_port_that_is_taken_is_refused() -> None:
    with serving(echo) as port, pytest.raises(RuntimeError):
        ChaincodeServer(PACKAGE_ID, echo, address=f"127.0.0.1:{port}")


def test_many_peers_have_streams_of_their_own() -> None:
    with serving(echo) as port:
        peers = [Peer(port) for _ in range(8)]
        try:
            for number, peer in enumerate(peers):
                assert peer.next().type == Message.REGISTER
                assert peer.invoke("t", b"%d" % number).payload == b"%d" % number
        finally:
            for peer in peers:
                peer.close()
