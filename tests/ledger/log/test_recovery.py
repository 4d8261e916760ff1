"""Every stage fails twice, not stored and stored, and the next start goes on from what the database holds."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import event

from ledger.checkpoint import Checkpoint
from ledger.errors import Unavailable
from ledger.log.durable import DiskFiles
from ledger.log.guard import ENTRIES, HIGH_WATER, PUBLISHED, SEALS, ReadOnlyLog
from ledger.log.tiles import TileTree
from ledger.merkle import consistency_path_from, is_consistent, leaf_hash, root
from ledger.replay import Replay

from .node import ORIGIN, Node, capture, seen_of, states


class Broken(Unavailable):
    """What a faulty disk raises here."""


class FaultyFiles(DiskFiles):
    """Fails the first write whose path contains `at`, before or after it took effect."""

    def __init__(self) -> None:
        self.at: str | None = None
        self.stored = False

    def write(self, path: Path, data: bytes, *, lasting: bool = True) -> None:
        if self.at is None or self.at not in str(path):
            super().write(path, data, lasting=lasting)
            return
        self.at = None
        if self.stored:
            super().write(path, data, lasting=lasting)
        raise Broken("the disk said no")


@pytest.fixture
def files() -> FaultyFiles:
    return FaultyFiles()


@pytest.fixture
def node(tmp_path: Path, files: FaultyFiles) -> Iterator[Node]:
    node = Node(tmp_path, files=files)
    node.found("farm")
    yield node
    node.stop()


def check_whole(node: Node) -> None:
    """The log replays, its head is published, and its tiles give its root."""
    replay = Replay(ORIGIN)
    for data in node.entries():
        replay.take(data)
    published = node.publisher.published(ORIGIN)
    assert published == node.sequencer.head == Checkpoint(ORIGIN, replay.size, replay.tree.root())
    assert node.publisher.high_water() == published
    tree = TileTree(node.publisher.tiles).at(replay.size)
    for index, data in enumerate(node.entries()):
        assert tree(0, index) == leaf_hash(data)


FILES = ["high-water", "tile/0/", "tile/1/", "tile/entries/", "log/checkpoint"]


@pytest.mark.parametrize("stored", [False, True], ids=["not-stored", "stored"])
@pytest.mark.parametrize("at", FILES)
def test_a_file_that_fails_after_the_commit_stops_the_log_and_the_next_start_publishes(
    node: Node, files: FaultyFiles, at: str, stored: bool
) -> None:
    before = seen_of(node.sequence(capture("before")))
    files.at, files.stored = at, stored
    with pytest.raises(Broken):
        node.sequence(*[capture(i) for i in range(260)])
    assert states(node)[-1] == "sequenced"
    assert node.publisher.published(ORIGIN) in (Checkpoint(ORIGIN, *before), node.sequencer.head)
    with pytest.raises(Unavailable, match="restarting"):
        node.sequencer.sequence()
    node.stop()
    node.start()
    check_whole(node)
    node.sequence(capture("after"))
    check_whole(node)
    hashes = [leaf_hash(data) for data in node.entries()]
    assert root(hashes[: before[0]]) == before[1]


@pytest.mark.parametrize("stored", [False, True], ids=["not-stored", "stored"])
def test_a_commit_that_fails_stops_the_log_and_gives_no_index_twice(node: Node, stored: bool) -> None:
    node.stage(capture(1), capture(2))
    before, commits = node.checkpoint(), count()

    def fail(connection: object) -> None:
        # The first transaction only reads what waits.
        if next(commits) == 0:
            return
        if stored:
            connection.connection.commit()  # type: ignore[attr-defined]
        raise Broken("the commit said no")

    event.listen(node.engine, "commit", fail)
    with pytest.raises(Broken):
        node.sequencer.sequence()
    event.remove(node.engine, "commit", fail)
    assert node.checkpoint() == before
    with pytest.raises(Unavailable, match="commit"):
        node.sequencer.sequence()
    node.restart()
    assert states(node)[-2:] == (["sequenced"] * 2 if stored else ["staged"] * 2)
    node.sequencer.sequence()
    assert states(node)[-2:] == ["sequenced"] * 2
    check_whole(node)
    assert len(node.entries()) == 4 + 3


def test_a_head_moved_by_somebody_else_is_not_overwritten(node: Node) -> None:
    other = Node(node.folder)
    node.stage(capture(1))
    other.sequencer.sequence()
    entries = node.entries()
    node.stage(capture(2))
    with pytest.raises(Unavailable, match="moved"):
        node.sequencer.sequence()
    assert node.entries() == entries
    assert states(node)[-1] == "staged"
    other.stop()


@pytest.mark.parametrize("size", [4, 255, 256, 257, 700])
def test_lost_tiles_are_written_again_at_the_next_start(node: Node, size: int) -> None:
    while node.sequencer.head.size < size:
        node.sequence(*[capture((size, node.sequencer.head.size, i)) for i in range(min(200, size))])
    tiles = {p: p.read_bytes() for p in (node.folder / "log/tile").rglob("*") if p.is_file()}
    for path in tiles:
        path.unlink()
    (node.folder / "log/checkpoint").unlink()
    node.restart()
    check_whole(node)
    needed = [p for p in tiles if ".p/" not in str(p)]
    assert all(p.read_bytes() == tiles[p] for p in needed)


def test_wrong_tiles_are_not_built_upon(node: Node) -> None:
    node.sequence(*[capture(i) for i in range(600)])
    tile = node.folder / "log/tile/0/001"
    tile.write_bytes(bytes(8192))
    (node.folder / "log/tile/1/000.p/2").write_bytes(bytes(64))
    node.restart()
    check_whole(node)
    assert tile.read_bytes() != bytes(8192)


def test_every_published_checkpoint_is_a_prefix_of_every_later_one(node: Node) -> None:
    heads = []
    for step in range(30):
        heads.append(seen_of(node.sequence(*[capture((step, i)) for i in range(step * 3 + 1)])))
    tree = TileTree(node.publisher.tiles).at(heads[-1][0])
    for size, old_root in heads:
        path = consistency_path_from(tree, size, heads[-1][0])
        assert is_consistent(size, heads[-1][0], path, old_root, heads[-1][1])


def backed_up(node: Node) -> bytes:
    node.stop()
    return (node.folder / "loomark.db").read_bytes()


def restore(node: Node, backup: bytes) -> None:
    node.stop()
    for name in ("loomark.db-wal", "loomark.db-shm"):
        (node.folder / name).unlink(missing_ok=True)
    (node.folder / "loomark.db").write_bytes(backup)
    node.start()


def assert_read_only(node: Node, against: str, reason: str) -> None:
    checkpoint, entries = node.checkpoint(), node.entries()
    assert node.sequencer.read_only is not None
    assert node.sequencer.read_only.against == against
    assert reason in node.sequencer.read_only.reason
    node.stage(capture("while read-only"))
    with pytest.raises(ReadOnlyLog, match=against):
        node.sequencer.sequence()
    assert (node.checkpoint(), node.entries()) == (checkpoint, entries)


def test_a_database_older_than_the_checkpoint_is_read_only(node: Node) -> None:
    backup = backed_up(node)
    node.sequence(capture(1))
    restore(node, backup)
    assert_read_only(node, PUBLISHED, "behind: size 4 after 6")


def test_a_database_and_checkpoint_older_than_the_high_water_file_are_read_only(node: Node) -> None:
    backup, checkpoint = backed_up(node), node.checkpoint()
    node.sequence(capture(1))
    (node.folder / "log/checkpoint").write_bytes(checkpoint)
    restore(node, backup)
    assert_read_only(node, HIGH_WATER, "behind: size 4 after 6")


def test_a_restored_database_that_went_another_way_is_read_only(node: Node) -> None:
    backup = backed_up(node)
    node.sequence(capture(1))
    marks = {name: (node.folder / name).read_bytes() for name in ("log/checkpoint", "high-water")}
    for name in marks:
        (node.folder / name).unlink()
    restore(node, backup)
    # The files were hidden only while the other history was made, as on a machine restored from a backup.
    assert node.sequencer.read_only is not None
    node.sequencer.read_only = None
    node.sequence(capture("another"), capture("more"))
    for name, data in marks.items():
        (node.folder / name).write_bytes(data)
    node.restart()
    assert_read_only(node, PUBLISHED, "different: another root at size 6")


def test_a_published_log_without_its_high_water_file_is_read_only(node: Node) -> None:
    (node.folder / "high-water").unlink()
    node.restart()
    assert_read_only(node, HIGH_WATER, "got none")


def test_an_unreadable_checkpoint_file_is_not_signed_over(node: Node) -> None:
    (node.folder / "log/checkpoint").write_bytes(b"garbage\n")
    node.restart()
    assert_read_only(node, PUBLISHED, "cannot be read")


def test_entries_that_do_not_hash_to_the_head_are_read_only(node: Node) -> None:
    with node.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE entry SET leaf = zeroblob(32) WHERE idx = 3")
    node.restart()
    assert_read_only(node, ENTRIES, "another root")


def test_a_registry_that_differs_from_the_last_seal_is_read_only(node: Node) -> None:
    with node.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM registry_change WHERE idx = 2")
    node.restart()
    assert_read_only(node, SEALS, "registry")


def test_recovery_signs_the_same_bytes_again(node: Node) -> None:
    node.sequence(capture(1))
    before = node.checkpoint()
    (node.folder / "log/checkpoint").unlink()
    node.restart()
    assert node.checkpoint() == before
