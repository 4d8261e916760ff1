"""What a real channel refuses, with which reason, and that every organisation's peer is then as it was before."""

from __future__ import annotations

import random
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from chaincode.dispatch import FUNCTIONS
from compose.network import Network
from ledger import merkle
from ledger.canonical import canonical
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.ed25519 import SigningKey
from ledger.hyperledger import wire
from ledger.hyperledger.blocks import filtered_blocks
from ledger.hyperledger.channel import Channel, Committed, confirm
from ledger.hyperledger.connection import Profile, load_profile, load_tls
from ledger.hyperledger.errors import ChaincodeRefused, Conflict, IdentityRefused, Invalidated
from ledger.hyperledger.gateway import Patience, open_channel, open_gateway
from ledger.note import COSIGNATURE, Note, VerifierKey, parse_note
from ledger.shape import base64_text
from tests.hyperledger.anchoring import until
from tests.hyperledger.consortium import ONE, PATIENT, TWO, Consortium, Log
from tests.hyperledger.everywhere import Everywhere, is_one_chain
from tests.hyperledger.middleman import Lie, before_peer

SUBMIT = "checkpoints:submit"
ROUNDS = 10
# A refusal is an answer: whoever waits this long for one was not refused but left waiting.
AT_ONCE = Patience(evaluate_s=30, endorse_s=30, away_s=0.01)


@pytest.fixture
def everywhere(real_network: Network) -> Iterator[Everywhere]:
    asked = Everywhere(real_network)
    yield asked
    asked.close()


@pytest.fixture(scope="module")
def registered(real_network: Network) -> Iterator[dict[str, list[Log]]]:
    """Logs of both organisations, by MSP id, that are used by one test each."""

    def profile(msp: str, admin: bool) -> Profile:
        return load_profile(real_network.profile(1 if msp == ONE else 2, admin=admin))

    with Consortium("real", profile).closing() as consortium:
        yield {ONE: consortium.logs(11, ONE), TWO: consortium.logs(ROUNDS, TWO)}


@pytest.fixture
def members(real_consortium: Consortium) -> Iterator[Consortium]:
    with real_consortium.closing() as consortium:
        yield consortium


@pytest.fixture
def log(members: Consortium, registered: dict[str, list[Log]]) -> Log:
    """A log of the first organisation with accepted checkpoints of sizes 3 and 5."""
    return begun(members.channel(), registered[ONE].pop())


@pytest.fixture(scope="module")
def still(registered: dict[str, list[Log]], real_network: Network) -> Log:
    """Such a log for all tests that leave it as it is."""
    with closing(open_channel(load_profile(real_network.profile(1)), patience=PATIENT)) as channel:
        return begun(channel, registered[ONE].pop())


def begun(channel: Channel, log: Log) -> Log:
    channel.submit(log.note(3), [])
    channel.submit(log.note(5), log.proof(3, 5))
    return log


def proof_bytes(hashes: list[bytes]) -> bytes:
    return canonical([base64_text(each) for each in hashes])


@dataclass(frozen=True)
class Forgery:
    """A submission after sizes 3 and 5, and what it is answered."""

    name: str
    make: Callable[[Log], tuple[bytes, list[bytes]]]
    status: int
    rule: str


def by_another_key(log: Log) -> tuple[bytes, list[bytes]]:
    thief = Log(log.origin, SigningKey(bytes(range(32))))
    return thief.note(8), log.proof(5, 8)


def with_a_broken_signature(log: Log) -> tuple[bytes, list[bytes]]:
    note = parse_note(log.note(8))
    [line] = note.signatures
    blob = bytes([line.blob[0] ^ 1]) + line.blob[1:]
    return Note(note.text, (replace(line, blob=blob),)).data(), log.proof(5, 8)


def with_anothers_signature_line(log: Log) -> tuple[bytes, list[bytes]]:
    """The text of one checkpoint over the signature of another one of the same log."""
    return Note(parse_note(log.note(8)).text, parse_note(log.note(5)).signatures).data(), log.proof(5, 8)


