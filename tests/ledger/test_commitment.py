from __future__ import annotations

import json
from hashlib import sha256, shake_256
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given

from ledger import merkle
from ledger.capture import capture_commitment, capture_path, verify_position
from ledger.commitment import commitment_nodes, record_commitment
from ledger.errors import InvalidInput, TooLarge

from .strategies import records, salts

SALT = bytes(range(32))
BASE = {"@context": [], "type": "ObjectEvent"}


class Plain:
    """The commitment as design and spec put it, node by node, with no thought of speed."""

    def __init__(self, record: dict[str, Any], record_salt: bytes) -> None:
        stream = shake_256(b"loomark/salt/v1\x00" + record_salt).digest(16 * 70_000)
        self.salts = iter([stream[at : at + 16].hex() for at in range(0, len(stream), 16)])
        self.nodes = 0
        self.commitment = self.group([], record)

    def salt(self) -> str:
        self.nodes += 1
        return next(self.salts)

    def group(self, path: list[Any], value: Any) -> bytes:
        salt = self.salt()
        if isinstance(value, dict):
            members: Any = sorted(value, key=lambda name: name.encode("utf-16-be"))
            children = [(name, value[name]) for name in members]
        else:
            members = len(value)
            children = list(enumerate(value))
        hashes = [self.node([*path, key], item) for key, item in children]
        root = merkle.root(hashes).hex()
        return sha256(b"\x00" + rfc8785.dumps(["loomark/group/v1", salt, path, members, root])).digest()

    def node(self, path: list[Any], value: Any) -> bytes:
        if len(path) == 1 and isinstance(value, (list, dict)) and len(value) > 1:
            return self.group(path, value)
        return sha256(b"\x00" + rfc8785.dumps(["loomark/unit/v1", self.salt(), path, value])).digest()


def test_vectors_of_an_independent_implementation(shared_data: Path) -> None:
    vectors = json.loads((shared_data / "vectors/commitment.json").read_bytes())
    for vector in vectors["records"]:
        commitment = record_commitment(vector["record"], bytes.fromhex(vector["recordSalt"]))
        assert commitment.hex() == vector["commitment"]
        assert commitment_nodes(vector["record"]) == vector["nodes"]
    for vector in vectors["captures"]:
        commitments = [bytes.fromhex(item) for item in vector["records"]]
        assert merkle.root(commitments).hex() == vector["root"]
        assert capture_commitment(bytes.fromhex(vector["salt"]), commitments).hex() == vector["commitment"]


@given(records(), salts)
def test_the_fast_commitment_is_the_plain_one(record: dict[str, Any], salt: bytes) -> None:
    plain = Plain(record, salt)
    assert record_commitment(record, salt) == plain.commitment
    assert commitment_nodes(record) == plain.nodes


@given(records(), salts)
def test_member_order_does_not_matter(record: dict[str, Any], salt: bytes) -> None:
    turned = dict(reversed(record.items()))
    assert record_commitment(turned, salt) == record_commitment(record, salt)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"f/0": "5"}, {"f": ["5"]}),
        ({"f": ["5", "6"]}, {"f": {"0": "5", "1": "6"}}),
        ({"f": []}, {}),
        ({"f": []}, {"f": {}}),
        ({"f": []}, {"f": None}),
        ({"f": [1]}, {"f": 1}),
        ({"f": "1"}, {"f": 1}),
        ({"f": [1, 2]}, {"f": [2, 1]}),
        ({"f": [[1, 2], [3]]}, {"f": [[1], [2, 3]]}),
    ],
)
def test_different_records_never_share_a_commitment(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert record_commitment({**BASE, **one}, SALT) != record_commitment({**BASE, **other}, SALT)


def test_a_value_equal_in_canonical_form_commits_alike() -> None:
    assert record_commitment({**BASE, "a": 1.0}, SALT) == record_commitment({**BASE, "a": 1}, SALT)


@pytest.mark.parametrize("record", [{}, {"type": "x"}])
def test_a_record_of_fewer_than_two_members_is_refused(record: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        record_commitment(record, SALT)
    assert caught.value.rule == "bad-record"


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_record_salt_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(InvalidInput) as caught:
        record_commitment(BASE, bytes(size))
    assert caught.value.rule == "bad-salt"


def test_more_units_than_the_limit_are_refused() -> None:
    at_limit = {**BASE, "a": list(range(65_536 - 4))}
    assert commitment_nodes(at_limit) == 65_536
    record_commitment(at_limit, SALT)
    with pytest.raises(TooLarge) as caught:
        record_commitment({**BASE, "a": list(range(65_536 - 3))}, SALT)
    assert caught.value.rule == "too-many-units"


def test_each_record_of_a_capture_is_proved_at_its_position_only() -> None:
    records = [sha256(bytes([number])).digest() for number in range(7)]
    commitment = capture_commitment(SALT, records)
    for position, record in enumerate(records):
        path = capture_path(records, position)
        verify_position(commitment, SALT, record, position, 7, path)
        for wrong in ((position + 1) % 7, 7, 200):
            with pytest.raises(InvalidInput):
                verify_position(commitment, SALT, record, wrong, 7, path)
        for count in (6, 8):
            with pytest.raises(InvalidInput):
                verify_position(commitment, SALT, record, position, count, path)


def test_a_capture_has_one_record_at_least_and_65_535_at_most() -> None:
    with pytest.raises(InvalidInput):
        capture_commitment(SALT, [])
    capture_commitment(SALT, [SALT] * 65_535)
    with pytest.raises(TooLarge):
        capture_commitment(SALT, [SALT] * 65_536)
    with pytest.raises(InvalidInput):
        capture_commitment(SALT[:31], [SALT])
