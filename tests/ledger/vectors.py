"""The vectors beside the specification pages, made from fixed seeds: the same bytes on every run.

``python -m tests.ledger.vectors`` writes them to docs/spec/vectors; test_vectors.py compares them byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ledger import merkle
from ledger.canonical import canonical, parse_json
from ledger.capture import capture_commitment
from ledger.commitment import commitment_nodes, record_commitment
from ledger.disclosure import disclose
from ledger.ed25519 import key_id, possession_line
from ledger.key_change import extended_policy, parse_evidence
from ledger.misbehaviour import parse_misbehaviour, verify_misbehaviour
from ledger.monitor.evidence import inconsistent_growth, split_view
from ledger.policy import parse_policy, policy_text
from ledger.shape import time_text
from ledger.statement import parse_envelope, pre_authentication
from ledger.tlog_proof import tlog_proof_bytes

from .changing import UNTIL_MS, Changing, policy
from .consortium import START_MS, Captured, Consortium, key_of, seeded
from .monitor.hostile import consortium, evidence, signed_note
from .proofs import Prover

UNSIGNED = "loomark.example/test\n2\n" + "A" * 43 + "=\n\n\u2014 nobody AAAAAAAA\n"
FOLDER = Path(__file__).resolve().parents[2] / "docs" / "spec" / "vectors"
CONTEXT = [{"url": "https://ref.gs1.org/standards/epcis/epcis-context.jsonld", "sha256": None}]
RECORDS: list[dict[str, Any]] = [
    {
        "@context": CONTEXT,
        "type": None,
        "document": {},
        "source": {"sha256": "00" * 32, "mediaType": "application/json"},
    },
    {
        "@context": [*CONTEXT, {"ex": "https://example.org/"}],
        "type": "ObjectEvent",
        "eventTime": "2026-01-01T08:00:00.000Z",
        "eventTimeZoneOffset": "+01:00",
        "action": "ADD",
        "bizStep": "commissioning",
        "epcList": ["urn:epc:id:sgtin:4012345.012345.1", "urn:epc:id:sgtin:4012345.012345.2", "urn:x"],
        "quantityList": [
            {"epcClass": "urn:epc:class:lgtin:4012345.012345.A1", "quantity": 12.5, "uom": "KGM"}
        ],
        "bizTransactionList": [],
        "readPoint": {"id": "urn:epc:id:sgln:4012345.00001.0"},
        "ilmd": {"ex:a/b": "1", "ex:~": [1, {"deep": None}]},
    },
    {
        "@context": [],
        "type": "T",
        "f/0": "5",
        "f": ["5"],
        "g": ["5", "6"],
        "h": {"0": "5", "1": "6"},
        "i": None,
    },
    {
        "@context": [],
        "type": "T",
        "\ufb01": 1,
        "\U0001f600": 2,
        "\u00e9": [26.0, 1e21, 1e-7, -0.0, 2**53 - 1],
    },
]
POINTERS: list[list[list[str]]] = [
    [[]],
    [[], ["/epcList/1", "/readPoint/id"], ["/ilmd/ex:a~1b", "/quantityList"]],
    [["/g"]],
    [[]],
]


def commitment() -> dict[str, Any]:
    """Records with their commitments and disclosures, and captures of them."""
    records = []
    for number, record in enumerate(RECORDS):
        salt = seeded(f"vector record {number}")
        disclosures = [
            {"pointers": one, "disclosure": disclose(record, salt, one)} for one in POINTERS[number]
        ]
        records.append(
            {
                "record": record,
                "salt": salt.hex(),
                "nodes": commitment_nodes(record),
                "commitment": record_commitment(record, salt).hex(),
                "partial": disclosures,
            }
        )
    leaves = [bytes.fromhex(str(one["commitment"])) for one in records]
    captures = [_capture_vector(leaves[:count]) for count in range(1, len(leaves) + 1)]
    return {"records": records, "captures": captures, "refused": _refused_disclosures()}


def _capture_vector(leaves: list[bytes]) -> dict[str, Any]:
    salt = seeded(f"vector capture {len(leaves)}")
    return {
        "salt": salt.hex(),
        "records": [leaf.hex() for leaf in leaves],
        "root": merkle.root(leaves).hex(),
        "commitment": capture_commitment(salt, leaves).hex(),
        "paths": [[one.hex() for one in merkle.inclusion_path(leaves, at)] for at in range(len(leaves))],
    }


def _refused_disclosures() -> list[dict[str, Any]]:
    salt = seeded("vector refused")
    found: list[dict[str, Any]] = []

    def add(why: str, change: Callable[[dict[str, Any]], object]) -> None:
        value = parse_json(canonical(disclose(RECORDS[2], salt, ["/g/0", "/f", "/i"])))
        change(dict(value["open"]) | {"": value})
        found.append({"why": why, "disclosure": value})

    add("a salt of 30 characters", lambda n: n["f"].update(salt=n["f"]["salt"][:30]))
    add("a top-level unit of two elements", lambda n: n["f"].update(value=["5", "6"]))
    add("a group of one member", lambda n: n["g"].update(members=1, hidden=[]))
    add("a group below a group", lambda n: n["g"]["open"][0].__setitem__(1, dict(n["g"], open=[])))
    add("one member opened twice", lambda n: n["g"]["open"].append(n["g"]["open"][0]))
    add("a hidden hash too many", lambda n: n["g"]["hidden"].append("00" * 32))
    add("a hidden hash too few", lambda n: n["g"]["hidden"].clear())
    add("member names out of order", lambda n: n[""]["members"].reverse())
    add("the type hidden", lambda n: n[""].update(open=[one for one in n[""]["open"] if one[0] != "type"]))
    add("an unknown member", lambda n: n[""].update(extra=1))
    return found


def founded() -> tuple[Consortium, dict[str, Captured]]:
    """A consortium in which every kind of registry statement was made, one of them void."""
    consortium = Consortium.founded("farm", "packer")
    consortium.admit_without_key("shop", START_MS + 86_400_000)
    party = {"kind": "gln", "value": "4012345000009", "from": time_text(START_MS), "until": None}
    consortium.state(
        "member", {"subject": "farm", "parties": [party], "roles": ["member", "recall"]}, by="operator"
    )
    delegation = {
        "service": possession_line(key_of("service packer")),
        "until": time_text(START_MS + 3_600_000),
    }
    consortium.state("delegation", delegation, by="packer")
    grant = {"grantee": "packer", "role": "auditor", "for": ["farm"], "until": None}
    consortium.state("role", grant, by="operator")
    consortium.state("role", grant, by="packer")
    consortium.publish()
    captures = {
        "own": consortium.capture("farm", RECORDS[:2]),
        "service": consortium.capture("shop", RECORDS[:3], keys=[key_of("service shop")]),
    }
    consortium.publish()
    consortium.state("key", {"action": "rotate", "publicKey": possession_line(key_of("farm 2"))}, by="farm")
    captures["disputed"] = consortium.capture("packer", RECORDS[:2])
    target = key_id(key_of("packer").public_bytes)
    body = {"action": "revoke", "target": target, "since": captures["disputed"].index}
    consortium.state("key", body, by="operator")
    consortium.publish()
    return consortium, captures


def statement() -> dict[str, Any]:
    """Keys, and one signed envelope of each kind."""
    consortium = Consortium()
    names = ("operator", "farm", "packer", "service shop", "log")
    bodies: list[tuple[str, str, dict[str, Any], list[str]]] = [
        ("charter", "operator", consortium.charter_body(), ["operator"]),
        (
            "member",
            "operator",
            {"subject": "farm", "name": "Farm", "publicKey": possession_line(key_of("farm"))},
            ["operator"],
        ),
        ("key", "farm", {"action": "rotate", "publicKey": possession_line(key_of("farm 2"))}, ["farm"]),
        (
            "role",
            "operator",
            {"grantee": "farm", "role": "recall", "for": "all", "until": None},
            ["operator"],
        ),
        (
            "delegation",
            "farm",
            {"service": possession_line(key_of("service farm")), "until": time_text(START_MS)},
            ["farm"],
        ),
        ("capture", "farm", {"commitment": "ab" * 32}, ["farm"]),
        ("link", "farm", {"commitment": "ab" * 32, "parties": ["farm"]}, ["farm"]),
        ("agreement", "farm", {"commitment": "ab" * 32, "parties": ["farm", "packer"]}, ["farm", "packer"]),
        ("recall", "farm", {"commitment": "ab" * 32, "parties": ["farm"]}, ["farm"]),
        ("erasure", "farm", {"commitment": "ab" * 32, "parties": ["farm"]}, ["farm"]),
    ]
    envelopes = []
    for kind, by, body, keys in bodies:
        data = consortium.envelope(kind, body, by, keys=[key_of(name) for name in keys])
        payload = _payload(data)
        envelopes.append(
            {
                "type": kind,
                "signers": keys,
                "payload": payload.decode(),
                "preAuthentication": pre_authentication(payload).decode(),
                "envelope": data.decode(),
            }
        )
    return {"keys": [_key(name) for name in names], "envelopes": envelopes}


def _payload(envelope: bytes) -> bytes:
    return parse_envelope(envelope).payload


def _key(name: str) -> dict[str, str]:
    key = key_of(name)
    return {
        "name": name,
        "seed": key.seed_bytes().hex(),
        "public": key.public_bytes.hex(),
        "keyid": key_id(key.public_bytes),
        "possession": possession_line(key),
    }


def seal_and_registry() -> dict[str, Any]:
    """A whole log: entries, seals, the registry after each seal, void statements, checkpoints."""
    consortium, _ = founded()
    prover = Prover(consortium)
    registries = [
        {
            "from": start,
            "records": [registry.record(keyid).leaf().decode() for keyid in registry.keyids],
            "root": registry.root().hex(),
        }
        for start, registry in sorted(prover.registries.items())
    ]
    return {
        "origin": consortium.origin,
        "entries": [entry.decode() for entry in consortium.entries],
        "seals": [one.index for one in consortium.replay.seals],
        "void": [{"index": index, "rule": void.rule} for index, void in consortium.replay.void.items()],
        "registries": registries,
        "checkpoints": [consortium.archive[size].decode() for size in sorted(consortium.archive)],
    }


def bundle() -> dict[str, Any]:
    """Bundles that verify with what they prove, and changes of them with the step and place that must fail."""
    consortium, captures = founded()
    named = {f"w{number}": vkey for number, vkey in enumerate(consortium.witness_vkeys())}
    whole = _proof(consortium, [("own", 1)], captures, None, True)
    return {
        "policy": policy_text(consortium.log_vkey(), named, 2),
        "valid": [
            {"what": "a whole record with what was seen", "bundle": whole},
            {
                "what": "one element",
                "bundle": _proof(consortium, [("own", 1)], captures, ["/epcList/1"], False),
            },
            {"what": "in custody", "bundle": _proof(consortium, [("service", 2)], captures, None, False)},
            {
                "what": "three records",
                "bundle": _proof(consortium, [("own", 0), ("own", 1), ("service", 1)], captures),
            },
        ],
        "invalid": [
            {"step": step, "place": place, "pointer": pointer, "value": value}
            for step, place, pointer, value in TAMPERED
        ],
        "disputed": {
            "step": 8,
            "place": "/latest/0",
            "bundle": _proof(consortium, [("disputed", 1)], captures),
        },
    }


TAMPERED: list[tuple[int, str, str, Any]] = [
    (1, "", "/proof", "loomark/proof/v0"),
    (1, "/entries/0", "/entries/0/salt", "00"),
    (2, "/records/0/disclosure", "/records/0/disclosure/record/action", "DELETE"),
    (3, "/records/0", "/records/0/position", 0),
    (4, "/entries/0/envelope", "/entries/0/envelope/signatures/0/sig", "A" * 86 + "=="),
    (5, "/entries/0/path", "/entries/0/index", 3),
    (5, "/entries/0/seen", "/entries/0/seen/path", []),
    (6, "/seals/0", "/seals/0/seal/time", "2030-01-01T00:00:00.000Z"),
    (7, "/keys/0", "/keys/0/record/2/state", "retired"),
    (8, "/last", "/last/path", []),
    (8, "/latest/0", "/latest/0/record/2/state", "active"),
    (9, "/checkpoint", "/checkpoint", ""),
]
"""Changes of the first valid bundle; the last one's value is filled in: its checkpoint without cosignatures."""


