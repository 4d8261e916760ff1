"""What the client promises of a channel: on the double always, on a real network where there is one."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import pytest

from ledger.canonical import canonical
from ledger.hyperledger.blocks import blocks, filtered_blocks
from ledger.hyperledger.channel import Channel, ChannelEvent, Committed, confirm
from ledger.hyperledger.errors import ChaincodeRefused, Conflict, IdentityRefused, Invalidated
from ledger.hyperledger.gateway import Patience, open_channel
from ledger.shape import base64_text
from tests.hyperledger.consortium import ONE, TWO, Consortium

REFUSED = [
    # (size, history, start of the proof, status, rule) after sizes 3 and 5 were accepted.
    (5, "", 3, 409, "already-anchored"),
    (3, "", 0, 409, "stale"),
    (4, "", 3, 409, "stale"),
    (5, "other", 3, 422, "fork"),
    (8, "other", 5, 422, "consistency"),
    (8, "", 3, 422, "consistency"),
]


def _refusal(channel: Channel, note: bytes, proof: list[bytes]) -> ChaincodeRefused:
    with pytest.raises(ChaincodeRefused) as refused:
        channel.submit(note, proof)
    return refused.value


def _take(channel: Channel, after: tuple[int, str] | None, last: str) -> list[ChannelEvent]:
    """Events after a position up to the transaction ``last``."""
    stop, found = threading.Event(), []
    for event in channel.events(after, stop=stop):
        found.append(event)
        if event.tx_id == last:
            stop.set()
    return found


def test_a_registration_is_read_back_as_it_was_written(consortium: Consortium) -> None:
    [log] = consortium.logs()
    [own] = [each for each in consortium.channel(TWO).organisations() if each.msp == ONE]
    assert own.origins[log.origin] == (log.vkey,)
    assert own.cosigner == consortium.cosigner_vkey(ONE)


def test_only_an_admin_registers(consortium: Consortium) -> None:
    consortium.logs()
    before = consortium.channel().organisations()
    with pytest.raises(ChaincodeRefused) as refused:
        consortium.channel().register({}, consortium.cosigner_vkey(ONE))
    assert refused.value.status == 403
    assert consortium.channel().organisations() == before


def test_an_unknown_log_has_no_checkpoints(consortium: Consortium) -> None:
    channel = consortium.channel()
    assert channel.latest("nobody.example") is None
    assert channel.at("nobody.example", 7) is None
    assert channel.history("nobody.example") == []
    refused = _refusal(channel, consortium.logs()[0].note(3).replace(b"log-", b"lag-"), [])
    assert (refused.status, refused.rule) == (404, "unknown-origin")


def test_a_log_is_anchored_as_it_grows(consortium: Consortium) -> None:
    [log] = consortium.logs()
    channel = consortium.channel()
    first = channel.submit(log.note(3), [])
    second = channel.submit(log.note(5), log.proof(3, 5))
    assert (first.code, second.code) == ("VALID", "VALID")
    assert first.block < second.block
    assert channel.latest(log.origin) == (5, log.root(5))
    found = channel.at(log.origin, 5)
    assert found is not None
    assert (found.start, found.msp, found.root) == (3, ONE, log.root(5))
    assert found.proof == tuple(log.proof(3, 5))
    assert found.note == log.note(5)
    assert [each.size for each in channel.history(log.origin)] == [3, 5]
    assert channel.history(log.origin, after=3, limit=1) == [found]
    assert channel.history(log.origin, after=5) == []


def test_what_does_not_extend_the_log_is_refused_and_changes_nothing(consortium: Consortium) -> None:
    [log] = consortium.logs()
    channel = consortium.channel()
    channel.submit(log.note(3), [])
    channel.submit(log.note(5), log.proof(3, 5))
    before = channel.history(log.origin)
    for size, history, start, status, rule in REFUSED:
        refused = _refusal(channel, log.note(size, history), log.proof(start, size, history))
        assert (refused.status, refused.rule) == (status, rule)
        assert refused.reason
    assert channel.history(log.origin) == before
    assert channel.latest(log.origin) == (5, log.root(5))


def test_only_its_own_organisation_submits_a_log(consortium: Consortium) -> None:
    [log] = consortium.logs(msp=ONE)
    other = consortium.channel(TWO)
    assert _refusal(other, log.note(3), []).status == 403
    assert other.latest(log.origin) is None


def test_of_two_checkpoints_at_once_exactly_one_wins(consortium: Consortium) -> None:
    [log] = consortium.logs()
    channels = [consortium.channel(), consortium.channel()]
    channels[0].submit(log.note(2), [])
    start = threading.Barrier(2)

    def submit(number: int, history: str) -> Committed | Exception:
        start.wait()
        try:
            return channels[number].submit(log.note(4 + number, history), log.proof(2, 4 + number, history))
        except (ChaincodeRefused, Conflict) as error:
            return error

    # Both extend the same tree; 4 and 5 of one history, so that only the read of `latest` decides between them.
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(submit, (0, 1), ("", "")))
    won = [place for place, each in enumerate(ended) if isinstance(each, Committed)]
    latest = channels[0].latest(log.origin)
    assert latest is not None
    if len(won) == 1:
        assert latest[0] == 4 + won[0]
        [lost] = [each for each in ended if isinstance(each, Exception)]
        assert isinstance(lost, Conflict) or lost.rule in ("stale", "consistency")  # type: ignore[attr-defined]
    assert len(won) == 1
    assert [each.size for each in channels[1].history(log.origin)] == [2, latest[0]]


def test_a_cosignature_is_kept_once_and_shown_to_all(consortium: Consortium) -> None:
    [log] = consortium.logs(msp=ONE)
    consortium.logs(msp=TWO)
    one, two = consortium.channel(ONE), consortium.channel(TWO)
    consortium.settle(one.submit(log.note(3), []))
    lines = {msp: consortium.cosignature(msp, log.note(3)) for msp in (ONE, TWO)}
    assert one.cosignatures(log.origin, 3) == {}
    consortium.settle(one.cosign(log.origin, 3, lines[ONE]))
    consortium.settle(two.cosign(log.origin, 3, lines[TWO]))
    with pytest.raises(ChaincodeRefused) as again:
        two.cosign(log.origin, 3, consortium.cosignature(TWO, log.note(3), 1_750_000_001))
    assert (again.value.status, again.value.rule) == (409, "already-cosigned")
    with pytest.raises(ChaincodeRefused) as foreign:
        one.cosign(log.origin, 3, lines[TWO])
    assert foreign.value.status == 403
    assert one.cosignatures(log.origin, 3) == lines


def test_events_come_in_order_and_go_on_after_any_of_them(consortium: Consortium) -> None:
    [log] = consortium.logs()
    channel = consortium.channel()
    done = [channel.submit(log.note(size), log.proof(size - 1, size)) for size in range(1, 6)]
    found = [
        event
        for event in _take(consortium.channel(TWO), None, done[-1].tx_id)
        if event.payload["origin"] == log.origin
    ]
    assert [(event.block, event.tx_id) for event in found] == [(each.block, each.tx_id) for each in done]
    assert {event.name for event in found} == {"checkpoint"}
    assert [event.payload["size"] for event in found] == [1, 2, 3, 4, 5]
    assert found[4].payload == {
        "origin": log.origin, "size": 5, "root": log.root(5).hex(), "msp": ONE,
    }  # fmt: skip
    rest = _take(channel, (found[1].block, found[1].tx_id), done[-1].tx_id)
    assert [event for event in rest if event.payload["origin"] == log.origin] == found[2:]


def test_a_listener_hears_what_is_submitted_while_it_listens(consortium: Consortium) -> None:
    [log] = consortium.logs()
    channel = consortium.channel()
    first = channel.submit(log.note(1), [])
    heard: list[int] = []
    stop = threading.Event()

    def listen() -> None:
        for event in channel.events((first.block, first.tx_id), stop=stop):
            if event.payload["origin"] == log.origin:
                heard.append(event.payload["size"])
            if heard[-1:] == [3]:
                return

    listener = threading.Thread(target=listen)
    listener.start()
    channel.submit(log.note(2), log.proof(1, 2))
    channel.submit(log.note(3), log.proof(2, 3))
    listener.join(60)
    stop.set()
    assert heard == [2, 3]


def test_both_organisations_confirm_what_was_committed(consortium: Consortium) -> None:
    [log] = consortium.logs()
    one, two = consortium.channel(ONE), consortium.channel(TWO)
    done = one.submit(log.note(3), [])
    said = confirm(done.tx_id, {ONE: one, TWO: two})
    assert said.answers == {ONE: done, TWO: done}
    assert not said.is_disputed
    assert said.agreeing() == [ONE, TWO]


def test_blocks_hang_together_and_hold_the_transaction(consortium: Consortium) -> None:
    [log] = consortium.logs()
    done = consortium.channel().submit(log.note(3), [])
    gateway, stop = consortium.gateway(TWO), threading.Event()
    found = list(blocks(gateway, 0, done.block, stop=stop))
    assert [block.number for block in found] == list(range(done.block + 1))
    assert all(after.previous == before.header_hash for before, after in pairwise(found))
    said = {each.tx_id: each.code for each in found[-1].transactions}
    assert said[done.tx_id] == "VALID"
    filtered = list(filtered_blocks(gateway, 0, done.block, stop=stop))
    assert [[each.tx_id for each in block.transactions] for block in found] == [
        [tx_id for tx_id, _ in block.transactions] for block in filtered
    ]


def test_threads_share_one_channel(consortium: Consortium) -> None:
    logs = consortium.logs(8)
    channel = consortium.channel()

    def grow(place: int) -> list[int]:
        log = logs[place]
        for size in (1, 2, 3):
            channel.submit(log.note(size), log.proof(size - 1, size))
        return [each.size for each in channel.history(log.origin)]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(grow, range(8))) == [[1, 2, 3]] * 8


def test_a_transaction_endorsed_and_submitted_late_is_void_by_what_came_between(
    consortium: Consortium,
) -> None:
    [log] = consortium.logs()
    channel, gateway = consortium.channel(), consortium.gateway()
    channel.submit(log.note(2), [])
    late = gateway.endorse("checkpoints:submit", [log.note(4), _json(log.proof(2, 4))])
    channel.submit(log.note(3), log.proof(2, 3))
    with pytest.raises(Conflict) as void:
        gateway.commit(late)
    assert isinstance(void.value, Invalidated)
    assert void.value.code == "MVCC_READ_CONFLICT"
    assert channel.latest(log.origin) == (3, log.root(3))
    assert gateway.outcome(late.tx_id) == Committed(late.tx_id, void.value.block, "MVCC_READ_CONFLICT")


def test_an_endorsement_of_named_organisations_is_ordered_only_if_asked(consortium: Consortium) -> None:
    [log] = consortium.logs()
    channel, gateway = consortium.channel(), consortium.gateway()
    channel.submit(log.note(2), [])
    read = gateway.endorse("checkpoints:at", [log.origin.encode(), b"2"], [ONE, TWO])
    found = channel.at(log.origin, 2)
    assert found is not None
    assert b'"from":0' in read.result
    assert log.note(2).decode().splitlines()[0].encode() in read.result


def test_an_identity_under_another_msp_is_refused(consortium: Consortium) -> None:
    for msp in (TWO, "NobodyMSP"):
        profile = replace(consortium.profiles(ONE, False), msp=msp)
        channel = open_channel(profile, patience=Patience(away_s=1))
        consortium.opened.append(channel)
        with pytest.raises(IdentityRefused):
            channel.organisations()
        with pytest.raises(IdentityRefused):
            channel.register({}, consortium.cosigner_vkey(ONE))
        with pytest.raises(IdentityRefused):
            next(channel.events(None, stop=threading.Event()))


def test_an_unknown_function_is_refused_with_its_reason(consortium: Consortium) -> None:
    gateway = consortium.gateway()
    with pytest.raises(ChaincodeRefused) as refused:
        gateway.evaluate("checkpoints:forget", [])
    assert refused.value.status == 404
    with pytest.raises(ChaincodeRefused):
        gateway.transact("checkpoints:forget", [])


def _json(hashes: list[bytes]) -> bytes:
    return canonical([base64_text(each) for each in hashes])
