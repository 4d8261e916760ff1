from __future__ import annotations

from typing import Any

import pytest

from ledger import merkle
from ledger.ed25519 import SigningKey, key_id, possession_line
from ledger.errors import Forbidden, InvalidInput
from ledger.key_record import KeyRecord, key_record_of
from ledger.registry import Registry, Void
from ledger.replay import Replay
from ledger.seal import Seal, parse_seal, seal_bytes
from ledger.shape import time_text
from ledger.statement import DEFAULT_SIGNATURES, envelope_bytes, parse_envelope

from .consortium import START_MS, Consortium, key_of

HOUR_MS = 3_600_000
RECORD = {"@context": [], "type": "ObjectEvent"}


@pytest.fixture
def consortium() -> Consortium:
    return Consortium.founded("farm", "packer")


def keyid(name: str) -> str:
    return key_id(key_of(name).public_bytes)


def void_reason(consortium: Consortium, kind: str, body: dict[str, Any], by: str, **options: Any) -> str:
    """State something that must be void, and check that it changed nothing."""
    before = consortium.registry
    index = consortium.state(kind, body, by, **options)
    assert consortium.registry is before
    return consortium.replay.void[index].rule


def applied(consortium: Consortium, kind: str, body: dict[str, Any], by: str, **options: Any) -> int:
    index = consortium.state(kind, body, by, **options)
    assert index not in consortium.replay.void, consortium.replay.void[index]
    return index


def record_of(consortium: Consortium, name: str) -> KeyRecord:
    return consortium.registry.record(keyid(name))


def refusal(consortium: Consortium, envelope: bytes, at_ms: int = START_MS) -> str:
    with pytest.raises(InvalidInput) as caught:
        consortium.registry.authorise(parse_envelope(envelope), at_ms)
    return caught.value.rule


def test_the_charter_and_the_first_seal_open_the_log() -> None:
    consortium = Consortium()
    consortium.state("charter", consortium.charter_body(), by="operator")
    seal = parse_seal(consortium.entries[1])
    assert (seal.start, seal.before) == (0, (0, merkle.EMPTY_ROOT))
    assert seal.after == consortium.registry.head()
    charter = consortium.registry.charter
    assert charter is not None
    assert (charter.log, charter.operator, charter.bundles) == (consortium.origin, "operator", "members")
    assert record_of(consortium, "operator").use == "operator"


@pytest.mark.parametrize(
    "change",
    [
        {"vkey": "nonsense"},
        {"operatorKeys": [possession_line(key_of("operator")), possession_line(key_of("second"))]},
        {"operatorKeys": [possession_line(key_of("another"))]},
        {"operatorKeys": [possession_line(key_of("operator"))] * 2},
    ],
)
def test_a_charter_is_checked_against_the_keys_it_lists(change: dict[str, Any]) -> None:
    consortium = Consortium()
    envelope = consortium.envelope("charter", {**consortium.charter_body(), **change}, "operator")
    result = Registry().apply(0, parse_envelope(envelope))
    assert isinstance(result, Void)


def test_the_operator_key_is_never_the_log_key() -> None:
    consortium = Consortium()
    body = {**consortium.charter_body(), "operatorKeys": [possession_line(consortium.log_key)]}
    envelope = consortium.envelope("charter", body, "operator", keys=[consortium.log_key])
    result = Registry().apply(0, parse_envelope(envelope))
    assert result == Void("expected distinct keys for the log and each operator key", "key-in-use")


def test_there_is_one_charter(consortium: Consortium) -> None:
    body = consortium.charter_body()
    assert (
        void_reason(consortium, "charter", body, "operator", seen=(0, merkle.EMPTY_ROOT)) == "second-charter"
    )


def test_admission_gives_a_member_its_key_record(consortium: Consortium) -> None:
    index = consortium.admit("shop", roles=["auditor", "member"])
    record = record_of(consortium, "shop")
    assert (record.member, record.party, record.use, record.state) == ("shop", "shop", "member", "active")
    assert (record.since, record.by, record.roles) == (index, index, ("auditor", "member"))
    assert consortium.registry.members["shop"].name == "Shop"


