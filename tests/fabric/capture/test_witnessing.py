"""The witness policy of a node: what its file may say, and a node that starts without its quorum."""

from __future__ import annotations

from pathlib import Path

import pytest

from fabric.capture.node import NodeSettings, open_node
from fabric.capture.pool import InlinePreparer
from fabric.capture.witnessing import POLICY_FILE, WitnessSettings, node_policy, open_witnesses
from fabric.store.credentials import OPERATOR, Principal
from ledger.ed25519 import SigningKey
from ledger.errors import InvalidInput, Unavailable
from ledger.log.publish import QuorumMissing
from ledger.note import COSIGNATURE, ED25519, VerifierKey

ORIGIN = "loomark.example/witnessing"
LOG = VerifierKey(ORIGIN, ED25519, SigningKey(bytes(32)).public_bytes)
OTHER = VerifierKey("other.example", ED25519, SigningKey(b"\x01" * 32).public_bytes)
WITNESS = VerifierKey("witness.example", COSIGNATURE, SigningKey(b"\x02" * 32).public_bytes)
NOBODY = "http://127.0.0.1:9"


def written(folder: Path, rules: str, url: str = NOBODY) -> Path:
    path = folder / POLICY_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"witness one {WITNESS.text()} {url}\n{rules}\n")
    return path


def test_a_nodes_policy_is_of_its_own_log_whatever_log_lines_it_has() -> None:
    for lines in ("", f"log {LOG.text()}\n", f"log {OTHER.text()} https://x\nlog\t{LOG.text()}\n"):
        found = node_policy(f"{lines}witness one {WITNESS.text()} {NOBODY}\nquorum one\n", [LOG])
        assert found.logs == (LOG,)
        assert (found.quorum, found.urls) == ("one", {"one": NOBODY})


def test_without_a_policy_a_node_has_no_witnesses(tmp_path: Path) -> None:
    assert open_witnesses(WitnessSettings(), tmp_path, ORIGIN, lambda: [LOG]) is None


@pytest.mark.parametrize(
    ("rules", "url", "require"),
    [
        ("quorum nobody", NOBODY, False),
        ("", NOBODY, False),
        ("quorum none", NOBODY, True),
        ("quorum one", "ftp://witness.example", False),
        ("quorum one\nquorum one", NOBODY, False),
        ("quorum one\n" + "#" * 70_000, NOBODY, False),
    ],
)
def test_a_policy_that_cannot_hold_is_refused_at_the_start(
    tmp_path: Path, rules: str, url: str, require: bool
) -> None:
    written(tmp_path, rules, url)
    with pytest.raises(InvalidInput):
        open_witnesses(WitnessSettings(require=require), tmp_path, ORIGIN, lambda: [LOG])


def test_required_witnesses_need_a_policy(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="witnesses are required"):
        open_witnesses(WitnessSettings(require=True), tmp_path, ORIGIN, lambda: [LOG])
    with pytest.raises(InvalidInput, match="cannot read"):
        open_witnesses(WitnessSettings(tmp_path / "missing"), tmp_path, ORIGIN, lambda: [LOG])


def test_a_node_that_never_published_takes_nothing_until_its_quorum_is_there(tmp_path: Path) -> None:
    written(tmp_path, "quorum one")
    settings = NodeSettings(tmp_path, ORIGIN, witnesses=WitnessSettings(require=True, timeout_s=1.0))
    operator = Principal(0, "operator", OPERATOR)
    admission = {"type": "member", "subject": "farm", "name": "Farm", "parties": []}
    with open_node(settings, preparer=InlinePreparer()) as node:
        state = node.state()
        assert (state["writable"], state["readOnly"], state["size"]) == (False, False, 0)
        assert "quorum" in state["waiting"]
        with pytest.raises(Unavailable):
            node.capture.state(operator, admission)
        assert not (tmp_path / "log" / "checkpoint").exists()
    # Without the policy the same folder goes on: nothing was lost, nothing was signed away.
    (tmp_path / POLICY_FILE).unlink()
    with open_node(NodeSettings(tmp_path, ORIGIN), preparer=InlinePreparer()) as node:
        assert node.log.published().checkpoint.size == 2
        node.capture.state(operator, admission)


def test_fail_open_a_node_without_any_witness_works_and_says_what_lacks(tmp_path: Path) -> None:
    written(tmp_path, "quorum one")
    settings = NodeSettings(tmp_path, ORIGIN, witnesses=WitnessSettings(timeout_s=1.0))
    operator = Principal(0, "operator", OPERATOR)
    with open_node(settings, preparer=InlinePreparer()) as node:
        node.capture.state(operator, {"type": "member", "subject": "farm", "name": "Farm", "parties": []})
        state = node.state()
        assert (state["writable"], state["waiting"]) == (True, None)
        assert state["witnesses"] == {"quorum": "one", "required": False, "sizes": {"one": 0}}
        assert node.witnesses is not None
        assert node.witnesses.counts.missed()["published"] >= 1
        assert ("one", "unreachable") in node.witnesses.counts.outcomes()


def test_a_missing_quorum_is_an_unavailability_with_its_own_rule() -> None:
    assert (QuorumMissing.rule, issubclass(QuorumMissing, Unavailable)) == ("no-quorum", True)
