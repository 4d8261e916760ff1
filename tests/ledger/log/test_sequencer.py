"""The sequencer: indices, seals and refusals, and what is durable when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select

from ledger.ed25519 import key_id
from ledger.entry import is_seal
from ledger.errors import Conflict, InvalidInput
from ledger.log import schema
from ledger.log.plan import Refused, Sequenced
from ledger.log.publish import verified_checkpoint
from ledger.merkle import leaf_hash, root
from ledger.note import ED25519, VerifierKey
from ledger.replay import Replay
from ledger.seal import parse_seal
from ledger.shape import time_text

from .node import ORIGIN, START_MS, Node, admission, capture, charter, envelope, key_of, seen_of, states


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    yield node
    node.stop()


def kinds(node: Node) -> str:
    """The log as a string: S for a seal, e for an envelope."""
    return "".join("S" if is_seal(data) else "e" for data in node.entries())


def replayed(node: Node) -> Replay:
    replay = Replay(ORIGIN)
    for data in node.entries():
        replay.take(data)
    return replay


def test_a_log_begins_with_the_charter_and_a_seal_at_size_two(node: Node) -> None:
    assert not (node.folder / "log/checkpoint").exists()
    published = node.sequence(charter())
    assert published is not None
    assert published.checkpoint.size == 2
    assert kinds(node) == "eS"
    seal = parse_seal(node.entries()[1])
    assert (seal.start, seal.before[0], seal.after[0]) == (0, 0, 1)


def test_nothing_but_a_charter_can_begin_a_log(node: Node) -> None:
    assert node.sequence(capture(1)) is None
    assert states(node) == ["refused"]
    assert node.entries() == []
    assert not (node.folder / "log/checkpoint").exists()


def test_each_registry_statement_is_followed_by_one_seal_and_each_checkpoint_ends_in_one(node: Node) -> None:
    node.found()
    node.sequence(admission("farm"), admission("packer"), capture(1), capture(2), admission("shop"))
    assert kinds(node) == "eS" + "eS" + "eS" + "ee" + "eS"
    node.sequence(capture(3), admission("port"), capture(4))
    assert kinds(node)[10:] == "e" + "eS" + "eS"
    assert replayed(node).void == {}


def test_without_a_statement_there_is_no_new_seal_and_no_new_checkpoint(node: Node) -> None:
    node.found("farm")
    before = node.checkpoint()
    assert node.sequencer.sequence() is None
    assert node.checkpoint() == before
    assert kinds(node) == "eSeS"


def test_the_checkpoint_is_signed_by_the_log_over_the_root_of_its_entries(node: Node) -> None:
    node.found("farm")
    node.sequence(*[capture(i) for i in range(300)])
    key = VerifierKey(ORIGIN, ED25519, key_of("log").public_bytes)
    checkpoint = verified_checkpoint(node.checkpoint(), key)
    assert checkpoint.root == root([leaf_hash(data) for data in node.entries()])
    assert checkpoint.size == len(node.entries()) == 4 + 301


def test_a_batch_limit_leaves_the_rest_for_the_next_checkpoint(node: Node) -> None:
    node.found("farm")
    node.stage(*[capture(i) for i in range(5)])
    first = node.sequencer.sequence(limit=3)
    assert first is not None
    assert kinds(node) == "eSeS" + "eeeS"
    node.sequencer.sequence(limit=3)
    assert kinds(node) == "eSeS" + "eeeS" + "eeS"


def test_the_callback_sees_every_sequenced_statement_inside_the_transaction(node: Node) -> None:
    node.found("farm")
    rows = node.stage(capture(1), capture(2, by="stranger"), capture(3))
    done: list[Sequenced] = []
    refused: list[Refused] = []

    def on_sequenced(connection: Connection, sequenced: Sequence[Sequenced]) -> None:
        assert connection.in_transaction()
        assert connection.execute(select(func.max(schema.entry.c.idx))).scalar_one() == 6
        done.extend(sequenced)

    node.sequencer.sequence(on_sequenced, lambda _, items: refused.extend(items))
    assert [(one.row, one.index) for one in done] == [(rows[0], 4), (rows[2], 5)]
    assert [(one.row, one.rule) for one in refused] == [(rows[1], "unknown-key")]
    assert done[0].registry is node.sequencer.registry


def test_an_error_in_the_callback_undoes_the_transaction_and_the_log_goes_on(node: Node) -> None:
    node.found("farm")
    node.stage(capture(1))
    before, checkpoint = node.entries(), node.checkpoint()

    def broken(connection: Connection, sequenced: Sequence[Sequenced]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        node.sequencer.sequence(broken)
    assert (node.entries(), node.checkpoint(), states(node)[-1]) == (before, checkpoint, "staged")
    assert node.sequencer.sequence() is not None
    assert states(node)[-1] == "sequenced"
    assert len(node.entries()) == len(before) + 2


def test_the_same_payload_again_is_the_same_row_before_and_after_sequencing(node: Node) -> None:
    node.found("farm")
    [row] = node.stage(capture(1))
    assert node.stage(capture(1)) == [row]
    node.sequencer.sequence()
    assert node.stage(capture(1)) == [row]
    assert node.sequencer.sequence() is None
    assert len(node.entries()) == 6


def test_another_payload_under_a_used_statement_id_is_a_conflict_and_stages_nothing(node: Node) -> None:
    node.found("farm")
    node.stage(envelope("capture", "farm", {"commitment": "00" * 32}, named="x"))
    with pytest.raises(Conflict) as refusal:
        node.stage(envelope("capture", "farm", {"commitment": "11" * 32}, named="x"))
    assert refusal.value.rule == "statement-id-reused"
    assert states(node).count("staged") == 1


def test_two_members_may_use_the_same_statement_id(node: Node) -> None:
    node.found("farm", "packer")
    body = {"commitment": "00" * 32}
    node.sequence(
        envelope("capture", "farm", body, named="x"), envelope("capture", "packer", body, named="x")
    )
    assert states(node)[-2:] == ["sequenced", "sequenced"]


def test_a_statement_for_another_log_is_not_staged(node: Node) -> None:
    node.found("farm")
    with pytest.raises(InvalidInput) as refusal:
        node.stage(capture(1, log="log.example/other"))
    assert refusal.value.rule == "wrong-log"
    assert states(node) == ["sequenced", "sequenced"]


def test_bytes_that_are_no_envelope_are_not_staged(node: Node) -> None:
    with pytest.raises(InvalidInput):
        node.stage(b"{}")
    assert states(node) == []


def revoked(name: str) -> bytes:
    body = {"action": "revoke", "target": key_id(key_of(name).public_bytes)}
    return envelope("key", name, body, named=f"revoke {name}")


@pytest.mark.parametrize(
    ("refused", "rule"),
    [
        (capture(1, by="stranger"), "unknown-key"),
        (capture(1, key=key_of("packer")), "wrong-member"),
        (capture(1, seen=(2, bytes(32))), "wrong-seen"),
        (capture(1, seen=(400, bytes(32))), "wrong-seen"),
        (envelope("member", "farm", {"subject": "friend"}, named=1), "wrong-use"),
    ],
)
def test_a_statement_without_authority_is_refused_with_its_rule_and_never_in_the_log(
    node: Node, refused: bytes, rule: str
) -> None:
    node.found("farm", "packer")
    before, checkpoint = node.entries(), node.checkpoint()
    assert node.sequence(refused) is None
    assert (node.entries(), node.checkpoint()) == (before, checkpoint)
    assert node.statements()[-1][1:] == ("refused", None, rule)


def test_authority_is_decided_at_sequencing_by_the_registry_of_that_moment(node: Node) -> None:
    node.found("farm")
    node.sequence(capture(1), revoked("farm"), capture(2))
    assert states(node)[-3:] == ["sequenced", "sequenced", "refused"]
    assert node.statements()[-1][3] == "key-revoked"
    assert kinds(node) == "eSeS" + "e" + "eS"


def test_a_forged_signature_is_refused(node: Node) -> None:
    node.found("farm")
    forged = capture(1).replace(b'"sig":"', b'"sig":"AAAA', 1)
    forged = forged[: forged.index(b'"sig":"') + 7 + 4] + forged[forged.index(b'"sig":"') + 7 + 8 :]
    assert node.sequence(forged) is None
    assert node.statements()[-1][1:] == ("refused", None, "bad-signature")


def test_seen_may_name_any_earlier_head_of_this_log(node: Node) -> None:
    first = node.found("farm")
    second = node.sequence(capture(1, seen=seen_of(first)))
    hashes = [leaf_hash(data) for data in node.entries()]
    unpublished = (5, root(hashes[:5]))
    node.sequence(
        capture(2, seen=seen_of(second)), capture(3, seen=unpublished), capture(4, seen=seen_of(first))
    )
    assert states(node)[-3:] == ["sequenced"] * 3


def test_seal_times_never_decrease_when_the_clock_steps_back(node: Node) -> None:
    node.found("farm")
    node.now_ms = START_MS + 5000
    node.sequence(capture(1))
    node.now_ms = START_MS - 5000
    node.sequence(capture(2))
    node.restart()
    node.sequence(capture(3))
    times = [parse_seal(data).time for data in node.entries() if is_seal(data)]
    assert times[-3:] == [time_text(START_MS + 5000)] * 3


def test_a_long_life_with_restarts_replays_without_a_fault(node: Node) -> None:
    node.found("farm", "packer")
    for step in range(12):
        node.sequence(*[capture((step, i)) for i in range(step * 7 % 40 + 1)], admission(f"new-{step}"))
        if step % 3 == 0:
            node.restart()
    replay = replayed(node)
    assert replay.void == {}
    assert replay.registry.head() == node.sequencer.registry.head()
    assert node.sequencer.head.root == replay.tree.root()
