"""Going over to new keys on a running node: nothing is lost, what was proved stays proved, crashes leave a whole state."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from fabric.capture import rotation as rotation_module
from fabric.capture.keyring import Keyring
from fabric.integrity import check_node
from fabric.store.jobs import Job
from ledger.bundle import parse_bundle
from ledger.ed25519 import SigningKey, key_id, possession_line
from ledger.errors import InvalidInput, LoomarkError, Unavailable
from ledger.key_change import extended_policy, parse_evidence
from ledger.keyfile import write_signer_file
from ledger.log_key import MAX_SIGNING
from ledger.note import parse_note, parse_vkey
from ledger.policy import parse_policy
from ledger.submission import MEDIA_TYPE
from ledger.verify import VerifiedBundle, verify
from tests.simulator import Simulator

from .door import Door

JSON = "application/json"
WORKERS = 4
ROUNDS = 6


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with Door(tmp_path / "node") as door:
        door.admit("farm", parties=["9506000134352"])
        door.admit("packer", own_key=True)
        yield door


def rotate(door: Door, what: str, **told: Any) -> dict[str, Any]:
    answer = door.post(told, "operator", JSON, f"/api/keys/{what}")
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


_serials = count(1)


def event(sim: Simulator) -> dict[str, Any]:
    """An event of a thing that no other event has."""
    return sim.event(epcList=[f"https://id.gs1.org/01/09506000134352/21/S{next(_serials)}"])


def policy(door: Door) -> str:
    text: str = door.get("/api/policy").text
    return text


def signers(door: Door) -> list[str]:
    """The key ids that signed the published checkpoint, in order."""
    return [line.key_id.hex() for line in parse_note(door.get("/log/checkpoint", None).content).signatures]


def proofs(sim: Simulator, job: Job) -> list[bytes]:
    return [sim.node.prover.bundle_for(name, sim.node.reader(job.member)) for name in sim.names(job)]


def verified(proof: bytes, text: str) -> VerifiedBundle:
    return verify(parse_bundle(proof), parse_policy(text))


def short(vkey: str) -> str:
    return parse_vkey(vkey).key_id.hex()


# -- the log's key -----------------------------------------------------------------------------------------


def test_the_log_goes_over_to_a_new_key_and_nobody_is_left_behind(door: Door) -> None:
    sim = door.sim
    before, old = policy(door), proofs(sim, sim.capture("farm", [event(sim)]))
    change = rotate(door, "log", overlapSeconds=60)
    assert door.get("/log/vkey", None).text == f"{change['new']}\n{change['old']}\n"
    assert signers(door) == [short(change["new"]), short(change["old"])]
    during = proofs(sim, sim.capture("farm", [event(sim)]))
    sim.tick(61_000)
    after = proofs(sim, sim.capture("farm", [event(sim)]))
    assert signers(door) == [short(change["new"])]
    for proof in (*old, *during):
        verified(proof, before)
    with pytest.raises(LoomarkError, match="loomark policy --update"):
        verified(after[0], before)
    evidence = door.get("/log/key-changes", None)
    text, added = extended_policy(before, parse_evidence(evidence.content))
    assert [one.new.text() for one in added] == [change["new"]]
    assert parse_policy(text) == parse_policy(policy(door))
    for proof in (*old, *during, *after):
        verified(proof, text)
    # An old record proved again is signed by the new key: whoever drops the old key loses nothing.
    again = sim.node.prover.bundle_for(
        parse_bundle(old[0]).records[0].commitment.hex(), sim.node.reader("farm")
    )
    verified(again, f"log {change['new']}\nquorum none\n")


def test_the_change_survives_restarts_and_the_same_bytes_are_signed_again(door: Door) -> None:
    sim = door.sim
    change = rotate(door, "log", overlapSeconds=3_600)
    published = sim.node.log.published().note
    sim.reopen()
    assert sim.node.log.published().note == published
    sim.crash()
    assert sim.node.log.published().note == published
    assert sim.node.vkey == change["new"]
    sim.tick(3_600_000)
    sim.capture("farm", [event(sim)])
    sim.reopen()
    lines = parse_note(sim.node.log.published().note).signatures
    assert [line.key_id.hex() for line in lines] == [short(change["new"])]


def test_two_changes_lead_the_first_policy_to_the_third_key(door: Door) -> None:
    before = policy(door)
    rotate(door, "log", overlapSeconds=60)
    door.sim.tick(120_000)
    third = rotate(door, "log", overlapSeconds=60)
    text, added = extended_policy(before, parse_evidence(door.get("/log/key-changes", None).content))
    assert len(added) == 2
    assert parse_policy(text).logs[-1].text() == third["new"]
    verified(proofs(door.sim, door.sim.capture("farm", [event(door.sim)]))[0], text)


def test_changes_that_overlap_wait_for_each_other_before_a_checkpoint_has_too_many_lines(door: Door) -> None:
    for signing in range(2, MAX_SIGNING + 1):
        rotate(door, "log", overlapSeconds=3_600)
        assert len(parse_note(door.sim.node.log.published().note).signatures) == signing
    before = door.get("/log/checkpoint", None).content
    refused = door.post({"overlapSeconds": 3_600}, "operator", "application/json", "/api/keys/log")
    door.refused(refused, 409, "too-many-log-keys")
    assert door.get("/log/checkpoint", None).content == before
    door.sim.tick(3_600_000)
    door.sim.capture("farm", [event(door.sim)])
    rotate(door, "log", overlapSeconds=60)
    assert len(parse_note(door.sim.node.log.published().note).signatures) == 2
    door.sim.crash()
    assert door.sim.node.state()["writable"]


def test_a_crash_before_the_statement_leaves_a_key_that_the_next_try_takes(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim, before = door.sim, door.sim.node.log.published().note

    def die(*_: Any) -> str:
        raise Unavailable("died")

    with monkeypatch.context() as faulty:
        faulty.setattr(rotation_module, "announce", die)
        with pytest.raises(Unavailable):
            sim.node.rotation.log_key(60_000)
    files = sorted(path.name for path in (sim.folder / "keys").glob("log*.key"))
    assert len(files) == 2
    sim.crash()
    assert sim.node.log.published().note == before
    change = sim.node.rotation.log_key(60_000)
    assert sorted(path.name for path in (sim.folder / "keys").glob("log*.key")) == files
    assert sim.node.vkey == change.new


@pytest.mark.parametrize("step", ["high-water", "tiles", "checkpoint"])
def test_a_crash_after_the_commit_is_published_by_the_next_start_under_both_keys(
    door: Door, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    sim, before = door.sim, door.sim.node.log.published()
    sequencer: Any = sim.node._sequencer
    publisher = sequencer._publisher
    at = {"high-water": 1, "tiles": 2, "checkpoint": 10**6}[step]
    written: list[Path] = []
    real = publisher._files.write

    def write(path: Path, data: bytes, *, lasting: bool = True) -> None:
        written.append(path)
        if len(written) >= at or (step == "checkpoint" and path.name == "checkpoint"):
            raise Unavailable("the disk is gone")
        real(path, data, lasting=lasting)

    with monkeypatch.context() as faulty:
        faulty.setattr(publisher._files, "write", write)
        with pytest.raises(LoomarkError):
            sim.node.rotation.log_key(3_600_000)
    sim.crash()
    keys = sim.node.log_keys
    assert len(keys) == 2, "the statement was committed, so the change holds"
    published = sim.node.log.published()
    assert published.checkpoint.size > before.checkpoint.size
    lines = [(line.name, line.key_id) for line in parse_note(published.note).signatures]
    assert lines == [(key.vkey.name, key.vkey.key_id) for key in reversed(keys)]
    assert sim.capture("farm", [event(sim)]).state == "sequenced"


def test_a_change_that_cannot_be_signed_for_is_refused_at_the_door(door: Door) -> None:
    """An operator's own envelope may name a key that the node does not hold: it could not publish any more."""
    from ledger.log_key import announce
    from ledger.shape import time_text

    sim, keyring = door.sim, door.sim.node._keyring
    old, stranger = keyring.log_signers[sim.node.log_keys[-1].vkey.public], SigningKey(bytes([7]) * 32)
    sim.keys["operator"] = keyring.operator(sim.node.registry)  # type: ignore[assignment]
    for new, until, status, rule in (
        (stranger, sim.now_ms + 60_000, 404, "no-key-file"),
        (keyring.next_log_key(sim.node.registry), sim.now_ms - 1, 400, "bad-until"),
    ):
        note = announce(sim.node.origin, old, new, time_text(until))
        envelope = sim.sign("operator", "key", {"action": "log", "announcement": note})
        with door.unchanged():
            door.refused(door.post(envelope, "operator", JSON, "/api/statements"), status, rule)
    assert len(sim.node.log_keys) == 1


