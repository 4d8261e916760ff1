from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import canonical
from ledger.capture import capture_commitment
from ledger.commitment import record_commitment
from ledger.ed25519 import key_id, possession_line
from ledger.entry import is_seal, parse_entry
from ledger.errors import InvalidInput, LoomarkError, TooLarge
from ledger.merkle import EMPTY_ROOT
from ledger.seal import Seal, parse_seal, seal_bytes
from ledger.statement import (
    DEFAULT_SIGNATURES,
    KINDS,
    PAYLOAD_TYPE,
    parse_envelope,
    parse_statement,
    pre_authentication,
    sign_statement,
)
from ledger.submission import (
    Submission,
    build_submission,
    parse_submission,
    submission_bytes,
    verify_submission,
)

from .consortium import key_of, seeded
from .strategies import values

KEY = key_of("farm")
HASH = "ab" * 32
LINE = possession_line(KEY)
TIME = "2026-01-01T00:00:00.000Z"
BODIES: dict[str, dict[str, Any]] = {
    "charter": {
        "name": "Op",
        "vkey": "x",
        "operatorKeys": [LINE],
        "signatures": dict(DEFAULT_SIGNATURES),
        "bundles": "members",
    },
    "member": {
        "subject": "farm",
        "name": "Farm",
        "publicKey": LINE,
        "parties": [{"kind": "gln", "value": "4012345000009", "from": TIME, "until": None}],
        "roles": ["member", "recall"],
    },
    "key": {"action": "revoke", "target": HASH, "since": 3},
    "role": {"grantee": "farm", "role": "auditor", "for": ["farm", "packer"], "until": None},
    "delegation": {"service": LINE, "until": TIME},
    "capture": {"commitment": HASH},
    "link": {"commitment": HASH, "parties": ["farm"]},
    "agreement": {"commitment": HASH, "parties": ["farm", "packer"]},
    "recall": {"commitment": HASH, "parties": ["farm"]},
    "erasure": {"commitment": HASH, "parties": ["farm"]},
}


