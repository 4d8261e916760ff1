"""What a node with a profile shows: `/log/anchored`, proofs and reports against it, its policy, readiness, metrics, keys."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.serve import node_settings
from api.settings import Settings, load_settings, write_settings
from fabric.capture.keyring import Keyring
from fabric.report import verify_report
from ledger.bundle import parse_bundle
from ledger.canonical import parse_json
from ledger.checkpoint import Checkpoint, checkpoint_of, sign_checkpoint
from ledger.ed25519 import possession_line
from ledger.errors import Conflict, InvalidInput, VerificationError
from ledger.hyperledger.anchor.cosigner_key import cosigner_key
from ledger.hyperledger.anchor.quorum import POLICY_FILE, organisations_policy
from ledger.hyperledger.anchor.status import FOLDER, Status, write_status
from ledger.hyperledger.channel import Organisation
from ledger.hyperledger.connection import Anchoring
from ledger.keyfile import read_key_file
from ledger.note import COSIGNATURE, Note, VerifierKey, cosign, parse_note
from ledger.policy import Policy, parse_policy
from ledger.receipt import verify_receipt
from ledger.tlog_proof import parse_tlog_proof
from ledger.verify import verify
from tests.api.door import Door
from tests.chaincode.memory import seeded

MSPS = ("Org1MSP", "Org2MSP")
ORGANISATIONS = [
    Organisation(msp, {}, VerifierKey(msp, COSIGNATURE, seeded(f"cosigner {msp}").public_bytes).text())
    for msp in MSPS
]


class AnchoredDoor(Door):
    """A node that believes to be anchored; `anchor` does what its anchor would have done."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, hyperledger="profile.toml")
        self.folder = folder
        self.sim.node.log.anchors = True
        (folder / FOLDER).mkdir()

    def learn(self) -> None:
        text = organisations_policy(ORGANISATIONS, "Org1MSP", Anchoring(quorum=2))
        assert text is not None
        (self.folder / FOLDER / POLICY_FILE).write_text(text)

    def anchor(self, *msps: str) -> int:
        """Cosign what is published now, and put it where the anchor puts it; its size."""
        note = parse_note(self.sim.node.log.published().note)
        lines = [cosign(note.text, msp, seeded(f"cosigner {msp}"), 1_800_000_000) for msp in msps]
        (self.folder / "log" / "anchored").write_bytes(Note(note.text, (*note.signatures, *lines)).data())
        return checkpoint_of(note).size

    def policy(self) -> Policy:
        return parse_policy(self.http.get("/api/policy").text)

    def one_event(self, lot: str = "A") -> str:
        """Capture an event; its record's name."""
        event = self.sim.event(epcList=[f"https://id.gs1.org/01/09506000134352/21/{lot}"])
        return str(self.captured(self.sim.document([event]))["records"][-1]["record"])

    def proof(self, record: str) -> Any:
        answer = self.get(f"/api/records/{record}/proof")
        assert answer.status_code == 200, answer.text
        return answer


@pytest.fixture
def door(tmp_path: Path) -> Iterator[AnchoredDoor]:
    made = AnchoredDoor(tmp_path / "node")
    with made:
        made.admit("farm", parties=["9506000134352"])
        yield made


def test_nothing_anchored_is_shown_before_there_is_something(door: AnchoredDoor) -> None:
    record = door.one_event()
    door.refused(door.http.get("/log/anchored"), 404, "not-anchored")
    proof = door.proof(record)
    assert proof.headers["Loomark-Checkpoint"] == "published"
    assert parse_bundle(proof.content).checkpoint.size == door.sim.node.log.size
    door.learn()
    with pytest.raises(VerificationError) as refused:
        verify(parse_bundle(proof.content), door.policy())
    assert refused.value.step == 9


