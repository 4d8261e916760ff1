from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import merkle
from ledger.contradiction import ProvenKey
from ledger.ed25519 import key_id
from ledger.errors import VerificationError
from ledger.misbehaviour import (
    BAD_ENTRY,
    DUPLICATE_ID,
    FALSE_SEAL,
    INCONSISTENT,
    SPLIT_VIEW,
    VOID_STATEMENT,
    Misbehaviour,
    misbehaviour_bytes,
    parse_misbehaviour,
    verify_misbehaviour,
)
from ledger.monitor.audit import Audit
from ledger.monitor.evidence import Signed, evidence_of, inconsistent_growth, split_view
from ledger.note import ED25519, VerifierKey
from ledger.opened_tree import Hidden, Item, OpenedTree, open_tree
from ledger.policy import Policy, parse_policy, policy_text
from ledger.seal import Seal, seal_bytes
from ledger.shape import time_text

from .consortium import ORIGIN, START_MS, Consortium, key_of
from .monitor.hostile import BREAKING, capture, consortium, evidence, seal, signed_note
from .strategies import values


@cache
def sound() -> Consortium:
    one = consortium()
    one.state("key", {"action": "revoke", "target": _keyid("packer"), "since": 3}, by="operator")
    one.capture("shop", [{"@context": [], "type": "T"}], keys=[key_of("service shop")])
    one.publish()
    return one


def _keyid(name: str) -> str:
    return key_id(key_of(name).public_bytes)


def policy() -> Policy:
    return parse_policy(policy_text(sound().log_vkey()))


def verified(data: bytes) -> Misbehaviour:
    return verify_misbehaviour(parse_misbehaviour(data), policy())


def refused(data: bytes) -> tuple[int, str]:
    with pytest.raises(VerificationError) as caught:
        verified(data)
    return caught.value.step, caught.value.place


def reader_of(entries: list[bytes]) -> merkle.HashReader:
    hashes = [merkle.leaf_hash(data) for data in entries]
    return lambda level, index: merkle.root(hashes[index << level : (index + 1) << level])


@pytest.mark.parametrize("name", BREAKING)
def test_a_broken_rule_is_proved_from_a_file_alone(name: str) -> None:
    found = verified(evidence(name))
    assert (found.kind, found.rule) == BREAKING[name][:2]
    assert found.origin == ORIGIN
    assert found.proves
    assert found.means


@pytest.mark.parametrize("name", BREAKING)
def test_evidence_shows_no_more_of_the_log_than_it_needs(name: str) -> None:
    shown = [item for item in json.loads(evidence(name))["tree"] if isinstance(item, str)]
    needs_registry = {"a stranger's key", "a seal with another registry after", "an identifier given twice"}
    needs_registry |= {
        "a second charter",
        "a recall without the role",
        "an agreement that a party did not sign",
    }
    if name not in needs_registry:
        assert len(shown) <= 3


def test_a_charter_that_its_operator_did_not_sign_is_void_from_the_start() -> None:
    one = Consortium()
    charter = one.envelope("charter", one.charter_body(), "operator", keys=[key_of("stranger")])
    empty = (0, merkle.EMPTY_ROOT)
    entries = [charter, seal_bytes(Seal(ORIGIN, 0, time_text(START_MS), empty, empty))]
    audit = Audit(ORIGIN)
    for data in entries:
        audit.take(data)
    audit.end()
    [fault] = audit.faults
    found = verified(
        evidence_of(fault, Signed(ORIGIN, 2, signed_note(ORIGIN, entries), lambda: iter(entries)))
    )
    assert (found.kind, found.rule, found.at) == (VOID_STATEMENT, "wrong-signers", (0,))


def test_a_log_that_does_not_open_with_a_charter_is_bad_from_the_start() -> None:
    one = consortium()
    entries = [*one.entries[2:4]]
    audit = Audit(ORIGIN)
    for data in entries:
        audit.take(data)
    found = verified(
        evidence_of(audit.faults[0], Signed(ORIGIN, 2, signed_note(ORIGIN, entries), lambda: iter(entries)))
    )
    assert (found.kind, found.at) == (BAD_ENTRY, (0,))


def test_two_roots_of_one_size_are_a_split_view() -> None:
    one = sound()
    size = len(one.entries)
    other = signed_note(one.origin, [*one.entries[:-1], b"another"])
    found = verified(split_view(one.archive[size], other))
    assert (found.kind, found.rule, found.sizes) == (SPLIT_VIEW, SPLIT_VIEW, (size, size))
    assert refused(split_view(one.archive[size], one.archive[size])) == (4, "")
    assert refused(split_view(one.archive[size], one.checkpoint(2))) == (4, "")