FORGERIES = [
    Forgery("forged: signed with another key", by_another_key, 403, "unsigned-note"),
    Forgery("forged: a bit of the signature", with_a_broken_signature, 403, "note-signature"),
    Forgery("forged: another note's signature", with_anothers_signature_line, 403, "note-signature"),
    Forgery("shrunk", lambda log: (log.note(4), log.proof(3, 4)), 409, "stale"),
    Forgery("shrunk to a tree of another history", lambda log: (log.note(4, "b"), []), 409, "stale"),
    Forgery("forked: same size, other root", lambda log: (log.note(5, "b"), log.proof(3, 5, "b")), 422, "fork"),
    Forgery(
        "forked: larger, proof of its own history",
        lambda log: (log.note(8, "b"), log.proof(5, 8, "b")),
        422,
        "consistency",
    ),
    Forgery(
        "forked: larger, proof of the log's history",
        lambda log: (log.note(8, "b"), log.proof(5, 8)),
        422,
        "consistency",
    ),
    Forgery("forked: no proof", lambda log: (log.note(8, "b"), []), 422, "consistency"),
    Forgery("grown, with a proof from before", lambda log: (log.note(8), log.proof(3, 8)), 422, "consistency"),
    Forgery("grown, with a proof too many", lambda log: (log.note(8), [*log.proof(5, 8), bytes(32)]), 422, "consistency"),
    Forgery("replayed: the latest", lambda log: (log.note(5), log.proof(3, 5)), 409, "already-anchored"),
    Forgery("replayed: an older one", lambda log: (log.note(3), []), 409, "stale"),
]  # fmt: skip


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda each: each.name)
def test_each_organisation_refuses_what_does_not_extend_the_log_by_itself(
    everywhere: Everywhere, members: Consortium, still: Log, forgery: Forgery
) -> None:
    note, proof = forgery.make(still)
    gateway = open_gateway(members.profiles(ONE, False), patience=AT_ONCE)
    members.opened.append(gateway)
    with everywhere.unchanged(still.origin):
        # As the channel's policy asks, then each organisation alone: none relies on another one's chaincode.
        for asked in ([], [ONE], [TWO]):
            with pytest.raises(ChaincodeRefused) as refused:
                gateway.endorse(SUBMIT, [note, proof_bytes(proof)], asked)
            assert (refused.value.status, refused.value.rule) == (forgery.status, forgery.rule)
            assert refused.value.reason.startswith("expected ")
            assert {each.msp for each in refused.value.details} <= set(asked or [ONE, TWO])


def test_what_was_refused_does_not_stand_in_the_way_of_what_extends_the_log(
    everywhere: Everywhere, members: Consortium, log: Log
) -> None:
    for forgery in FORGERIES:
        with pytest.raises(ChaincodeRefused):
            members.channel().submit(*forgery.make(log))
    assert members.channel().submit(log.note(8), log.proof(5, 8)).code == "VALID"
    seen = everywhere.seen(log.origin)
    assert seen.sizes == [3, 5, 8]
    assert is_one_chain(seen, log)


def test_a_transaction_sent_twice_takes_effect_once(
    everywhere: Everywhere, members: Consortium, log: Log
) -> None:
    gateway = members.gateway()
    transaction = gateway.endorse(SUBMIT, [log.note(8), proof_bytes(log.proof(5, 8))])
    done = gateway.commit(transaction)
    with everywhere.unchanged(log.origin, blocks=1):
        gateway.submit(transaction)
        until(lambda: everywhere.settle() > done.block + 1, "the second copy is ordered")
    for msp in (ONE, TWO):
        found = filtered_blocks(members.gateway(msp), done.block, done.block + 1, stop=threading.Event())
        assert [block.transactions for block in found] == [
            ((done.tx_id, "VALID"),),
            ((done.tx_id, "DUPLICATE_TXID"),),
        ]
        assert members.channel(msp).outcome(done.tx_id) == done
    assert everywhere.seen(log.origin).sizes == [3, 5, 8]


def test_a_proposal_sent_again_by_whoever_saw_it_is_not_endorsed(
    everywhere: Everywhere, members: Consortium, log: Log
) -> None:
    profile = members.profiles(ONE, False)
    line = wire.Line(profile.peer, load_tls(profile.peer))
    proposal = proposed(profile, b"checkpoints:submit", log.note(8), proof_bytes(log.proof(5, 8)))
    first = wire.endorsed(line.ask(wire.ENDORSE, wire.endorse_request(proposal, []), 30), proposal)
    members.gateway().commit(first)
    with everywhere.unchanged(log.origin):
        with pytest.raises(wire.CallFailed) as refused:
            line.ask(wire.ENDORSE, wire.endorse_request(proposal, []), 30)
        assert "duplicate transaction" in refused.value.details[0].message
    line.close()


