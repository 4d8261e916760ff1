"""The reader: only what is published, every proof against the checkpoint that comes with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from threading import Event, Thread

import pytest

from ledger.ed25519 import key_id
from ledger.entry import is_seal
from ledger.errors import NotFound, Unavailable
from ledger.log.history import ProvenKey
from ledger.log.reader import LogReader, Placed, StatementProof
from ledger.merkle import is_consistent, is_included, leaf_hash
from ledger.seal import parse_seal
from ledger.statement import parse_envelope
from ledger.tile import Tile, bundle_entries, split_entries

from .node import Node, admission, capture, envelope, key_of, seen_of


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    yield node
    node.stop()


@pytest.fixture
def reader(node: Node) -> LogReader:
    return LogReader(node.reader(), node.folder / "log")


def check_placed(parts: StatementProof, placed: Placed) -> None:
    checkpoint = parts.published.checkpoint
    leaf = leaf_hash(placed.data)
    assert is_included(placed.index, checkpoint.size, leaf, placed.path, checkpoint.root)


def check_key(key: ProvenKey, head: tuple[int, bytes]) -> None:
    assert key.size == head[0]
    assert is_included(key.position, head[0], leaf_hash(key.record.leaf()), key.path, head[1])


def check_parts(parts: StatementProof, index: int) -> None:
    """Steps 4 to 8 of a proof, by the pure functions that a verifier uses."""
    seal, last = parse_seal(parts.seal.data), parse_seal(parts.last_seal.data)
    assert parts.entry.index == index
    assert seal.start <= index < parts.seal.index
    assert parts.last_seal.index == parts.published.checkpoint.size - 1
    for placed in (parts.entry, parts.seal, parts.last_seal):
        check_placed(parts, placed)
    check_key(parts.key, seal.before)
    check_key(parts.key_last, last.after)
    assert parts.key.record.keyid == parse_envelope(parts.entry.data).statement.key
    if parts.seen is not None:
        checkpoint = parts.published.checkpoint
        assert (parts.seen.size, parts.seen.root) == parse_envelope(parts.entry.data).statement.seen
        assert is_consistent(
            parts.seen.size, checkpoint.size, parts.seen.path, parts.seen.root, checkpoint.root
        )


def test_nothing_can_be_read_before_the_first_checkpoint(reader: LogReader) -> None:
    with pytest.raises(Unavailable, match="nothing is published"):
        reader.published()


def test_every_statement_of_a_growing_log_can_be_proved_against_the_newest_checkpoint(
    node: Node, reader: LogReader
) -> None:
    seen = seen_of(node.found("farm", "packer"))
    for step in range(40):
        more = [admission(f"new-{step}")] if step % 2 else []
        batch = [capture((step, i), seen=seen) for i in range(step % 17 + 1)]
        seen = seen_of(node.sequence(*batch, *more))
    charters = [0]
    proved = 0
    for index, data in enumerate(node.entries()):
        if is_seal(data) or index in charters:
            continue
        statement = parse_envelope(data).statement
        parts = reader.proof_parts(index)
        check_parts(parts, index)
        assert (parts.seen is None) == (statement.seen[0] == 0)
        proved += 1
    assert proved > 300


def test_the_key_is_proved_as_it_was_and_as_it_is(node: Node, reader: LogReader) -> None:
    node.found("farm")
    node.sequence(capture(1))
    body = {"action": "revoke", "target": key_id(key_of("farm").public_bytes), "since": 3}
    node.sequence(envelope("key", "operator", body, named="revoke farm"))
    parts = reader.proof_parts(4)
    check_parts(parts, 4)
    assert parts.key.record.state == "active"
    assert (parts.key_last.record.state, parts.key_last.record.disputed_from) == ("revoked", 3)


def test_many_registry_statements_replay_to_what_the_seals_say(node: Node, reader: LogReader) -> None:
    node.found("farm")
    for step in range(10):
        node.sequence(*[admission(f"m-{step}-{i}") for i in range(9)], capture(step))
    captures = [i for i, data in enumerate(node.entries()) if not is_seal(data) and b"capture" not in data][
        -1
    ]
    assert captures
    for index in (4 + 18, len(node.entries()) - 2, 2):
        parts = reader.proof_parts(index)
        check_parts(parts, index)
    assert reader.registry().head() == node.sequencer.registry.head()


def test_a_seal_and_what_is_not_published_have_no_proof(node: Node, reader: LogReader) -> None:
    node.found("farm")
    for index in (1, 4, -1):
        with pytest.raises(NotFound):
            reader.proof_parts(index)


def test_what_is_committed_but_not_published_is_not_shown(node: Node, reader: LogReader) -> None:
    node.found("farm")
    checkpoint = node.checkpoint()
    node.sequence(capture(1))
    (node.folder / "log/checkpoint").write_bytes(checkpoint)
    assert reader.size == 4
    for read in (lambda: reader.entry(4), lambda: reader.proof_parts(4), lambda: reader.inclusion_path(4)):
        with pytest.raises(NotFound):
            read()
    # Tiles alone are ahead, as far as the committed head: a witness that replays reads them before it cosigns.
    assert reader.tile(Tile("entries", 0, 6)) == bundle_entries(node.entries())
    assert reader.tile(Tile(0, 0, 7)) is None
    assert reader.tile(Tile("entries", 0, 7)) is None


def test_the_reader_follows_the_log_without_being_told(node: Node, reader: LogReader) -> None:
    node.found("farm")
    assert reader.size == 4
    node.sequence(capture(1), admission("packer"))
    assert reader.size == 7
    assert reader.registry().head() == node.sequencer.registry.head()
    check_parts(reader.proof_parts(4), 4)


def test_bundles_are_answered_at_every_width(node: Node, reader: LogReader) -> None:
    node.found("farm")
    node.sequence(*[capture(i) for i in range(300)])
    entries = node.entries()
    for index, width in ((0, 256), (0, 7), (1, 1), (1, len(entries) - 256)):
        data = reader.tile(Tile("entries", index, width))
        assert data is not None
        assert split_entries(data) == entries[index * 256 : index * 256 + width]
    assert reader.tile(Tile("entries", 1, len(entries) - 255)) is None


def test_old_checkpoints_stay_readable_and_consistent(node: Node, reader: LogReader) -> None:
    notes = {}
    for step in range(8):
        published = (
            node.found("farm") if not step else node.sequence(*[capture((step, i)) for i in range(step * 9)])
        )
        assert published is not None
        notes[published.checkpoint.size] = published
    newest = reader.published().checkpoint
    for size, published in notes.items():
        assert reader.checkpoint_note(size) == published.note
        path = reader.consistency_path(size)
        assert is_consistent(size, newest.size, path, published.checkpoint.root, newest.root)
        assert reader.is_prefix(size, published.checkpoint.root)
    assert not reader.is_prefix(newest.size, bytes(32))
    with pytest.raises(NotFound):
        reader.checkpoint_note(3)


def test_a_refused_statement_says_which_rule_and_why(node: Node, reader: LogReader) -> None:
    node.found("farm")
    good, bad = node.stage(capture(1), capture(2, by="stranger"))
    assert reader.statement(good).state == "staged"
    node.sequencer.sequence()
    assert (reader.statement(good).state, reader.statement(good).index) == ("sequenced", 4)
    refused = reader.statement(bad)
    assert (refused.state, refused.index, refused.rule) == ("refused", None, "unknown-key")
    assert refused.reason
    assert "expected" in refused.reason


def test_a_reader_cannot_write(node: Node) -> None:
    node.found("farm")
    with pytest.raises(Exception, match="readonly"), node.reader().begin() as connection:
        connection.exec_driver_sql("DELETE FROM entry")
    assert len(node.entries()) == 4


def test_many_proofs_can_share_a_checkpoint_while_the_log_grows(node: Node, reader: LogReader) -> None:
    node.found("farm")
    node.sequence(capture(1), capture(2))
    first = reader.proof_parts(4)
    node.sequence(admission("packer"), *[capture((3, i)) for i in range(300)])
    second = reader.proof_parts(5, first.published)
    assert second.published == first.published
    assert second.last_seal == first.last_seal
    check_parts(second, 5)
    assert reader.proof_parts(5).published.checkpoint.size == reader.size > second.published.checkpoint.size
    with pytest.raises(NotFound):
        reader.proof_parts(9, first.published)


def test_proofs_hold_while_the_log_is_written(node: Node) -> None:
    node.found("farm")
    node.sequence(*[capture(("first", i)) for i in range(200)])
    reader = LogReader(node.reader(), node.folder / "log")
    failed: list[BaseException] = []
    proved: list[int] = []
    stopped = Event()

    def prove(first: int) -> None:
        chance = Random(first)
        try:
            while not stopped.is_set():
                index = chance.choice([chance.randrange(4, 204), max(4, reader.size - 2)])
                check_parts(reader.proof_parts(index), index)
                proved.append(index)
        except BaseException as error:
            failed.append(error)

    threads = [Thread(target=prove, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for step in range(60):
        node.sequence(*[capture((step, i)) for i in range(step % 13 + 1)])
    stopped.set()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(set(proved)) > 20
