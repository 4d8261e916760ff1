from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import merkle
from ledger.errors import InvalidInput

LEAVES = [merkle.leaf_hash(number.to_bytes(2, "big")) for number in range(300)]


def naive_root(hashes: list[bytes]) -> bytes:
    """RFC 6962 section 2.1 as it is written."""
    if not hashes:
        return merkle.EMPTY_ROOT
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return merkle.node_hash(naive_root(hashes[:split]), naive_root(hashes[split:]))


def reader(level: int, index: int) -> bytes:
    part = LEAVES[index << level : (index + 1) << level]
    assert len(part) == 1 << level, "only complete subtrees may be asked for"
    return merkle.root(part)


def test_rfc_6962_roots(shared_data: Path) -> None:
    vectors = json.loads((shared_data / "tlog/vectors/rfc6962_tree.json").read_bytes())
    leaves = [merkle.leaf_hash(bytes.fromhex(leaf)) for leaf in vectors["leaves_hex"]]
    assert merkle.EMPTY_ROOT.hex() == vectors["empty_root"]
    for size, expected in enumerate(vectors["roots_hex_by_size_1_to_8"], 1):
        assert merkle.root(leaves[:size]).hex() == expected


def test_inclusion_and_consistency_probes(shared_data: Path) -> None:
    folder = shared_data / "tlog/transparency-dev-merkle/testdata"

    def raw(text: str | None) -> bytes:
        return base64.b64decode(text or "")

    inclusion = [json.loads(path.read_bytes()) for path in folder.glob("inclusion/**/*.json")]
    for probe in inclusion:
        path = [raw(item) for item in probe["proof"] or []]
        holds = merkle.is_included(
            probe["leafIdx"], probe["treeSize"], raw(probe["leafHash"]), path, raw(probe["root"])
        )
        assert holds is not probe["wantErr"], probe["desc"]
    consistency = [json.loads(path.read_bytes()) for path in folder.glob("consistency/**/*.json")]
    for probe in consistency:
        path = [raw(item) for item in probe["proof"] or []]
        sizes = probe["size1"], probe["size2"]
        holds = merkle.is_consistent(*sizes, path, raw(probe["root1"]), raw(probe["root2"]))
        assert holds is not probe["wantErr"], probe["desc"]
    # The other folders of these vectors are proofs of subtrees, which belong to a later draft.
    assert (len(inclusion), len(consistency)) == (98, 98)


@given(st.integers(0, 300))
def test_all_ways_to_a_root_agree(size: int) -> None:
    expected = naive_root(LEAVES[:size])
    frontier = merkle.Frontier()
    for leaf in LEAVES[:size]:
        frontier.append(leaf)
    assert merkle.root(LEAVES[:size]) == expected
    assert merkle.Tree(LEAVES[:size]).root() == expected
    assert merkle.root_from(reader, size) == expected
    assert frontier.root() == expected
    assert merkle.Frontier(size, frontier.heads).root() == expected


@given(st.data())
def test_paths_prove_their_leaf_and_no_other_place(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 300))
    index = data.draw(st.integers(0, size - 1))
    root = merkle.root(LEAVES[:size])
    path = merkle.inclusion_path(LEAVES[:size], index)
    assert path == merkle.inclusion_path_from(reader, index, size)
    assert len(path) == merkle.path_length(index, size)
    merkle.verify_inclusion(index, size, LEAVES[index], path, root)
    other = data.draw(st.integers(0, 300).filter(lambda n: n != index))
    assert not merkle.is_included(other, size, LEAVES[index], path, root)
    assert not merkle.is_included(index, size, LEAVES[index], [*path, root], root)
    assert not merkle.is_included(index, size, root, path, root) or size == 1
    if path:
        assert not merkle.is_included(index, size, LEAVES[index], path[:-1], root)


@given(st.data())
def test_consistency_paths_prove_prefixes_only(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 300))
    old = data.draw(st.integers(1, size))
    roots = merkle.root(LEAVES[:old]), merkle.root(LEAVES[:size])
    path = merkle.consistency_path_from(reader, old, size)
    assert path == merkle.consistency_path(LEAVES[:size], old)
    merkle.verify_consistency(old, size, path, *roots)
    forged = merkle.root([merkle.leaf_hash(b"forged"), *LEAVES[1:old]])
    assert not merkle.is_consistent(old, size, path, forged, roots[1])
    assert not merkle.is_consistent(old, size, [*path, forged], *roots)


def test_a_consistency_proof_from_nothing_is_refused() -> None:
    assert not merkle.is_consistent(0, 3, [], merkle.EMPTY_ROOT, merkle.root(LEAVES[:3]))
    with pytest.raises(InvalidInput):
        merkle.consistency_path(LEAVES[:3], 0)
    with pytest.raises(InvalidInput):
        merkle.inclusion_path(LEAVES[:3], 3)


def test_a_path_of_more_than_63_hashes_is_refused() -> None:
    assert not merkle.is_included(0, 2**63, LEAVES[0], LEAVES[:64], LEAVES[0])