def test_a_record_that_is_covered_is_proved_against_what_organisations_cosigned(door: AnchoredDoor) -> None:
    record = door.one_event()
    door.learn()
    size = door.anchor(*MSPS)
    later = door.one_event("B")
    shown = door.http.get("/log/anchored")
    assert (shown.status_code, checkpoint_of(parse_note(shown.content)).size) == (200, size)
    proof = door.proof(record)
    assert proof.headers["Loomark-Checkpoint"] == "anchored"
    verified = verify(parse_bundle(proof.content), door.policy())
    assert (verified.tree_size, verified.unwitnessed) == (size, False)
    assert all(msp in verified.steps[8].detail for msp in MSPS)
    behind = door.proof(later)
    assert behind.headers["Loomark-Checkpoint"] == "published"
    assert parse_bundle(behind.content).checkpoint.size > size
    text = door.get(f"/api/records/{record}/proof?format=tlog").content
    assert checkpoint_of(parse_tlog_proof(text).note).size == size


def test_a_receipt_says_what_it_is_against_too(door: AnchoredDoor) -> None:
    event = door.sim.event(epcList=["https://id.gs1.org/01/09506000134352/21/Q"])
    location = door.post(door.sim.document([event])).headers["location"]
    assert door.get(location, prefer="wait=20").json()["state"] == "sequenced"
    assert door.get(f"{location}/receipt").headers["Loomark-Checkpoint"] == "published"
    door.learn()
    size = door.anchor(*MSPS)
    door.one_event("later")
    answer = door.get(f"{location}/receipt")
    assert answer.headers["Loomark-Checkpoint"] == "anchored"
    verified = verify_receipt(parse_json(answer.content), door.policy())
    assert {one.tree_size for one in verified.records} == {size}


def test_one_organisation_of_two_makes_no_quorum(door: AnchoredDoor) -> None:
    record = door.one_event()
    door.learn()
    door.anchor("Org2MSP")
    with pytest.raises(VerificationError) as refused:
        verify(parse_bundle(door.proof(record).content), door.policy())
    assert refused.value.step == 9


def test_a_report_is_against_it_where_it_covers_the_answer(door: AnchoredDoor) -> None:
    door.one_event("R")
    door.learn()
    size = door.anchor(*MSPS)
    thing = "https://id.gs1.org/01/09506000134352/21/R"
    ask = f"/api/reports/provenance?thing={thing}"
    answer = door.get(ask)
    assert answer.headers["Loomark-Checkpoint"] == "anchored"
    door.one_event("other")
    answer = door.get(ask)
    assert answer.headers["Loomark-Checkpoint"] == "anchored"
    verified = verify_report(parse_json(answer.content), door.policy()).as_json()
    assert (verified["verified"], verified["size"], verified["unwitnessed"]) == (True, size, False)
    # More about the thing since: the report says it, and waits for its quorum.
    door.one_event("R")
    answer = door.get(ask)
    assert answer.headers["Loomark-Checkpoint"] == "published"
    with pytest.raises(VerificationError):
        verify_report(parse_json(answer.content), door.policy())
    door.anchor(*MSPS)
    assert verify_report(parse_json(door.get(ask).content), door.policy()).as_json()["verified"]
    # Another registry since: a report says which identifiers are in force, so it is made of the newest.
    door.admit("late")
    assert door.get(ask).headers["Loomark-Checkpoint"] == "published"


@pytest.mark.parametrize("what", ["another tree", "a larger tree", "another log", "no note"])
def test_what_is_not_of_this_tree_is_shown_to_nobody(door: AnchoredDoor, what: str) -> None:
    record = door.one_event()
    head = door.sim.node.log.published().checkpoint
    wrong = {
        "another tree": Checkpoint(head.origin, head.size, bytes(32)),
        "a larger tree": Checkpoint(head.origin, head.size + 1, head.root),
        "another log": Checkpoint("log.example/other", head.size, head.root),
    }
    data = sign_checkpoint(wrong[what], seeded("log")) if what in wrong else b"garbage"
    (door.folder / "log" / "anchored").write_bytes(data)
    door.refused(door.http.get("/log/anchored"), 404, "not-anchored")
    assert door.proof(record).headers["Loomark-Checkpoint"] == "published"


def test_the_policy_waits_for_the_organisations_and_never_asks_for_less(door: AnchoredDoor) -> None:
    door.refused(door.http.get("/api/policy"), 503, "unavailable")
    door.learn()
    policy = door.policy()
    assert (policy.quorum, list(policy.witnesses), policy.groups["orgs"].threshold) == ("orgs", list(MSPS), 2)
    assert [key.text() for key in policy.logs] == [door.sim.node.vkey]


