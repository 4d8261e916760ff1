"""Tile files: byte for byte what C2SP lays down, whatever the steps in which the tree grew."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.checkpoint import checkpoint_of
from ledger.errors import Unavailable
from ledger.log.edge import Edge, edge_at
from ledger.log.tiles import TileStore, TileTree
from ledger.merkle import inclusion_path, inclusion_path_from, leaf_hash, root, root_from
from ledger.note import parse_note, parse_vkey, verify_note
from ledger.tile import Tile, bundle_entries, partial_width, split_entries


def grow(store: TileStore, entries: Sequence[bytes], steps: Sequence[int] = ()) -> Edge:
    """Append the entries, publishing at each size in `steps` and at the end."""
    edge = Edge()
    for at, entry in enumerate(entries):
        edge.append(leaf_hash(entry), entry)
        if at + 1 in steps or at + 1 == len(entries):
            growth = edge.take_growth()
            store.write(growth)
            store.remove_partials(growth)
    return edge


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def log70k(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[bytes]]:
    folder = tmp_path_factory.mktemp("log70k")
    entries = [b"entry-%d" % i for i in range(70_000)]
    grow(TileStore(folder), entries)
    return folder, entries


def test_70000_entries_lie_in_the_files_that_the_geometry_names(log70k: tuple[Path, list[bytes]]) -> None:
    files = files_below(log70k[0] / "tile")
    assert len([name for name in files if name.startswith("0/")]) == 273 + 1
    assert {name for name in files if name[0] in "12"} == {"1/000", "1/001.p/17", "2/000.p/1"}
    assert "0/273.p/112" in files
    assert len([name for name in files if name.startswith("entries/")]) == 273


def test_70000_entries_have_the_root_and_paths_of_an_independent_log(
    log70k: tuple[Path, list[bytes]], shared_data: Path
) -> None:
    vector = json.loads((shared_data / "tlog/vectors/log70k.json").read_text())
    note = parse_note(vector["checkpoint"].encode())
    verify_note(note, [parse_vkey(vector["vkeys"][0])])
    checkpoint = checkpoint_of(note)
    tree = TileTree(TileStore(log70k[0]))
    reader = tree.at(checkpoint.size)
    assert root_from(reader, checkpoint.size) == checkpoint.root
    for proof in vector["proofs"]:
        lines = proof["tlog_proof"].split("\n\n")[0].split("\n")[2:]
        expected = [b64decode(line) for line in lines]
        assert inclusion_path_from(reader, proof["index"], checkpoint.size) == expected
        assert tree.inclusion_path(proof["index"], checkpoint.size) == expected


def test_tiles_of_the_tessera_test_log_come_out_byte_for_byte(tmp_path: Path, shared_data: Path) -> None:
    original = shared_data / "tlog/tessera-testlog/testdata/log"
    data = (original / "tile/entries/000.p/15").read_bytes()
    entries = split_entries(data)
    store = TileStore(tmp_path)
    edge = Edge()
    for size in range(1, 16):
        edge.append(leaf_hash(entries[size - 1]), entries[size - 1])
        store.write(edge.take_growth())
        name = f"tile/0/000.p/{size}"
        assert (tmp_path / name).read_bytes() == (original / name).read_bytes()
        assert bundle_entries(edge.entries) == (original / f"tile/entries/000.p/{size}").read_bytes()
        published = checkpoint_of(parse_note((original / f"checkpoint.{size}").read_bytes()))
        assert (published.size, published.root) == (size, edge.frontier.root())


@settings(max_examples=25)
@given(st.integers(1, 1400), st.sets(st.integers(1, 1400), max_size=6))
def test_growing_in_any_steps_gives_the_same_tiles(
    tmp_path_factory: pytest.TempPathFactory, size: int, steps: set[int]
) -> None:
    entries = [b"%d" % i for i in range(size)]
    at_once, in_steps = tmp_path_factory.mktemp("once"), tmp_path_factory.mktemp("steps")
    grow(TileStore(at_once), entries)
    grow(TileStore(in_steps), entries, sorted(steps))
    needed = files_below(at_once)
    assert needed <= files_below(in_steps)
    assert all((at_once / name).read_bytes() == (in_steps / name).read_bytes() for name in needed)


@settings(max_examples=25)
@given(st.integers(1, 1400), st.data())
def test_the_tree_read_from_tiles_answers_like_the_tree_in_memory(
    tmp_path_factory: pytest.TempPathFactory, size: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("tree")
    entries = [b"%d" % i for i in range(size)]
    leaves = [leaf_hash(entry) for entry in entries]
    older = data.draw(st.integers(1, size))
    grow(TileStore(folder), entries, [older])
    tree = TileTree(TileStore(folder))
    index = data.draw(st.integers(0, older - 1))
    assert root_from(tree.at(size), size) == root(leaves)
    assert root_from(tree.at(older), older) == root(leaves[:older])
    assert inclusion_path_from(tree.at(older), index, older) == inclusion_path(leaves[:older], index)
    assert tree.inclusion_path(index, older) == inclusion_path(leaves[:older], index)


@settings(max_examples=25)
@given(st.integers(1, 1400), st.integers(0, 300))
def test_an_edge_read_back_from_tiles_goes_on_like_the_one_that_wrote_them(
    tmp_path_factory: pytest.TempPathFactory, size: int, more: int
) -> None:
    folder = tmp_path_factory.mktemp("edge")
    entries = [b"%d" % i for i in range(size + more)]
    written = grow(TileStore(folder), entries[:size])
    read = edge_at(TileTree(TileStore(folder)).at(size), size, lambda start, end: entries[start:end])
    assert {t.tile for t in read.take_growth().partial} == {
        Tile(level, size >> (8 * (level + 1)), partial_width(size, level))
        for level in range(3)
        if partial_width(size, level)
    }
    for entry in entries[size:]:
        written.append(leaf_hash(entry), entry)
        read.append(leaf_hash(entry), entry)
    assert read.take_growth() == written.take_growth()
    assert read.frontier.root() == written.frontier.root()


def test_a_lost_partial_tile_is_answered_from_a_wider_one(tmp_path: Path) -> None:
    store = TileStore(tmp_path)
    grow(store, [b"%d" % i for i in range(20)], [5, 12])
    (tmp_path / "tile/0/000.p/5").unlink()
    whole = (tmp_path / "tile/0/000.p/20").read_bytes()
    assert store.read(Tile(0, 0, 5)) == whole[: 5 * 32]


def test_partials_of_a_full_tile_are_removed_and_still_answered(tmp_path: Path) -> None:
    store = TileStore(tmp_path)
    grow(store, [b"%d" % i for i in range(256)], [5, 12])
    assert not (tmp_path / "tile/0/000.p").exists()
    full = store.read(Tile(0, 0))
    assert full is not None
    assert store.read(Tile(0, 0, 12)) == full[: 12 * 32]


def test_a_torn_tile_is_not_taken_for_the_tile(tmp_path: Path) -> None:
    store = TileStore(tmp_path)
    grow(store, [b"%d" % i for i in range(20)])
    path = tmp_path / "tile/0/000.p/20"
    path.write_bytes(path.read_bytes()[:-1])
    assert store.read(Tile(0, 0, 20)) is None
    with pytest.raises(Unavailable, match=r"0/000\.p/20"):
        root_from(TileTree(store).at(20), 20)


def test_the_quick_path_is_the_path_at_every_index_of_every_small_size(
    log70k: tuple[Path, list[bytes]],
) -> None:
    tree = TileTree(TileStore(log70k[0]))
    for size in (1, 2, 3, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 65_536 + 256, 70_000):
        for index in {
            0,
            1,
            254,
            255,
            256,
            257,
            511,
            65_534,
            65_535,
            65_536,
            65_791,
            65_792,
            size - 2,
            size - 1,
        }:
            if 0 <= index < size:
                assert tree.inclusion_path(index, size) == inclusion_path_from(tree.at(size), index, size)