def test_an_overlap_out_of_bounds_is_refused(door: Door) -> None:
    wrong: list[Any] = [0, -1, 10**9, "60", 1.5, True]
    for overlap in wrong:
        with door.unchanged():
            answer = door.post({"overlapSeconds": overlap}, "operator", JSON, "/api/keys/log")
            door.refused(answer, 400, "out-of-range")
    assert len(list((door.sim.folder / "keys").glob("log*.key"))) == 1


def test_only_the_operator_rotates_the_nodes_keys(door: Door) -> None:
    for what in ("log", "custody", "operator"):
        with door.unchanged():
            door.refused(door.post({}, "farm", JSON, f"/api/keys/{what}"), 403, "not-operator")
            door.refused(door.post({}, None, JSON, f"/api/keys/{what}"), 401, "unauthenticated")
            door.refused(door.post(b"[]", "operator", JSON, f"/api/keys/{what}"), 400, "bad-shape")
            door.refused(door.post({"more": 1}, "operator", JSON, f"/api/keys/{what}"), 400, "bad-shape")


def test_fsck_and_a_rebuild_take_a_folder_whose_keys_have_changed(door: Door) -> None:
    sim = door.sim
    sim.capture("farm", [event(sim)])
    for _ in range(2):
        rotate(door, "log", overlapSeconds=60)
        rotate(door, "custody", overlapSeconds=60)
        rotate(door, "operator")
        sim.capture("farm", [event(sim)])
        sim.tick(61_000)
    sim.capture("farm", [event(sim)])
    for vkey in [one.vkey for one in sim.node.log_keys]:
        found = check_node(sim.folder, sim.folder / "loomark.db", vkey)
        assert found.faults == ()
    assert check_node(sim.folder, sim.folder / "loomark.db").faults == ()
    assert sim.rebuild() == 4
    # What an earlier life made and no statement names is no fault: a crash left it there.
    sim.node._keyring.next_log_key(sim.node.registry)
    assert check_node(sim.folder, sim.folder / "loomark.db").faults == ()


