from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import merkle, tile
from ledger.checkpoint import Checkpoint, checkpoint_of, parse_checkpoint, sign_checkpoint
from ledger.ed25519 import SigningKey
from ledger.errors import InvalidInput, LoomarkError
from ledger.note import (
    COSIGNATURE,
    ED25519,
    Note,
    SignatureLine,
    VerifiedSignature,
    VerifierKey,
    cosign,
    note_bytes,
    parse_note,
    parse_signature_lines,
    parse_vkey,
    sign,
    verify_note,
)
from ledger.policy import parse_policy, policy_text

from .consortium import key_of

POINT = Checkpoint("example.org/log", 7, bytes(range(32)))
LOG = VerifierKey(POINT.origin, ED25519, key_of("log").public_bytes)
WITNESSES = [VerifierKey(f"w{n}.example", COSIGNATURE, key_of(f"w{n}").public_bytes) for n in range(4)]


def signed(*cosigners: tuple[int, int]) -> Note:
    lines = [cosign(POINT.text(), WITNESSES[n].name, key_of(f"w{n}"), time_s) for n, time_s in cosigners]
    return parse_note(sign_checkpoint(POINT, key_of("log"), lines))


def test_notes_of_others_verify(shared_data: Path) -> None:
    vectors = json.loads((shared_data / "tlog/vectors/signed_note.json").read_bytes())
    for good in vectors["good"]:
        note = parse_note(good["note"].encode())
        assert note.data() == good["note"].encode()
        assert len(verify_note(note, [parse_vkey(vkey) for vkey in good["vkeys"]])) == len(good["vkeys"])
    for malformed in vectors["malformed"]:
        with pytest.raises(InvalidInput):
            parse_note(malformed.encode())
    for vkey in vectors["bad_vkeys"]:
        with pytest.raises(InvalidInput):
            parse_vkey(vkey)


def test_the_lines_that_a_log_lists_of_its_keys_are_not_taken_for_one_key() -> None:
    with pytest.raises(InvalidInput, match="several lines") as refusal:
        parse_vkey(f"{LOG.text()}\n{WITNESSES[0].text()}")
    assert refusal.value.rule == "bad-vkey"


def test_a_log_of_70_000_entries_that_others_accept(shared_data: Path) -> None:
    vectors: dict[str, Any] = json.loads((shared_data / "tlog/vectors/log70k.json").read_bytes())
    log, witness = (parse_vkey(vkey) for vkey in vectors["vkeys"])
    note = parse_note(vectors["checkpoint"].encode())
    point = checkpoint_of(note)
    times = [one.time_s for one in verify_note(note, [log, witness])]
    levels = [[merkle.leaf_hash(b"entry-%d" % number) for number in range(70_000)]]
    for _ in range(2):
        below = levels[-1]
        levels.append([merkle.root(below[at : at + 256]) for at in range(0, len(below) - 255, 256)])
    reader = tile.hash_reader(lambda level, index: levels[level][index * 256 : (index + 1) * 256])
    assert merkle.root_from(reader, 70_000) == point.root
    keys = [
        SigningKey.from_bytes(bytes.fromhex(vectors[name])) for name in ("log_seed_hex", "witness_seed_hex")
    ]
    again = sign_checkpoint(point, keys[0], [cosign(note.text, witness.name, keys[1], times[1] or 0)])
    assert again == vectors["checkpoint"].encode()
    for proof in vectors["proofs"]:
        lines = proof["tlog_proof"].split("\n\n")[0].split("\n")[2:]
        path = merkle.inclusion_path_from(reader, proof["index"], 70_000)
        assert [base64.b64encode(one).decode() for one in path] == lines


def test_checkpoints_of_another_log_are_verified_and_written_alike(shared_data: Path) -> None:
    folder = shared_data / "tlog/tessera-testlog/testdata/log"
    key = parse_vkey("example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx")
    assert key.text().endswith("+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx")
    for size in range(16):
        data = (folder / f"checkpoint.{size}").read_bytes()
        note = parse_note(data)
        assert [one.key for one in verify_note(note, [key])] == [key]
        assert (note.data(), checkpoint_of(note).text(), checkpoint_of(note).size) == (data, note.text, size)


