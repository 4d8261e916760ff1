"""Names of things: the vector file, and what holds for every key."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.epcis.gs1 import KEYS, check_digit
from fabric.epcis.identifiers import (
    BadIdentifier,
    Kind,
    Position,
    Thing,
    canonical_thing,
    is_carrier_key,
    parse_element_string,
    private_thing,
    read_name,
    search_candidates,
)

VECTORS: dict[str, Any] = json.loads(Path(__file__).with_name("identifiers.json").read_text(encoding="utf-8"))

SET_82 = "!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
SERIALS = st.text(SET_82, min_size=1, max_size=20)
DIGITS = st.text("0123456789", min_size=1)


def digits(count: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=count, max_size=count)


def test_the_vector_file_has_eighty_pairs_and_more() -> None:
    same = sum(len(row["names"]) for row in VECTORS["same"])
    different = sum(len(list(combinations(names, 2))) for _, names in VECTORS["different"])
    assert same + different + len(VECTORS["refused"]) + len(VECTORS["itself"]) >= 150
    assert {row["iri"].split("/")[3] for row in VECTORS["same"]} == set(KEYS)


@pytest.mark.parametrize("row", VECTORS["same"], ids=lambda row: row["iri"])
def test_every_spelling_of_a_key_is_one_thing(row: dict[str, Any]) -> None:
    expected = Thing(row["iri"], Kind(row["kind"]), row.get("lot_of"))
    assert {name: canonical_thing(name, Position(row["position"])) for name in row["names"]} == dict.fromkeys(
        row["names"], expected
    )


@pytest.mark.parametrize("row", VECTORS["same"], ids=lambda row: row["iri"])
def test_a_canonical_iri_is_its_own_canonical_iri(row: dict[str, Any]) -> None:
    again = canonical_thing(row["iri"], Position(row["position"]))
    assert (again.iri, again.kind) == (row["iri"], Kind(row["kind"]))


@pytest.mark.parametrize("row", VECTORS["itself"], ids=lambda row: row["text"])
def test_a_name_without_a_key_is_itself_byte_for_byte(row: dict[str, Any]) -> None:
    assert canonical_thing(row["text"], Position(row["position"])) == Thing(row["text"], Kind(row["kind"]))


@pytest.mark.parametrize(("why", "names"), VECTORS["different"], ids=lambda value: str(value)[:40])
def test_nothing_merges_what_differs(why: str, names: list[str]) -> None:
    iris = [canonical_thing(name, Position.EPC).iri for name in names]
    assert len(set(iris)) == len(names), why


@pytest.mark.parametrize("row", VECTORS["refused"], ids=lambda row: row["text"] or "empty")
def test_a_name_of_nothing_is_refused_and_says_why(row: dict[str, Any]) -> None:
    with pytest.raises(BadIdentifier) as caught:
        canonical_thing(row["text"], Position.EPC)
    assert caught.value.rule == row["rule"]
    assert row.get("says", "") in caught.value.message


def test_a_refused_name_is_refused_the_second_time_as_well() -> None:
    for _ in range(2):
        with pytest.raises(BadIdentifier, match="09506000134352"):
            canonical_thing("https://id.gs1.org/01/09506000134353", Position.EPC)


def test_a_wrong_check_digit_can_be_kept_as_a_private_name() -> None:
    text = "https://id.gs1.org/01/09506000134353"
    thing, problem = read_name(text, Position.EPC_CLASS)
    assert thing == Thing(text, Kind.LOT)
    assert problem is not None
    assert problem.rule == "bad-check-digit"


@pytest.mark.parametrize("row", VECTORS["element_strings"], ids=lambda row: row["text"])
def test_an_element_string_names_what_its_link_names(row: dict[str, Any]) -> None:
    assert parse_element_string(row["text"]).iri == row["iri"]


@pytest.mark.parametrize(
    "text", ["", "(10)ABC", "(01)09506000134353", "(01)09506000134352(00)1", "x", "0", "()1"]
)
def test_an_element_string_without_one_good_key_is_refused(text: str) -> None:
    with pytest.raises(BadIdentifier):
        parse_element_string(text)


def test_an_element_string_states_the_lot_of_its_serial() -> None:
    thing = parse_element_string("(01)09506000134352(10)L(21)S")
    assert thing.lot_of == "https://id.gs1.org/01/09506000134352/10/L"


@given(prefix=digits(7), reference=digits(6), serial=SERIALS)
def test_a_urn_and_a_link_of_one_serial_agree(prefix: str, reference: str, serial: str) -> None:
    gtin = reference[0] + prefix + reference[1:]
    gtin += check_digit(gtin)
    escaped = quote(serial, safe="!'()*+,-.:;=_")
    urn = canonical_thing(f"urn:epc:id:sgtin:{prefix}.{reference}.{escaped}", Position.EPC)
    link = canonical_thing(f"https://any.example/x/01/{gtin}/21/{quote(serial, safe='')}", Position.EPC)
    assert urn == link
    assert urn.kind is Kind.SERIAL


@given(prefix=digits(8), reference=digits(4), extension=SERIALS)
def test_a_urn_and_a_link_of_one_place_agree(prefix: str, reference: str, extension: str) -> None:
    gln = prefix + reference + check_digit(prefix + reference)
    urn = f"urn:epc:id:sgln:{prefix}.{reference}.{quote(extension, safe='')}"
    link = f"https://id.gs1.org/414/{gln}/254/{quote(extension, safe='')}"
    assert canonical_thing(urn, Position.PLACE) == canonical_thing(link, Position.PLACE)


@given(gtin=digits(13), lot=SERIALS, serial=SERIALS)
def test_canonical_iris_are_fixed_points(gtin: str, lot: str, serial: str) -> None:
    link = f"https://a.example/01/{gtin + check_digit(gtin)}/10/{quote(lot, safe='')}/21/{quote(serial, safe='')}"
    thing = canonical_thing(link, Position.EPC)
    assert thing.lot_of is not None
    assert canonical_thing(thing.iri, Position.EPC) == Thing(thing.iri, Kind.SERIAL)
    assert canonical_thing(thing.lot_of, Position.EPC) == Thing(thing.lot_of, Kind.LOT)


@given(one=SERIALS, other=SERIALS)
def test_two_lots_are_one_thing_only_if_they_are_one_text(one: str, other: str) -> None:
    stem = "https://id.gs1.org/01/09506000134352/10/"
    iris = [canonical_thing(stem + quote(lot, safe=""), Position.EPC_CLASS).iri for lot in (one, other)]
    assert (iris[0] == iris[1]) == (one == other)


@given(text=st.text(max_size=60), position=st.sampled_from(Position))
def test_any_text_is_a_thing_or_a_stated_refusal(text: str, position: Position) -> None:
    thing, problem = read_name(text, position)
    assert problem is None or problem.rule in ("bad-check-digit", "bad-identifier", "not-a-uri")
    assert problem is None or thing.iri == text


@given(
    head=st.sampled_from(
        [
            "urn:epc:id:sgtin:",
            "urn:epc:idpat:",
            "urn:epc:class:",
            "https://id.gs1.org/01/",
            "https://e.example/00/",
        ]
    ),
    rest=st.text(SET_82 + "#[]é", max_size=40),
)
def test_hostile_names_are_read_or_refused_and_settle(head: str, rest: str) -> None:
    thing, problem = read_name(head + rest, Position.EPC)
    if problem is None:
        assert read_name(thing.iri, Position.EPC)[0].iri == thing.iri


@given(number=digits(13))
def test_the_right_check_digit_is_the_one_a_refusal_names(number: str) -> None:
    right = check_digit(number)
    wrong = str((int(right) + 1) % 10)
    with pytest.raises(BadIdentifier) as caught:
        canonical_thing(f"https://id.gs1.org/01/{number}{wrong}", Position.EPC)
    assert f"{number}{right}" in caught.value.message


def test_a_members_own_code_becomes_a_name_of_that_member_and_kind() -> None:
    thing = private_thing("packer", Kind.LOT, "A/7 b")
    assert thing == Thing("urn:loomark:thing:packer:lot:A%2F7%20b", Kind.LOT)
    assert canonical_thing(thing.iri, Position.EPC) == thing


def test_a_long_path_costs_no_more_than_its_end() -> None:
    path = "https://example.com" + "/01" * 200_000
    thing, problem = read_name(path, Position.EPC)
    assert thing == Thing(path, Kind.SERIAL)
    assert problem is not None
    assert problem.rule == "too-long"


def test_carriers_are_shipping_units_and_assets() -> None:
    assert is_carrier_key("https://id.gs1.org/00/106141412345678908")
    assert is_carrier_key("https://id.gs1.org/8003/00614141123452400")
    assert is_carrier_key("https://id.gs1.org/8004/061414112345400")
    assert not is_carrier_key("https://id.gs1.org/01/09506000134352/21/00")


def test_a_typed_number_may_be_a_product_or_a_place_or_a_lot() -> None:
    found = search_candidates(" 9506000134352 ")
    assert [thing.iri for thing in found.things] == [
        "https://id.gs1.org/01/09506000134352",
        "https://id.gs1.org/414/9506000134352",
        "https://id.gs1.org/417/9506000134352",
    ]
    assert "/10/9506000134352" in found.endings


def test_a_typed_lot_is_looked_for_under_every_product() -> None:
    found = search_candidates("A/7")
    assert found.things == ()
    assert found.endings == ("/10/A%2F7", "/21/A%2F7", ":lot:A%2F7", ":serial:A%2F7")


@given(text=st.text(max_size=40))
def test_a_search_never_fails(text: str) -> None:
    assert search_candidates(text) is not None
