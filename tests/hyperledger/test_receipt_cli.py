"""`loomark verify` takes a native receipt by itself, or beside the proof whose checkpoint it is of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.canonical import canonical
from ledger.checkpoint import Checkpoint, checkpoint_of, sign_checkpoint
from ledger.hyperledger.receipt import MAX_RECEIPT_BYTES
from ledger.note import parse_note
from tests.api.test_cli import Run, inside
from tests.hyperledger.consortium import ONE
from tests.hyperledger.consortium import Consortium as Channels
from tests.hyperledger.double.network import DoubleNetwork
from tests.hyperledger.receipts import Scene, namespace, record
from tests.ledger.scene import bundle_bytes
from tests.ledger.scene import scene as log_scene


class Desk:
    """Files of a verifier: a proof, the receipt of its checkpoint, the policy, the pinned roots."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.scene = folder, Scene()
        consortium, _, _ = log_scene()
        proof = bundle_bytes(True, None)
        self.head = checkpoint_of(parse_note(json.loads(proof)["checkpoint"].encode()))
        self.log = consortium.log_key
        self.write("proof.json", proof)
        self.write("receipt.json", self.receipt(self.head))
        self.write("policy.txt", consortium.policy().text().encode())
        self.write("roots.toml", self.scene.roots_text().encode())

    def receipt(self, head: Checkpoint) -> bytes:
        """A receipt of another checkpoint of the log."""
        note = sign_checkpoint(head, self.log).decode()
        key = f"checkpoint/{head.origin.replace('/', '%2F')}/{head.size:016d}"
        return self.scene.receipt(
            args=[b"checkpoints:at", head.origin.encode(), b"%d" % head.size],
            namespaces=[namespace(keys=[key])],
            record=canonical(record(note=note)),
        )

    def write(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path

    def verify(self, file: str, *more: str, roots: bool = True) -> Run:
        pinned = ("--hyperledger-roots", str(self.folder / "roots.toml")) if roots else ()
        paths = [str(self.folder / each) if each.endswith(".json") else each for each in (file, *more)]
        return inside("verify", *paths, "--policy", str(self.folder / "policy.txt"), *pinned)

    def verdict(self, file: str, *more: str) -> tuple[int, dict[str, Any]]:
        done = self.verify(file, *more, "--json")
        return done.code, json.loads(done.out)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_receipt_by_itself_names_its_organisations_and_what_it_does_not_prove(desk: Desk) -> None:
    code, verdict = desk.verdict("receipt.json")
    assert (code, verdict["verified"], verdict["kind"]) == (0, True, "hyperledger-receipt")
    assert verdict["organisations"] == ["Org1MSP", "Org2MSP", "Org3MSP"]
    assert (verdict["origin"], verdict["size"]) == (desk.head.origin, desk.head.size)
    assert verdict["root"] == desk.head.root.hex()
    told = desk.verify("receipt.json")
    assert told.code == 0
    assert "written by transaction 3 of block 7" in told.out
    assert "not proved: when the channel accepted it" in told.out


def test_a_proof_with_its_receipt_says_at_step_10_who_read_its_checkpoint(desk: Desk) -> None:
    code, verdict = desk.verdict("proof.json", "--hyperledger-receipt", "receipt.json")
    assert (code, verdict["kind"]) == (0, "proof")
    [shown] = verdict["records"]
    assert shown["steps"][9]["detail"].startswith(
        "peers of Org1MSP, Org2MSP, Org3MSP read it on channel loomark"
    )
    assert (shown["anchor"]["size"], shown["anchor"]["block"]) == (desk.head.size, 7)
    told = desk.verify("proof.json", "--hyperledger-receipt", "receipt.json")
    assert told.code == 0
    assert "10 anchors: peers of Org1MSP" in told.out


def test_a_proof_with_the_receipt_of_another_checkpoint_fails_at_step_10(desk: Desk) -> None:
    desk.write("other.json", desk.receipt(Checkpoint(desk.head.origin, desk.head.size, b"\0" * 32)))
    code, verdict = desk.verdict("proof.json", "--hyperledger-receipt", "other.json")
    assert (code, verdict["verified"]) == (1, False)
    assert (verdict["failure"]["step"], verdict["failure"]["name"]) == (10, "anchors")
    assert verdict["failure"]["place"] == "/response"


def test_a_receipt_that_does_not_verify_fails_at_step_10(desk: Desk) -> None:
    desk.write("roots.toml", desk.scene.roots_text(channel="other").encode())
    code, verdict = desk.verdict("receipt.json")
    assert (code, verdict["verified"], verdict["failure"]["step"]) == (1, False, 10)
    told = desk.verify("receipt.json")
    assert told.code == 1
    assert "step 10 (anchors)" in told.out


def test_without_pinned_roots_nothing_is_said_of_a_receipt(desk: Desk) -> None:
    for asked in (("receipt.json",), ("proof.json", "--hyperledger-receipt", "receipt.json")):
        told = desk.verify(*asked, roots=False)
        assert told.code == 1
        assert "--hyperledger-roots" in told.err
        assert "verified" not in told.out


def test_pinned_roots_that_cannot_be_read_are_named(desk: Desk) -> None:
    desk.write("roots.toml", b"\xff")
    told = desk.verify("receipt.json")
    assert told.code == 1
    assert "bad-roots" in told.err


def test_an_oversize_receipt_is_refused_whatever_it_says(desk: Desk) -> None:
    desk.write("receipt.json", (desk.folder / "receipt.json").read_bytes() + b" " * MAX_RECEIPT_BYTES)
    for asked in (("receipt.json",), ("proof.json", "--hyperledger-receipt", "receipt.json")):
        code, verdict = desk.verdict(*asked)
        assert (code, verdict["failure"]["step"], verdict["failure"]["place"]) == (1, 10, "")


def test_a_receipt_goes_beside_proofs_alone(desk: Desk) -> None:
    told = desk.verify("receipt.json", "--hyperledger-receipt", "receipt.json")
    assert told.code == 1
    assert "goes with a proof" in told.err


def test_a_proof_needs_no_receipt(desk: Desk) -> None:
    code, verdict = desk.verdict("proof.json")
    assert code == 0
    assert verdict["records"][0]["steps"][9]["detail"] == "none carried"
    assert "anchor" not in verdict["records"][0]


def test_a_receipt_is_fetched_into_a_file(double: DoubleNetwork, tmp_path: Path) -> None:
    made = Channels("double", lambda msp, admin: double.profile(msp, "admin" if admin else "client"))
    with made.closing() as channels:
        [log] = channels.logs()
        channels.channel().submit(log.note(3), [])
    asked = ("hyperledger", "receipt", log.origin, "3", "--profile", str(double.write_profile(ONE)))
    file, policy, roots = (tmp_path / name for name in ("r.json", "policy.txt", "roots.toml"))
    assert inside(*asked, "-o", str(file)).code == 0
    policy.write_text(f"log {log.vkey}\nquorum none\n")
    pinned = [f"{msp} = '''\n{one.authority.pem.decode()}'''\n" for msp, one in double.members.items()]
    roots.write_text(
        f'channel = "loomark"\nchaincode = "loomark"\nquorum = 2\n[organisations]\n{"".join(pinned)}'
    )
    told = inside("verify", str(file), "--policy", str(policy), "--hyperledger-roots", str(roots))
    assert (told.code, "peers of Org1MSP, Org2MSP read it" in told.out) == (0, True)
    nothing = tmp_path / "none.json"
    refused = inside(*asked[:3], "4", *asked[4:], "-o", str(nothing))
    assert refused.code == 1
    assert "nothing-anchored" in refused.err
    assert not nothing.exists()