def test_only_the_operator_admits(consortium: Consortium) -> None:
    body = {"subject": "shop", "name": "Shop"}
    assert void_reason(consortium, "member", body, "farm") == "wrong-use"
    assert void_reason(consortium, "member", body, "operator", keys=[key_of("farm")]) == "wrong-member"
    assert void_reason(consortium, "member", body, "operator", keys=[key_of("stranger")]) == "unknown-key"


def test_more_signatures_than_asked_for_are_refused(consortium: Consortium) -> None:
    body = {"subject": "shop", "name": "Shop"}
    keys = [key_of("operator"), key_of("farm")]
    assert void_reason(consortium, "member", body, "operator", keys=keys) == "wrong-use"
    envelope = consortium.envelope(
        "capture", {"commitment": "00" * 32}, "farm", keys=[key_of("farm"), key_of("packer")]
    )
    assert refusal(consortium, envelope) == "wrong-signers"


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ({"subject": "shop"}, "name-missing"),
        ({"subject": "operator", "name": "Me"}, "wrong-subject"),
        ({"subject": "shop", "name": "Shop", "publicKey": possession_line(key_of("farm"))}, "key-in-use"),
        ({"subject": "shop", "name": "Shop", "publicKey": possession_line(key_of("log"))}, "key-in-use"),
        ({"subject": "shop", "name": "Shop", "publicKey": "a.b"}, "bad-base64"),
        ({"subject": "farm", "publicKey": possession_line(key_of("intruder"))}, "key-active"),
        (
            {
                "subject": "farm",
                "delegation": {"service": possession_line(key_of("s")), "until": time_text(START_MS)},
            },
            "delegation-not-granted",
        ),
    ],
)
def test_what_the_operator_may_not_state_is_void(
    consortium: Consortium, body: dict[str, Any], rule: str
) -> None:
    assert void_reason(consortium, "member", body, "operator") == rule


def test_a_statement_id_is_used_once(consortium: Consortium) -> None:
    applied(consortium, "member", {"subject": "a", "name": "A"}, "operator", statement_id="1" * 32)
    rule = void_reason(consortium, "member", {"subject": "b", "name": "B"}, "operator", statement_id="1" * 32)
    assert rule == "duplicate-statement"
    consortium.entries.append(consortium.entries[2])
    repeated = consortium.registry.apply(2, parse_envelope(consortium.entries.pop()))
    assert isinstance(repeated, Void)


def test_a_statement_for_another_log_is_void(consortium: Consortium) -> None:
    body = {"subject": "a", "name": "A"}
    assert void_reason(consortium, "member", body, "operator", log="elsewhere.example") == "wrong-log"


def test_a_false_signature_is_refused(consortium: Consortium) -> None:
    envelope = parse_envelope(consortium.envelope("capture", {"commitment": "00" * 32}, "farm"))
    other = SigningKey.from_bytes(bytes(32)).sign(b"x")
    forged = envelope_bytes(envelope.payload, {keyid("farm"): other})
    assert refusal(consortium, forged) == "bad-signature"


def test_a_rotated_key_is_retired_and_the_new_one_signs(consortium: Consortium) -> None:
    index = applied(
        consortium, "key", {"action": "rotate", "publicKey": possession_line(key_of("farm 2"))}, "farm"
    )
    old, new = record_of(consortium, "farm"), record_of(consortium, "farm 2")
    assert (old.state, old.by, new.state, new.since, new.member) == (
        "retired",
        index,
        "active",
        index,
        "farm",
    )
    assert (
        refusal(consortium, consortium.envelope("capture", {"commitment": "00" * 32}, "farm"))
        == "key-retired"
    )
    consortium.capture("farm", [RECORD], keys=[key_of("farm 2")])
    # A retired key never comes back, not even by its own new admission.
    body = {"action": "rotate", "publicKey": possession_line(key_of("farm"))}
    assert void_reason(consortium, "key", body, "farm", keys=[key_of("farm 2")]) == "key-in-use"


