"""A registry statement that was sequenced though it is void: what a faulty or dishonest sequencer leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.entry import is_seal
from ledger.log.fsck import check_log
from ledger.log.plan import _Draft
from ledger.log.reader import LogReader
from ledger.note import ED25519, VerifierKey
from ledger.registry import Registry
from ledger.seal import parse_seal
from ledger.statement import UnverifiedEnvelope

from .node import ORIGIN, Node, admission, capture, envelope, key_of


def let_pass(draft: _Draft, envelope: UnverifiedEnvelope) -> Registry:
    """A sequencer that decides no authority."""
    return draft._registry


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """A log with a void admission at 4, by a member who may not admit, and an unauthorised capture at 6."""
    node = Node(tmp_path)
    node.found("farm")
    with monkeypatch.context() as faulty:
        faulty.setattr(_Draft, "_admit", let_pass)
        void = envelope("member", "farm", {"subject": "friend", "name": "Friend"}, named="void")
        node.sequence(void, capture(1, by="friend"))
    yield node
    node.stop()


def test_it_gets_its_seal_and_changes_nothing(node: Node) -> None:
    entries = node.entries()
    assert [is_seal(data) for data in entries[4:]] == [False, True, False, True]
    seal = parse_seal(entries[5])
    assert seal.before == seal.after == node.sequencer.registry.head()
    assert "friend" not in node.sequencer.registry.members


def test_the_log_goes_on_after_a_restart_and_can_still_be_proved(node: Node) -> None:
    node.restart()
    assert node.sequencer.read_only is None
    node.sequence(admission("packer"), capture(2, by="packer"))
    reader = LogReader(node.reader(), node.folder / "log")
    assert reader.registry().head() == node.sequencer.registry.head()
    assert reader.proof_parts(10).key.record.member == "packer"


def test_the_check_names_it_as_evidence_against_the_operator(node: Node) -> None:
    key = VerifierKey(ORIGIN, ED25519, key_of("log").public_bytes)
    report = check_log(node.reader(), node.folder / "log", key)
    assert [(fault.rule, fault.place) for fault in report.faults] == [
        ("void-statement", "entry 4"),
        ("void-statement", "entry 6"),
    ]
