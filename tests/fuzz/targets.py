"""What is fuzzed: each parser that reads what somebody else wrote, with valid samples of what it reads.

A target takes bytes and returns; it may raise :data:`VERDICTS` and nothing else. Where a parser's output goes into a
verifier, the target goes on into it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fabric.epcis.document import Document, read_document
from fabric.epcis.erasure import erasure_of, parse_erasure
from fabric.epcis.event_hash_file import hash_file
from fabric.epcis.link import link_of, parse_link
from fabric.epcis.query_document import Shown
from fabric.epcis.representation import as_sent as event_as_sent
from fabric.epcis.xml_document import read_xml
from fabric.epcis.xml_writer import NoXMLForm, xml_query_document
from ledger import merkle, shape, tile
from ledger.bundle import bundle_of, parse_bundle
from ledger.canonical import canonical, parse_json
from ledger.checkpoint import parse_checkpoint
from ledger.disclosure import disclose, open_disclosure
from ledger.ed25519 import admit_public_key, possession_line
from ledger.entry import parse_entry
from ledger.errors import InvalidInput, VerificationError
from ledger.hyperledger import receipt as channel_receipt
from ledger.hyperledger.roots import ChannelRoots, parse_roots
from ledger.identifier import read_parties
from ledger.key_change import parse_evidence
from ledger.key_record import key_record_of
from ledger.keyfile import parse_key_text
from ledger.log_key import announce, verify_announcement
from ledger.misbehaviour import parse_misbehaviour, verify_misbehaviour
from ledger.note import VerifierKey, parse_note, parse_signature_lines, parse_vkey, verify_note
from ledger.policy import Policy, parse_policy, policy_text
from ledger.receipt import receipt_bytes, verify_receipt
from ledger.registry import Registry
from ledger.replay import Replay
from ledger.seal import parse_seal, seal_bytes
from ledger.statement import parse_envelope, parse_statement
from ledger.submission import build_submission, parse_submission, verify_submission
from ledger.tlog_proof import parse_tlog_proof, tlog_proof_bytes, verify_tlog_proof
from ledger.verify import Verifier
from ledger.witness.decision import LastSeen, Signed, authenticate, decide
from ledger.witness.exchange import parse_request, parse_size, request_bytes
from ledger.witness.settings import parse_settings

from ..fabric.epcis.xml_documents import EVENT as XML_EVENT
from ..fabric.epcis.xml_documents import FULL, MASTER, around, with_inside
from ..ledger.consortium import START_MS, Consortium, key_of, seeded
from ..ledger.monitor.hostile import BREAKING, evidence
from ..ledger.proofs import Prover
from ..ledger.scene import EVENT, HEADER, bundle_bytes, scene
from ..ledger.vectors import founded
from ..ledger.vectors import statement as statement_vectors

VERDICTS = (InvalidInput, VerificationError)


@dataclass(frozen=True)
class Target:
    """A function that must raise verdicts only, and valid samples of what it reads."""

    run: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]]


def _text(read: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda data: read(data.decode("utf-8", "replace"))


def _json(read: Callable[[Any], object]) -> Callable[[bytes], object]:
    return lambda data: read(parse_json(data))


@cache
def _consortium() -> Consortium:
    return scene()[0]


def _newest() -> bytes:
    one = _consortium()
    return one.archive[max(one.archive)]


def _canonical(data: bytes) -> None:
    value = parse_json(data)
    again = canonical(value)
    assert canonical(parse_json(again)) == again


def _note(data: bytes) -> None:
    one = _consortium()
    note = parse_note(data)
    assert parse_note(note.data()) == note
    verify_note(note, [one.log_vkey(), *one.witness_vkeys()])


def _policy(data: bytes) -> None:
    policy = parse_policy(data.decode("utf-8", "replace"))
    policy.satisfied_by(policy.witnesses)
    policy.satisfied_by(())
    assert parse_policy(policy.text()).quorum == policy.quorum


def _policies() -> list[bytes]:
    one = _consortium()
    named = {f"w{number}": vkey for number, vkey in enumerate(one.witness_vkeys())}
    grouped = (
        f"# comment\nlog {one.log_vkey().text()} https://log.example/log\n"
        + "".join([f"witness {name} {vkey.text()} https://w.example\n" for name, vkey in named.items()])
        + "group a any w0 w1\ngroup b all a w2\nquorum b\n"
    )
    return [policy_text(one.log_vkey(), named, 2).encode(), grouped.encode()]


def _tile_path(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    assert tile.parse_tile_path(text).path == text


def _bundle(data: bytes) -> None:
    Verifier(_consortium().policy(2)).verify_all(parse_bundle(data))


def _tlog_proof(data: bytes) -> None:
    proof = parse_tlog_proof(data)
    entry = scene()[1].envelope if proof.extra is None else proof.extra
    verify_tlog_proof(proof, entry, Verifier(_consortium().policy(2)))


def _tlog_proofs() -> list[bytes]:
    one, own, _ = scene()
    size = max(one.archive)
    path = merkle.inclusion_path(one.hashes(size), own.index)
    return [tlog_proof_bytes(own.index, path, one.archive[size], extra) for extra in (None, own.envelope)]


def _misbehaviour(data: bytes) -> None:
    verify_misbehaviour(parse_misbehaviour(data), _consortium().policy(0))


@cache
def _vector_log() -> tuple[str, list[bytes]]:
    one, _ = founded()
    return one.origin, one.entries


def _replay(data: bytes) -> None:
    """Entries as a bundle has them, in place of the last entries of a sound log or from its beginning."""
    origin, entries = _vector_log()
    more = tile.split_entries(data)
    for start in (0, len(entries) - 4):
        replay = Replay(origin)
        for entry in [*entries[:start], *more]:
            replay.take(entry)


def _replays() -> list[bytes]:
    entries = _vector_log()[1]
    return [tile.bundle_entries(entries), tile.bundle_entries(entries[-4:]), tile.bundle_entries(entries[:2])]


def _authority(data: bytes) -> None:
    registry = _consortium().registry
    envelope = parse_envelope(data)
    registry.apply(_consortium().replay.size, envelope)
    Registry().apply(0, envelope)
    registry.authorise(envelope, START_MS)


def _submission(data: bytes) -> None:
    submission = parse_submission(data)
    verify_submission(submission, [HEADER, EVENT])


def _submissions() -> list[bytes]:
    one = _consortium()
    options: dict[str, Any] = {"key": key_of("farm"), "log": one.origin, "member": "farm"}
    options |= {"seen": one.last_seen(), "issued": "2026-01-01T00:00:00.000Z", "statement_id": "ab" * 16}
    salts = [seeded("a"), seeded("b")]
    contexts = {"https://example.org/epcis": None, "https://example.org/other": "ab" * 32}
    return [
        build_submission(
            b'{"a":1}', [HEADER, EVENT], contexts, capture_salt=seeded("c"), record_salts=salts, **options
        )
    ]


def _envelopes() -> list[bytes]:
    return [one["envelope"].encode() for one in statement_vectors()["envelopes"]]


def _payloads() -> list[bytes]:
    return [one["payload"].encode() for one in statement_vectors()["envelopes"]]


def _seals() -> list[bytes]:
    return [seal_bytes(one.seal) for one in _consortium().replay.seals[-2:]]


def _key_records() -> list[bytes]:
    registry = _consortium().registry
    return [registry.record(keyid).leaf() for keyid in registry.keyids[:3]]


def _disclosures() -> list[bytes]:
    pointers: list[list[str] | None] = [None, [], ["/epcList/1", "/readPoint/id"], ["/ilmd"]]
    return [canonical(disclose(EVENT, seeded("salt"), one)) for one in pointers]


def _parties() -> list[bytes]:
    start, end = "2026-01-01T00:00:00.000Z", "2027-01-01T00:00:00.000Z"
    kinds = [("gln", "4012345000009"), ("prefix", "4012345"), ("iri", "https://example.org/party")]
    return [canonical([{"kind": kind, "value": value, "from": start, "until": end} for kind, value in kinds])]


def _key_files() -> list[bytes]:
    from ledger.ed25519 import key_id

    key = key_of("farm")
    head = f"keyid {key_id(key.public_bytes)}\n"
    public = shape.base64_text(key.public_bytes)
    return [
        f"loomark/key/v1\n{head}seed {shape.base64_text(key.seed_bytes())}\n".encode(),
        f'loomark/signer/v1\n{head}public {public}\ntimeout 5\ncommand ["sign"]\n'.encode(),
    ]


def _witnessed(data: bytes) -> None:
    one = _consortium()
    parse_request(data)
    signed = authenticate(data, {one.origin: [one.log_vkey()]})
    if isinstance(signed, Signed):
        decide(signed, LastSeen(2, merkle.root(one.hashes(2))))


def _requests() -> list[bytes]:
    one = _consortium()
    size = max(one.archive)
    proof = merkle.consistency_path(one.hashes(size), 2)
    return [request_bytes(2, proof, one.archive[size]), request_bytes(0, [], one.archive[size])]


def _settings() -> list[bytes]:
    vkey = _consortium().log_vkey().text()
    return [f'name = "w.example/one"\n\n[[log]]\nvkey = ["{vkey}"]\nurl = "https://x.example/log"\n'.encode()]


@cache
def _endorsed() -> tuple[dict[str, Any], ChannelRoots, list[VerifierKey]]:
    """Endorsed reads of a channel, what a verifier pins of it, and the keys of the log that it anchors."""
    text = (Path(__file__).parents[2] / "docs/spec/vectors/hyperledger-receipt.json").read_text("utf-8")
    vectors: dict[str, Any] = json.loads(text)
    return vectors, parse_roots(vectors["roots"]), [parse_vkey(one) for one in vectors["logs"]]


def _channel_receipt(data: bytes) -> None:
    _, roots, logs = _endorsed()
    channel_receipt.verify_receipt(channel_receipt.parse_receipt(data), roots, logs)


def _channel_receipts() -> list[bytes]:
    return [canonical(one["receipt"]) for one in _endorsed()[0]["receipts"]]


def _changes() -> list[bytes]:
    envelope = json.loads(_envelopes()[0])
    change = {"envelope": envelope, "index": 3, "path": ["ab" * 32], "checkpoint": _newest().decode()}
    return [canonical({"format": "loomark/log-key-change/v1", "changes": [change]})]


@cache
def _reported() -> tuple[bytes, Policy]:
    """A report of a real node, small and whole, and the policy under which it verifies."""
    from fabric.report.provenance import Reporter
    from fabric.trace import Direction, Question
    from fabric.visibility.reader import EVERYBODY
    from tests.simulator import Simulator

    thing = "https://id.gs1.org/01/09506000134352/21/1"
    with TemporaryDirectory() as folder, Simulator(Path(folder)) as sim:
        sim.admit("farm", parties=["9506000134352"])
        sim.capture("farm", [sim.event(epcList=[thing], bizStep="commissioning", action="ADD")])
        node = sim.node
        reporter = Reporter(node.reading, node.log, node.operator)
        asked = "2026-11-22T10:00:00.000Z"
        value = reporter.provenance(Question(thing, Direction("both")), EVERYBODY, asked=asked)
        return canonical(value), parse_policy(f"log {node.vkey}\nquorum none\n")


def _report(data: bytes) -> None:
    from fabric.report.verify import verify_report

    verify_report(parse_json(data), _reported()[1])


def _receipt(data: bytes) -> None:
    verify_receipt(parse_json(data), _consortium().policy(2))


@cache
def _receipts() -> list[bytes]:
    """A receipt of the scene's capture: its three records, the last of them erased."""
    one, own, _ = scene()
    prover = Prover(one)
    for position in range(2):
        prover.add(own, position)
    return [receipt_bytes([prover.builder.as_json()], [2])]