def test_the_witnesses_that_cosigned_are_named() -> None:
    one = sound()
    named = {f"w{number}": vkey for number, vkey in enumerate(one.witness_vkeys())}
    trusting = parse_policy(policy_text(one.log_vkey(), named, 2))
    size = len(one.entries)
    data = split_view(one.archive[size], signed_note(one.origin, [*one.entries[:-1], b"x"]))
    found = verify_misbehaviour(parse_misbehaviour(data), trusting)
    assert found.cosigners == (("w0", "w1", "w2"), ())


@pytest.mark.parametrize("old", [2, 3, 4, 7, 8, 11])
def test_a_tree_that_had_another_root_is_inconsistent_growth(old: int) -> None:
    one = sound()
    entries, size = one.entries, len(one.entries)
    rewritten = [b"rewritten", *entries[1:]]
    before, after = signed_note(one.origin, entries[:old]), signed_note(one.origin, rewritten)
    found = verified(inconsistent_growth(before, old, after, size, reader_of(rewritten)))
    assert (found.kind, found.sizes) == (INCONSISTENT, (old, size))
    honest = inconsistent_growth(before, old, one.archive[size], size, reader_of(entries))
    assert refused(honest) == (4, "")


def test_evidence_by_another_key_or_of_another_log_is_refused_at_its_place() -> None:
    one = sound()
    size = len(one.entries)
    foreign = Consortium.founded("farm", origin="another.example")
    other = signed_note(one.origin, [*one.entries[:-1], b"x"])
    forged = other.replace(b" " + other.split()[-1], b" " + one.archive[2].split(b"\n")[4].split()[2])
    assert refused(split_view(one.archive[size], forged)) == (2, "/checkpoints/1")
    assert refused(split_view(foreign.archive[2], foreign.archive[2])) == (2, "/checkpoints/0")
    assert refused(split_view(one.archive[size], foreign.archive[2])) == (2, "/checkpoints/1")


def test_evidence_by_a_newer_key_than_the_policys_says_how_to_extend_the_policy() -> None:
    one, newer = sound(), key_of("the log's next key")
    ours, theirs = (
        signed_note(one.origin, [*one.entries[:-1], data], newer) for data in (one.entries[-1], b"x")
    )
    with pytest.raises(VerificationError, match="loomark policy --update") as caught:
        verified(split_view(ours, theirs))
    assert (caught.value.step, caught.value.place) == (2, "/checkpoints/0")
    both = policy_text([one.log_vkey(), VerifierKey(one.origin, ED25519, newer.public_bytes)])
    evidence = parse_misbehaviour(split_view(ours, theirs))
    assert verify_misbehaviour(evidence, parse_policy(both)).kind == SPLIT_VIEW


def test_a_tree_that_was_not_signed_is_refused() -> None:
    value = json.loads(evidence("one statement id twice"))
    value["tree"][0][1] = "00" * 32
    assert refused(json.dumps(value).encode()) == (3, "/tree")
    value["tree"].pop()
    assert refused(json.dumps(value).encode()) == (3, "/tree")


CHANGES: list[tuple[str, Any, str]] = [
    ("misbehaviour", "loomark/misbehaviour/v0", ""),
    ("kind", "slowness", ""),
    ("kind", "split-view", ""),
    ("extra", 1, ""),
    ("checkpoints", [], "/checkpoints"),
    ("checkpoints", ["x"], "/checkpoints"),
    ("at", [1], "/at"),
    ("at", [1, -1], "/at"),
    ("tree", [], "/tree"),
    ("tree", ["not base64"], "/tree"),
    ("tree", [[53, "00" * 32]], "/tree"),
    ("tree", [[0, "00"]], "/tree"),
    ("key", None, ""),
]


@pytest.mark.parametrize(("member", "value", "place"), CHANGES)
def test_another_shape_is_refused_at_its_place(member: str, value: Any, place: str) -> None:
    changed = json.loads(evidence("one statement id twice")) | {member: value}
    assert refused(json.dumps(changed).encode()) == (1, place)


def test_a_key_that_was_disputed_later_is_no_evidence() -> None:
    """The operator could not know at sequencing what a revocation said afterwards."""
    one = Consortium.founded("farm", "packer")
    held = one.capture("packer", [{"@context": [], "type": "T"}]).index
    one.publish()
    one.state("key", {"action": "revoke", "target": _keyid("packer"), "since": held}, by="operator")
    note = one.publish()
    everything = dict(enumerate(one.entries))
    data = misbehaviour_bytes(
        VOID_STATEMENT, [note], [held], open_tree(reader_of(one.entries), len(one.entries), everything)
    )
    assert refused(data) == (4, "")


