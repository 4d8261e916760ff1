"""The check of a log finds what was changed behind its back, and names the place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from ledger.ed25519 import SigningKey
from ledger.entry import is_seal
from ledger.log import schema
from ledger.log.fsck import Fault, LogReport, check_log
from ledger.log.stage import stage
from ledger.merkle import leaf_hash
from ledger.note import ED25519, VerifierKey

from .node import ORIGIN, Node, admission, capture, key_of, seen_of


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    seen = seen_of(node.found("farm", "packer"))
    node.sequence(*[capture(i, seen=seen) for i in range(300)], admission("shop"))
    seen = seen_of(node.sequence(capture("after", seen=seen)))
    node.sequence(capture("last", by="packer", seen=seen))
    yield node
    node.stop()


def report(node: Node, key: SigningKey | None = None) -> LogReport:
    vkey = VerifierKey(ORIGIN, ED25519, (key or key_of("log")).public_bytes)
    return check_log(node.reader(), node.folder / "log", vkey, high_water=node.folder / "high-water")


def faults(node: Node) -> set[tuple[str, str]]:
    return {(fault.rule, fault.place) for fault in report(node).faults}


def change(node: Node, sql: str) -> None:
    with node.engine.begin() as connection:
        connection.exec_driver_sql(sql)


def test_a_sound_log_has_no_fault_and_all_of_it_was_looked_at(node: Node) -> None:
    found = report(node)
    assert found.faults == ()
    assert found.size == len(node.entries())
    assert found.heads == 5
    assert found.tiles == 1 + 1 + 1 + 1


def test_a_log_that_is_written_meanwhile_is_checked_at_one_size(node: Node) -> None:
    checkpoint = node.checkpoint()
    node.sequence(*[capture(("meanwhile", i)) for i in range(300)])
    (node.folder / "log/checkpoint").write_bytes(checkpoint)
    found = report(node)
    assert found.faults == ()
    assert found.size == len(node.entries()) - 301


def test_a_changed_entry_is_named(node: Node) -> None:
    entry = node.entries()[10]
    with node.engine.begin() as connection:
        changed = entry.replace(b'"payloadType"', b'"payloadtype"')
        connection.execute(update(schema.entry).where(schema.entry.c.idx == 10).values(data=changed))
    found = faults(node)
    assert ("leaf", "entry 10") in found
    assert ("root", "checkpoint file") in found
    assert ("tile", "tile/0/000") in found
    assert ("tile", "tile/entries/000") in found


def test_an_entry_changed_with_its_leaf_is_found_by_the_signed_root(node: Node) -> None:
    data = capture("forged")
    with node.engine.begin() as connection:
        row = update(schema.entry).where(schema.entry.c.idx == 10)
        connection.execute(row.values(data=data, leaf=leaf_hash(data)))
    found = faults(node)
    assert {("root", "checkpoint file"), ("tile", "tile/0/000"), ("index", "entry 10")} <= found


def test_a_missing_entry_is_named(node: Node) -> None:
    change(node, "DELETE FROM entry WHERE idx = 12")
    assert ("entry-missing", "entry 12") in faults(node)


def test_a_seal_that_was_left_out_is_found(node: Node) -> None:
    first = next(index for index, data in enumerate(node.entries()) if is_seal(data) and index > 5)
    data = node.entries()[first - 2]
    with node.engine.begin() as connection:
        connection.execute(
            update(schema.entry).where(schema.entry.c.idx == first).values(data=data, leaf=leaf_hash(data))
        )
    assert ("missing-seal", f"entry {first}") in faults(node)


@pytest.mark.parametrize(
    ("name", "place"),
    [("0/000", "tile/0/000"), ("1/000.p/1", "tile/1/000.p/1"), ("entries/000", "tile/entries/000")],
)
@pytest.mark.parametrize("lost", [False, True])
def test_a_changed_or_lost_tile_is_named(node: Node, name: str, place: str, lost: bool) -> None:
    path = node.folder / "log/tile" / name
    if lost:
        path.unlink()
    else:
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert ("tile", place) in faults(node)


Change = Callable[[Node], None]


def archive(node: Node) -> None:
    change(node, "UPDATE checkpoint SET root = zeroblob(32) WHERE size = 2")


def archived_note(node: Node) -> None:
    change(node, "UPDATE checkpoint SET note = (SELECT note FROM checkpoint WHERE size = 2) WHERE size = 6")


def unsigned_note(node: Node) -> None:
    change(node, "UPDATE checkpoint SET note = substr(note, 1, 40) WHERE size = 6")


def statement_index(node: Node) -> None:
    change(node, "UPDATE statement SET member = 'packer' WHERE idx = 7")


def lost_statement(node: Node) -> None:
    change(node, "DELETE FROM statement WHERE idx = 7")


def seal_row(node: Node) -> None:
    change(node, "UPDATE seal SET changes_before = 0 WHERE idx = 3")


def registry_row(node: Node) -> None:
    change(node, "DELETE FROM registry_change WHERE idx = 4")


def head_row(node: Node) -> None:
    change(node, "UPDATE head SET size = 4")


def high_water(node: Node) -> None:
    path = node.folder / "high-water"
    path.write_text(path.read_text().replace("\n312\n", "\n311\n"))


def higher_water(node: Node) -> None:
    path = node.folder / "high-water"
    path.write_text(path.read_text().replace("\n312\n", "\n313\n"))


def no_high_water(node: Node) -> None:
    (node.folder / "high-water").unlink()


def archived_time(node: Node) -> None:
    change(node, "UPDATE checkpoint SET time = '2027-01-01T00:00:00.000Z' WHERE size = 6")


def lost_note(node: Node) -> None:
    change(node, "UPDATE checkpoint SET note = NULL WHERE size = 2")


def lost_head(node: Node) -> None:
    change(node, "DELETE FROM checkpoint WHERE size = 310")


def raised_head(node: Node) -> None:
    change(node, "UPDATE head SET size = size + 1")


def beyond_head(node: Node) -> None:
    change(node, "INSERT INTO registry_change VALUES (900, 900)")


def stray_tile(node: Node) -> None:
    (node.folder / "log/tile/0/007").write_bytes(bytes(8192))


def narrow_tile(node: Node) -> None:
    (node.folder / "log/tile/1/000.p").mkdir(exist_ok=True)
    (node.folder / "log/tile/0/001.p/3").write_bytes(bytes(96))


@pytest.mark.parametrize(
    ("harm", "rule", "place"),
    [
        (higher_water, "high-water", "high-water file"),
        (no_high_water, "high-water", "high-water file"),
        (archived_time, "archive", "checkpoint 6"),
        (lost_note, "archive", "checkpoint 2"),
        (lost_head, "archive", "checkpoint 310"),
        (raised_head, "head", "head"),
        (beyond_head, "index", "table registry_change"),
        (stray_tile, "stray-file", "log/tile/0/007"),
        (narrow_tile, "tile", "tile/0/001.p/3"),
        (archive, "consistency", "checkpoint 2"),
        (archived_note, "consistency", "checkpoint 6"),
        (unsigned_note, "checkpoint", "checkpoint 6"),
        (statement_index, "index", "entry 7"),
        (lost_statement, "index", "entry 7"),
        (seal_row, "index", "entry 3"),
        (registry_row, "index", "entry 4"),
        (head_row, "head", "head"),
        (high_water, "high-water", "high-water file"),
    ],
)
def test_what_the_database_and_files_say_beside_the_entries_is_checked(
    node: Node, harm: Change, rule: str, place: str
) -> None:
    assert faults(node) == set()
    harm(node)
    assert (rule, place) in faults(node)


def test_a_checkpoint_signed_by_another_key_is_refused(node: Node) -> None:
    found = report(node, key_of("another")).faults
    assert {fault.rule for fault in found} == {"checkpoint"}
    assert found[0].place == "checkpoint file"
    assert report(node, key_of("another")).sound.size == 0


def test_a_log_without_a_checkpoint_is_a_fault(node: Node) -> None:
    (node.folder / "log/checkpoint").unlink()
    assert report(node).faults == (
        Fault("checkpoint", "checkpoint file", "expected a published checkpoint, got none"),
    )


def test_a_statement_that_waits_is_held_to_its_envelope(node: Node) -> None:
    with node.engine.begin() as connection:
        stage(connection, capture("waiting"), origin=ORIGIN, now_ms=1)
    assert faults(node) == set()
    change(node, "UPDATE statement SET payload_sha256 = zeroblob(32) WHERE state = 'staged'")
    assert {rule for rule, _ in faults(node)} == {"staged"}


def test_faults_of_one_rule_are_all_counted_and_the_first_kept(node: Node) -> None:
    change(node, "UPDATE statement SET member = 'nobody' WHERE state = 'sequenced'")
    found = report(node)
    assert found.counts["index"] > 300
    assert len(found.faults) == 20
    assert found.sound.size == found.size