def _announcements() -> list[bytes]:
    until = "2026-02-01T00:00:00.000Z"
    return [announce(_consortium().origin, key_of("log"), key_of("log 2"), until).encode()]


def _links() -> list[bytes]:
    lots = ["https://id.gs1.org/01/09506000134352/10/A", "https://id.gs1.org/01/09506000134352/10/B"]
    return [canonical(link_of(lots, "the same lot").as_json())]


def _erasures() -> list[bytes]:
    return [
        canonical(erasure_of(["ab" * 32], ["/ilmd/lot", "/epcList/1"], "asked for").as_json()),
        canonical(erasure_of(["ab" * 32, "cd" * 32], [], "asked for").as_json()),
    ]


def _event_hash(data: bytes) -> None:
    found = hash_file(data)
    assert [one.position for one in found] == list(range(len(found)))
    assert all((one.hash_id is None) == (one.problem is not None) for one in found)


def _hashable() -> list[bytes]:
    """Documents of the published vectors in JSON, and an answer in XML without what should stand around it."""
    text = (Path(__file__).parents[2] / "docs/spec/vectors/event-hash.json").read_text("utf-8")
    answer = (
        '<q:EPCISQueryDocument xmlns:q="urn:epcglobal:epcis-query:xsd:2" xmlns:r="https://repository-x.example.com/" '
        'xmlns:x="https://example.org/ns/" xmlns:m="urn:epcglobal:cbv:mda" schemaVersion="2.0" '
        'creationDate="2026-05-04T09:00:00Z"><r:ignoreFields><x:added/></r:ignoreFields><queryName>Q</queryName>'
        "<resultsBody><EventList><ObjectEvent><eventTime>2026-05-04T09:00:00.0005Z</eventTime>"
        "<eventTimeZoneOffset>+00:00</eventTimeZoneOffset><epcList><epc>urn:epc:id:sgtin:9506000.013435.1</epc>"
        "</epcList><action>ADD</action><ilmd><m:lotNumber>7</m:lotNumber></ilmd><x:added>1</x:added></ObjectEvent>"
        "</EventList></resultsBody></q:EPCISQueryDocument>"
    )
    return [*(json.dumps(one["document"]).encode() for one in json.loads(text)["vectors"]), answer.encode()]