def proposed(profile: Profile, *words: bytes) -> wire.Proposal:
    """A proposal as its client signs it, with whatever words."""
    return wire.propose(
        profile.load_identity(),
        profile.channel,
        profile.chaincode,
        words,
        secrets.token_bytes(24),
        wire.Moment(time.time_ns()),
    )


class Branch(Log):
    """A log of the same key that goes its own way after two entries."""

    branch = ""

    def leaves(self, size: int) -> list[bytes]:
        return [merkle.leaf_hash(f"{self.branch if n >= 2 else ''}{n}".encode()) for n in range(size)]

    def note(self, size: int, history: str = "") -> bytes:
        return sign_checkpoint(Checkpoint(self.origin, size, merkle.root(self.leaves(size))), self.key)

    def proof(self, start: int, size: int, history: str = "") -> list[bytes]:
        return merkle.consistency_path(self.leaves(size), start)


def branch(log: Log, name: str) -> Branch:
    made = Branch(log.origin, log.key)
    made.branch = name
    return made


def at_once(*tasks: Callable[[], Committed]) -> list[Committed | Exception]:
    """Do tasks at the same moment; what each gave, or why it failed."""
    start = threading.Barrier(len(tasks))

    def run(task: Callable[[], Committed]) -> Committed | Exception:
        start.wait()
        try:
            return task()
        except (ChaincodeRefused, Invalidated) as error:
            return error

    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(run, tasks))


@pytest.mark.parametrize("number", range(ROUNDS))
def test_of_two_nodes_that_race_with_two_histories_of_one_log_exactly_one_wins(
    everywhere: Everywhere, members: Consortium, registered: dict[str, list[Log]], number: int
) -> None:
    log = registered[TWO].pop()
    profile = members.profiles(TWO, False)
    members.channel(TWO).submit(log.note(2), [])
    everywhere.settle()
    # One node asks its organisation's peer, the other one another organisation's, with the same rights.
    gateways = [open_gateway(profile, peer, patience=PATIENT) for peer in (profile.peer, profile.peers[0])]
    members.opened += gateways
    nodes = [branch(log, "a"), branch(log, "b")]
    sizes = [4, 4 + number % 3]
    words = [
        [node.note(size), proof_bytes(node.proof(2, size))] for node, size in zip(nodes, sizes, strict=True)
    ]
    if number % 2:
        # Both are endorsed before either is ordered: only the read of `latest` can decide between them.
        endorsed = [gateway.endorse(SUBMIT, each) for gateway, each in zip(gateways, words, strict=True)]
        ended = at_once(*[partial(g.commit, each) for g, each in zip(gateways, endorsed, strict=True)])
        assert {type(each) for each in ended} == {Committed, Conflict}
    else:
        ended = at_once(*[partial(g.transact, SUBMIT, each) for g, each in zip(gateways, words, strict=True)])
        assert sorted(type(each) is Committed for each in ended) == [False, True]
    winner = next(place for place, each in enumerate(ended) if isinstance(each, Committed))
    expected = [(2, log.root(2)), (sizes[winner], merkle.root(nodes[winner].leaves(sizes[winner])))]
    seen = everywhere.seen(log.origin)
    assert [(each.size, each.root) for each in seen.history] == expected
    assert seen.latest == expected[-1]
    require_loser_is_refused(everywhere, members, nodes[1 - winner], sizes[1 - winner])


def require_loser_is_refused(everywhere: Everywhere, members: Consortium, loser: Branch, size: int) -> None:
    """Whatever it proves from what it reads now, of the same size, as it is, or grown."""
    channel = members.channel(TWO)
    latest = channel.latest(loser.origin)
    assert latest is not None
    with everywhere.unchanged(loser.origin):
        for again in {size, latest[0], latest[0] + 5}:
            with pytest.raises(ChaincodeRefused) as refused:
                channel.submit(loser.note(again), loser.proof(min(latest[0], again), again))
            rule = "stale" if again < latest[0] else "fork" if again == latest[0] else "consistency"
            assert refused.value.rule == rule


