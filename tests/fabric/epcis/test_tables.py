"""The tables of GS1 keys and elements: written from the syntax dictionary, and every key of it read as it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations, pairwise, permutations
from pathlib import Path
from urllib.parse import quote

import pytest

from fabric.epcis.company_prefix import CompanyPrefixes
from fabric.epcis.digital_link import link_attributes
from fabric.epcis.element_string import ELEMENTS
from fabric.epcis.gs1 import KEYS, QUALIFIERS, check_digit, check_pair
from fabric.epcis.identifiers import BadIdentifier, Position, canonical_thing, parse_element_string
from fabric.epcis.representation import EpcFormat, Translator, Untranslatable
from fabric.epcis.value_format import SET_39, SET_64, SET_82, read_format
from ontology import read_text
from ontology.gs1.generate import elements_table, keys_table, main, read_dictionary

ROOT = "https://id.gs1.org/"
CHARACTERS = {"N": "0123456789", "X": SET_82, "Y": SET_39, "Z": SET_64}
GMN = "1987654Ad4X4bL5ttr2310c"
"""The model reference that the General Specifications work through; its check characters are 2K."""
VALUES = {
    "00": "106141412345678908",
    "01": "09506000134352",
    "253": "4012345000054987",
    "255": "4012345678901" + "04711",
    "401": "0614141xyz47/11",
    "402": "06141411234567890",
    "414": "0614141073467",
    "415": "4012345000009",
    "417": "4012345002256",
    "8003": "04012345555554987",
    "8004": "4000001A/1+2",
    "8006": "040123451234560102",
    "8010": "0614141A-#/1",
    "8013": GMN + check_pair(GMN),
    "8017": "061414100000102534",
    "8018": "061414100000102534",
}
QUALIFIED = {
    "10": "LOT/7.a",
    "21": "0S%1",
    "22": "2A",
    "235": "51qIgY)<&Jp3*j7'SDB",
    "254": "400",
    "7040": "1A2b",
    "8011": "123456789012",
    "8019": "0012345678",
    "8020": "REF/1",
}


@pytest.fixture(scope="module")
def dictionary(shared_data: Path) -> str:
    """The syntax dictionary of GS1."""
    return (shared_data / "gs1" / "gs1-syntax-dictionary.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def lines(dictionary: str) -> dict[str, str]:
    """Specification and attributes by application identifier, read here without the script's help."""
    found = re.finditer(r"^([0-9]{2,4})(?:-[0-9]{2,4})?\s+(.*?)(?:\s+#.*)?$", dictionary, re.MULTILINE)
    return {match[1]: match[2] for match in found}


def test_the_tables_are_what_the_script_writes_from_the_dictionary(dictionary: str) -> None:
    entries = read_dictionary(dictionary)
    assert keys_table(entries) == read_text("gs1/keys.toml")
    assert elements_table(entries) == read_text("gs1/elements.toml")


