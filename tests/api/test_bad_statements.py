"""Signed captures and statements that are refused: by whom, for what, with which key; and nothing of them stays."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from ledger.bundle import parse_bundle
from ledger.canonical import canonical
from ledger.ed25519 import SigningKey, key_id, possession_line
from ledger.errors import VerificationError
from ledger.statement import PAYLOAD_TYPE
from ledger.submission import MEDIA_TYPE as SUBMISSION

from .door import Door

LOT = "https://id.gs1.org/01/09506000134352/10/A1"
STRANGER = SigningKey(b"\x07" * 32)
SUBJECT = {"type": "member", "subject": "newcomer", "name": "Newcomer", "parties": ["9506000134376"]}


def changed(data: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """A submission with its JSON changed."""
    value = json.loads(data)
    change(value)
    return json.dumps(value).encode()


def signed_again(envelope: bytes | dict[str, Any], signer: SigningKey, **claims: Any) -> bytes:
    """An envelope with other claims in its payload, signed by `signer` under the key that the payload names."""
    value = json.loads(envelope) if isinstance(envelope, bytes) else envelope
    kind = PAYLOAD_TYPE.encode()
    payload = canonical(json.loads(base64.b64decode(value["payload"])) | claims)
    signature = signer.sign(b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload))
    keyid = json.loads(payload)["key"]
    return canonical(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"keyid": keyid, "sig": base64.b64encode(signature).decode()}],
        }
    )


def submission(door: Door, **changes: Any) -> bytes:
    return door.sim.submission("packer", [door.sim.event(epcList=[LOT])], **changes)


def refuse_capture(door: Door, body: bytes, status: int, rule: str, member: str = "packer") -> None:
    with door.unchanged():
        door.refused(door.post(body, member, SUBMISSION), status, rule)


def test_an_unsigned_capture_is_refused(door: Door) -> None:
    body = changed(submission(door), lambda value: value["envelope"]["signatures"].clear())
    refuse_capture(door, body, 400, "bad-shape")


def test_a_wrongly_signed_capture_is_refused(door: Door) -> None:
    def forge(value: dict[str, Any]) -> None:
        value["envelope"] = json.loads(signed_again(value["envelope"], STRANGER))

    refuse_capture(door, changed(submission(door), forge), 400, "bad-signature")


def test_a_capture_by_a_key_nobody_admitted_is_refused(door: Door) -> None:
    refuse_capture(door, submission(door, key=STRANGER), 403, "unknown-key")


def test_a_capture_for_another_log_is_refused(door: Door) -> None:
    refuse_capture(door, submission(door, log="other.example/log"), 403, "wrong-log")


def test_a_capture_in_another_members_name_is_refused(door: Door) -> None:
    refuse_capture(door, submission(door), 403, "wrong-member", member="farm")
    refuse_capture(door, submission(door, member="farm"), 403, "wrong-member", member="packer")
    refuse_capture(door, submission(door, member="farm"), 403, "wrong-member", member="farm")


def test_a_capture_that_does_not_hold_what_was_signed_is_refused(door: Door) -> None:
    def swap(value: dict[str, Any]) -> None:
        value["document"] = base64.b64encode(door.sim.document([door.sim.event(epcList=[LOT])])).decode()

    refuse_capture(door, changed(submission(door), swap), 400, "capture-commitment")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda value: value["recordSalts"].pop(), "bad-salt"),
        (lambda value: value["recordSalts"].append("00" * 32), "bad-salt"),
        (lambda value: value.update(captureSalt="00" * 31), "bad-hex"),
        (lambda value: value.update(captureSalt="AB" * 32), "bad-hex"),
        (lambda value: value.update(document="e30"), "bad-base64"),
        (lambda value: value.update(extra=1), "bad-shape"),
        (lambda value: value.update(contexts=value["contexts"] * 2), "bad-shape"),
        (lambda value: value["envelope"].update(payloadType="text/plain"), "bad-envelope"),
    ],
)
def test_a_submission_of_another_shape_is_refused(door: Door, change: Any, rule: str) -> None:
    refuse_capture(door, changed(submission(door), change), 400, rule)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        (lambda value: value.clear(), ""),
        (lambda value: value.update({"a/b": 1}), "/a~1b"),
        (lambda value: value.update(captureSalt="00"), "/captureSalt"),
        (lambda value: value.update(recordSalts=7), "/recordSalts"),
        (lambda value: value["recordSalts"].pop(), "/recordSalts"),
        (lambda value: value.update(document=None), "/document"),
        (lambda value: value["contexts"][0].update(sha256="x"), "/contexts/0/sha256"),
        (lambda value: value.update(contexts=value["contexts"] * 2), "/contexts/1/url"),
        (lambda value: value.update(envelope=[]), "/envelope"),
        (lambda value: value["envelope"].update(payloadType="text/plain"), "/envelope/payloadType"),
        (lambda value: value["envelope"].update(payload="e30="), "/envelope/payload"),
        (lambda value: value["envelope"].update(payload="eyJhIjoxLCJhIjoyfQ=="), "/envelope/payload"),
        (lambda value: value["envelope"]["signatures"].clear(), "/envelope/signatures"),
        (lambda value: value["envelope"]["signatures"][0].update(sig=""), "/envelope/signatures/0/sig"),
    ],
)
def test_a_refused_submission_names_the_place(door: Door, change: Any, pointer: str) -> None:
    with door.unchanged():
        answer = door.post(changed(submission(door), change), "packer", SUBMISSION)
        finding = door.finding(answer, answer.json()["rule"])
        assert (finding["pointer"], finding["record"]) == (pointer, None)
        assert ": expected" not in finding["expected"]


@pytest.mark.parametrize(
    ("body", "pointer", "got"),
    [
        ([], "", ""),
        ({"type": "charter"}, "/type", "charter"),
        (SUBJECT | {"unknown": 1}, "/unknown", ""),
        (SUBJECT | {"subject": "Not A Name"}, "/subject", "text of 10 characters"),
        (SUBJECT | {"name": {"a": 1}}, "/name", "an object of 1 members"),
        (SUBJECT | {"roles": ["emperor"]}, "/roles", "text of 7 characters"),
        (SUBJECT | {"parties": ["9506000134376", "9506000134353"]}, "/parties/1", "9506000134353"),
        (SUBJECT | {"parties": [{"kind": "gln", "value": 7}]}, "/parties/0/value", "a number"),
        (SUBJECT | {"delegation": {"service": "x", "until": True}}, "/delegation/until", "true"),
        (
            {"type": "role", "grantee": "farm", "role": "auditor", "until": "soon"},
            "/until",
            "text of 4 characters",
        ),
        ({"type": "role", "grantee": "farm", "role": None}, "/role", "null"),
    ],
)
def test_a_refused_statement_names_the_place_and_what_was_got(
    door: Door, body: Any, pointer: str, got: str
) -> None:
    with door.unchanged():
        answer = door.state(body)
        finding = door.finding(answer, answer.json()["rule"])
        assert (finding["pointer"], finding["got"]) == (pointer, got)


def test_a_statement_id_used_again_with_another_payload_is_refused(door: Door) -> None:
    used = "ab" * 16
    door.captured(submission(door, statement_id=used), "packer", SUBMISSION)
    refuse_capture(door, submission(door, statement_id=used), 409, "statement-id-reused")


def test_the_same_submission_again_is_answered_by_the_first_job(door: Door) -> None:
    body = submission(door)
    first = door.captured(body, "packer", SUBMISSION)
    with door.unchanged():
        again = door.post(body, "packer", SUBMISSION)
        assert (again.status_code, again.json()["captureID"]) == (202, first["captureID"])


def test_a_capture_of_a_log_never_seen_is_not_sequenced(door: Door) -> None:
    """`seen` names a tree this log never had: stored and staged, refused with its reason, with no lineage."""
    size = door.sim.node.state()["size"]
    answer = door.post(submission(door, seen=(3, bytes(32))), "packer", SUBMISSION)
    if answer.status_code == 202:
        job = door.get(answer.headers["location"], "packer", prefer="wait=20").json()
        assert (job["state"], job["rule"], job["index"]) == ("refused", "wrong-seen", None)
        assert job["errors"][0]["detail"] == job["reason"]
        name = job["records"][0]["record"]
        door.refused(door.get(f"/api/records/{name}", "packer"), 404, "unknown-record")
    else:
        door.refused(answer, 400, "wrong-seen")
    assert door.sim.node.state()["size"] == size


def test_revoked_and_disputed_keys_sign_nothing_more(door: Door) -> None:
    door.admit("leaver", own_key=True)
    body = door.sim.submission("leaver", [door.sim.event(epcList=[LOT])])
    job = door.captured(body, "leaver", SUBMISSION)
    proof = door.get(f"/api/records/{job['records'][1]['record']}/proof", "leaver")
    assert door.sim.verify(proof.content).member == "leaver"
    late = door.sim.submission("leaver", [door.sim.event(epcList=[LOT])])
    keyid = key_id(door.sim.keys["leaver"].public_bytes)
    revocation = {"type": "key", "action": "revoke", "target": keyid, "since": job["index"]}
    assert door.state(revocation).status_code == 201
    refuse_capture(door, late, 403, "key-revoked", member="leaver")
    with door.unchanged():
        door.refused(door.state(revocation), 400, "key-revoked")
    proof = door.get(f"/api/records/{job['records'][1]['record']}/proof", "leaver")
    with pytest.raises(VerificationError) as caught:
        door.sim.verifier().verify(parse_bundle(proof.content))
    assert caught.value.step == 8


def test_a_retired_key_signs_nothing_more(door: Door) -> None:
    door.admit("turner", own_key=True)
    new = SigningKey(b"\x09" * 32)
    rotation = door.sim.sign("turner", "key", {"action": "rotate", "publicKey": possession_line(new)})
    assert door.state(rotation, "turner").status_code == 201
    body = door.sim.submission("turner", [door.sim.event(epcList=[LOT])])
    refuse_capture(door, body, 403, "key-retired", member="turner")


@pytest.mark.parametrize(
    ("body", "status", "rule"),
    [
        (b"", 400, "not-json"),
        (b"[]", 400, "bad-shape"),
        (b"{}", 400, "unknown-type"),
        (b'{"type":"member","type":"key"}', 400, "duplicate-member"),
        ({"type": "charter"}, 400, "unknown-type"),
        ({"type": "capture"}, 400, "unknown-type"),
        ({"type": "member"}, 400, None),
        ({"type": "member", "name": 7}, 400, None),
        ({"type": "member", "name": "x" * 5000}, 400, None),
        ({"type": ["member"]}, 400, "unknown-type"),
        (SUBJECT | {"subject": "Not A Name"}, 400, "bad-shape"),
        (SUBJECT | {"subject": ["farm"]}, 400, None),
        (SUBJECT | {"parties": ["9506000134353"]}, 400, "bad-check-digit"),
        (SUBJECT | {"parties": ["https://id.gs1.org/414/9506000134353"]}, 400, "bad-check-digit"),
        (SUBJECT | {"parties": [7]}, 400, None),
        (SUBJECT | {"parties": "9506000134376"}, 400, None),
        (SUBJECT | {"roles": ["emperor"]}, 400, None),
        (SUBJECT | {"roles": [["member"]]}, 400, None),
        (SUBJECT | {"publicKey": "AAAA.BBBB"}, 400, None),
        (SUBJECT | {"publicKey": {}}, 400, None),
        (SUBJECT | {"parties": ["9506000134352"]}, 400, "identifier-held"),
        (SUBJECT | {"unknown": 1}, 400, "bad-shape"),
        ({"type": "key", "action": "revoke", "target": "00" * 32}, 400, "unknown-key"),
        ({"type": "role", "grantee": "nobody", "role": "auditor"}, 400, "unknown-member"),
        ({"type": "role", "grantee": "farm", "role": "operator"}, 400, None),
        ({"type": "role", "grantee": "farm", "role": "auditor", "until": "tomorrow"}, 400, "bad-time"),
        ({"payload": "x"}, 400, None),
        ({"payload": 1, "payloadType": 2, "signatures": 3}, 400, None),
    ],
)
def test_what_the_operator_cannot_state_is_refused(
    door: Door, body: Any, status: int, rule: str | None
) -> None:
    with door.unchanged():
        answer = door.state(body)
        found = rule or answer.json()["rule"]
        door.refused(answer, status, found)
        assert found not in ("internal-error", "invalid-input")
        assert "newcomer" not in {one["id"] for one in door.get("/api/members").json()["members"]}


@pytest.mark.parametrize("role", ["auditor", "recall"])
@pytest.mark.parametrize("own_key", [False, True])
def test_who_was_admitted_to_read_captures_nothing(door: Door, role: str, own_key: bool) -> None:
    name = f"{role}-{'own' if own_key else 'none'}"
    posted = door.sim.admit(name, own_key=own_key, roles=[role])
    assert posted.api_key is not None
    door.keys[name] = posted.api_key
    members = {one["id"]: one for one in door.get("/api/members", "operator").json()["members"]}
    assert members[name]["roles"] == [role]
    with door.unchanged():
        event = door.sim.event(epcList=[LOT])
        refused = door.refused(door.post(door.sim.document([event]), name), 403, "wrong-role")
        assert f"{name} as {role} only" in refused["detail"]
        if own_key:
            refuse_capture(door, door.sim.submission(name, [event]), 403, "wrong-role", member=name)
        link = {"same": [LOT, LOT + "2"], "reason": "two names"}
        rule = "no-delegation" if own_key else "wrong-role"
        door.refused(door.post(link, name, "application/json", "/api/links"), 403, rule)
    door.sim.state({"type": "member", "subject": name, "roles": ["member", role]})
    job = door.post(door.sim.document([door.sim.event(epcList=[LOT])]), name)
    assert job.status_code == (403 if own_key else 202), job.text


@pytest.mark.parametrize("role", ["auditor", "recall"])
def test_who_only_reads_holds_no_party(door: Door, role: str) -> None:
    gln = {"auditor": "9506000134376", "recall": "9506000134383"}[role]
    with door.unchanged():
        body = {"type": "member", "name": "Reader", "subject": f"{role}-reader", "roles": [role]}
        door.refused(door.state(body | {"parties": [gln]}), 400, "party-without-member")
        body = {"type": "member", "subject": "farm", "roles": [role]}
        door.refused(door.state(body), 400, "party-without-member")
    door.sim.admit(f"{role}-reader", roles=[role])
    with door.unchanged():
        body = {"type": "member", "subject": f"{role}-reader", "parties": [gln]}
        door.refused(door.state(body), 400, "party-without-member")
    door.sim.state(body | {"roles": ["member", role]})
    held = {one["id"]: one for one in door.get("/api/members").json()["members"]}[f"{role}-reader"]
    assert [one["value"] for one in held["parties"]] == [gln]


def test_nobody_but_the_operator_states_without_a_signature(door: Door) -> None:
    with door.unchanged():
        for member in ("farm", "packer"):
            door.refused(door.state(SUBJECT, member), 403, "not-operator")
        door.refused(door.state(SUBJECT, None), 401, "unauthenticated")


def test_claiming_anothers_party_identifier_is_refused(door: Door) -> None:
    with door.unchanged():
        claim = {"type": "member", "subject": "shop", "parties": ["9506000134352"]}
        door.refused(door.state(claim), 400, "identifier-held")


def test_another_spelling_of_an_identifier_is_held_by_whoever_holds_it(door: Door) -> None:
    place = "https://id.gs1.org/414/9521987000056"
    assert door.state({"type": "member", "subject": "shop", "parties": [place]}).status_code == 201
    with door.unchanged():
        for spelling in ("urn:epc:id:sgln:9521987.00005.0", "https://farm.example/414/9521987000056?x=1"):
            claim = {"type": "member", "subject": "packer", "parties": [spelling]}
            door.refused(door.state(claim), 400, "identifier-held")


def test_a_member_admits_nobody_and_grants_nothing(door: Door) -> None:
    admission = {"subject": "friend", "name": "Friend", "publicKey": possession_line(STRANGER)}
    grant = {"grantee": "packer", "role": "auditor", "for": "all", "until": None}
    for kind, body in (("member", admission), ("role", grant)):
        envelope = door.sim.sign("packer", kind, body)
        with door.unchanged():
            answer = door.state(envelope, "packer")
            assert door.refused(answer, 403, answer.json()["rule"])


def test_an_envelope_of_another_member_is_refused_even_with_a_good_signature(door: Door) -> None:
    new = possession_line(SigningKey(b"\x0a" * 32))
    envelope = door.sim.sign("packer", "key", {"action": "rotate", "publicKey": new})
    with door.unchanged():
        door.refused(door.state(envelope, "farm"), 403, "wrong-member")


def test_a_capture_statement_without_its_document_is_refused(door: Door) -> None:
    envelope = canonical(json.loads(submission(door))["envelope"])
    with door.unchanged():
        door.refused(door.state(envelope, "packer"), 400, "not-a-submission")


def test_a_statement_larger_than_an_entry_is_refused(door: Door) -> None:
    with door.unchanged():
        door.refused(door.state(SUBJECT | {"name": "x" * 200_000}), 413, "body-too-large")


def test_another_content_type_of_a_statement_is_refused(door: Door) -> None:
    with door.unchanged():
        answer = door.post(SUBJECT, "operator", "text/plain", "/api/statements")
        door.refused(answer, 415, "unsupported-media-type")