def payload(kind: str = "capture", **changes: Any) -> dict[str, Any]:
    head = {
        "type": kind,
        "v": 1,
        "log": "loomark.example/test",
        "member": "farm",
        "key": key_id(KEY.public_bytes),
        "id": "0" * 32,
        "issued": TIME,
        "seen": [0, EMPTY_ROOT.hex()],
    }
    return {**head, **BODIES[kind], **changes}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_kind_reads_back_what_it_wrote(kind: str) -> None:
    data = canonical(payload(kind))
    statement = parse_statement(data)
    assert canonical(statement.as_json()) == data
    envelope = parse_envelope(sign_statement(data, [KEY]))
    assert envelope.payload == data
    assert envelope.statement == statement


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_an_unknown_member_is_refused_in_each_kind(kind: str) -> None:
    with pytest.raises(InvalidInput):
        parse_statement(canonical(payload(kind, extra=1)))


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "unknown"},
        {"v": 2},
        {"v": True},
        {"log": ""},
        {"member": "Farm"},
        {"member": "a" * 65},
        {"member": ""},
        {"key": HASH.upper()},
        {"key": "ab"},
        {"id": "0" * 31},
        {"issued": "2026-01-01T00:00:00Z"},
        {"issued": "2026-02-30T00:00:00.000Z"},
        {"issued": "2026-01-01T00:00:00.000+00:00"},
        {"issued": "2026-01-01T24:00:00.000Z"},
        {"seen": [1, HASH]},
        {"seen": [0, HASH]},
        {"seen": [2]},
        {"seen": [2.5, HASH]},
        {"seen": [-2, HASH]},
        {"commitment": "ab"},
        {"commitment": None},
    ],
)
def test_another_spelling_of_the_head_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        parse_statement(canonical(payload(**changes)))


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("charter", {"seen": [2, HASH]}),
        ("charter", {"bundles": "all"}),
        ("charter", {"operatorKeys": []}),
        ("charter", {"signatures": {}}),
        ("charter", {"signatures": {**DEFAULT_SIGNATURES, "capture": []}}),
        ("charter", {"signatures": {**DEFAULT_SIGNATURES, "capture": [["anybody"]]}}),
        ("charter", {"signatures": {**DEFAULT_SIGNATURES, "capture": [["service", "member"]]}}),
        ("member", {"subject": "A"}),
        ("member", {"roles": ["operator"]}),
        ("member", {"roles": ["recall", "member"]}),
        ("member", {"roles": []}),
        ("member", {"parties": []}),
        ("member", {"parties": [{"kind": "gln", "value": "1", "from": TIME, "until": None}]}),
        ("member", {"parties": [{"kind": "iri", "value": "no iri", "from": TIME, "until": None}]}),
        ("member", {"parties": [{"kind": "prefix", "value": "40123a", "from": TIME, "until": None}]}),
        ("member", {"parties": [{"kind": "gln", "value": "4012345000009", "until": None}]}),
        ("member", {"delegation": {"service": LINE}}),
        ("key", {"action": "rotate"}),
        ("key", {"action": "other"}),
        ("key", {"since": -1}),
        ("key", {"target": "x"}),
        ("role", {"role": "operator"}),
        ("role", {"for": "some"}),
        ("role", {"for": ["packer", "farm"]}),
        ("role", {"until": "never"}),
        ("delegation", {"until": None}),
        ("link", {"parties": []}),
        ("agreement", {"parties": ["farm"]}),
        ("recall", {"parties": ["farm", "farm"]}),
    ],
)
def test_a_body_that_its_kind_does_not_define_is_refused(kind: str, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        parse_statement(canonical(payload(kind, **changes)))


def test_a_missing_member_is_refused() -> None:
    for name in payload():
        with pytest.raises(InvalidInput):
            parse_statement(canonical({key: item for key, item in payload().items() if key != name}))


def test_only_canonical_payloads_and_envelopes_are_accepted() -> None:
    with pytest.raises(InvalidInput):
        parse_statement(json.dumps(payload()).encode())
    envelope = sign_statement(canonical(payload()), [KEY])
    with pytest.raises(InvalidInput) as caught:
        parse_envelope(json.dumps(json.loads(envelope)).encode())
    assert caught.value.rule == "not-canonical"


def test_signatures_are_sorted_and_one_a_key() -> None:
    data = canonical(payload())
    obj = json.loads(sign_statement(data, [KEY, key_of("packer")]))
    parse_envelope(canonical(obj))
    for signatures in (obj["signatures"][::-1], [obj["signatures"][0]] * 2, []):
        with pytest.raises(InvalidInput):
            parse_envelope(canonical({**obj, "signatures": signatures}))


@pytest.mark.parametrize(
    "changes",
    [
        {"payloadType": "application/json"},
        {"extra": 1},
        {"payload": "a"},
        {"payload": "e30"},
        {"signatures": [{"keyid": HASH, "sig": "AAAA"}]},
    ],
)
def test_another_envelope_is_refused(changes: dict[str, Any]) -> None:
    obj = json.loads(sign_statement(canonical(payload()), [KEY]))
    with pytest.raises(InvalidInput):
        parse_envelope(canonical({**obj, **changes}))


def test_limits_of_payload_and_envelope_hold() -> None:
    names = [f"m{number:04d}" for number in range(1_024)]
    big = canonical(payload("link", parties=names, log="x" * 512))
    parse_statement(big)
    with pytest.raises(TooLarge):
        parse_statement(canonical(payload("link", parties=[name * 8 for name in names])))
    with pytest.raises(TooLarge):
        parse_envelope(b" " * 65_536)


def test_the_pre_authentication_encoding_is_dsse() -> None:
    assert pre_authentication(b"ab") == b"DSSEv1 41 " + PAYLOAD_TYPE.encode() + b" 2 ab"


@given(values, st.sampled_from(["payload", "signatures", "payloadType"]))
def test_parsers_raise_only_errors_of_ours(value: Any, name: str) -> None:
    good = json.loads(sign_statement(canonical(payload()), [KEY]))
    spelled = base64.b64encode(canonical(payload(log=value))).decode()
    for candidate in (
        canonical(value),
        canonical({**good, name: value}),
        canonical({**good, "payload": spelled}),
    ):
        for parse in (parse_envelope, parse_statement, parse_seal, parse_entry, parse_submission):
            try:
                parse(candidate)
            except LoomarkError:
                continue


@given(st.sampled_from(sorted(KINDS)), st.data(), values)
def test_any_value_in_any_member_is_read_or_refused(kind: str, data: st.DataObject, value: Any) -> None:
    name = data.draw(st.sampled_from(sorted(payload(kind))))
    try:
        statement = parse_statement(canonical(payload(kind, **{name: value})))
    except LoomarkError:
        return
    assert canonical(statement.as_json()) == canonical(payload(kind, **{name: value}))


SEAL = Seal("loomark.example/test", 3, TIME, (1, bytes(32)), (2, bytes(32)))


def test_a_seal_reads_back_what_it_wrote() -> None:
    data = seal_bytes(SEAL)
    assert parse_seal(data) == SEAL
    assert is_seal(data)
    assert parse_entry(data) == SEAL


@pytest.mark.parametrize(
    "changes",
    [
        {"seal": "loomark/seal/v2"},
        {"roots": {"things": HASH}},
        {"roots": []},
        {"from": -1},
        {"time": "x"},
        {"before": [1]},
        {"after": [1, "x"]},
        {"extra": 1},
    ],
)
def test_another_seal_is_refused(changes: dict[str, Any]) -> None:
    obj = {**json.loads(seal_bytes(SEAL)), **changes}
    with pytest.raises(InvalidInput):
        parse_seal(canonical(obj))
    with pytest.raises(InvalidInput):
        parse_seal(json.dumps(json.loads(seal_bytes(SEAL))).encode())


RECORDS: list[dict[str, Any]] = [
    {"@context": [], "type": None, "document": {}},
    {"@context": [], "type": "ObjectEvent", "a": [1, 2]},
]
SALTS = [seeded("s1"), seeded("s2")]


def submission() -> bytes:
    return build_submission(
        b"source bytes",
        RECORDS,
        {"https://example.org/c": HASH, "https://example.org/d": None},
        key=KEY,
        log="loomark.example/test",
        member="farm",
        seen=(0, EMPTY_ROOT),
        issued=TIME,
        capture_salt=seeded("capture"),
        record_salts=SALTS,
        statement_id="1" * 32,
    )


def test_a_submission_carries_what_opens_its_commitment() -> None:
    parsed = parse_submission(submission())
    assert parsed.document == b"source bytes"
    assert parsed.contexts == {"https://example.org/c": HASH, "https://example.org/d": None}
    expected = [record_commitment(record, salt) for record, salt in zip(RECORDS, SALTS, strict=True)]
    assert [one.commitment for one in verify_submission(parsed, RECORDS)] == expected
    commitment = capture_commitment(parsed.capture_salt, expected)
    assert parsed.envelope.statement.body == {"commitment": commitment.hex()}
    assert submission_bytes(parsed) == submission()


def test_records_that_differ_from_the_signed_ones_are_refused() -> None:
    parsed = parse_submission(submission())
    with pytest.raises(InvalidInput) as caught:
        verify_submission(parsed, [RECORDS[0], {**RECORDS[1], "a": [1, 3]}])
    assert caught.value.rule == "capture-commitment"
    with pytest.raises(InvalidInput) as caught:
        verify_submission(parsed, RECORDS[:1])
    assert caught.value.rule == "bad-salt"


def test_a_submission_of_another_statement_is_refused() -> None:
    parsed = parse_submission(submission())
    link = parse_envelope(sign_statement(canonical(payload("link")), [KEY]))
    other = Submission(link, parsed.capture_salt, parsed.record_salts, parsed.contexts, parsed.document)
    with pytest.raises(InvalidInput) as caught:
        verify_submission(other, RECORDS)
    assert caught.value.rule == "not-a-capture"


@pytest.mark.parametrize(
    "changes",
    [
        {"captureSalt": "00"},
        {"recordSalts": []},
        {"recordSalts": ["00"]},
        {"contexts": {}},
        {"contexts": [{"url": "a", "sha256": None}, {"url": "a", "sha256": HASH}]},
        {"contexts": [{"url": "a"}]},
        {"document": "!"},
        {"extra": 1},
        {"envelope": {}},
    ],
)
def test_another_submission_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        parse_submission(canonical({**json.loads(submission()), **changes}))