@pytest.mark.parametrize(
    "line",
    ["no entry", "01", "01 *? # GTIN", "01 *? Q14 # GTIN", "01 *! N14 # GTIN", "01 * N14x # GTIN", "1 * N14"],
)
def test_a_line_that_the_script_does_not_understand_stops_it(line: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        read_dictionary(line)


def test_the_script_wants_its_dictionary(capsys: pytest.CaptureFixture[str]) -> None:
    before = read_text("gs1/keys.toml")
    assert main([]) == 2
    assert "syntax dictionary" in capsys.readouterr().err
    assert read_text("gs1/keys.toml") == before


def test_keys_qualifiers_and_formats_are_those_of_the_dictionary(lines: dict[str, str]) -> None:
    primary = {ai: line for ai, line in lines.items() if "dlpkey" in line}
    assert len(primary) == 16
    assert set(primary) == set(KEYS) == set(VALUES)
    for ai, line in primary.items():
        sequences = re.search(r"dlpkey=?(\S*)", line)
        assert sequences is not None
        expected = tuple(tuple(part.split(",")) for part in sequences[1].split("|") if part)
        assert KEYS[ai].sequences == expected, ai
        digits = sum(int(number) for number in re.findall(r"(?<![.\d\[])N(\d+)", line))
        assert KEYS[ai].digits == digits - (4 if "pieceoftotal" in line else 0), ai
        assert KEYS[ai].check == ("gmn" if "csumalpha" in line else "mod10" if "csum" in line else None), ai
    assert {name for key in KEYS.values() for sequence in key.sequences for name in sequence} == set(
        QUALIFIERS
    )
    assert set(QUALIFIERS) == set(QUALIFIED)


def test_elements_flags_and_lengths_are_those_of_the_dictionary(lines: dict[str, str]) -> None:
    for ai, line in lines.items():
        flags = line.split()[0]
        assert (ELEMENTS[ai].predefined, ELEMENTS[ai].attribute) == (
            "*" in flags,
            "?" in flags and flags[0] in "*?",
        ), ai
        components = re.findall(r"(?:^|\s)\[?[NXYZ](?:\.\.)?(\d+)", line)
        assert ELEMENTS[ai].format.most == sum(map(int, components)), ai
    starts = sorted(ELEMENTS)
    assert not [pair for pair in pairwise(starts) if pair[1].startswith(pair[0])]


def named() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every key with every choice of qualifiers that belong together on it."""
    for ai, key in KEYS.items():
        yield ai, ()
        for sequence in key.sequences:
            for count in range(1, len(sequence) + 1):
                yield from ((ai, names) for names in combinations(sequence, count))


NAMED = list(named())


def path(pairs: list[tuple[str, str]]) -> str:
    return "/".join(f"{ai}/{quote(value, safe='')}" for ai, value in pairs)


@pytest.mark.parametrize(
    ("ai", "names"), NAMED, ids=lambda value: "-".join(value) if isinstance(value, tuple) else value
)
def test_every_key_with_every_choice_of_qualifiers_is_one_thing_in_every_spelling(
    ai: str, names: tuple[str, ...]
) -> None:
    pairs = [(name, QUALIFIED[name]) for name in names]
    key = [(ai, VALUES[ai])]
    kept = [pair for pair in pairs if not (pair[0] == "10" and "21" in names)]
    expected = ROOT + path(key + kept)
    spellings = [ROOT + path(key + list(order)) for order in permutations(pairs)]
    spellings += [
        "http://" + spelling.partition("://")[2].replace("id.gs1.org", "a.example:8080/shop")
        for spelling in spellings
    ]
    spellings += [spellings[0] + "?17=261231&linkType=gs1:pip#top", spellings[0] + "/"]
    assert {canonical_thing(spelling, Position.EPC).iri for spelling in spellings} == {expected}
    bracketed = "".join(f"({name}){value}" for name, value in key + pairs)
    raw = "".join(f"{name}{value}\x1d" for name, value in key + pairs)
    assert parse_element_string(bracketed).iri == expected
    assert parse_element_string(raw).iri == expected


@pytest.mark.parametrize("ai", [ai for ai, key in KEYS.items() if key.check == "mod10"])
@pytest.mark.parametrize("domain", ["https://id.gs1.org/", "https://shop.example/p/"])
def test_each_wrong_check_digit_is_refused_with_the_right_one(ai: str, domain: str) -> None:
    value, place = VALUES[ai], KEYS[ai].digits - 1
    right = check_digit(value[:place])
    assert value[place] == right
    for wrong in set("0123456789") - {right}:
        with pytest.raises(BadIdentifier) as caught:
            canonical_thing(
                f"{domain}{ai}/{quote(value[:place] + wrong + value[place + 1 :], safe='')}", Position.EPC
            )
        assert caught.value.rule == "bad-check-digit"
        assert f"check digit {right} " in caught.value.message
        assert value in caught.value.message


def test_wrong_check_characters_of_a_model_are_refused_with_the_right_ones() -> None:
    assert check_pair(GMN) == "2K"
    with pytest.raises(BadIdentifier, match=f"check characters 2K .{GMN}2K") as caught:
        canonical_thing(f"{ROOT}8013/{GMN}2L", Position.EPC)
    assert caught.value.rule == "bad-check-digit"


WITH_URN = {
    *((ai, ()) for ai in KEYS if ai not in ("415", "8013")),
    *(("01", (name,)) for name in ("10", "21", "235")),
    ("414", ("254",)),
    ("8006", ("21",)),
    ("8010", ("8011",)),
}


@pytest.mark.parametrize(
    ("ai", "names"), NAMED, ids=lambda value: "-".join(value) if isinstance(value, tuple) else value
)
def test_a_key_has_a_urn_with_the_prefix_at_the_dictionarys_place_or_none(
    lines: dict[str, str], ai: str, names: tuple[str, ...]
) -> None:
    link = ROOT + path([(ai, VALUES[ai]), *((name, QUALIFIED[name]) for name in names)])
    start = 1 if "gcppos2" in lines[ai] or ai == "8003" else 0
    prefix = VALUES[ai][start : start + 7]
    known = Translator(CompanyPrefixes([prefix]))
    if (ai, names) in WITH_URN:
        urn = known.name(link, EpcFormat.URN)
        assert f":{prefix}." in urn
        assert known.name(urn, EpcFormat.DIGITAL_LINK) == link
    else:
        with pytest.raises(Untranslatable) as caught:
            known.name(link, EpcFormat.URN)
        assert caught.value.rule == "no-urn-form"


@pytest.mark.parametrize("ai", sorted(ELEMENTS))
def test_every_element_has_its_characters_and_its_length(ai: str) -> None:
    form = ELEMENTS[ai].format
    last = form.text.rpartition(" ")[2]
    characters = CHARACTERS[{"digits": "N", "82": "X", "39": "Y", "base64url": "Z"}[last]]
    assert form.matches("1" * form.most)
    assert not form.matches("1" * (form.most + 1))
    assert not form.matches("")
    assert not form.matches("1" * (form.most - 1) + "é")
    assert all(form.matches("1" * (form.most - 1) + last) for last in characters)


@pytest.mark.parametrize(
    "text",
    [
        "0109506000134352" + "10LOT1" + "1726123121" + "S" * 20,
        "0109506000134352\x1d9",
        "0109506000134352\x1d05123",
        "0109506000134352\x1d17ABCDEF",
        "0109506000134352\x1d172612",
        "(01)09506000134352(17)26123",
        "(01)09506000134352(05)1",
        "(01)09506000134352(3106)000001",
        "(01)09506000134352" + "(90)x" * 3_000,
    ],
)
def test_an_element_that_does_not_fit_spoils_the_whole(text: str) -> None:
    with pytest.raises(BadIdentifier) as caught:
        parse_element_string(text)
    assert caught.value.rule == "bad-identifier"


def test_elements_of_predefined_length_need_no_separator() -> None:
    thing = parse_element_string("]C10109506000134352310300125017261231" + "10L1\x1d3922" + "199")
    assert thing.iri == ROOT + "01/09506000134352/10/L1"


def test_the_query_of_a_link_states_attributes() -> None:
    link = "https://a.example/01/09506000134352?17=261231&3103=001250;linkType=gs1:pip&4302=A%2BB%20#17=9"
    assert link_attributes(link.replace("%20", "")) == {"17": "261231", "3103": "001250", "4302": "A+B"}
    assert link_attributes("https://a.example/01/09506000134352") == {}


@pytest.mark.parametrize(
    "query", ["17=26123", "17=261231&17=261231", "21=S", "999999=1", "03=09506000134352", "10=%zz", "10="]
)
def test_what_may_not_stand_in_a_query_is_refused(query: str) -> None:
    with pytest.raises(BadIdentifier):
        link_attributes(f"https://a.example/01/09506000134352?{query}")
    assert (
        canonical_thing(f"https://a.example/01/09506000134352?{query}", Position.EPC).iri
        == ROOT + "01/09506000134352"
    )


@pytest.mark.parametrize("text", ["N", "Q3", "N3,csum", "[X..17", "..3"])
def test_a_format_that_is_none_is_refused_where_it_is_read(text: str) -> None:
    with pytest.raises(ValueError, match="expected a component"):
        read_format("N1 " + text.replace("[X..17", "[X..1[7"))