def test_of_two_organisations_that_register_one_origin_at_once_exactly_one_gets_it(
    everywhere: Everywhere, members: Consortium, registered: dict[str, list[Log]]
) -> None:
    log = Log(f"log-{secrets.token_hex(6)}.example")
    known = {each.msp: each for each in everywhere.organisations()}
    admins = [open_gateway(members.profiles(msp, True), patience=PATIENT) for msp in (ONE, TWO)]
    members.opened += admins
    endorsed = []
    for msp, admin in zip((ONE, TWO), admins, strict=True):
        origins = {origin: [*keys] for origin, keys in known[msp].origins.items()}
        wanted = canonical({"origins": {**origins, log.origin: [log.vkey]}, "cosigner": known[msp].cosigner})
        endorsed.append(admin.endorse("organisations:register", [wanted]))
    ended = at_once(*[partial(g.commit, each) for g, each in zip(admins, endorsed, strict=True)])
    assert {type(each) for each in ended} == {Committed, Conflict}
    winner = (ONE, TWO)[next(place for place, each in enumerate(ended) if isinstance(each, Committed))]
    owners = [each.msp for each in everywhere.organisations() if log.origin in each.origins]
    assert owners == [winner]
    assert members.channel(winner).submit(log.note(1), []).code == "VALID"
    other = TWO if winner == ONE else ONE
    with everywhere.unchanged(log.origin), pytest.raises(ChaincodeRefused, match="403 not-owner"):
        members.channel(other).submit(log.note(2), log.proof(1, 2))


def test_another_organisation_can_neither_submit_nor_take_over_a_log(
    everywhere: Everywhere, members: Consortium, still: Log
) -> None:
    client, admin = members.channel(TWO), members.channel(TWO, admin=True)
    line = members.cosignature(ONE, still.note(5))
    mine = next(each for each in client.organisations() if each.msp == TWO)
    taken = {**mine.origins, still.origin: (still.vkey,)}
    tries: list[tuple[Callable[[], Committed], int, str]] = [
        (lambda: client.submit(still.note(8), still.proof(5, 8)), 403, "not-owner"),
        (lambda: admin.submit(still.note(8), still.proof(5, 8)), 403, "not-owner"),
        (lambda: admin.register(taken, members.cosigner_vkey(TWO)), 409, "origin-taken"),
        (lambda: admin.register(mine.origins, members.cosigner_vkey(ONE)), 409, "key-in-use"),
        (lambda: client.cosign(still.origin, 5, line), 403, "unsigned-note"),
        (lambda: client.register(mine.origins, members.cosigner_vkey(TWO)), 403, "not-admin"),
    ]
    with everywhere.unchanged(still.origin):
        for attempt, status, rule in tries:
            with pytest.raises(ChaincodeRefused) as refused:
                attempt()
            assert (refused.value.status, refused.value.rule) == (status, rule)
            assert refused.value.reason


def test_a_client_changes_nothing_of_its_own_organisations_registration(
    everywhere: Everywhere, members: Consortium, still: Log
) -> None:
    client = members.channel(ONE)
    own = next(each for each in client.organisations() if each.msp == ONE)
    new = VerifierKey(ONE, COSIGNATURE, SigningKey(bytes(32)).public_bytes).text()
    with everywhere.unchanged(still.origin):
        for origins, cosigner in ((own.origins, own.cosigner), (own.origins, new), ({}, own.cosigner)):
            with pytest.raises(ChaincodeRefused) as refused:
                client.register(origins, cosigner)
            assert (refused.value.status, refused.value.rule) == (403, "not-admin")
            assert "admin" in refused.value.reason


def test_an_expired_certificate_reads_and_writes_nothing(
    everywhere: Everywhere, members: Consortium, log: Log, real_network: Network
) -> None:
    expired = open_channel(load_profile(real_network.expired_profile(1)), patience=AT_ONCE)
    members.opened.append(expired)
    with everywhere.unchanged(log.origin):
        for attempt in (
            lambda: expired.submit(log.note(8), log.proof(5, 8)),
            lambda: expired.latest(log.origin),
            lambda: expired.history(log.origin),
        ):
            with pytest.raises(IdentityRefused, match="identity expired"):
                attempt()
        with pytest.raises(IdentityRefused):
            next(expired.events(None, stop=threading.Event()))
    assert members.channel().submit(log.note(8), log.proof(5, 8)).code == "VALID"


