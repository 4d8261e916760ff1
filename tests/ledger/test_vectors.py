"""The vectors beside the specification are what the code gives, and the code reads them as a stranger would."""

from __future__ import annotations

import json
from base64 import b64decode
from functools import reduce
from typing import Any

import pytest

from ledger import merkle
from ledger.bundle import bundle_of
from ledger.canonical import canonical
from ledger.disclosure import open_disclosure
from ledger.errors import InvalidInput, VerificationError
from ledger.misbehaviour import misbehaviour_of, verify_misbehaviour
from ledger.note import parse_note
from ledger.policy import parse_policy
from ledger.replay import Replay
from ledger.tlog_proof import parse_tlog_proof, verify_tlog_proof
from ledger.verify import Verifier

from .vectors import FILES, FOLDER, file_bytes


def load(name: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((FOLDER / name).read_bytes())
    return value


@pytest.mark.parametrize("name", sorted(FILES))
def test_vectors_are_regenerated_byte_for_byte(name: str) -> None:
    assert (FOLDER / name).read_bytes() == file_bytes(name)


def test_partial_disclosures_open_the_commitments_of_the_vectors() -> None:
    for vector in load("commitment.json")["records"]:
        for partial in vector["partial"]:
            assert open_disclosure(partial["disclosure"]).commitment.hex() == vector["commitment"]


def test_disclosures_to_refuse_are_refused() -> None:
    for vector in load("commitment.json")["refused"]:
        with pytest.raises(InvalidInput):
            open_disclosure(vector["disclosure"])


def test_the_vector_log_replays_to_its_registries_and_checkpoints() -> None:
    vector = load("seal-and-registry.json")
    replay = Replay(vector["origin"])
    roots = {one["from"]: one["root"] for one in vector["registries"]}
    heads = {}
    for entry in vector["entries"]:
        replay.take(entry.encode())
        heads[replay.size] = replay.tree.root()
        if replay.size in roots:
            assert replay.registry.root().hex() == roots[replay.size]
    assert [one.index for one in replay.seals] == vector["seals"]
    assert [{"index": index, "rule": void.rule} for index, void in replay.void.items()] == vector["void"]
    assert vector["void"]
    for checkpoint in vector["checkpoints"]:
        _, size, root = parse_note(checkpoint.encode()).text.splitlines()
        assert heads[int(size)] == b64decode(root)
    for one in vector["registries"]:
        leaves = [merkle.leaf_hash(record.encode()) for record in one["records"]]
        assert merkle.root(leaves).hex() == one["root"]


def test_valid_bundles_verify_and_changed_ones_fail_where_they_say() -> None:
    vector = load("bundle.json")
    verifier = Verifier(parse_policy(vector["policy"]))
    for valid in vector["valid"]:
        assert verifier.verify_all(bundle_of(valid["bundle"]))
    for invalid in vector["invalid"]:
        value = json.loads(canonical(vector["valid"][0]["bundle"]))
        *path, last = invalid["pointer"].split("/")[1:]
        place = reduce(lambda at, key: at[int(key) if isinstance(at, list) else key], path, value)
        assert last in place
        place[last] = invalid["value"]
        assert failure(verifier, value) == (invalid["step"], invalid["place"])
    disputed = vector["disputed"]
    assert failure(verifier, disputed["bundle"]) == (disputed["step"], disputed["place"])


def test_evidence_proves_what_it_says_and_changed_evidence_fails_where_it_says() -> None:
    vector = load("misbehaviour.json")
    policy = parse_policy(vector["policy"])
    for valid in vector["valid"]:
        found = verify_misbehaviour(misbehaviour_of(valid["evidence"]), policy)
        assert (found.kind, found.rule) == (valid["kind"], valid["rule"])
    named = {valid["what"]: valid["evidence"] for valid in vector["valid"]}
    for invalid in vector["invalid"]:
        value = json.loads(canonical(named[invalid["what"]]))
        *path, last = invalid["pointer"].split("/")[1:]
        place = reduce(lambda at, key: at[int(key) if isinstance(at, list) else key], path, value)
        place[int(last) if isinstance(place, list) else last] = invalid["value"]
        with pytest.raises(VerificationError) as caught:
            verify_misbehaviour(misbehaviour_of(value), policy)
        assert (caught.value.step, caught.value.place) == (invalid["step"], invalid["place"])


def test_tlog_proofs_of_the_vectors_verify_with_their_entry() -> None:
    vector = load("tlog-proof.json")
    verifier = Verifier(parse_policy(vector["policy"]))
    entry = vector["entry"].encode()
    carried = [parse_tlog_proof(text.encode()) for text in vector["proofs"]]
    assert [proof.extra for proof in carried] == [entry, None]
    for proof in carried:
        found = verify_tlog_proof(proof, entry, verifier)
        assert (found.index, found.size) == (vector["index"], vector["size"])


def failure(verifier: Verifier, value: dict[str, Any]) -> tuple[int, str]:
    with pytest.raises(VerificationError) as caught:
        verifier.verify_all(bundle_of(value))
    return caught.value.step, caught.value.place
