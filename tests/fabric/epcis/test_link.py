"""The body of a link: one form for two names in any spelling, and what is refused; with the vectors of the spec."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.epcis.link import link_of, parse_link
from ledger.canonical import canonical
from ledger.errors import InvalidInput

VECTORS = Path(__file__).resolve().parents[3] / "docs" / "spec" / "vectors" / "link.json"
LOT = "https://id.gs1.org/01/09506000134352/10/A"
SERIAL = "https://id.gs1.org/01/09506000134352/21/7"
CODE = "urn:example:partner:4711"
ACCEPTED: list[tuple[list[str], str | None]] = [
    ([LOT, CODE], "the partner's code for this lot"),
    ([CODE, "urn:epc:class:lgtin:9506000.013435.A"], None),
    (
        ["(01)09506000134352(10)B", "https://example.com/01/09506000134352/10/A?17=271231"],
        "relabelled; größer",
    ),
    (["urn:epc:id:sgtin:9506000.013435.7", "https://example.com/box/7"], None),
]
REFUSED: list[tuple[Any, str]] = [
    ({"link": "loomark/link/v1", "same": [CODE, LOT], "reason": None}, "not-canonical"),
    (
        {"link": "loomark/link/v1", "same": [LOT, "urn:epc:id:sgtin:9506000.013435.7"], "reason": None},
        "not-canonical",
    ),
    ({"link": "loomark/link/v1", "same": [LOT, LOT], "reason": None}, "same-name"),
    ({"link": "loomark/link/v1", "same": [LOT], "reason": None}, "bad-shape"),
    ({"link": "loomark/link/v1", "same": [LOT, CODE]}, "bad-shape"),
    ({"link": "loomark/link/v1", "same": [LOT, CODE], "reason": ""}, "bad-shape"),
    ({"link": "loomark/link/v1", "same": [LOT, CODE], "reason": None, "also": 1}, "bad-shape"),
    ({"link": "loomark/link/v2", "same": [LOT, CODE], "reason": None}, "bad-version"),
    ({"link": "loomark/link/v1", "same": [LOT, "4711"], "reason": None}, "not-a-uri"),
    (
        {
            "link": "loomark/link/v1",
            "same": ["https://id.gs1.org/00/095060000000000015", LOT],
            "reason": None,
        },
        "not-material",
    ),
    (
        {"link": "loomark/link/v1", "same": ["https://id.gs1.org/01/09506000134352", LOT], "reason": None},
        "not-material",
    ),
]


def vectors() -> bytes:
    """The bytes of the vector file."""
    links = []
    for number, (names, reason) in enumerate(ACCEPTED):
        made, salt = link_of(names, reason), sha256(f"salt of link {number}".encode()).digest()
        links.append(
            {
                "names": names,
                "body": made.as_json(),
                "canonical": canonical(made.as_json()).decode(),
                "salt": salt.hex(),
                "commitment": made.commitment(salt).hex(),
            }
        )
    refused = [{"body": body, "rule": rule} for body, rule in REFUSED]
    value = {"links": links, "refused": refused}
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def test_the_vectors_are_regenerated_byte_for_byte() -> None:
    assert VECTORS.read_bytes() == vectors()


def test_the_vectors_read_as_a_stranger_would() -> None:
    found = json.loads(VECTORS.read_bytes())
    for one in found["links"]:
        made = parse_link(one["body"])
        assert made.commitment(bytes.fromhex(one["salt"])).hex() == one["commitment"]
    for one in found["refused"]:
        with pytest.raises(InvalidInput) as caught:
            parse_link(one["body"])
        assert caught.value.rule == one["rule"], one


@given(st.permutations([LOT, SERIAL, CODE]), st.none() | st.text(min_size=1, max_size=50))
def test_the_order_of_the_names_changes_nothing(names: list[str], reason: str | None) -> None:
    made = link_of(names[:2], reason)
    assert made == link_of(names[1::-1], reason)
    assert parse_link(made.as_json()) == made


def test_another_salt_or_body_is_another_commitment() -> None:
    one, other = link_of([LOT, CODE], None), link_of([LOT, CODE], "why")
    found = {made.commitment(salt) for made in (one, other) for salt in (bytes(32), b"\x01" * 32)}
    assert len(found) == 4