GARBAGE = [
    b"", b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"\n", b" ", b"null", b"[]", b"{}", b"[" * 3000, b'{"a":' * 300, b"1e999", b"NaN",
    b'"\\ud800"', b'{"size":1,"size":1}', b"-1", b"01", b"+1", b"1.0", b"9" * 16, "٣".encode(), b"%2F", b"../../latest", b"\x00" * 200,
]  # fmt: skip
"""Arguments that no function takes, in any place."""

UNKNOWN = [
    b"", b"checkpoints", b"checkpoints:", b":submit", b"checkpoints:forget", b"Checkpoints:submit", b"checkpoints:submit ",
    b"checkpoints:submit\0", b"init", b"__init__", b"dispatch", b"\xff\xff", b"x" * 256, b"x" * 100_000, "агент".encode(),
]  # fmt: skip


def hostile_calls(seed: int) -> Iterator[tuple[bytes, list[bytes]]]:
    """Functions that are none; wrong counts; each argument too long, not UTF-8, or garbage; and what a seed gives."""
    for unknown in UNKNOWN:
        yield unknown, [b"a", b"1"]
    for name, function in FUNCTIONS.items():
        limits = function.limits_bytes
        right = [b"1"] * len(limits)
        for count in {0, len(limits) - 1, len(limits) + 1, 40} - {len(limits), -1}:
            yield name.encode(), [b"1"] * count
        for place, limit in enumerate(limits):
            for bad in (b"x" * (limit + 1), b"\xff" * limit, b"\xf0\x28\x8c\x28"):
                yield name.encode(), [*right[:place], bad, *right[place + 1 :]]
    chance = random.Random(seed)
    for _ in range(100):
        name, function = chance.choice([*FUNCTIONS.items()])
        if function.limits_bytes:
            yield name.encode(), chance.choices(GARBAGE, k=len(function.limits_bytes))


def raw_call(line: wire.Line, profile: Profile, method: str, words: list[bytes]) -> tuple[int, str]:
    """Status and message of what the chaincode answers to words that the client would not send."""
    proposal = proposed(profile, *words)
    request = (
        wire.evaluate_request(proposal, profile.msp)
        if method == wire.EVALUATE
        else wire.endorse_request(proposal, [])
    )
    try:
        line.ask(method, request, 60)
    except wire.CallFailed as failure:
        said = " ".join([failure.message, *[each.message for each in failure.details]])
        found = re.search(r"chaincode response ([0-9]+), (.*)", said, re.DOTALL)
        assert found is not None, said
        return int(found[1]), found[2]
    raise AssertionError(f"expected a refusal of {words!r:.200}")


@pytest.mark.parametrize("method", [wire.EVALUATE, wire.ENDORSE])
def test_hostile_arguments_are_refused_at_once_with_a_reason(
    everywhere: Everywhere, members: Consortium, still: Log, method: str, seed: int
) -> None:
    profile = members.profiles(ONE, True)
    line = wire.Line(profile.peer, load_tls(profile.peer))
    with everywhere.unchanged(still.origin):
        calls = [[name, *words] for name, words in hostile_calls(seed)]
        with ThreadPoolExecutor(8) as pool:
            told = list(pool.map(lambda words: raw_call(line, profile, method, words), [[], *calls]))
    assert len(told) > 150
    for words, (status, message) in zip([[], *calls], told, strict=True):
        assert 400 <= status < 500, (words, status, message)
        assert re.match(r"[a-z0-9-]+: .", message), (words, message)
        assert len(message) < 500
    line.close()


@pytest.mark.parametrize("size_bytes", [131_073, 1 << 20, 8 << 20])
def test_an_argument_of_any_size_that_reaches_the_chaincode_is_refused_as_too_large(
    everywhere: Everywhere, members: Consortium, still: Log, size_bytes: int
) -> None:
    gateway = members.gateway()
    with everywhere.unchanged(still.origin):
        for call in (gateway.evaluate, gateway.transact):
            with pytest.raises(ChaincodeRefused) as refused:
                call(SUBMIT, [b"x" * size_bytes, b"[]"])
            assert (refused.value.status, refused.value.rule) == (413, "too-large")