def test_the_operator_key_rotates_as_any_other(consortium: Consortium) -> None:
    body = {"action": "rotate", "publicKey": possession_line(key_of("operator 2"))}
    applied(consortium, "key", body, "operator")
    assert record_of(consortium, "operator 2").use == "operator"
    assert void_reason(consortium, "member", {"subject": "a", "name": "A"}, "operator") == "key-retired"
    applied(consortium, "member", {"subject": "a", "name": "A"}, "operator", keys=[key_of("operator 2")])


def test_a_revocation_names_since_when_a_key_is_disputed(consortium: Consortium) -> None:
    applied(consortium, "key", {"action": "revoke", "target": keyid("farm"), "since": 5}, "operator")
    record = record_of(consortium, "farm")
    assert (record.state, record.disputed_from) == ("revoked", 5)
    assert (
        refusal(consortium, consortium.envelope("capture", {"commitment": "00" * 32}, "farm"))
        == "key-revoked"
    )
    again = {"action": "revoke", "target": keyid("farm")}
    assert void_reason(consortium, "key", {**again, "since": 6}, "operator") == "key-revoked"
    assert void_reason(consortium, "key", again, "operator") == "key-revoked"
    applied(consortium, "key", {**again, "since": 3}, "operator")
    assert record_of(consortium, "farm").disputed_from == 3


def test_a_member_revokes_its_own_keys_only(consortium: Consortium) -> None:
    assert (
        void_reason(consortium, "key", {"action": "revoke", "target": keyid("packer")}, "farm")
        == "wrong-member"
    )
    applied(consortium, "key", {"action": "revoke", "target": keyid("farm")}, "farm")
    assert record_of(consortium, "farm").disputed_from is None


def test_a_revocation_cannot_name_the_future_nor_an_unknown_key(consortium: Consortium) -> None:
    body = {"action": "revoke", "target": keyid("farm"), "since": 10_000}
    assert void_reason(consortium, "key", body, "operator") == "bad-since"
    assert (
        void_reason(consortium, "key", {"action": "revoke", "target": "ab" * 32}, "operator") == "unknown-key"
    )


def test_the_last_operator_key_stays(consortium: Consortium) -> None:
    assert (
        void_reason(consortium, "key", {"action": "revoke", "target": keyid("operator")}, "operator")
        == "last-operator-key"
    )


def test_after_revocation_the_operator_admits_a_new_key(consortium: Consortium) -> None:
    applied(consortium, "key", {"action": "revoke", "target": keyid("farm")}, "operator")
    body = {"subject": "farm", "publicKey": possession_line(key_of("farm 2"))}
    applied(consortium, "member", body, "operator")
    consortium.capture("farm", [RECORD], keys=[key_of("farm 2")])


def test_a_member_delegates_to_a_node_key_until_a_date(consortium: Consortium) -> None:
    until = START_MS + HOUR_MS
    body = {"service": possession_line(key_of("node")), "until": time_text(until)}
    applied(consortium, "delegation", body, "farm")
    record = record_of(consortium, "node")
    assert (record.use, record.member, record.party, record.until) == (
        "service",
        "farm",
        "operator",
        time_text(until),
    )
    envelope = consortium.envelope("capture", {"commitment": "00" * 32}, "farm", keys=[key_of("node")])
    assert consortium.registry.authorise(parse_envelope(envelope), until - 1).custody == "service"
    assert refusal(consortium, envelope, until) == "key-expired"
    other = consortium.envelope("capture", {"commitment": "00" * 32}, "packer", keys=[key_of("node")])
    assert refusal(consortium, other) == "wrong-member"
    # The same key again gives it another end; for another member it is taken.
    applied(consortium, "delegation", {**body, "until": time_text(until + 1)}, "farm")
    assert record_of(consortium, "node").until == time_text(until + 1)
    assert void_reason(consortium, "delegation", body, "packer") == "key-in-use"