def _epcis_xml(data: bytes) -> None:
    """XML gives the records of its JSON form, or a verdict with a place."""
    try:
        found = read_document(data, "application/xml")
    except InvalidInput as error:
        if nowhere := [one for one in error.findings if not one.line]:
            raise AssertionError(nowhere) from error
        raise
    again = read_document(json.dumps(read_xml(data).value).encode(), "application/ld+json")
    assert [one.committed for one in found.events] == [one.committed for one in again.events]
    assert [one.committed for one in found.master_data] == [one.committed for one in again.master_data]
    _comes_back(found)


def _comes_back(found: Document) -> None:
    """What was read is written as XML that reads as the same records, but for what is refused by its pointer."""
    if not found.events:
        return
    parted = [event_as_sent(one.committed) for one in found.events]
    rows = [Shown(event, context) for event, context in parted]
    try:
        written = xml_query_document(rows, created="2026-05-04T12:00:00Z", query_name=None)
    except NoXMLForm as error:
        if not error.pointer.startswith("/epcisBody/queryResults/resultsBody/eventList/"):
            raise AssertionError(error.pointer) from error
        raise
    again = read_document(written, "application/xml")
    assert [canonical(one.committed) for one in found.events] == [
        canonical(one.committed) for one in again.events
    ]


# Values that only marks can say in XML.
MARKS = 'xmlns:j="urn:loomark:json:1" xmlns:ex="https://ns.example.com/"'
MARKED = (
    '<ex:a j:type="number">1.5</ex:a><ex:b j:in="list" j:type="boolean">true</ex:b><ex:c j:type="list"><j:item>1'
    '</j:item></ex:c><ex:d j:name="ex:1 2"><j:member j:name="@id">urn:a:b</j:member></ex:d><ex:e j:type="object"/>'
    '<sensorElementList><sensorElement><sensorReport type="gs1:Mass" ex:f="1" j:types="ex:f=number"/>'
    '<j:sensorReport j:at="0"><ex:g><ex:h>2</ex:h></ex:g></j:sensorReport></sensorElement></sensorElementList>'
)


