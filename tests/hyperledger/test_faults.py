"""What goes wrong between the client and a channel: each fault failed before it took effect, or after."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.errors import LoomarkError, TooLarge, Unavailable
from ledger.hyperledger.blocks import blocks
from ledger.hyperledger.channel import Channel, Committed, confirm
from ledger.hyperledger.errors import (
    BadAnswer,
    ChaincodeRefused,
    Conflict,
    IdentityRefused,
    NetworkAway,
    OutcomeUnknown,
)
from ledger.hyperledger.gateway import Gateway, Patience, open_channel, open_gateway
from ledger.hyperledger.wire import code_name
from tests.hyperledger.consortium import ONE, TWO, Consortium, Log
from tests.hyperledger.double.faults import Failure
from tests.hyperledger.double.network import DoubleNetwork
from tests.hyperledger.double.peer import Endorsement

# Long enough to be ridden out on a busy machine where a test expects success; short where it expects none.
RIDES_OUT = Patience(away_s=60, commit_s=60, first_pause_s=0.01, longest_pause_s=0.3)
GIVES_UP = Patience(evaluate_s=1, endorse_s=1, submit_s=1, commit_s=1, away_s=0.3)
READ = ("Evaluate",)
WRITE = ("Endorse", "Submit", "CommitStatus")
PASSING = ("UNAVAILABLE", "FAILED_PRECONDITION", "ABORTED", "RESOURCE_EXHAUSTED")
GARBAGE = (b"\xff\xff\xff\xff", b"\x0a\x7f", b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)))

Open = Callable[[Patience], Channel]


@pytest.fixture
def log(double_consortium: Consortium) -> Iterator[Log]:
    """A registered log with one accepted checkpoint, of size 2."""
    with double_consortium.closing() as consortium:
        [made] = consortium.logs()
        consortium.channel().submit(made.note(2), [])
        yield made


@pytest.fixture
def channel(double: DoubleNetwork) -> Iterator[Open]:
    opened: list[Channel] = []

    def make(patience: Patience) -> Channel:
        opened.append(open_channel(double.profile(), patience=patience))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def _grow(channel: Channel, log: Log) -> Committed:
    return channel.submit(log.note(3), log.proof(2, 3))


def _size(channel: Channel, log: Log) -> int:
    latest = channel.latest(log.origin)
    return latest[0] if latest else 0


@pytest.mark.parametrize("code", PASSING)
@pytest.mark.parametrize("method", [*READ, *WRITE])
def test_a_network_that_cannot_serve_for_a_moment_is_asked_again(
    double: DoubleNetwork, log: Log, channel: Open, method: str, code: str
) -> None:
    peer = double.peer(ONE)
    before = peer.faults.calls.count(method)
    peer.faults.failures[method] = Failure(code, "starting", times=2)
    done = _grow(channel(RIDES_OUT), log)
    assert done.code == "VALID"
    assert _size(channel(RIDES_OUT), log) == 3
    assert peer.faults.calls.count(method) == before + 3


@pytest.mark.parametrize("method", WRITE)
def test_a_network_that_stays_away_ends_in_the_error_that_says_how_far_it_came(
    double: DoubleNetwork, log: Log, channel: Open, method: str
) -> None:
    double.peer(ONE).faults.failures[method] = Failure("UNAVAILABLE", "gone for good", times=None)
    with pytest.raises(NetworkAway, match="gone for good") as away:
        _grow(channel(GIVES_UP), log)
    assert isinstance(away.value, Unavailable)
    assert isinstance(away.value, OutcomeUnknown) is (method != "Endorse")
    assert [(each.msp, each.message) for each in away.value.details] == [(ONE, "gone for good")]
    double.peer(ONE).faults.failures.clear()
    # What the network got of it takes effect, and nothing else does.
    expected = 3 if method == "CommitStatus" else 2
    assert _size(channel(RIDES_OUT), log) == expected


def test_a_lost_acknowledgement_commits_the_transaction_once(
    double: DoubleNetwork, log: Log, channel: Open
) -> None:
    double.peer(ONE).faults.failures["Submit"] = Failure("UNAVAILABLE", "lost on the way", after=True)
    done = _grow(channel(RIDES_OUT), log)
    assert done.code == "VALID"
    with double.ledger.changed:
        double.ledger.changed.wait_for(lambda: len(_codes(double, done.tx_id)) == 2, timeout=60)
    assert _codes(double, done.tx_id) == ["VALID", "DUPLICATE_TXID"]
    assert [each.size for each in channel(RIDES_OUT).history(log.origin)] == [2, 3]


def _codes(double: DoubleNetwork, tx_id: str) -> list[str]:
    entries = [entry for sealed in double.ledger.sealed for entry in sealed.entries]
    return [code_name(entry.code) for entry in entries if entry.tx_id == tx_id]


@pytest.mark.parametrize("data", GARBAGE)
@pytest.mark.parametrize("method", [*READ, *WRITE])
def test_garbage_is_believed_in_nothing(
    double: DoubleNetwork, log: Log, channel: Open, method: str, data: bytes
) -> None:
    double.peer(ONE).faults.garbage[method] = data
    client = channel(RIDES_OUT)
    expected = OutcomeUnknown if method in ("Submit", "CommitStatus") else BadAnswer
    with pytest.raises(expected) as failed:
        _size(client, log) if method in READ else _grow(client, log)
    double.peer(ONE).faults.garbage.clear()
    if isinstance(failed.value, OutcomeUnknown):
        assert client.outcome(failed.value.tx_id).code == "VALID"
    assert _size(client, log) == (3 if expected is OutcomeUnknown else 2)


def test_an_empty_commit_status_is_not_read_as_valid(double: DoubleNetwork, log: Log, channel: Open) -> None:
    double.peer(ONE).faults.garbage["CommitStatus"] = b""
    with pytest.raises(OutcomeUnknown, match="expected a commit status with a block") as unknown:
        _grow(channel(RIDES_OUT), log)
    with pytest.raises(BadAnswer):
        channel(RIDES_OUT).outcome(unknown.value.tx_id)


@pytest.mark.parametrize(
    "answer", [b"", b"null", b"[]", b'{"size":-1,"root":""}', b'{"size":1}', b"\xff", b"[" * 500]
)
def test_a_result_that_is_not_the_chaincodes_is_refused(
    double: DoubleNetwork, log: Log, channel: Open, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    _answer_with(double, monkeypatch, answer)
    client = channel(RIDES_OUT)
    for ask in (
        lambda: client.latest(log.origin),
        lambda: client.at(log.origin, 2),
        lambda: client.cosignatures(log.origin, 2) if answer != b"[]" else client.latest(log.origin),
    ):
        with pytest.raises(BadAnswer):
            ask()


def test_a_record_of_another_checkpoint_is_refused(
    double: DoubleNetwork, log: Log, channel: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = channel(RIDES_OUT)
    client.submit(log.note(3), log.proof(2, 3))
    record = open_gateway(double.profile()).evaluate("checkpoints:at", [log.origin.encode(), b"3"])
    _answer_with(double, monkeypatch, record)
    assert client.at(log.origin, 3) is not None
    with pytest.raises(BadAnswer, match="got another"):
        client.at(log.origin, 2)


def _answer_with(double: DoubleNetwork, monkeypatch: pytest.MonkeyPatch, payload: bytes) -> None:
    peer = double.peer(ONE)
    run = peer.run

    def lying(signed: object) -> Endorsement:
        said = run(signed)
        if said.result is not None:
            said.result.payload = payload
        return replace(said, refusal="") if said.result is not None else said

    monkeypatch.setattr(peer, "run", lying)


@pytest.mark.parametrize("method", [*READ, *WRITE])
def test_a_peer_that_does_not_answer_is_waited_for_no_longer_than_was_said(
    double: DoubleNetwork, log: Log, channel: Open, method: str
) -> None:
    double.peer(ONE).faults.slow.add(method)
    with pytest.raises(NetworkAway, match="DEADLINE_EXCEEDED") as late:
        _size(channel(GIVES_UP), log) if method in READ else _grow(channel(GIVES_UP), log)
    assert isinstance(late.value, OutcomeUnknown) is (method in ("Submit", "CommitStatus"))


def test_a_read_conflict_is_told_apart_and_a_fresh_proposal_succeeds(
    double: DoubleNetwork, log: Log, channel: Open
) -> None:
    double.ledger.conflicts = 1
    client = channel(RIDES_OUT)
    with pytest.raises(Conflict) as conflict:
        _grow(client, log)
    assert conflict.value.code == "MVCC_READ_CONFLICT"
    assert _size(client, log) == 2
    done = _grow(client, log)
    assert done.tx_id != conflict.value.tx_id
    assert _size(client, log) == 3


def test_a_peer_that_lies_about_a_transaction_is_exposed_by_another_organisations(
    double: DoubleNetwork, log: Log, channel: Open
) -> None:
    double.ledger.conflicts = 1
    double.peer(ONE).faults.lie = 0
    said = _grow(channel(RIDES_OUT), log)
    assert said.code == "VALID"  # The lie: it was void.
    other = open_channel(double.profile(TWO), patience=RIDES_OUT)
    told = confirm(said.tx_id, {ONE: channel(RIDES_OUT), TWO: other})
    assert told.is_disputed
    assert {msp: each.code for msp, each in told.answers.items()} == {ONE: "VALID", TWO: "MVCC_READ_CONFLICT"}
    assert told.agreeing() == []
    assert _size(other, log) == 2
    other.close()


def test_a_peer_that_says_nothing_confirms_nothing(double: DoubleNetwork, log: Log, channel: Open) -> None:
    done = _grow(channel(RIDES_OUT), log)
    other = open_channel(double.profile(TWO), patience=GIVES_UP)
    double.peer(TWO).stop()
    told = confirm(done.tx_id, {ONE: channel(RIDES_OUT), TWO: other})
    assert (set(told.answers), set(told.silent)) == ({ONE}, {TWO})
    assert not told.is_disputed
    assert told.agreeing() == [ONE]
    other.close()


def test_a_transaction_that_was_not_proposed_gets_no_signature(
    double: DoubleNetwork, log: Log, channel: Open
) -> None:
    faults = double.peer(ONE).faults
    faults.swaps = True
    faults.calls.clear()
    with pytest.raises(BadAnswer, match="expected the proposed transaction"):
        _grow(channel(RIDES_OUT), log)
    assert faults.calls == ["Endorse"]
    faults.swaps = False
    assert _size(channel(RIDES_OUT), log) == 2


def test_a_peer_that_is_gone_is_found_again_when_it_comes_back(
    double: DoubleNetwork, log: Log, channel: Open
) -> None:
    patient, hasty = channel(RIDES_OUT), channel(GIVES_UP)
    assert _size(patient, log) == 2
    double.peer(ONE).stop()
    with pytest.raises(NetworkAway):
        hasty.latest(log.origin)
    threading.Timer(1, double.peer(ONE).start).start()
    assert _grow(patient, log).code == "VALID"
    assert _size(patient, log) == 3


def test_without_the_other_organisation_nothing_is_endorsed_until_it_is_back(
    double: DoubleNetwork, log: Log, channel: Open
) -> None:
    double.peer(TWO).stop()
    with pytest.raises(NetworkAway, match="no combination of peers"):
        _grow(channel(GIVES_UP), log)
    assert _size(channel(RIDES_OUT), log) == 2
    threading.Timer(1, double.peer(TWO).start).start()
    assert _grow(channel(RIDES_OUT), log).code == "VALID"


def test_an_organisation_that_endorses_nothing_is_named(
    double: DoubleNetwork, log: Log, channel: Open
) -> None:
    double.peer(TWO).stop()
    with pytest.raises(NetworkAway, match="no combination of peers") as away:
        _grow(channel(GIVES_UP), log)
    assert [(each.msp, each.address) for each in away.value.details] == [
        (TWO, double.profile(TWO).peer.endpoint)
    ]
    assert f"({TWO}): endorses nothing now" in str(away.value)
    double.peer(ONE).stop()
    with pytest.raises(NetworkAway) as alone:
        _grow(channel(GIVES_UP), log)
    assert {each.msp for each in alone.value.details} == {ONE}
    for msp in (ONE, TWO):
        double.peer(msp).start()
    assert _size(channel(RIDES_OUT), log) == 2


def test_arguments_that_no_peer_passes_on_are_refused_before_they_are_sent(
    double: DoubleNetwork, log: Log, channel: Open
) -> None:
    calls = double.peer(ONE).faults.calls
    calls.clear()
    with pytest.raises(TooLarge, match="expected arguments of at most 16777216 bytes"):
        channel(RIDES_OUT).submit(b"x" * (16 << 20), [])
    assert calls == []


def test_an_orderer_that_is_away_is_waited_for(double: DoubleNetwork, log: Log, channel: Open) -> None:
    double.ledger.orderer_away = True
    with pytest.raises(OutcomeUnknown, match="no orderers"):
        _grow(channel(GIVES_UP), log)
    threading.Timer(1, lambda: setattr(double.ledger, "orderer_away", False)).start()
    assert _grow(channel(RIDES_OUT), log).code == "VALID"


def test_another_peer_that_is_a_block_behind_is_asked_again_and_one_that_refuses_is_named(
    double: DoubleNetwork, log: Log, channel: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = double.peer(TWO)
    run, left = other.run, [2]

    def behind(signed: object) -> Endorsement:
        left[0] -= 1
        return (
            Endorsement(refusal="chaincode response 404, unknown-origin: not yet")
            if left[0] >= 0
            else run(signed)
        )

    monkeypatch.setattr(other, "run", behind)
    assert _grow(channel(RIDES_OUT), log).code == "VALID"
    left[0] = 1_000
    with pytest.raises(ChaincodeRefused) as refused:
        channel(GIVES_UP).submit(log.note(4), log.proof(3, 4))
    assert (refused.value.status, refused.value.rule) == (404, "unknown-origin")
    assert [each.msp for each in refused.value.details] == [TWO]
    assert left[0] < 999


def test_the_own_chaincodes_refusal_is_final_at_once(double: DoubleNetwork, log: Log, channel: Open) -> None:
    calls = double.peer(ONE).faults.calls
    calls.clear()
    with pytest.raises(ChaincodeRefused):
        channel(RIDES_OUT).submit(log.note(2), [])
    assert calls == ["Endorse"]


def test_a_revoked_identity_is_refused_everywhere(double: DoubleNetwork, log: Log, channel: Open) -> None:
    client, gateway = channel(RIDES_OUT), open_gateway(double.profile(), patience=RIDES_OUT)
    double.membership.revoked.add(double.members[ONE].issued["client"].certificate.serial_number)
    stop = threading.Event()
    for ask in (
        lambda: client.latest(log.origin),
        lambda: _grow(client, log),
        lambda: client.outcome("0" * 64),
        lambda: next(client.events(None, stop=stop)),
        lambda: next(blocks(gateway, 0, 1, stop=stop)),
    ):
        with pytest.raises(IdentityRefused):
            ask()
    gateway.close()
    double.membership.revoked.clear()
    assert _size(client, log) == 2


def test_an_expired_certificate_and_a_wrong_clock_are_refused_in_words(
    double: DoubleNetwork, log: Log
) -> None:
    double.enrol(ONE, "late", double.members[ONE].authority.issue("late", "client", days=-1))
    expired = open_channel(double.profile(ONE, "late"), patience=GIVES_UP)
    with pytest.raises(IdentityRefused, match="expired"):
        expired.latest(log.origin)
    profile = double.profile()
    early = Gateway(
        profile.peer, profile.load_identity(), profile.channel, profile.chaincode,
        patience=GIVES_UP, now_ns=lambda: 1_000_000_000,
    )  # fmt: skip
    with pytest.raises(IdentityRefused, match="incorrect timestamp"):
        early.evaluate("organisations:list", [])
    expired.close()
    early.close()


def test_a_line_of_garbage_is_nobody(double: DoubleNetwork, log: Log) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        served = threading.Thread(target=_talk_nonsense, args=(server,), daemon=True)
        served.start()
        profile = double.profile()
        peer = replace(profile.peer, endpoint=f"127.0.0.1:{server.getsockname()[1]}")
        nobody = open_channel(profile, peer, patience=GIVES_UP)
        with pytest.raises(NetworkAway):
            nobody.latest(log.origin)
        nobody.close()


def _talk_nonsense(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"\0\0\1nonsense" * 100)
        except OSError:
            return


def test_closing_ends_a_call_that_waits(double: DoubleNetwork, log: Log, channel: Open) -> None:
    double.ledger.held = True
    double.peer(ONE).faults.calls.clear()
    client = channel(RIDES_OUT)
    ended: list[LoomarkError] = []

    def submit() -> None:
        try:
            _grow(client, log)
        except LoomarkError as error:
            ended.append(error)

    waiting = threading.Thread(target=submit)
    waiting.start()
    while "CommitStatus" not in double.peer(ONE).faults.calls:
        waiting.join(0.05)
    client.close()
    waiting.join(60)
    assert not waiting.is_alive()
    assert [type(error) for error in ended] == [OutcomeUnknown]
    with pytest.raises(NetworkAway):
        client.latest(log.origin)
    double.ledger.held = False


def test_a_dropped_acknowledgement_of_a_commit_leaves_the_caller_to_read(
    double: DoubleNetwork, log: Log, channel: Open
) -> None:
    double.peer(ONE).faults.failures["CommitStatus"] = Failure("INTERNAL", "broken", times=None, after=True)
    with pytest.raises(OutcomeUnknown) as unknown:
        _grow(channel(RIDES_OUT), log)
    double.peer(ONE).faults.failures.clear()
    assert channel(RIDES_OUT).outcome(unknown.value.tx_id).code == "VALID"
    assert _size(channel(RIDES_OUT), log) == 3


def test_of_three_organisations_two_suffice_and_one_does_not(tmp_path: Path) -> None:
    network = DoubleNetwork(tmp_path / "three", organisations=3)
    three = Consortium("double", lambda msp, admin: network.profile(msp, "admin" if admin else "client"))
    with three.closing():
        [log] = three.logs()
        network.peer("Org3MSP").stop()
        assert three.channel().submit(log.note(2), []).code == "VALID"
        network.peer(TWO).stop()
        alone = open_channel(network.profile(), patience=GIVES_UP)
        with pytest.raises(NetworkAway, match="no combination of peers"):
            _grow(alone, log)
        assert _size(alone, log) == 2
        network.peer("Org3MSP").start()
        assert _grow(three.channel(), log).code == "VALID"
        alone.close()
    network.close()