def test_a_service_key_signs_no_registry_statement(consortium: Consortium) -> None:
    consortium.admit_without_key("shop", START_MS + HOUR_MS)
    service = key_of("service shop")
    body = {"action": "revoke", "target": key_id(service.public_bytes)}
    assert void_reason(consortium, "key", body, "shop", keys=[service]) == "wrong-use"
    delegation = {"service": possession_line(key_of("x")), "until": time_text(START_MS)}
    assert void_reason(consortium, "delegation", delegation, "shop", keys=[service]) == "wrong-use"


def test_a_member_admitted_without_a_key_is_in_custody(consortium: Consortium) -> None:
    consortium.admit_without_key("shop", START_MS + HOUR_MS)
    captured = consortium.capture("shop", [RECORD], keys=[key_of("service shop")])
    authority = consortium.registry.authorise(parse_envelope(captured.envelope), START_MS)
    assert authority.custody == "service"
    assert not consortium.registry.members["shop"].had_key


def test_a_role_that_ends_leaves_the_key_records(consortium: Consortium) -> None:
    index = applied(consortium, "member", {"subject": "farm", "roles": ["auditor"]}, "operator")
    record = record_of(consortium, "farm")
    assert (record.roles, record.by) == (("auditor",), index)
    assert (
        refusal(consortium, consortium.envelope("capture", {"commitment": "00" * 32}, "farm")) == "wrong-role"
    )


def test_a_recall_needs_the_role_standing_or_granted(consortium: Consortium) -> None:
    body = {"commitment": "00" * 32, "parties": ["farm"]}
    envelope = consortium.envelope("recall", body, "farm")
    assert refusal(consortium, envelope) == "wrong-role"
    grant = {"grantee": "farm", "role": "recall", "for": ["packer"], "until": time_text(START_MS + HOUR_MS)}
    applied(consortium, "role", grant, "operator")
    consortium.registry.authorise(parse_envelope(envelope), START_MS)
    assert refusal(consortium, envelope, START_MS + HOUR_MS) == "wrong-role"
    # The same grant stated again with another end replaces the first.
    applied(consortium, "role", {**grant, "until": time_text(START_MS)}, "operator")
    assert len(consortium.registry.grants) == 1
    assert refusal(consortium, envelope) == "wrong-role"


def test_a_granted_member_role_lets_nobody_capture(consortium: Consortium) -> None:
    applied(consortium, "member", {"subject": "farm", "roles": ["auditor"]}, "operator")
    grant = {"grantee": "farm", "role": "member", "for": "all", "until": None}
    applied(consortium, "role", grant, "operator")
    assert (
        refusal(consortium, consortium.envelope("capture", {"commitment": "00" * 32}, "farm")) == "wrong-role"
    )


def test_a_grant_names_members_only(consortium: Consortium) -> None:
    grant = {"grantee": "farm", "role": "auditor", "for": "all", "until": None}
    assert void_reason(consortium, "role", {**grant, "grantee": "nobody"}, "operator") == "unknown-member"
    assert void_reason(consortium, "role", {**grant, "for": ["nobody"]}, "operator") == "unknown-member"


def test_an_agreement_needs_every_party(consortium: Consortium) -> None:
    body = {"commitment": "00" * 32, "parties": ["farm", "packer"]}
    both = consortium.envelope("agreement", body, "farm", keys=[key_of("farm"), key_of("packer")])
    assert len(consortium.registry.authorise(parse_envelope(both), START_MS).signers) == 2
    assert refusal(consortium, consortium.envelope("agreement", body, "farm")) == "wrong-signers"


def test_the_charter_narrows_who_may_sign() -> None:
    consortium = Consortium()
    rules = {**DEFAULT_SIGNATURES, "capture": [["member"]]}
    consortium.state("charter", {**consortium.charter_body(), "signatures": rules}, by="operator")
    consortium.admit_without_key("shop", START_MS + HOUR_MS)
    envelope = consortium.envelope(
        "capture", {"commitment": "00" * 32}, "shop", keys=[key_of("service shop")]
    )
    assert refusal(consortium, envelope) == "wrong-signers"