def _proof(
    consortium: Consortium,
    which: list[tuple[str, int]],
    captures: dict[str, Captured],
    pointers: list[str] | None = None,
    seen: bool = False,
) -> dict[str, Any]:
    prover = Prover(consortium)
    for name, position in which:
        prover.add(captures[name], position, pointers, seen=seen)
    return prover.builder.as_json()


def log_key() -> dict[str, Any]:
    """A log that changes its key twice: announcements, checkpoints by who signs them, evidence, policies."""
    one = Changing.founded("farm")
    assert isinstance(one, Changing)
    for old, new in (("log", "log 2"), ("log 2", "log 3")):
        one.change(old, new)
    one.clock_ms = UNTIL_MS
    one.admit("packer")
    one.publish()
    old, evidence = policy("log", witnesses=2, one=one), one.evidence()
    text, _ = extended_policy(old, parse_evidence(evidence))
    return {
        "keys": [_key(name) for name in ("log", "log 2", "log 3")],
        "announcements": [change.envelope.statement.body["announcement"] for change in one.changes],
        "checkpoints": [one.archive[size].decode() for size in sorted(one.archive)],
        "evidence": evidence.decode(),
        "policy": {"old": old, "extended": text},
    }


def misbehaviour() -> dict[str, Any]:
    """Evidence of each kind with what it proves, and changes of it with the step and place that must fail."""
    one = consortium()
    size = len(one.entries)
    other = signed_note(one.origin, [*one.entries[:-1], b"another"])
    rewritten = [b"rewritten", *one.entries[1:], b"more"]
    hashes = [merkle.leaf_hash(data) for data in rewritten]
    grown = inconsistent_growth(
        one.archive[size],
        size,
        signed_note(one.origin, rewritten),
        size + 1,
        lambda level, index: merkle.root(hashes[index << level : (index + 1) << level]),
    )
    files = [("two trees of one size", split_view(one.archive[size], other)), ("a rewritten entry", grown)]
    files += [(name, evidence(name)) for name in PROVED]
    policy = policy_text(one.log_vkey())
    return {
        "policy": policy,
        "valid": [_proved(what, data, policy) for what, data in files],
        "invalid": [
            {"step": step, "place": place, "what": what, "pointer": pointer, "value": value}
            for step, place, what, pointer, value in DISPROVED
        ],
    }


