"""Streams that break, repeat themselves or lie: every event once and in order, or an error that says why not."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from ledger.hyperledger.blocks import blocks
from ledger.hyperledger.channel import Channel, ChannelEvent
from ledger.hyperledger.errors import BadAnswer, IdentityRefused, NetworkAway
from ledger.hyperledger.gateway import Gateway, Patience, open_channel, open_gateway
from tests.hyperledger.consortium import ONE, TWO, Consortium, Log
from tests.hyperledger.double.faults import Failure
from tests.hyperledger.double.network import DoubleNetwork

SIZES = range(1, 7)
QUICK = Patience(first_pause_s=0.01, longest_pause_s=0.05)


@pytest.fixture
def log(double_consortium: Consortium) -> Iterator[Log]:
    """A log whose checkpoints of sizes 1 to 6 were accepted, each in a block of its own."""
    with double_consortium.closing() as consortium:
        [made] = consortium.logs()
        channel = consortium.channel()
        for size in SIZES:
            channel.submit(made.note(size), made.proof(size - 1, size))
        yield made


@pytest.fixture
def channel(double: DoubleNetwork) -> Iterator[Channel]:
    made = open_channel(double.profile(), patience=QUICK)
    yield made
    made.close()


@pytest.fixture
def gateway(double: DoubleNetwork) -> Iterator[Gateway]:
    made = open_gateway(double.profile(), patience=QUICK)
    yield made
    made.close()


def _all(channel: Channel, after: tuple[int, str] | None = None) -> list[ChannelEvent]:
    stop, found = threading.Event(), []
    for event in channel.events(after, stop=stop):
        found.append(event)
        if event.payload.get("size") == SIZES[-1]:
            stop.set()
    return found


def _sizes(events: list[ChannelEvent]) -> list[int]:
    return [event.payload["size"] for event in events]


@pytest.mark.parametrize("cuts", [[0], [1], [2, 1, 3], [0, 0, 0, 1, 0, 2], [5], [6]])
def test_a_stream_that_is_cut_goes_on_where_it_was(
    double: DoubleNetwork, log: Log, channel: Channel, cuts: list[int]
) -> None:
    faults = double.peer(ONE).faults
    faults.cuts = [*cuts]
    assert _sizes(_all(channel)) == [*SIZES]


def test_a_stream_that_repeats_itself_tells_nothing_twice(
    double: DoubleNetwork, log: Log, channel: Channel
) -> None:
    first = _all(channel)
    double.peer(ONE).faults.replays = True
    with pytest.raises(BadAnswer, match="or later, got block"):
        _all(channel, (first[2].block, first[2].tx_id))
    double.peer(ONE).faults.replays = False
    assert _all(channel, (first[2].block, first[2].tx_id)) == first[3:]


def test_a_peer_that_repeats_the_block_it_was_in_tells_nothing_twice(
    double: DoubleNetwork, log: Log, channel: Channel
) -> None:
    [first, *rest] = _all(channel)
    # Nothing goes back behind the first event's block: what is repeated is that block, and it was told.
    double.peer(ONE).faults.replays = True
    double.peer(ONE).faults.cuts = [1]
    assert _all(channel, (first.block, first.tx_id)) == rest


@pytest.mark.parametrize("data", [b"\xff\xff", b"\x0a\x02\x08\x01", b"\x12\x00"])
def test_what_is_no_stream_of_events_is_said_and_not_read_forever(
    double: DoubleNetwork, log: Log, channel: Channel, data: bytes
) -> None:
    double.peer(ONE).faults.garbage["ChaincodeEvents"] = data
    with pytest.raises(BadAnswer):
        _all(channel)
    assert double.peer(ONE).faults.calls.count("ChaincodeEvents") == 3
    double.peer(ONE).faults.garbage.clear()
    assert _sizes(_all(channel)) == [*SIZES]


def test_a_listener_outlives_its_peer(double: DoubleNetwork, log: Log, channel: Channel) -> None:
    peer, stop, found = double.peer(ONE), threading.Event(), []
    for event in channel.events(None, stop=stop):
        found.append(event.payload["size"])
        if event.payload["size"] == 3:
            peer.stop()
            threading.Timer(0.5, peer.start).start()
        if event.payload["size"] == SIZES[-1]:
            stop.set()
    assert found == [*SIZES]


def test_listening_ends_when_it_is_told_to_while_nothing_comes(
    double: DoubleNetwork, log: Log, channel: Channel
) -> None:
    last = _all(channel)[-1]
    stop = threading.Event()
    heard: list[ChannelEvent] = []
    listener = threading.Thread(
        target=lambda: heard.extend(channel.events((last.block, last.tx_id), stop=stop))
    )
    listener.start()
    stop.set()
    listener.join(60)
    assert not listener.is_alive()
    assert heard == []


def test_listening_ends_when_the_channel_is_closed(double: DoubleNetwork, log: Log, channel: Channel) -> None:
    last = _all(channel)[-1]
    listener = threading.Thread(
        target=lambda: [*channel.events((last.block, last.tx_id), stop=threading.Event())]
    )
    listener.start()
    channel.close()
    listener.join(60)
    assert not listener.is_alive()


def test_an_identity_that_is_revoked_while_it_listens_is_told(
    double: DoubleNetwork, log: Log, channel: Channel
) -> None:
    double.peer(ONE).faults.cuts = [2]
    listening = channel.events(None, stop=threading.Event())
    heard = [next(listening), next(listening)]
    double.membership.revoked.add(double.members[ONE].issued["client"].certificate.serial_number)
    with pytest.raises(IdentityRefused):
        next(listening)
    assert _sizes(heard) == [1, 2]


def test_an_event_whose_payload_is_no_object_is_refused(
    double: DoubleNetwork, log: Log, channel: Channel
) -> None:
    for sealed in double.ledger.sealed:
        for entry in sealed.entries:
            if entry.event is not None:
                entry.event.payload = b'"text"'
    with pytest.raises(BadAnswer, match="the payload of event checkpoint"):
        _all(channel)


def test_a_block_that_was_changed_is_refused(double: DoubleNetwork, log: Log, gateway: Gateway) -> None:
    stop = threading.Event()
    assert len(list(blocks(gateway, 0, 5, stop=stop))) == 6
    block = double.ledger.sealed[3].block
    block.data.data[0] += b"\0"
    with pytest.raises(BadAnswer, match="the data of block 3 under its hash"):
        list(blocks(gateway, 0, 5, stop=stop))
    block.data.data[0] = block.data.data[0][:-1]
    block.header.previous_hash = bytes(32)
    with pytest.raises(BadAnswer, match="expected block 3 to follow"):
        list(blocks(gateway, 0, 5, stop=stop))
    block.metadata.metadata[2] = b""
    with pytest.raises(BadAnswer, match="a validation code for each transaction"):
        list(blocks(gateway, 3, 3, stop=stop))


def test_blocks_are_asked_for_by_number(double: DoubleNetwork, log: Log, gateway: Gateway) -> None:
    double.ledger.sealed[2].block.header.number = 9
    with pytest.raises(BadAnswer, match="expected block 2, got 9"):
        list(blocks(gateway, 2, 4, stop=threading.Event()))


@pytest.mark.parametrize("data", [b"\xff\xff", b"", b"\x12\x02\x08\x01", b"\x1a\x00", b"\x08\x90\x03"])
def test_garbage_for_blocks_is_refused(
    double: DoubleNetwork, log: Log, gateway: Gateway, data: bytes
) -> None:
    double.peer(ONE).faults.garbage["Deliver"] = data
    with pytest.raises((BadAnswer, NetworkAway)):
        list(blocks(gateway, 0, 3, stop=threading.Event()))


def test_a_stream_of_blocks_that_fails_says_so(double: DoubleNetwork, log: Log, gateway: Gateway) -> None:
    double.peer(ONE).faults.failures["Deliver"] = Failure("UNAVAILABLE", "going down")
    with pytest.raises(NetworkAway, match="going down"):
        list(blocks(gateway, 0, 3, stop=threading.Event()))
    assert [block.number for block in blocks(gateway, 0, 3, stop=threading.Event())] == [0, 1, 2, 3]


def test_blocks_as_they_come_end_when_told(double: DoubleNetwork, log: Log, gateway: Gateway) -> None:
    stop, found = threading.Event(), []
    for block in blocks(gateway, 0, None, stop=stop):
        found.append(block.number)
        if block.number + 1 == len(double.ledger.sealed):
            stop.set()
    assert found == [*range(len(double.ledger.sealed))]


def test_events_of_another_organisations_peer_are_the_same(
    double: DoubleNetwork, log: Log, channel: Channel
) -> None:
    other = open_channel(double.profile(TWO), patience=QUICK)
    assert _all(other) == _all(channel)
    other.close()