# -- custody -------------------------------------------------------------------------------------------------


def custody_keys(door: Door, member: str) -> list[dict[str, Any]]:
    found = door.get(f"/api/members/{member}").json()
    return sorted([key for key in found["keys"] if key["use"] == "service"], key=lambda key: key["since"])


def test_custody_goes_over_to_a_new_key_and_the_old_one_ends(door: Door) -> None:
    sim = door.sim
    old = proofs(sim, sim.capture("farm", [event(sim)]))
    change = rotate(door, "custody", overlapSeconds=60)["changes"]
    assert [(one["member"], len(one["ended"])) for one in change] == [("farm", 1)]
    new = proofs(sim, sim.capture("farm", [event(sim)]))
    assert verified(new[0], policy(door)).key.keyid == change[0]["keyid"]
    first, second = custody_keys(door, "farm")
    assert (first["keyid"], second["keyid"]) == (change[0]["ended"][0], change[0]["keyid"])
    sim.tick(61_000)
    assert sim.capture("farm", [event(sim)]).state == "sequenced"
    again = sim.node.prover.bundle_for(
        parse_bundle(old[0]).records[0].commitment.hex(), sim.node.reader("farm")
    )
    for proof in (*old, *new, again):
        verified(proof, policy(door))
    sim.reopen()
    assert sim.capture("farm", [event(sim)]).state == "sequenced"


def test_a_member_with_a_key_of_its_own_delegates_the_new_key_itself(door: Door) -> None:
    sim = door.sim
    refused = door.post(sim.document([event(sim)]), "packer")
    asked = door.get("/api/members/packer/delegation", "packer").json()
    assert (asked["index"], len(asked["delegate"])) == (None, 1)
    for body in asked["delegate"]:
        answer = door.post(sim.sign("packer", "delegation", body), "packer", JSON, "/api/statements")
        assert answer.status_code == 201, answer.text
    door.refused(refused, 403, "no-delegation")
    assert sim.capture("packer", [event(sim)]).state == "sequenced"
    # The operator's rotation cannot speak for it: it says what the member has to sign, and the old key stays.
    change = rotate(door, "custody", members=["packer"], overlapSeconds=60)["changes"][0]
    assert (change["index"], len(change["delegate"])) == (None, 2)
    assert sim.capture("packer", [event(sim)]).state == "sequenced"
    assert [key["keyid"] for key in custody_keys(door, "packer")] == [asked["keyid"]]
    for body in change["delegate"]:
        sim.tick()
        answer = door.post(sim.sign("packer", "delegation", body), "packer", JSON, "/api/statements")
        assert answer.status_code == 201, answer.text
    job = sim.capture("packer", [event(sim)])
    assert verified(proofs(sim, job)[0], policy(door)).key.keyid == change["keyid"]
    sim.tick(61_000)
    assert sim.capture("packer", [event(sim)]).state == "sequenced"


