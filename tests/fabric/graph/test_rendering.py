"""Turtle and JSON-LD hold the same triples, and JSON-LD reads well as plain JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pyoxigraph import RdfFormat, parse

from fabric.graph import Description, to_jsonld, to_turtle
from tests.fabric.graph.conftest import EVERYBODY, Followed

Events = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def description(followed: Followed, handed_on: Events) -> Description:
    made, packed, shipped = handed_on("1")
    made |= {
        "ex:grade": "A",
        "ex:score": 7,
        "ex:ripe": True,
        "ex:size": 2.5,
        "ex:list": ["a", {"ex:in": "b"}],
    }
    report = {"type": "Temperature", "value": 4.5, "uom": "CEL"}
    packed |= {
        "sensorElementList": [{"sensorReport": [report, {"type": "Temperature", "stringValue": "cold"}]}]
    }
    followed.sim.capture("packer", [made, packed, shipped])
    followed.catch_up()
    thing = followed.sim.rows(
        "SELECT iri FROM thing WHERE iri LIKE 'https://id.gs1.org/01/%/21/%' ORDER BY iri"
    )[0][0]
    return followed.reader().describe(thing, EVERYBODY)


def triples(data: bytes, format_: RdfFormat) -> set[tuple[str, ...]]:
    return {(str(one.subject), str(one.predicate), str(one.object)) for one in parse(data, format_)}


def test_both_forms_hold_the_triples_of_the_description(description: Description) -> None:
    wanted = {(str(one.subject), str(one.predicate), str(one.object)) for one in description.quads}
    assert triples(to_turtle(description), RdfFormat.TURTLE) == wanted
    assert triples(json.dumps(to_jsonld(description)).encode(), RdfFormat.JSON_LD) == wanted


def test_another_processor_expands_our_json_ld_alike(description: Description) -> None:
    pyld = pytest.importorskip("pyld")
    value = pyld.jsonld.to_rdf(to_jsonld(description), {"format": "application/n-quads"})
    wanted = {(str(one.subject), str(one.predicate), str(one.object)) for one in description.quads}
    assert triples(value.encode(), RdfFormat.N_QUADS) == wanted


def test_the_thing_comes_first_and_parts_stand_inside_their_record(description: Description) -> None:
    graph = to_jsonld(description)["@graph"]
    assert graph[0]["@id"] == description.thing
    assert graph[0]["@type"] == "loomark:Serial"
    assert [node["@id"] for node in graph[1 : 1 + len(description.records)]] == list(description.records)
    assert graph[-1] == {"@id": "urn:loomark:graph", "coveredSize": description.size}
    packed = next(node for node in graph if "sensorElementList" in node)
    reports = packed["sensorElementList"]["sensorReport"]
    assert sorted(one.get("value", "") for one in reports) == ["", "4.5"]
    assert packed["bizStep"] == "cbv:BizStep-packing"
    assert not [node for node in graph if "#" in node["@id"]]
