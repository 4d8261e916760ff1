"""Captures in custody and under a member's own key: what is stored, signed, proved, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fabric.capture.proof import Disclosed
from fabric.visibility.sight import Sight
from ledger.bundle import parse_bundle
from ledger.ed25519 import SigningKey
from ledger.errors import Conflict, Forbidden, InvalidInput, NotFound, TooLarge
from ledger.submission import MEDIA_TYPE, parse_submission, submission_bytes
from tests.simulator import EPCIS, Simulator

LOT = "https://id.gs1.org/01/09506000134352/10/A1"


def lot_event(sim: Simulator, **fields: Any) -> dict[str, Any]:
    return sim.event(quantityList=[{"epcClass": LOT, "quantity": 3}], **fields)


def test_a_custody_capture_is_signed_by_the_service_key_and_says_so(sim: Simulator) -> None:
    job = sim.capture("farm", [lot_event(sim)])
    verified = sim.verify(sim.node.prover.bundle_for(sim.names(job)[1], sim.node.reader("farm")))
    assert (job.state, job.custody, verified.custody, verified.member) == (
        "sequenced",
        True,
        "service",
        "farm",
    )


def test_a_signed_capture_is_proved_as_the_members_own(sim: Simulator) -> None:
    event = lot_event(sim)
    job = sim.capture_signed("packer", [event])
    verified = sim.verify(sim.node.prover.bundle_for(sim.names(job)[1], sim.node.reader("packer")))
    assert (job.custody, verified.custody, verified.member) == (False, "member", "packer")
    assert verified.index == job.index


def test_the_committed_event_is_the_one_submitted(sim: Simulator) -> None:
    event = lot_event(sim, **{"ex:note": {"b": 1, "a": [True, None]}})
    job = sim.capture("farm", [event])
    value = sim.node.prover.value(sim.names(job)[1], sim.node.reader("farm"))
    value.pop("@context")
    assert value == event


def test_a_partial_proof_shows_what_was_asked_and_no_more(sim: Simulator) -> None:
    job = sim.capture("farm", [lot_event(sim, disposition="damaged")])
    bundle = sim.node.prover.bundle_for(sim.names(job)[1], sim.node.reader("farm"), ["/eventTime"])
    assert b"damaged" not in bundle
    sim.verify(bundle)


def test_one_bundle_holds_records_of_several_captures(sim: Simulator) -> None:
    jobs = [
        sim.capture("farm", [lot_event(sim), lot_event(sim)]),
        sim.capture_signed("packer", [lot_event(sim)]),
    ]
    found = [
        sim.node.prover.record(name, sim.node.reader(job.member))[0]
        for job in jobs
        for name in sim.names(job)
    ]
    bundle = sim.node.prover.bundle([Disclosed(record, None) for record in found]).to_bytes()
    assert len(sim.verifier().verify_all(parse_bundle(bundle))) == 5


def test_the_document_is_kept_byte_for_byte_and_for_its_submitter_alone(sim: Simulator) -> None:
    body = b"  " + sim.document([lot_event(sim)]) + b"\n"
    job = sim.post("farm", body)
    assert sim.node.capture.document(job.id, "farm").body == body
    for stranger in ("packer", "operator", "nobody"):
        with pytest.raises(NotFound):
            sim.node.capture.document(job.id, stranger)
        with pytest.raises(NotFound):
            sim.node.capture.job(job.id, stranger)


def test_a_signed_document_is_kept_without_its_wrapping(sim: Simulator) -> None:
    body = sim.submission("packer", [lot_event(sim)])
    job = sim.post("packer", body, MEDIA_TYPE)
    assert sim.node.capture.document(job.id, "packer").body == parse_submission(body).document


def test_posting_a_submission_again_gives_the_first_job(sim: Simulator) -> None:
    body = sim.submission("packer", [lot_event(sim)])
    assert sim.post("packer", body, MEDIA_TYPE).id == sim.post("packer", body, MEDIA_TYPE).id


REFUSED: dict[str, bytes] = {
    "jcs-number": b'{"a": 1e400}',
    "unknown-event-type": b'{"@context": "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld", "type": "X"}',
    "not-json": b"<xml/>",
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_a_refused_document_changes_nothing(sim: Simulator, body: bytes) -> None:
    before = sim.counts()
    with pytest.raises(InvalidInput):
        sim.post("farm", body)
    assert sim.counts() == before


def test_one_bad_event_refuses_the_whole_document(sim: Simulator) -> None:
    before = sim.counts()
    bad = sim.event(epcList=["https://id.gs1.org/01/09506000134353/21/1"])
    with pytest.raises(InvalidInput) as refusal:
        sim.capture("farm", [lot_event(sim), bad])
    assert refusal.value.findings[0].record == 2
    assert sim.counts() == before


def test_more_records_than_the_limit_are_refused(sim: Simulator) -> None:
    from fabric.capture.prepare import Limits, prepare

    with pytest.raises(TooLarge):
        prepare(sim.document([lot_event(sim), lot_event(sim)]), EPCIS, Limits(events=1), sim.draw)
    with pytest.raises(TooLarge):
        prepare(sim.document([lot_event(sim)]), EPCIS, Limits(body_bytes=100), sim.draw)


def test_nobody_captures_in_custody_for_a_member_that_did_not_delegate(sim: Simulator) -> None:
    before = sim.counts()
    with pytest.raises(Forbidden) as refusal:
        sim.capture("packer", [lot_event(sim)])
    assert refusal.value.rule == "no-delegation"
    assert sim.counts() == before


def test_a_member_with_a_key_delegates_by_its_own_statement(sim: Simulator) -> None:
    body = sim.node.capture.delegation("packer", sim.now_ms + 10_000)
    caller = sim.node.capture.by_key(issue(sim, "packer"))
    assert caller is not None
    ticket = sim.node.capture.post(caller, sim.sign("packer", "delegation", body))
    ticket.settled.result(10)
    assert sim.capture("packer", [lot_event(sim)]).custody
    sim.tick(20_000)
    with pytest.raises(Forbidden):
        sim.capture("packer", [lot_event(sim)])


def issue(sim: Simulator, member: str) -> str:
    return sim.node.capture.issue_key(member)


SIGNED_WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another log": ({"log": "other.example/log"}, "wrong-log"),
    "a key nobody knows": ({"key": SigningKey(b"\x07" * 32)}, "unknown-key"),
    "another member's name": ({"member": "farm"}, "wrong-member"),
}


@pytest.mark.parametrize(("changes", "rule"), SIGNED_WRONG.values(), ids=SIGNED_WRONG)
def test_a_submission_signed_wrongly_is_refused_and_changes_nothing(
    sim: Simulator, changes: dict[str, Any], rule: str
) -> None:
    before = sim.counts()
    with pytest.raises(InvalidInput) as refusal:
        sim.capture_signed("packer", [lot_event(sim)], **changes)
    assert refusal.value.rule == rule
    assert sim.counts() == before


def test_a_submission_whose_records_are_not_the_signed_ones_is_refused(sim: Simulator) -> None:
    before = sim.counts()
    body = json.loads(sim.submission("packer", [lot_event(sim)]))
    body["captureSalt"] = "00" * 32
    with pytest.raises(InvalidInput) as refusal:
        sim.post("packer", json.dumps(body).encode(), MEDIA_TYPE)
    assert refusal.value.rule == "capture-commitment"
    assert sim.counts() == before


def test_a_submission_with_a_forged_signature_is_refused(sim: Simulator) -> None:
    before = sim.counts()
    one, other = (parse_submission(sim.submission("packer", [lot_event(sim)])) for _ in range(2))
    envelope = json.loads(one.envelope.data)
    envelope["signatures"] = json.loads(other.envelope.data)["signatures"]
    body = json.loads(submission_bytes(one)) | {"envelope": envelope}
    with pytest.raises(InvalidInput) as refusal:
        sim.post("packer", json.dumps(body).encode(), MEDIA_TYPE)
    assert refusal.value.rule == "bad-signature"
    assert sim.counts() == before


def test_a_statement_id_used_for_another_payload_is_refused(sim: Simulator) -> None:
    sim.capture_signed("packer", [lot_event(sim)], statement_id="ab" * 16)
    before = sim.counts()
    with pytest.raises(Conflict) as refusal:
        sim.capture_signed("packer", [lot_event(sim)], statement_id="ab" * 16)
    assert refusal.value.rule == "statement-id-reused"
    assert sim.counts() == before


def test_a_revoked_key_captures_nothing_more(sim: Simulator) -> None:
    keyid = next(record.keyid for record in sim.node.registry.records.values() if record.member == "packer")
    _, outcome = sim.state({"type": "key", "action": "revoke", "target": keyid})
    assert outcome.state == "sequenced"
    before = sim.counts()
    with pytest.raises(Forbidden):
        sim.capture_signed("packer", [lot_event(sim)])
    assert sim.counts() == before


def test_only_the_operator_has_the_node_sign_statements(sim: Simulator) -> None:
    caller = sim.node.capture.by_key(issue(sim, "farm"))
    assert caller is not None
    with pytest.raises(Forbidden):
        sim.node.capture.post(caller, b'{"type": "member", "name": "Mill"}')
    assert "mill" not in sim.node.registry.members


def test_a_member_posts_no_envelope_of_another(sim: Simulator) -> None:
    caller = sim.node.capture.by_key(issue(sim, "farm"))
    assert caller is not None
    before = sim.counts()
    envelope = sim.sign("packer", "delegation", sim.node.capture.delegation("packer", sim.now_ms + 1))
    with pytest.raises(Forbidden) as refusal:
        sim.node.capture.post(caller, envelope).stored.result(10)
    assert refusal.value.rule == "wrong-member"
    assert sim.counts() == before


def test_a_capture_statement_without_its_document_is_refused(sim: Simulator) -> None:
    caller = sim.node.capture.by_key(issue(sim, "packer"))
    assert caller is not None
    before = sim.counts()
    with pytest.raises(InvalidInput) as refusal:
        sim.node.capture.post(caller, sim.sign("packer", "capture", {"commitment": "00" * 32})).stored.result(
            10
        )
    assert refusal.value.rule == "not-a-submission"
    assert sim.counts() == before


def test_claiming_another_members_identifier_is_refused(sim: Simulator) -> None:
    sim.assign("farm", "9506000134352")
    before = sim.counts()
    with pytest.raises(InvalidInput) as refusal:
        sim.state({"type": "member", "subject": "packer", "parties": ["9506000134352"]})
    assert refusal.value.rule == "identifier-held"
    assert sim.counts() == before


def test_admission_gives_an_api_key_once_and_stores_its_hash(sim: Simulator) -> None:
    posted = sim.admit("mill")
    assert posted.api_key is not None
    caller = sim.node.capture.by_key(posted.api_key)
    assert caller is not None
    assert (caller.member, caller.role) == ("mill", "member")
    assert sim.node.capture.by_id(caller.credential) == caller
    assert posted.api_key.encode() not in sim.stored()
    assert sim.node.capture.by_key(posted.api_key[:-1]) is None


def test_a_new_api_key_ends_the_old_one(sim: Simulator) -> None:
    old = sim.admit("mill").api_key or ""
    new = issue(sim, "mill")
    assert sim.node.capture.by_key(old) is None
    assert sim.node.capture.by_key(new) is not None


def test_the_operator_and_strangers_see_no_record(sim: Simulator) -> None:
    job = sim.capture("farm", [lot_event(sim)])
    name = sim.names(job)[1]
    assert (sim.sight("farm", name), sim.sight("packer", name)) == (Sight.WHOLE, Sight.NOTHING)
    assert sim.sight("operator", name) is Sight.NOTHING


def test_master_data_alone_is_a_capture(sim: Simulator) -> None:
    header = {
        "epcisMasterData": {
            "vocabularyList": [
                {
                    "type": "urn:epcglobal:epcis:vtype:Location",
                    "vocabularyElementList": [{"id": "https://id.gs1.org/414/9506000134352"}],
                }
            ]
        }
    }
    job = sim.capture("farm", [], epcisHeader=header)
    assert (job.state, job.count) == ("sequenced", 2)
    assert sim.rows("SELECT t.iri FROM master m JOIN thing t ON t.id = m.thing")[0][0].endswith(
        "9506000134352"
    )