def test_an_identifier_has_one_holder_at_a_time(consortium: Consortium) -> None:
    def claim(value: str, start: int, end: int | None) -> dict[str, Any]:
        until = None if end is None else time_text(end)
        return {"parties": [{"kind": "gln", "value": value, "from": time_text(start), "until": until}]}

    gln = "4012345000009"
    applied(consortium, "member", {"subject": "farm", **claim(gln, 1_000, None)}, "operator")
    taken = {"subject": "packer", **claim(gln, 2_000, None)}
    assert void_reason(consortium, "member", taken, "operator") == "identifier-held"
    applied(consortium, "member", {"subject": "farm", **claim(gln, 1_000, 2_000)}, "operator")
    applied(consortium, "member", taken, "operator")
    registry = consortium.registry
    holders = [registry.holder("gln", gln, time_ms) for time_ms in (999, 1_000, 1_999, 2_000, 10**12)]
    assert holders == [None, "farm", "farm", "packer", "packer"]
    assert registry.holder("prefix", gln, 1_500) is None


def test_the_registry_root_proves_each_record(consortium: Consortium) -> None:
    registry = consortium.registry
    assert registry.keyids == tuple(sorted(registry.keyids))
    for one in registry.keyids:
        position, path = registry.path(one)
        leaf = merkle.leaf_hash(registry.record(one).leaf())
        merkle.verify_inclusion(position, registry.size, leaf, path, registry.root())
        assert key_record_of(registry.record(one).as_json()) == registry.record(one)
    with pytest.raises(Forbidden):
        registry.path("ab" * 32)


def test_replaying_the_entries_gives_the_same_registry_and_tree(consortium: Consortium) -> None:
    consortium.capture("farm", [RECORD])
    consortium.publish()
    again = Replay(consortium.origin)
    for entry in consortium.entries:
        again.take(entry)
    assert again.registry.head() == consortium.registry.head()
    assert again.tree.root() == merkle.root(consortium.hashes())
    assert again.seals == consortium.replay.seals


def refused_entry(consortium: Consortium, entry: bytes) -> str:
    before = consortium.replay.size, consortium.replay.tree.root(), consortium.registry
    with pytest.raises(InvalidInput) as caught:
        consortium.replay.take(entry)
    assert before == (consortium.replay.size, consortium.replay.tree.root(), consortium.registry)
    return caught.value.rule


def test_a_false_seal_is_caught_by_whoever_replays(consortium: Consortium) -> None:
    consortium.capture("farm", [RECORD])
    right = consortium.replay.next_seal(time_text(consortium.clock_ms))
    wrong = [
        Seal("elsewhere.example", right.start, right.time, right.before, right.after),
        Seal(right.log, right.start - 1, right.time, right.before, right.after),
        Seal(right.log, right.start, "2020-01-01T00:00:00.000Z", right.before, right.after),
        Seal(right.log, right.start, right.time, right.after, (9, bytes(32))),
        Seal(right.log, right.start, right.time, (0, merkle.EMPTY_ROOT), right.after),
    ]
    for seal in wrong:
        assert refused_entry(consortium, seal_bytes(seal)) == "bad-seal"
    consortium.replay.take(seal_bytes(right))
    assert refused_entry(consortium, seal_bytes(consortium.replay.next_seal(right.time))) == "bad-seal"


def test_a_seal_follows_each_registry_statement(consortium: Consortium) -> None:
    envelope = consortium.envelope("member", {"subject": "a", "name": "A"}, "operator")
    consortium.replay.take(envelope)
    capture = consortium.envelope("capture", {"commitment": "00" * 32}, "farm")
    assert refused_entry(consortium, capture) == "missing-seal"


def test_a_log_opens_with_its_charter() -> None:
    consortium = Consortium()
    envelope = consortium.envelope("capture", {"commitment": "00" * 32}, "farm")
    assert refused_entry(consortium, envelope) == "bad-entry"
    assert (
        refused_entry(consortium, seal_bytes(consortium.replay.next_seal(time_text(START_MS)))) == "bad-seal"
    )
    assert refused_entry(consortium, b"{}") == "bad-entry"