def test_readiness_and_metrics_tell_how_the_anchor_stands(door: AnchoredDoor) -> None:
    door.one_event()
    size = door.sim.node.log.size
    assert door.http.get("/readyz").json()["anchor"]["healthy"] is False
    now = time.time_ns() // 1_000_000
    trouble = {"submit": {"rule": "network-away", "reason": "away", "since_ms": 1}}
    status = Status(time_ms=now, cosigned=2, on_channel=3, backlog=4, trouble=trouble)
    write_status(door.folder / FOLDER, status)
    answer = door.http.get("/readyz")
    found = answer.json()["anchor"]
    assert answer.status_code == 200
    assert (found["healthy"], found["lag"], found["backlog"]) == (False, size - 2, 4)
    assert found["reasons"] == ["submit: network-away: away"]
    metrics = door.http.get("/metrics").text
    assert f"loomark_anchor_lag {float(size - 2)}" in metrics
    assert "loomark_anchor_backlog 4.0" in metrics
    assert "loomark_anchor_healthy 0.0" in metrics


def test_a_node_without_a_profile_says_nothing_of_anchors(tmp_path: Path) -> None:
    with Door(tmp_path / "node") as plain:
        plain.admit("farm", parties=["9506000134352"])
        assert "anchor" not in plain.http.get("/readyz").json()
        assert "loomark_anchor" not in plain.http.get("/metrics").text
        note = plain.sim.node.log.published().note
        (tmp_path / "node" / "log" / "anchored").write_bytes(note)
        plain.refused(plain.http.get("/log/anchored"), 404, "not-anchored")
        assert "quorum none" in plain.http.get("/api/policy").text


def test_the_cosigner_key_is_no_other_key_of_the_node(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keyring = Keyring(keys)
    keyring.create_folder()
    keyring.named("log")
    made = cosigner_key(keys)
    assert cosigner_key(keys).public_bytes == made.public_bytes
    assert (keys / "cosigner.key").stat().st_mode & 0o777 == 0o600
    Keyring(keys).check()
    (keys / "cosigner.key").write_bytes((keys / "log.key").read_bytes())
    with pytest.raises(Conflict) as refused:
        Keyring(keys).check()
    assert refused.value.rule == "key-in-use"
    assert read_key_file(keys / "log.key").public_bytes == read_key_file(keys / "cosigner.key").public_bytes


def test_no_member_may_be_admitted_with_the_cosigner_key(door: AnchoredDoor) -> None:
    cosigner_key(door.folder / "keys")
    line = possession_line(read_key_file(door.folder / "keys" / "cosigner.key"))
    with door.unchanged():
        body = {"type": "member", "subject": "thief", "name": "Thief", "parties": [], "publicKey": line}
        door.refused(door.state(body), 409, "key-in-use")


def test_a_profile_that_cannot_be_used_is_refused_before_anything_starts(tmp_path: Path) -> None:
    profile = tmp_path / "bad.toml"
    profile.write_text("channel = 7\n")
    with pytest.raises(InvalidInput) as refused:
        node_settings(Settings(tmp_path / "data", hyperledger=str(profile)))
    assert refused.value.rule == "bad-profile"
    assert not (tmp_path / "data").exists()


def test_anchoring_without_the_extra_is_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.serve.find_spec", lambda _name: None)
    with pytest.raises(InvalidInput, match=r"loomark\[hyperledger\]") as refused:
        node_settings(Settings(tmp_path / "data", hyperledger="profile.toml"))
    assert refused.value.rule == "no-extra"


def test_the_profile_is_a_setting_by_flag_environment_and_file(tmp_path: Path) -> None:
    assert load_settings(tmp_path, {}, {"LOOMARK_HYPERLEDGER": "/a.toml"}).hyperledger == "/a.toml"
    flags = {"hyperledger": "/b.toml"}
    settings = load_settings(tmp_path, flags, {"LOOMARK_HYPERLEDGER": "/a.toml"})
    assert settings.hyperledger == "/b.toml"
    write_settings(settings)
    assert load_settings(tmp_path, {}, {}).hyperledger == "/b.toml"