def test_a_program_may_hold_the_key_that_captures_for_a_member(door: Door) -> None:
    sim = door.sim
    held = SigningKey(bytes([77]) * 32)
    root = str(Path(__file__).resolve().parents[2])
    signs = (
        f"import sys; sys.path.insert(0, {root!r}); from ledger.ed25519 import SigningKey; "
        "sys.stdout.buffer.write(SigningKey(bytes([77]) * 32).sign(sys.stdin.buffer.read()))"
    )
    path = sim.folder / "keys" / "service" / "mill.key"
    write_signer_file(path, held.public_bytes, [sys.executable, "-c", signs], 20)
    sim.admit("mill")
    job = sim.capture("mill", [event(sim)])
    found = verified(proofs(sim, job)[-1], policy(door))
    assert (found.key.key, found.custody) == (held.public_bytes, "service")


def test_a_node_whose_turn_comes_takes_in_the_log_keys_that_another_made(door: Door) -> None:
    sim = door.sim
    other = Keyring(sim.folder / "keys")
    assert set(other.load_log_keys()) == {one.vkey.public for one in sim.node.log_keys}
    sim.node.rotation.log_key(60_000)
    other.look_again()
    assert set(other.log_signers) == {one.vkey.public for one in sim.node.log_keys}
    # The same of the keys that capture for members: what another node delegated is found when it is asked for.
    assert other.delegated(sim.node.registry, "farm", sim.now_ms) is not None
    changed = sim.node.rotation.custody(["farm"], 1_000)[0]
    sim.tick(2_000)
    found = other.delegated(sim.node.registry, "farm", sim.now_ms)
    assert found is not None
    assert key_id(found.public_bytes) == changed.keyid


def test_what_a_member_delegates_is_for_itself_alone(door: Door) -> None:
    with door.unchanged():
        door.refused(door.get("/api/members/packer/delegation", "farm"), 403, "not-this-member")
        door.refused(door.get("/api/members/packer/delegation", "operator"), 403, "not-this-member")
    assert not list((door.sim.folder / "keys" / "service").glob("packer*"))


def test_a_custody_key_whose_file_is_gone_is_revoked_by_the_rotation(door: Door) -> None:
    sim = door.sim
    sim.node.close()
    lost = sim.folder / "keys" / "service" / "farm.key"
    lost.rename(sim.folder / "lost")
    sim.node = sim._open()
    with pytest.raises(LoomarkError, match="delegated"):
        sim.capture("farm", [event(sim)])
    change = sim.node.rotation.custody(["farm"], 60_000)[0]
    assert [sim.node.registry.record(keyid).state for keyid in change.ended] == ["revoked"]
    assert sim.capture("farm", [event(sim)]).state == "sequenced"


# -- under load ---------------------------------------------------------------------------------------------------