def test_tiles_and_bundles_of_another_log_are_ours_byte_for_byte(shared_data: Path) -> None:
    folder = shared_data / "tlog/tessera-testlog/testdata/log"
    entries = tile.split_entries((folder / "tile/entries/000.p/15").read_bytes())
    assert len(entries) == 15
    hashes = [merkle.leaf_hash(entry) for entry in entries]
    for size in range(1, 16):
        (hash_tile,) = tile.new_tiles(0, size)
        (bundle,) = tile.new_entry_bundles(0, size)
        assert (folder / "tile" / hash_tile.path).read_bytes() == b"".join(hashes[:size])
        assert (folder / "tile" / bundle.path).read_bytes() == tile.bundle_entries(entries[:size])
        note = parse_note((folder / f"checkpoint.{size}").read_bytes())
        assert checkpoint_of(note).root == merkle.root(hashes[:size])


def test_only_an_exact_checkpoint_parses() -> None:
    assert parse_checkpoint(POINT.text()) == POINT
    root = base64.b64encode(POINT.root).decode()
    for text in (
        f"o\n7\n{root}",
        f"o\n7\n{root}\nextension\n",
        f"o\n07\n{root}\n",
        f"o\n+7\n{root}\n",
        f"\n7\n{root}\n",
        f"o\n7\n{root[:-1]}\n",
        f"o\n٧\n{root}\n",
        f"o\n9007199254740992\n{root}\n",
    ):
        with pytest.raises(InvalidInput):
            parse_checkpoint(text)


def test_a_known_key_must_verify_and_an_unknown_one_is_ignored() -> None:
    note = signed((0, 100), (1, 101))
    assert [one.time_s for one in verify_note(note, [LOG, WITNESSES[0]])] == [None, 100]
    broken = Note(
        note.text, (*note.signatures[:-1], SignatureLine(WITNESSES[1].name, WITNESSES[1].key_id, b"x" * 72))
    )
    assert len(verify_note(broken, [LOG, WITNESSES[0]])) == 2
    with pytest.raises(InvalidInput) as caught:
        verify_note(broken, [LOG, *WITNESSES])
    assert caught.value.rule == "note-signature"


def test_a_note_without_any_known_signature_is_refused() -> None:
    with pytest.raises(InvalidInput):
        verify_note(signed((0, 1)), [WITNESSES[3]])


def test_a_cosignature_without_time_is_refused() -> None:
    with pytest.raises(InvalidInput):
        verify_note(signed((0, 0)), [LOG, WITNESSES[0]])


def test_the_time_of_a_cosignature_is_signed() -> None:
    note = signed((0, 100))
    line = note.signatures[1]
    later = SignatureLine(line.name, line.key_id, (101).to_bytes(8, "big") + line.blob[8:])
    with pytest.raises(InvalidInput):
        verify_note(Note(note.text, (note.signatures[0], later)), [LOG, WITNESSES[0]])


def test_one_key_signs_once() -> None:
    note = signed((0, 100), (0, 200))
    with pytest.raises(InvalidInput):
        verify_note(note, [LOG, WITNESSES[0]])


def test_more_than_32_signature_lines_are_refused() -> None:
    line = sign(POINT.text(), POINT.origin, key_of("log"))
    parse_note(note_bytes(POINT.text(), [line] * 32))
    with pytest.raises(InvalidInput):
        parse_note(note_bytes(POINT.text(), [line] * 33))


def test_a_witness_answer_is_read_line_by_line() -> None:
    line = cosign(POINT.text(), WITNESSES[0].name, key_of("w0"), 5)
    assert parse_signature_lines(line.text().encode()) == (line,)


@given(st.binary(max_size=80) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "replace")))
def test_parsers_of_notes_raise_only_errors_of_ours(data: bytes) -> None:
    for parse in (
        parse_note,
        lambda raw: parse_vkey(raw.decode("latin-1")),
        lambda raw: parse_checkpoint(raw.decode("latin-1")),
        lambda raw: parse_policy(raw.decode("latin-1")),
        lambda raw: tile.parse_tile_path(raw.decode("latin-1")),
        tile.split_entries,
        tile.split_hashes,
    ):
        try:
            parse(data)
        except LoomarkError:
            continue


GROUPS = f"""# two organisations, one of them twice
log {LOG.text()} https://log.example/
witness a {WITNESSES[0].text()}
witness b\t{WITNESSES[1].text()}  https://b.example/
witness c {WITNESSES[2].text()}
group one any a b
group both 2 one c   # both sides

quorum both
"""