PROVED = (
    "another member's key",
    "a stranger's key",
    "one statement id twice",
    "a seal with another registry before",
    "a seal with another registry after",
    "a registry statement without its seal",
    "bytes that are no entry",
)
DISPROVED: list[tuple[int, str, str, str, Any]] = [
    (1, "", "two trees of one size", "/kind", "slowness"),
    (1, "/checkpoints", "two trees of one size", "/checkpoints/1", "text"),
    (1, "/at", "one statement id twice", "/at", [1]),
    (2, "/checkpoints/0", "one statement id twice", "/checkpoints/0", UNSIGNED),
    (3, "/tree", "one statement id twice", "/tree/0/1", "00" * 32),
    (4, "", "one statement id twice", "/at", [1, 1]),
    (4, "", "another member's key", "/at", [0]),
]


def _proved(what: str, data: bytes, policy: str) -> dict[str, Any]:
    found = verify_misbehaviour(parse_misbehaviour(data), parse_policy(policy))
    return {"what": what, "kind": found.kind, "rule": found.rule, "evidence": parse_json(data)}


def tlog_proof() -> dict[str, Any]:
    """The tlog-proof of a statement with the entry it carries, and one without."""
    one, captures = founded()
    own, size = captures["own"], max(one.archive)
    named = {f"w{number}": vkey for number, vkey in enumerate(one.witness_vkeys())}
    path = merkle.inclusion_path(one.hashes(size), own.index)
    return {
        "policy": policy_text(one.log_vkey(), named, 2),
        "entry": own.envelope.decode(),
        "index": own.index,
        "size": size,
        "proofs": [
            tlog_proof_bytes(own.index, path, one.archive[size], extra).decode()
            for extra in (own.envelope, None)
        ],
    }


FILES: dict[str, Callable[[], dict[str, Any]]] = {
    "commitment.json": commitment,
    "statement.json": statement,
    "seal-and-registry.json": seal_and_registry,
    "bundle.json": bundle,
    "log-key.json": log_key,
    "misbehaviour.json": misbehaviour,
    "tlog-proof.json": tlog_proof,
}


def file_bytes(name: str) -> bytes:
    """The bytes of one vector file."""
    value = FILES[name]()
    if name == "bundle.json":
        note = value["valid"][0]["bundle"]["checkpoint"]
        value["invalid"][-1]["value"] = "".join(note.splitlines(keepends=True)[:5])
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def main() -> None:
    """Write all vector files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (FOLDER / name).write_bytes(file_bytes(name))


if __name__ == "__main__":
    main()