class Load:
    """Several members' clients that send one capture after the other and keep every job they were promised."""

    def __init__(self, sim: Simulator) -> None:
        self.sim = sim
        self.jobs: list[tuple[str, str]] = []
        self.errors: list[BaseException] = []
        self._ended = threading.Event()
        self._drawing = threading.Lock()
        self._threads = [threading.Thread(target=self._send, args=(n,)) for n in range(WORKERS)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(60)

    def wait(self, count: int) -> None:
        """Until this many captures were taken in all."""
        ticket = threading.Event()
        while len(self.jobs) < count and any(thread.is_alive() for thread in self._threads):
            ticket.wait(0.005)

    def _send(self, number: int) -> None:
        try:
            while not self._ended.is_set():
                self.send(number)
        except BaseException as error:
            self.errors.append(error)

    def send(self, number: int) -> None:
        """Send one capture and keep its job."""
        with self._drawing:
            member, body, kind = self.made(number)
        self.jobs.append((member, self.sim.node.capture.capture(member, body, kind).id))

    def made(self, number: int) -> tuple[str, bytes, str]:
        return "farm", self.sim.document([event(self.sim)]), "application/ld+json"

    def settled(self) -> list[Job]:
        """Every job that was promised, once it has its place or a refusal."""
        self.sim.state({"type": "member", "subject": "farm", "name": "Farm"})
        return [self.sim.node.capture.job(name, member) for member, name in self.jobs]


def test_custody_and_log_keys_change_under_load_and_no_capture_is_lost(door: Door) -> None:
    sim = door.sim
    first = policy(door)
    with Load(sim) as load:
        for turn in range(ROUNDS):
            load.wait(len(load.jobs) + 8)
            if turn % 2:
                sim.node.rotation.log_key(3_600_000)
            else:
                assert sim.node.rotation.custody(None, 3_600_000)
        load.wait(len(load.jobs) + 8)
    assert load.errors == []
    jobs = load.settled()
    assert len(jobs) >= ROUNDS * 8
    assert {job.state for job in jobs} == {"sequenced"}
    assert len(sim.node.log_keys) == 1 + ROUNDS // 2
    newest, keys = policy(door), set()
    for job in jobs:
        proof = proofs(sim, job)[-1]
        keys.add(verified(proof, newest).key.keyid)
        verified(proof, first)
    assert len(keys) > 1, "captures were signed on both sides of a rotation"


class SignedLoad(Load):
    """Captures that the member signs; it signs again what was refused because its key had just been retired."""

    def made(self, number: int) -> tuple[str, bytes, str]:
        return "packer", self.sim.submission("packer", [event(self.sim)]), MEDIA_TYPE

    def send(self, number: int) -> None:
        try:
            super().send(number)
        except InvalidInput as refusal:
            if refusal.rule != "key-retired":
                raise


def test_a_member_rotates_its_key_under_load_and_every_promise_is_kept_or_visibly_refused(door: Door) -> None:
    sim = door.sim
    with SignedLoad(sim) as load:
        for turn in range(4):
            load.wait(len(load.jobs) + 8)
            fresh = SigningKey(bytes([100 + turn]) * 32)
            with load._drawing:
                body = {"action": "rotate", "publicKey": possession_line(fresh)}
                envelope = sim.sign("packer", "key", body)
                answer = door.post(envelope, "packer", JSON, "/api/statements")
                assert answer.status_code == 201, answer.text
                sim.keys["packer"] = fresh
        load.wait(len(load.jobs) + 8)
    assert load.errors == []
    jobs = load.settled()
    sequenced = [job for job in jobs if job.state == "sequenced"]
    # What was taken in the same moment as the rotation, behind it in the queue, is refused in sight of its sender.
    assert {job.rule for job in jobs if job.state != "sequenced"} <= {"key-retired"}
    assert len(sequenced) >= len(jobs) - 4 * WORKERS
    keys = {verified(proofs(sim, job)[-1], policy(door)).key.keyid for job in sequenced}
    assert len(keys) > 1


# -- revocation -----------------------------------------------------------------------------------------------------


def test_after_a_revocation_the_door_refuses_and_old_proofs_say_what_became_of_the_key(door: Door) -> None:
    sim = door.sim
    early = sim.capture_signed("packer", [event(sim)])
    late = sim.capture_signed("packer", [event(sim)])
    assert early.index is not None
    assert late.index is not None
    keyid = key_id(sim.keys["packer"].public_bytes)
    held = proofs(sim, late)[1]
    sim.state({"type": "key", "action": "revoke", "target": keyid, "since": late.index})
    with door.unchanged():
        body = sim.submission("packer", [event(sim)])
        door.refused(door.post(body, "packer", MEDIA_TYPE), 403, "key-revoked")
    found = verified(proofs(sim, early)[1], policy(door))
    assert (found.is_disputed, found.disputed_from) == (False, late.index)
    assert f"disputed from {late.index}" in found.steps[7].detail
    with pytest.raises(LoomarkError, match="disputed from"):
        verified(proofs(sim, late)[1], policy(door))
    # Against the checkpoint of its time the proof still holds: nobody had said anything then.
    verified(held, policy(door))
    shown = door.get("/api/members/packer").json()
    revoked = sim.node.registry.ended[keyid]
    assert shown["disputed"] == [{"keyid": keyid, "use": "member", "from": late.index, "to": revoked - 1}]
    assert [(key["state"], key["signedTo"]) for key in shown["keys"]] == [("revoked", revoked - 1)]


def test_a_capture_behind_a_revocation_in_the_queue_is_refused_at_sequencing_in_sight_of_its_sender(
    door: Door,
) -> None:
    sim, writer = door.sim, door.sim.node._writer
    keyid = key_id(sim.keys["packer"].public_bytes)
    body = sim.submission("packer", [event(sim)])
    prepared = sim.node.capture.prepare(body, MEDIA_TYPE).result(20)
    entered, free = threading.Event(), threading.Event()

    def hold(_connection: Any) -> None:
        entered.set()
        free.wait(30)

    held = writer.submit(hold)
    assert entered.wait(20)
    # Both wait behind what holds the writer, so one transaction stages them in this order.
    told = {"type": "key", "action": "revoke", "target": keyid}
    from tests.simulator import OPERATOR_CALLER

    revocation = sim.node.capture.post(OPERATOR_CALLER, json.dumps(told).encode())
    capture = sim.node.capture.store("packer", prepared)
    free.set()
    for ticket in (held, revocation, capture):
        ticket.settled.result(30)
    job = sim.node.capture.job(capture.stored.result(30).id, "packer")
    assert (job.state, job.rule) == ("refused", "key-revoked")
    shown = door.get(f"/epcis/capture/{job.id}", "packer").json()
    assert (shown["state"], shown["success"]) == ("refused", False)
    assert "revoked" in shown["reason"]
    assert sim.rows("SELECT count(*) FROM line")[0][0] == 0
    assert door.get("/readyz").json()["writable"]


def test_a_report_shows_a_disputed_record_and_says_so(door: Door) -> None:
    sim = door.sim
    lot = "https://id.gs1.org/01/09506000134352/10/L1"
    event = sim.event(
        action="ADD",
        bizStep="commissioning",
        quantityList=[{"epcClass": lot, "quantity": 10, "uom": "KGM"}],
        readPoint={"id": "https://id.gs1.org/414/9506000134352"},
        bizLocation={"id": "https://id.gs1.org/414/9506000134352"},
    )
    job = sim.capture_signed("packer", [event])
    address = f"/api/reports/provenance?thing={lot}&format=json"
    from fabric.report.verify import verify_report
    from ledger.canonical import parse_json

    def report() -> dict[str, Any]:
        answer = door.get(address, "packer")
        assert answer.status_code == 200, answer.text
        return verify_report(parse_json(answer.content), parse_policy(policy(door))).as_json()

    assert (report()["disputed"], [step["ok"] for step in report()["steps"]].count(False)) == (0, 0)
    assert report()["verified"]
    keyid = key_id(sim.keys["packer"].public_bytes)
    sim.state({"type": "key", "action": "revoke", "target": keyid, "since": job.index})
    found = report()
    assert not found["verified"]
    assert found["disputed"] == len(found["records"]) > 0
    assert [step["number"] for step in found["steps"] if not step["ok"]] == [8]
    assert any(keyid[:16] in word and "disputed from" in word for word in found["operatorsWord"])
    html = door.get(address.replace("format=json", "format=html"), "packer").text
    assert "is disputed from" in html
    assert "Every proof in this report was verified" not in html


# -- one key, one use ------------------------------------------------------------------------------------------------


def test_a_key_of_log_operator_custody_or_cosigner_is_no_members_key(door: Door) -> None:
    sim, keyring = door.sim, door.sim.node._keyring
    cosigner = SigningKey(bytes([9]) * 32)
    keyring.cosigners = {"w.example": cosigner.public_bytes}
    log = next(iter(keyring.log_signers.values()))
    for name, key in {
        "log": log,
        "operator": keyring.operator(sim.node.registry),
        "custody": keyring.service("farm"),
        "member": sim.keys["packer"],
        "cosigner": cosigner,
    }.items():
        told = {"type": "member", "name": f"Thief {name}", "publicKey": possession_line(key)}
        with door.unchanged():
            answer = door.state(told)
            assert answer.status_code in (400, 409), (name, answer.text)
            assert answer.json()["type"] == "urn:loomark:problem:key-in-use", name
    rotated = sim.sign("packer", "key", {"action": "rotate", "publicKey": possession_line(cosigner)})
    with door.unchanged():
        door.refused(door.post(rotated, "packer", JSON, "/api/statements"), 409, "key-in-use")


def test_the_operator_goes_over_to_a_new_key(door: Door) -> None:
    sim = door.sim
    first = sim.node.operator.public_bytes
    told = rotate(door, "operator")
    assert key_id(sim.node.operator.public_bytes) == told["keyid"]
    assert sim.node.operator.public_bytes != first
    door.admit("shop")
    sim.reopen()
    assert key_id(sim.node.operator.public_bytes) == told["keyid"]
    door.sim.admit("mill")
    states = {key["keyid"]: key["state"] for key in door.get("/api/members/operator").json()["keys"]}
    assert states == {key_id(first): "retired", told["keyid"]: "active"}
