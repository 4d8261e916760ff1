"""A witness that shares no code with ours, on the packages of the formats' author: our log is its client."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from fabric.capture.node import Node, NodeSettings, open_node
from fabric.capture.pool import InlinePreparer
from fabric.capture.witnessing import WitnessSettings
from fabric.store.credentials import OPERATOR, Principal
from ledger.checkpoint import Checkpoint, checkpoint_of, sign_checkpoint
from ledger.keyfile import read_key_file
from ledger.note import parse_note, parse_vkey, verify_note
from ledger.witness.exchange import origin_hash, request_bytes
from tests.interop.program import go_program

ORIGIN = "loomark.example/interop"
NAME = "go.example/witness"
CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go witness."""
    return go_program("witness", tmp_path_factory.mktemp("go"))


@dataclass
class Watched:
    """A node's folder, and the running Go witness of its log."""

    data: Path
    vkey: str
    url: str
    log_vkey: str

    def open(self, data: Path | None = None) -> Node:
        data = data or self.data
        (data / "witnesses.policy").write_text(f"witness go {self.vkey} {self.url}\nquorum go\n")
        settings = NodeSettings(data, ORIGIN, witnesses=WitnessSettings(require=True))
        return open_node(settings, preparer=InlinePreparer())


@pytest.fixture
def watched(program: Path, tmp_path: Path) -> Iterator[Watched]:
    data = tmp_path / "node"
    with open_node(NodeSettings(data, ORIGIN), preparer=InlinePreparer()) as node:
        admission = {"type": "member", "subject": "farm", "name": "Farm", "parties": []}
        node.capture.state(Principal(0, "operator", OPERATOR), admission)
        log_vkey = node.vkey
    process = subprocess.Popen(
        [str(program), log_vkey, NAME], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    vkey = process.stdout.readline().strip().removeprefix("vkey ")
    url = process.stdout.readline().strip().removeprefix("listening on ")
    yield Watched(data, vkey, url, log_vkey)
    process.communicate(timeout=20)


def capture(node: Node, number: int) -> Checkpoint:
    event = {
        "@context": [CONTEXT],
        "type": "ObjectEvent",
        "eventTime": "2026-05-01T08:00:00Z",
        "eventTimeZoneOffset": "+00:00",
        "action": "OBSERVE",
        "epcList": [f"https://id.gs1.org/01/09506000134352/21/G{number}"],
    }
    node.capture.capture("farm", json.dumps(event).encode(), "application/json", settled=True)
    return node.log.published().checkpoint


def test_a_strangers_witness_cosigns_our_growth_and_verifies_our_proofs(watched: Watched) -> None:
    keys = [parse_vkey(watched.log_vkey), parse_vkey(watched.vkey)]
    with watched.open() as node:
        for number in range(12):
            head = capture(node, number)
            assert len(verify_note(parse_note(node.log.published().note), keys)) == 2
        assert node.witnesses is not None
        outcomes = node.witnesses.counts.outcomes()
        assert set(outcomes) == {("go", "cosigned")}
        assert outcomes["go", "cosigned"] > 12
    # The next process learns from what the witness shows where it is, and goes on.
    with watched.open() as node:
        assert capture(node, 99).size > head.size
        assert node.witnesses is not None
        assert set(node.witnesses.counts.outcomes()) == {("go", "cosigned")}


def test_a_strangers_witness_stops_a_second_history(watched: Watched, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(watched.data, copy)
    with watched.open() as node:
        head = capture(node, 1)
    with watched.open(copy) as node:
        assert node.state()["readOnly"]
        assert "witness go" in node.state()["reason"]
    signer = read_key_file(copy / "keys" / "log.key")
    forged = sign_checkpoint(Checkpoint(ORIGIN, head.size, bytes(32)), signer)
    answer = httpx2.post(f"{watched.url}/add-checkpoint", content=request_bytes(head.size, [], forged))
    assert answer.status_code == 422
    shown = httpx2.get(f"{watched.url}/{origin_hash(ORIGIN)}/checkpoint")
    assert checkpoint_of(parse_note(shown.content)) == head
