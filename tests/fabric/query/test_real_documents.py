"""Every question on every real document: always an answer, and what an event says of itself is found."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fabric.epcis import read_document
from fabric.epcis.contexts import effective_context
from fabric.query import Candidate, Query, from_json
from fabric.query.grammar import FAMILIES, FIXED
from fabric.query.units import units
from ledger.errors import InvalidInput

from .candidates import EX, RECORDED_US
from .test_parameters import _sample

_ENDS = {"HASATTR_": "bizStep", "EQATTR_": "bizStep_site", "EQ_ATTR_": "ex:a_site"}
_TYPED = {"EQ_bizTransaction_": "po", "EQ_source_": "location", "EQ_destination_": "location"}
_TYPES = {".json": "application/json", ".jsonld": "application/ld+json", ".xml": "application/xml"}


@pytest.fixture(scope="module")
def events(shared_data: Path) -> list[Candidate]:
    """Every event of every valid document, in JSON and XML."""
    found = []
    for path in sorted((shared_data / "epcis").rglob("*")):
        if path.suffix not in _TYPES:
            continue
        try:
            document = read_document(path.read_bytes(), _TYPES[path.suffix])
        except InvalidInput:
            continue
        found += [Candidate(one.committed, one.event, RECORDED_US) for one in document.events]
    assert len(found) > 300
    return found


def _name(start: str) -> str:
    end = "CEL" if re.search("alue_$|sDev_$|quantity_$", start) else "ex:a"
    return start + {**_ENDS, **_TYPED}.get(start, end)


def _questions() -> Iterator[tuple[str, Query]]:
    for name in [*FIXED, *map(_name, FAMILIES)]:
        order = {"orderBy": "recordTime"} if name == "eventCountLimit" else {}
        yield name, from_json({name: _sample(name), **order}, {"ex": EX})


def test_every_question_has_an_answer_for_every_event(events: list[Candidate]) -> None:
    answers = {
        name: sum(query.matches(one) for one in events) for name, query in _questions() if query.conditions
    }
    assert len(answers) > 150
    assert answers["EXISTS_sensorElementList"] > 20
    assert answers["GE_value_CEL"] > 10
    assert answers["EQ_eventID"] == 0


def _fields(one: Candidate, section: str) -> Iterator[tuple[str, Any]]:
    holder = one.value if section == "" else one.value.get("ilmd", {})
    context = effective_context(one.value["@context"])
    for member, value in holder.items():
        iri = context.expand(member)
        if iri is not None and "#" not in iri:
            yield iri, value


@pytest.mark.parametrize("section", ["", "ILMD_"])
def test_every_extension_field_is_found_by_its_iri_and_its_value(
    events: list[Candidate], section: str
) -> None:
    asked = 0
    for one in events:
        for iri, value in _fields(one, section):
            asked += 1
            assert from_json({f"EXISTS_{section}{iri}": None}, {}).matches(one), iri
            if isinstance(value, str | int | float) and value != "":
                assert from_json({f"EQ_{section}{iri}": [value]}, {}).matches(one), (iri, value)
                assert not from_json({f"EQ_{section}{iri}": [f"{value}x"]}, {}).matches(one), (iri, value)
    assert asked > 50


def _amounts(one: Candidate) -> Iterator[tuple[str, Decimal, str]]:
    for element in one.value.get("sensorElementList", []):
        for report in element["sensorReport"]:
            for name in ("value", "minValue", "maxValue", "meanValue", "percValue"):
                if name in report and re.fullmatch("[A-Z0-9]{2,4}", report.get("uom", "")):
                    yield name, Decimal(repr(report[name])), report["uom"]


def test_every_measured_amount_is_found_in_every_unit_that_writes_it_in_decimals(
    events: list[Candidate],
) -> None:
    asked, seen = 0, set()
    for one in events:
        for name, amount, uom in _amounts(one):
            unit = units().get(uom)
            assert unit is not None, uom
            for code, other in units().items():
                if other.dimension != unit.dimension or other.factor.denominator % 3 == 0:
                    continue
                # A decimal of so few digits is exact where its factor is a power of ten.
                scaled = (Decimal(repr(float(unit.factor))) / Decimal(repr(float(other.factor)))).normalize()
                if unit.shift == other.shift and scaled.as_tuple().digits == (1,):
                    asked += 1
                    seen.add(code)
                    query = from_json({f"EQ_{name}_{code}": [float(amount * scaled)]}, {})
                    assert query.matches(one), (name, amount, uom, code)
    assert asked > 100
    assert len(seen) > 10