def test_hostile_calls_do_not_hold_up_those_who_submit(members: Consortium, log: Log, seed: int) -> None:
    profile = members.profiles(TWO, False)
    line = wire.Line(profile.peer, load_tls(profile.peer))
    over = threading.Event()

    def disturb() -> int:
        count = 0
        while not over.is_set():
            for name, words in hostile_calls(seed):
                raw_call(line, profile, wire.ENDORSE, [name, *words])
                count += 1
                if over.is_set():
                    break
        return count

    with ThreadPoolExecutor(2) as pool:
        disturbing = [pool.submit(disturb) for _ in range(2)]
        try:
            for size in range(6, 16):
                members.channel().submit(log.note(size), log.proof(size - 1, size))
        finally:
            over.set()
        assert all(each.result() > 0 for each in disturbing)
    line.close()
    assert [each.size for each in members.channel(TWO).history(log.origin)] == [3, *range(5, 16)]


@pytest.mark.soak
def test_arguments_that_break_the_peers_own_stream_to_the_chaincode_lose_no_submission(
    everywhere: Everywhere, members: Consortium, log: Log
) -> None:
    """A peer sends a chaincode each argument twice, 100 MiB at most, and ends the stream where it would be more."""
    profile = members.profiles(TWO, False)
    line = wire.Line(profile.peer, load_tls(profile.peer))
    over = threading.Event()

    def disturb() -> None:
        while not over.is_set():
            proposal = proposed(profile, SUBMIT.encode(), b"x" * (60 << 20), b"[]")
            with pytest.raises(wire.CallFailed):
                line.ask(wire.EVALUATE, wire.evaluate_request(proposal, profile.msp), 60)

    with ThreadPoolExecutor(1) as pool:
        disturbing = pool.submit(disturb)
        try:
            for size in range(6, 26):
                members.channel().submit(log.note(size), log.proof(size - 1, size))
        finally:
            over.set()
        disturbing.result()
    line.close()
    seen = everywhere.seen(log.origin)
    assert seen.sizes == [3, *range(5, 26)]
    assert is_one_chain(seen, log)


def as_valid(said: Any) -> None:
    said.result = 0


def as_void(said: Any) -> None:
    said.result = 11  # MVCC_READ_CONFLICT


def in_another_block(said: Any) -> None:
    said.block_number += 1


def test_a_peer_that_calls_a_void_transaction_valid_is_exposed_by_another_organisations(
    everywhere: Everywhere, members: Consortium, log: Log, real_network: Network
) -> None:
    with before_peer(real_network, 1) as (middleman, profile):
        lied_to = open_gateway(profile, patience=PATIENT)
        members.opened.append(lied_to)
        late = lied_to.endorse(SUBMIT, [log.note(9), proof_bytes(log.proof(5, 9))])
        members.channel(ONE).submit(log.note(8), log.proof(5, 8))
        middleman.lie = as_valid
        believed = lied_to.commit(late)
        assert believed.code == "VALID"
        told = confirm(late.tx_id, {ONE: Channel(lied_to), TWO: members.channel(TWO)})
    assert told.is_disputed
    assert told.agreeing() == []
    assert {msp: each.code for msp, each in told.answers.items()} == {ONE: "VALID", TWO: "MVCC_READ_CONFLICT"}
    assert everywhere.seen(log.origin).sizes == [3, 5, 8]


@pytest.mark.parametrize("lie", [as_void, in_another_block])
def test_a_peer_that_lies_about_a_valid_transaction_is_exposed_by_another_organisations(
    everywhere: Everywhere, members: Consortium, log: Log, real_network: Network, lie: Lie
) -> None:
    done = members.channel().submit(log.note(8), log.proof(5, 8))
    with before_peer(real_network, 1) as (middleman, profile):
        lied_to = open_channel(profile, patience=PATIENT)
        members.opened.append(lied_to)
        peers = {ONE: lied_to, TWO: members.channel(TWO)}
        assert confirm(done.tx_id, peers).agreeing() == [ONE, TWO]
        middleman.lie = lie
        told = confirm(done.tx_id, peers)
    assert told.is_disputed
    assert told.agreeing() == []
    assert told.answers[TWO] == done
    assert told.answers[ONE] != done
    assert everywhere.seen(log.origin).sizes == [3, 5, 8]