def test_a_quorum_is_made_by_groups_of_groups() -> None:
    policy = parse_policy(GROUPS)
    assert policy.satisfied_by({"a", "c"})
    assert policy.satisfied_by({"b", "c"})
    assert not policy.satisfied_by({"a", "b"})
    assert not policy.satisfied_by({"c"})
    assert not policy.satisfied_by({"one", "c"})


def test_the_quorum_vouches_from_its_last_needed_cosignature_on() -> None:
    policy = parse_policy(GROUPS)
    signatures = verify_note(signed((0, 300), (1, 100), (2, 200)), policy.keys)
    assert policy.quorum_time_s(signatures) == 200
    assert policy.quorum_time_s([one for one in signatures if one.key != WITNESSES[2]]) is None
    assert policy.quorum_time_s([VerifiedSignature(WITNESSES[3], 1)]) is None


def test_quorum_none_is_satisfied_by_nobody() -> None:
    policy = parse_policy(policy_text(LOG))
    assert policy.satisfied_by(())
    assert policy.quorum_time_s(verify_note(signed(), policy.keys)) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "quorum none\n",
        f"log {LOG.text()}\n",
        f"log {LOG.text()}\nquorum none\nquorum none\n",
        f"log {LOG.text()}\nquorum a\n",
        f"log {WITNESSES[0].text()}\nquorum none\n",
        f"log {LOG.text()}\nwitness a {LOG.text()}\nquorum a\n",
        f"log {LOG.text()}\nlog {LOG.text()}\nquorum none\n",
        f"log {LOG.text()}\nwitness none {WITNESSES[0].text()}\nquorum none\n",
        f"log {LOG.text()}\nwitness a {WITNESSES[0].text()}\nwitness a {WITNESSES[1].text()}\nquorum a\n",
        f"log {LOG.text()}\nwitness a {WITNESSES[0].text()}\ngroup g 2 a\nquorum g\n",
        f"log {LOG.text()}\nwitness a {WITNESSES[0].text()}\ngroup g 0 a\nquorum g\n",
        f"log {LOG.text()}\nwitness a {WITNESSES[0].text()}\ngroup g any a a\nquorum g\n",
        f"log {LOG.text()}\ngroup g any a\nwitness a {WITNESSES[0].text()}\nquorum g\n",
        f"log {LOG.text()}\nmirror x\nquorum none\n",
    ],
)
def test_a_policy_that_is_not_clear_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_policy(text)
    assert caught.value.rule == "bad-policy"


def test_groups_cannot_nest_without_end() -> None:
    def nested(count: int) -> str:
        chain = [f"group g{number} any {f'g{number - 1}' if number else 'a'}" for number in range(count)]
        return "\n".join(
            [f"log {LOG.text()}", f"witness a {WITNESSES[0].text()}", *chain, f"quorum g{count - 1}"]
        )

    assert parse_policy(nested(255)).satisfied_by({"a"})
    with pytest.raises(InvalidInput):
        parse_policy(nested(256))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("0/000", tile.Tile(0, 0)),
        ("63/x001/x234/067", tile.Tile(63, 1_234_067)),
        ("2/005.p/17", tile.Tile(2, 5, 17)),
        ("entries/x001/000.p/255", tile.Tile("entries", 1_000, 255)),
    ],
)
def test_tile_paths_read_and_write_alike(path: str, expected: tile.Tile) -> None:
    assert tile.parse_tile_path(path) == expected
    assert expected.path == path


@pytest.mark.parametrize(
    "path", ["0/0", "64/000", "00/000", "0/x000/001", "0/000.p/256", "0/000.p/0", "../000", "0/x1/000"]
)
def test_other_tile_paths_are_refused(path: str) -> None:
    with pytest.raises(InvalidInput):
        tile.parse_tile_path(path)


@given(st.integers(0, 2_000), st.integers(0, 2_000))
def test_a_log_that_grows_writes_every_tile_it_needs(first: int, more: int) -> None:
    size = first + more
    written = {(one.level, one.index): one.width for one in tile.new_tiles(0, first)}
    written |= {(one.level, one.index): one.width for one in tile.new_tiles(first, size)}
    whole = {(one.level, one.index): one.width for one in tile.new_tiles(0, size)}
    assert written == whole
    for level in range(3):
        assert whole.get((level, (size >> 8 * level) // 256), 0) % 256 == tile.partial_width(size, level)