@cache
def honest_keys() -> list[ProvenKey]:
    registry = sound().registry
    return [
        ProvenKey(registry.path(keyid)[0], registry.record(keyid), tuple(registry.path(keyid)[1]))
        for keyid in registry.keyids
    ]


@given(st.data())
def test_nothing_shown_of_a_sound_log_is_evidence(data: st.DataObject) -> None:
    one = sound()
    sizes = sorted(one.archive)
    size = data.draw(st.sampled_from(sizes))
    entries = one.entries[:size]
    shown = data.draw(st.sets(st.integers(0, size - 1)) | st.just(set(range(size))))
    kind = data.draw(st.sampled_from([FALSE_SEAL, VOID_STATEMENT, DUPLICATE_ID, BAD_ENTRY, INCONSISTENT]))
    count = {DUPLICATE_ID: 2, INCONSISTENT: 0}.get(kind, 1)
    at = [data.draw(st.integers(0, size - 1)) for _ in range(count)]
    old = data.draw(st.sampled_from(sizes))
    tree = open_tree(reader_of(entries), size, {index: entries[index] for index in shown}, min(old, size))
    key = data.draw(st.none() | st.sampled_from(honest_keys())) if kind == VOID_STATEMENT else None
    notes = [one.archive[old], one.archive[size]] if kind == INCONSISTENT else [one.archive[size]]
    assert refused(misbehaviour_bytes(kind, notes, at, tree, key))[0] == 4


@given(st.data())
def test_a_sound_logs_material_changed_anywhere_is_no_evidence(data: st.DataObject) -> None:
    one = sound()
    size = len(one.entries)
    kind = data.draw(st.sampled_from([FALSE_SEAL, VOID_STATEMENT, BAD_ENTRY, INCONSISTENT]))
    tree: list[Item] = open_tree(reader_of(one.entries), size, dict(enumerate(one.entries)))
    place = data.draw(st.integers(0, size - 1))
    tree[place] = data.draw(
        st.binary(min_size=32, max_size=32).map(lambda head: Hidden(0, head))
        | st.sampled_from(one.entries)
        | st.binary(max_size=40)
        | st.just(capture(consortium(), keys=[key_of("stranger")]))
    )
    notes = [one.archive[2], one.archive[size]] if kind == INCONSISTENT else [one.archive[size]]
    at = [] if kind == INCONSISTENT else [place]
    assert refused(misbehaviour_bytes(kind, notes, at, tree)) in [(3, "/tree"), (4, "")]


@given(st.sampled_from(sorted(BREAKING)), st.data(), values)
def test_anything_in_any_place_of_evidence_raises_only_verification_errors(
    name: str, data: st.DataObject, value: Any
) -> None:
    changed = json.loads(evidence(name))
    place: Any = changed
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = value
    try:
        found = verify_misbehaviour(parse_misbehaviour(json.dumps(changed).encode()), policy())
    except VerificationError:
        return
    assert found.kind in (VOID_STATEMENT, FALSE_SEAL, BAD_ENTRY, DUPLICATE_ID)


@given(st.integers(1, 40), st.data())
def test_an_opened_tree_has_the_root_it_opens_at_both_sizes(size: int, data: st.DataObject) -> None:
    entries = [b"%d" % number for number in range(size)]
    shown = data.draw(st.sets(st.integers(0, size - 1)))
    boundary = data.draw(st.integers(0, size - 1))
    items = open_tree(reader_of(entries), size, {index: entries[index] for index in shown}, boundary)
    opened = OpenedTree(items, boundary)
    hashes = [merkle.leaf_hash(data) for data in entries]
    assert (opened.size, opened.root, opened.earlier) == (
        size,
        merkle.root(hashes),
        merkle.root(hashes[:boundary]),
    )
    assert opened.entries == {index: entries[index] for index in shown}


def test_a_subtree_where_no_tree_has_one_is_refused() -> None:
    value = json.loads(evidence("one statement id twice"))
    value["tree"] = [[0, "00" * 32], [1, "00" * 32]]
    assert refused(json.dumps(value).encode()) == (3, "/tree")


def test_the_seal_time_decides_not_the_clock_of_the_signer() -> None:
    one = consortium()
    entries = [*one.entries, capture(one, "shop", keys=[key_of("service shop")])]
    entries.append(seal(one, time=one.replay.seals[-1].seal.time))
    assert one.replay.seals[-1].seal.time_ms < START_MS + 10**7
    audit = Audit(one.origin)
    for data in entries:
        audit.take(data)
    assert audit.faults == []
