"""The body of an erasure and what stays of a record after one, with the vectors of the spec; and what is refused."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.epcis.erasure import MAX_RECORDS, erasure_of, parse_erasure
from ledger.canonical import canonical
from ledger.commitment import record_commitment
from ledger.disclosure import narrow, open_disclosure, remains_of
from ledger.errors import InvalidInput

VECTORS = Path(__file__).resolve().parents[3] / "docs" / "spec" / "vectors" / "erasure.json"
ONE, TWO = "ab" * 32, "cd" * 32
RECORD: dict[str, Any] = {
    "@context": [{"url": "https://example.org/a", "sha256": None}],
    "type": "ObjectEvent",
    "eventID": "urn:uuid:00000000-0000-4000-8000-000000000001",
    "epcList": ["urn:example:1", "urn:example:2", "urn:example:3"],
    "readPoint": {"id": "urn:example:home"},
    "ilmd": {"ex:a": "1", "ex:b": "größer"},
}
TOLD: list[tuple[list[str], list[str], str]] = [
    ([ONE], [], "asked to"),
    ([TWO, f"urn:loomark:record:{ONE}"], [], "größer"),
    ([ONE], ["/readPoint/id", "/epcList/1"], "a private address"),
]
UNITS: list[list[str]] = [["/readPoint/id"], ["/epcList/1", "/ilmd"], ["/epcList", "/eventID", "/ilmd/ex:b"]]
REFUSED: list[tuple[Any, str]] = [
    ({"erasure": "loomark/erasure/v1", "records": [TWO, ONE], "units": [], "reason": "x"}, "not-canonical"),
    ({"erasure": "loomark/erasure/v1", "records": [ONE, ONE], "units": [], "reason": "x"}, "not-canonical"),
    (
        {
            "erasure": "loomark/erasure/v1",
            "records": [f"urn:loomark:record:{ONE}"],
            "units": [],
            "reason": "x",
        },
        "not-canonical",
    ),
    (
        {"erasure": "loomark/erasure/v1", "records": [ONE], "units": ["/b", "/a"], "reason": "x"},
        "not-canonical",
    ),
    ({"erasure": "loomark/erasure/v1", "records": [ONE, TWO], "units": ["/a"], "reason": "x"}, "one-record"),
    (
        {"erasure": "loomark/erasure/v1", "records": [ONE.upper()], "units": [], "reason": "x"},
        "bad-record-name",
    ),
    ({"erasure": "loomark/erasure/v1", "records": [7], "units": [], "reason": "x"}, "bad-record-name"),
    ({"erasure": "loomark/erasure/v1", "records": [], "units": [], "reason": "x"}, "bad-shape"),
    ({"erasure": "loomark/erasure/v1", "records": [ONE], "units": [""], "reason": "x"}, "bad-shape"),
    ({"erasure": "loomark/erasure/v1", "records": [ONE], "units": ["a"], "reason": "x"}, "no-such-pointer"),
    ({"erasure": "loomark/erasure/v1", "records": [ONE], "units": [], "reason": ""}, "bad-shape"),
    ({"erasure": "loomark/erasure/v1", "records": [ONE], "units": [], "reason": None}, "bad-shape"),
    ({"erasure": "loomark/erasure/v1", "records": [ONE], "units": []}, "bad-shape"),
    ({"erasure": "loomark/erasure/v2", "records": [ONE], "units": [], "reason": "x"}, "bad-version"),
]


def vectors() -> bytes:
    """The bytes of the vector file."""
    bodies = []
    for number, (records, units, reason) in enumerate(TOLD):
        made, salt = erasure_of(records, units, reason), sha256(f"salt of erasure {number}".encode()).digest()
        bodies.append(
            {
                "records": records,
                "units": units,
                "body": made.as_json(),
                "canonical": canonical(made.as_json()).decode(),
                "salt": salt.hex(),
                "commitment": made.commitment(salt).hex(),
            }
        )
    salt = sha256(b"salt of the record").digest()
    remains = [{"units": units, "remains": remains_of(RECORD, salt, units)} for units in UNITS]
    value = {
        "erasures": bodies,
        "refused": [{"body": body, "rule": rule} for body, rule in REFUSED],
        "record": {
            "record": RECORD,
            "salt": salt.hex(),
            "commitment": record_commitment(RECORD, salt).hex(),
            "erased": remains,
        },
    }
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def test_the_vectors_are_regenerated_byte_for_byte() -> None:
    assert VECTORS.read_bytes() == vectors()


def test_the_vectors_read_as_a_stranger_would() -> None:
    found = json.loads(VECTORS.read_bytes())
    for one in found["erasures"]:
        made = parse_erasure(one["body"])
        assert made.commitment(bytes.fromhex(one["salt"])).hex() == one["commitment"]
    for one in found["refused"]:
        with pytest.raises(InvalidInput) as caught:
            parse_erasure(one["body"])
        assert caught.value.rule == one["rule"], one
    for one in found["record"]["erased"]:
        for disclosed in (one["remains"], narrow(one["remains"], [])):
            assert open_disclosure(disclosed).commitment.hex() == found["record"]["commitment"]
        assert found["record"]["salt"] not in json.dumps(one["remains"])


@given(
    st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=9), st.text(min_size=1, max_size=30)
)
def test_the_order_of_records_changes_nothing(records: list[bytes], reason: str) -> None:
    made = erasure_of([one.hex() for one in records], [], reason)
    assert made == erasure_of([one.hex() for one in reversed(records)], [], reason)
    assert parse_erasure(made.as_json()) == made


def test_a_statement_names_so_many_records_and_no_more() -> None:
    names = [f"{number:064x}" for number in range(MAX_RECORDS + 1)]
    assert len(erasure_of(names[:-1], [], "x").records) == MAX_RECORDS
    with pytest.raises(InvalidInput) as caught:
        erasure_of(names, [], "x")
    assert caught.value.rule == "bad-shape"
