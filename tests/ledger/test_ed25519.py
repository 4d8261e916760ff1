from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.ed25519 import SigningKey, admit_public_key, key_id, possession_line, verify
from ledger.errors import Conflict, InvalidInput, NotFound
from ledger.keyfile import read_key_file, write_key_file

from .consortium import key_of

L = 2**252 + 27742317777372353535851937790883648493


def test_the_rule_accepts_43_of_the_914_edge_cases(shared_data: Path) -> None:
    vectors = json.loads((shared_data / "tlog/cctv-ed25519/ed25519/ed25519vectors.json").read_bytes())
    valid = [
        vector
        for vector in vectors
        if verify(bytes.fromhex(vector["key"]), vector["msg"].encode(), bytes.fromhex(vector["sig"]))
    ]
    refused = {"low_order_R", "low_order_A", "non_canonical_A", "non_canonical_R"}
    assert len(vectors) == 914
    assert len(valid) == 43
    assert not any(refused & set(vector["flags"] or []) for vector in valid)


def test_a_scalar_beyond_the_order_is_refused() -> None:
    key = key_of("a")
    signature = key.sign(b"m")
    larger = int.from_bytes(signature[32:], "little") + L
    assert verify(key.public_bytes, b"m", signature)
    assert not verify(key.public_bytes, b"m", signature[:32] + larger.to_bytes(32, "little"))


@given(st.binary(max_size=40), st.binary(max_size=70))
def test_signatures_of_any_length_are_judged_not_raised(public: bytes, signature: bytes) -> None:
    assert verify(public, b"m", signature) is False


def test_a_possession_line_admits_its_key() -> None:
    key = key_of("a")
    assert admit_public_key(possession_line(key)) == key.public_bytes
    assert admit_public_key(possession_line(key) + "\n") == key.public_bytes


def test_a_line_by_another_key_is_no_possession() -> None:
    mine, other = possession_line(key_of("a")), possession_line(key_of("b"))
    with pytest.raises(InvalidInput) as caught:
        admit_public_key(mine.split(".")[0] + "." + other.split(".")[1])
    assert caught.value.rule == "bad-possession"


@pytest.mark.parametrize(
    "point",
    [
        bytes(32),
        b"\x01" + bytes(31),
        b"\xff" * 32,
        # A valid point plus one of order eight: on the curve, not in the prime-order subgroup.
        bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    ],
)
def test_keys_outside_the_prime_order_subgroup_are_not_admitted(point: bytes) -> None:
    line = base64.b64encode(point).decode() + "." + base64.b64encode(bytes(64)).decode()
    with pytest.raises(InvalidInput) as caught:
        admit_public_key(line)
    assert caught.value.rule == "bad-key"


@pytest.mark.parametrize("line", ["", "a", "a.b", ".", "AAAA.AAAA", "é.é"])
def test_other_spellings_are_refused(line: str) -> None:
    with pytest.raises(InvalidInput):
        admit_public_key(line)


def test_a_key_never_shows_its_seed() -> None:
    key = key_of("a")
    shown = repr(key)
    assert key.seed_bytes().hex() not in shown
    assert base64.b64encode(key.seed_bytes()).decode() not in shown
    assert key_id(key.public_bytes) in shown


def test_a_key_file_gives_the_key_back_to_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "k"
    key = SigningKey.generate()
    write_key_file(path, key)
    assert read_key_file(path).public_bytes == key.public_bytes
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "k"
    write_key_file(path, key_of("a"))
    before = path.read_bytes()
    with pytest.raises(Conflict):
        write_key_file(path, key_of("b"))
    assert path.read_bytes() == before


@pytest.mark.parametrize("change", [b"", b"x", b"loomark/key/v2", b"\xff\xfe"])
def test_anything_else_than_a_key_file_is_refused_without_showing_it(tmp_path: Path, change: bytes) -> None:
    path = tmp_path / "k"
    write_key_file(path, key_of("a"))
    path.write_bytes(change + path.read_bytes()[5:])
    with pytest.raises(InvalidInput) as caught:
        read_key_file(path)
    assert key_of("a").seed_bytes().hex() not in str(caught.value)
    assert base64.b64encode(key_of("a").seed_bytes()).decode() not in str(caught.value)


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="absent"):
        read_key_file(tmp_path / "absent")