def _xml_documents() -> list[bytes]:
    return [
        around(FULL, header=MASTER),
        around(with_inside("<extension><extension/></extension>"), version="1.2"),
        around(with_inside(MARKED), root=MARKS),
        XML_EVENT.encode(),
        around(XML_EVENT, prolog='<?xml version="1.0"?><!-- c --><!DOCTYPE a>').decode().encode("utf-16"),
    ]


TARGETS: Mapping[str, Target] = {
    "canonical": Target(_canonical, lambda: [canonical(EVENT), b'[1,-0.5,1e21,null,true,"\\u00e9"]']),
    "note": Target(_note, lambda: [_newest()]),
    "signature-lines": Target(parse_signature_lines, lambda: [_newest().split(b"\n\n")[1]]),
    "checkpoint": Target(_text(parse_checkpoint), lambda: [_newest().split(b"\n\n")[0] + b"\n"]),
    "vkey": Target(_text(parse_vkey), lambda: [_consortium().log_vkey().text().encode()]),
    "policy": Target(_policy, _policies),
    "tile-path": Target(_tile_path, lambda: [b"0/x001/x234/067", b"entries/000.p/5", b"63/000"]),
    "hash-tile": Target(tile.split_hashes, lambda: [bytes(96)]),
    "entry-bundle": Target(tile.split_entries, lambda: [tile.bundle_entries([b"a", b"", b"ccc"])]),
    "tlog-proof": Target(_tlog_proof, _tlog_proofs),
    "envelope": Target(parse_envelope, _envelopes),
    "statement": Target(parse_statement, _payloads),
    "seal": Target(parse_seal, _seals),
    "entry": Target(parse_entry, lambda: [*_envelopes()[:3], *_seals()]),
    "replay": Target(_replay, _replays),
    "authority": Target(_authority, lambda: [scene()[1].envelope, *_envelopes()]),
    "key-record": Target(_json(key_record_of), _key_records),
    "parties": Target(_json(read_parties), _parties),
    "possession": Target(_text(admit_public_key), lambda: [possession_line(key_of("farm")).encode()]),
    "disclosure": Target(_json(open_disclosure), _disclosures),
    "bundle": Target(_bundle, lambda: [bundle_bytes(True, None), bundle_bytes(False, ("/epcList/1",))]),
    "bundle-value": Target(_json(bundle_of), lambda: [bundle_bytes(True, None)]),
    "report": Target(_report, lambda: [_reported()[0]]),
    "misbehaviour": Target(_misbehaviour, lambda: [evidence(name) for name in sorted(BREAKING)]),
    "receipt": Target(_receipt, _receipts),
    "announcement": Target(_text(verify_announcement), _announcements),
    "link": Target(_json(parse_link), _links),
    "event-hash": Target(_event_hash, _hashable),
    "erasure": Target(_json(parse_erasure), _erasures),
    "submission": Target(_submission, _submissions),
    "key-file": Target(_text(lambda text: parse_key_text(text, "a file")), _key_files),
    "evidence": Target(parse_evidence, _changes),
    "witness-request": Target(_witnessed, _requests),
    "witness-size": Target(parse_size, lambda: [b"12\n"]),
    "channel-receipt": Target(_channel_receipt, _channel_receipts),
    "channel-roots": Target(_text(parse_roots), lambda: [_endorsed()[0]["roots"].encode()]),
    "epcis-xml": Target(_epcis_xml, _xml_documents),
    "witness-settings": Target(_text(parse_settings), _settings),
}


@cache
def samples(name: str) -> list[bytes]:
    """The valid samples of a target."""
    return TARGETS[name].seeds()


def survives(name: str, data: bytes) -> str:
    """What became of the bytes: `accepted`, or the kind of verdict. Anything else passes through as it was raised."""
    try:
        TARGETS[name].run(data)
    except VERDICTS as verdict:
        return type(verdict).__name__
    return "accepted"
