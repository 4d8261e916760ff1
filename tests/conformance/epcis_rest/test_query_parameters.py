"""The fixed parameters of `GET /events`: what each finds, and what it leaves out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from .clauses import must, should
from .documents import EXTENSIONS, NAMESPACE, at, document, fresh_place, object_event
from .server import Server
from .world import World

ALL = [
    "made",
    "seen",
    "packed",
    "shipped",
    "cooked",
    "joined",
    "counted",
    "cold",
    "warm",
    "mistake",
    "declared",
]
OBJECTS = ["made", "seen", "counted", "cold", "warm", "mistake", "declared"]


@dataclass(frozen=True)
class Case:
    """A parameter, a value made of the world's identifiers, and the names of the events it finds."""

    parameter: str
    value: Callable[[World], str]
    finds: str

    @property
    def id(self) -> str:
        """How the example is called in a report."""
        return f"{self.parameter}-{self.finds.replace(' ', '+') or 'nothing'}"


def case(parameter: str, value: str | Callable[[World], str], finds: str) -> Case:
    """A case; a value that is text holds for every world."""
    return Case(parameter, value if callable(value) else lambda _: value, finds)


CASES = {
    "only events whose type is one of those listed": [
        case("eventType", "ObjectEvent", " ".join(OBJECTS)),
        case("eventType", "AggregationEvent|AssociationEvent", "packed joined"),
        case("eventType", "TransactionEvent", "shipped"),
        case("eventType", "TransformationEvent", "cooked"),
        case("eventType", "https://example.org/NoSuchEvent", ""),
    ],
    "only events at or after, or before, this event time; any offset means the instant": [
        case("GE_eventTime", at(70), "cold warm mistake declared"),
        case("GE_eventTime", "2024-03-01T10:10:00Z", "cold warm mistake declared"),
        case("GE_eventTime", "2031-01-01T00:00:00Z", ""),
        case("LT_eventTime", at(20), "made seen"),
        case("LT_eventTime", "2001-01-01T00:00:00Z", ""),
    ],
    "only events that the server recorded at or after, or before, this time": [
        case("GE_recordTime", "2001-01-01T00:00:00Z", " ".join(ALL)),
        case("GE_recordTime", "2101-01-01T00:00:00Z", ""),
        case("LT_recordTime", "2101-01-01T00:00:00Z", " ".join(ALL)),
        case("LT_recordTime", "2001-01-01T00:00:00Z", ""),
    ],
    "only events that have an action, and one of those listed": [
        case("EQ_action", "DELETE", "mistake declared"),
        case("EQ_action", "ADD|DELETE", "made packed shipped joined mistake declared"),
    ],
    "only events with one of these business steps; standard ones as bare words": [
        case("EQ_bizStep", "packing|shipping", "packed shipped"),
        case("EQ_bizStep", "retail_selling", ""),
    ],
    "only events with one of these dispositions; standard ones as bare words": [
        case("EQ_disposition", "in_progress", "packed cooked"),
        case("EQ_disposition", "stolen", ""),
    ],
    "only events whose persistent disposition sets, or unsets, one of these": [
        case("EQ_persistentDisposition_set", "completeness_verified", "seen"),
        case("EQ_persistentDisposition_set", "completeness_inferred", ""),
        case("EQ_persistentDisposition_unset", "completeness_inferred", "seen"),
        case("EQ_persistentDisposition_unset", "completeness_verified", ""),
    ],
    "only events whose read point is one of these": [
        case("EQ_readPoint", lambda world: world.line.urn, "made"),
        case("EQ_readPoint", lambda world: f"{world.line.urn}|{world.dock.urn}", "made seen"),
        case("EQ_readPoint", lambda world: world.yard, ""),
    ],
    "a read point is found under its Digital Link as under its URN: both name one location": [
        case("EQ_readPoint", lambda world: world.line.link, "made"),
    ],
    "only events whose read point is one of these, or lies below one by master data": [
        case("WD_readPoint", lambda world: world.yard, "made"),
        case("WD_readPoint", lambda world: world.site, "made"),
        case("WD_readPoint", lambda world: f"{world.dock.urn}|{world.site}", "made seen"),
        case("WD_readPoint", lambda world: world.dock.urn, "seen"),
        case("WD_readPoint", lambda world: world.home, ""),
    ],
    "only events whose business location is one of these": [
        case("EQ_bizLocation", lambda world: world.home, " ".join(ALL)),
        case("EQ_bizLocation", lambda world: f"{world.home}|{world.yard}", " ".join(ALL)),
    ],
    "only events whose business location is one of these, or lies below one by master data": [
        case("WD_bizLocation", lambda world: world.home, " ".join(ALL)),
        case("WD_bizLocation", lambda world: world.yard, ""),
    ],
    "only transformations with one of these transformation IDs": [
        case("EQ_transformationID", lambda world: world.transformation, "cooked"),
        case("EQ_transformationID", lambda world: world.ids["cooked"], ""),
    ],
    "only events with a quantity equal to, or compared with, this number, whatever its unit": [
        case("EQ_quantity", "200", "cooked"),
        case("EQ_quantity", "201", ""),
        case("GT_quantity", "200", "counted"),
        case("GE_quantity", "200", "cooked counted"),
        case("GE_quantity", "2000.5", ""),
        case("LT_quantity", "30", "packed"),
        case("LE_quantity", "30", "packed cooked"),
        case("LE_quantity", "9.5", ""),
    ],
    "only events with one of these event IDs": [
        case("EQ_eventID", lambda world: world.ids["made"], "made"),
        case("EQ_eventID", lambda world: f"{world.ids['seen']}|{world.ids['made']}", "made seen"),
        case("EQ_eventID", lambda world: world.ids["mistake"], "mistake declared"),
        case("EQ_eventID", lambda world: world.corrective, ""),
    ],
    "true: only events with an error declaration; false: as if it were not given": [
        case("EXISTS_errorDeclaration", "true", "declared"),
        case("EXISTS_errorDeclaration", "false", " ".join(ALL)),
    ],
    "only events whose error was declared at or after, or before, this time": [
        case("GE_errorDeclarationTime", "2024-04-02T10:00:00Z", "declared"),
        case("GE_errorDeclarationTime", "2024-04-02T10:00:01Z", ""),
        case("LT_errorDeclarationTime", "2024-04-02T10:00:01Z", "declared"),
        case("LT_errorDeclarationTime", "2024-04-02T10:00:00Z", ""),
    ],
    "only events whose error declaration has one of these reasons": [
        case("EQ_errorReason", "incorrect_data", "declared"),
        case("EQ_errorReason", "did_not_occur", ""),
    ],
    "only events whose error declaration names one of these corrective events": [
        case("EQ_correctiveEventID", lambda world: world.corrective, "declared"),
        case("EQ_correctiveEventID", lambda world: world.ids["made"], ""),
    ],
    "only events with sensor metadata whose time span starts, or ends, at or after, or before, this": [
        case("GE_startTime", "2024-03-01T18:00:00Z", "warm"),
        case("GE_startTime", "2024-03-01T18:00:01Z", ""),
        case("LT_startTime", "2024-03-01T18:00:00Z", "cold"),
        case("LT_startTime", "2024-03-01T08:00:00Z", ""),
        case("GE_endTime", "2024-03-01T19:00:00Z", "warm"),
        case("GE_endTime", "2024-03-01T19:00:01Z", ""),
        case("LT_endTime", "2024-03-01T19:00:00Z", "cold"),
        case("LT_endTime", "2024-03-01T09:00:00Z", ""),
    ],
    "only events with a sensor report of one of these types; standard ones as bare words": [
        case("EQ_type", "Temperature", "cold warm"),
        case("EQ_type", "RelativeHumidity", "warm"),
        case("EQ_type", "Pressure", ""),
    ],
    "only events whose sensor data has this attribute with one of these values": [
        case("EQ_deviceID", lambda world: world.device, "cold"),
        case("EQ_deviceID", lambda world: world.item.urn, ""),
        case("EQ_dataProcessingMethod", lambda world: f"https://example.com/253/{world.run}-cold", "cold"),
        case("EQ_dataProcessingMethod", lambda world: f"https://example.com/253/{world.run}", ""),
        case("EQ_microorganism", lambda world: f"https://example.org/taxonomy/{world.run}", "cold"),
        case("EQ_microorganism", lambda world: f"https://example.org/inchi/{world.run}", ""),
        case("EQ_chemicalSubstance", lambda world: f"https://example.org/inchi/{world.run}", "cold"),
        case("EQ_chemicalSubstance", lambda world: f"https://example.org/taxonomy/{world.run}", ""),
        case("EQ_bizRules", lambda world: f"https://example.com/rules/{world.run}-cold", "cold"),
        case("EQ_bizRules", lambda world: f"https://example.com/rules/{world.run}", ""),
        case("EQ_stringValue", "clear|muddy", "cold"),
        case("EQ_stringValue", "muddy", ""),
        case("EQ_hexBinaryValue", "f0f0f0", "cold"),
        case("EQ_hexBinaryValue", "f0f0f1", ""),
        case("EQ_uriValue", lambda world: f"https://example.org/value/{world.run}", "cold"),
        case("EQ_uriValue", lambda world: f"https://example.org/value/{world.run}/", ""),
        case("EQ_booleanValue", "true", "cold"),
        case("EQ_booleanValue", "false", "warm"),
    ],
}

# The OpenAPI and the query schema spell or know these differently; a server that reads both hurts nobody.
SPELLINGS = {
    "the spelling of the query schema means what the OpenAPI's does": [
        case("GE_errorDeclaration_Time", "2024-04-02T10:00:00Z", "declared"),
        case("LT_errorDeclaration_Time", "2024-04-02T10:00:00Z", ""),
    ],
    "a name that only the query schema has: events with sensor elements": [
        case("EXISTS_sensorElementList", "true", "cold warm"),
    ],
    "a name that only the query schema has: the time of sensor metadata or of a sensor report": [
        case("GE_time", "2024-03-01T19:00:00Z", "warm"),
        case("LT_time", "2024-03-01T19:00:00Z", "cold"),
    ],
    "a name that only the query schema has: the percentile of a sensor report": [
        case("GE_percRank", "50", "cold"),
        case("GT_percRank", "50", ""),
        case("LE_percRank", "50", "cold"),
        case("LT_percRank", "50", ""),
    ],
}


def _examples() -> list[object]:
    return [
        *(
            pytest.param(one, id=one.id, marks=must("GET /events", f"{one.parameter}: {text}."))
            for text, cases in CASES.items()
            for one in cases
        ),
        *(
            pytest.param(one, id=one.id, marks=should("query-schema", f"{one.parameter}: {text}."))
            for text, cases in SPELLINGS.items()
            for one in cases
        ),
    ]


@pytest.mark.parametrize("example", _examples())
def test_a_fixed_parameter_finds_what_it_says_and_nothing_else(
    server: Server, world: World, example: Case
) -> None:
    asked = (example.parameter, example.value(world))
    # A parameter comes once: where the location is what is asked for, it is not what narrows.
    found = server.events([asked]) if example.parameter == "EQ_bizLocation" else server.at(world.home, asked)
    assert world.names(found) == sorted(example.finds.split())


@must("GET /events", "Parameters are combined by AND, the values of one parameter by OR.")
def test_parameters_narrow_and_values_widen(server: Server, world: World) -> None:
    steps = ("EQ_bizStep", "packing|shipping|commissioning")
    assert world.names(server.at(world.home, steps, ("EQ_action", "ADD"))) == ["made", "packed", "shipped"]
    assert world.names(server.at(world.home, steps, ("eventType", "ObjectEvent"))) == ["made"]
    assert server.at(world.home, steps, ("EQ_action", "DELETE")) == []


@must(
    "recordTime", "The server sets the record time of an event; one that came with a capture does not count."
)
def test_events_recorded_before_now_are_found_by_record_time(server: Server, world: World) -> None:
    found = server.at(world.home)
    assert all(event["recordTime"] > "2024-06" for event in found)
    latest = max(str(event["recordTime"]) for event in found)
    assert world.names(server.at(world.home, ("GE_recordTime", latest)))


@must(
    "GET /events",
    "EQ_bizStep and EQ_disposition find a standard word under its web URI too: it is the same value.",
)
@pytest.mark.parametrize(
    "base", ["https://ref.gs1.org/cbv/BizStep-packing", "urn:epcglobal:cbv:bizstep:packing"]
)
def test_a_standard_word_is_one_value_under_all_its_names(server: Server, world: World, base: str) -> None:
    assert world.names(server.at(world.home, ("EQ_bizStep", base))) == ["packed"]


@must(
    "GET /events",
    "EQ_bizStep finds a custom step by its URI, and by a CURIE whose prefix GS1-Extensions defines.",
)
@pytest.mark.parametrize("value", [f"{NAMESPACE}polishing", "ex:polishing"])
def test_a_custom_step_is_found_by_uri_and_by_curie(server: Server, value: str) -> None:
    place = fresh_place()
    server.capture(document([object_event(place, bizStep=f"{NAMESPACE}polishing"), object_event(place)]))
    found = server.at(place.urn, ("EQ_bizStep", value), GS1_Extensions=EXTENSIONS["GS1-Extensions"])
    assert [event["bizStep"] for event in found] in ([f"{NAMESPACE}polishing"], ["ex:polishing"])


@must(
    "GET /events", "A value that has a pipe, a space or a plus sign inside is read as it was percent-encoded."
)
def test_values_are_decoded_once(server: Server) -> None:
    place = fresh_place()
    report = {"type": "Temperature", "stringValue": "a+b c%20d", "value": 1, "uom": "CEL"}
    server.capture(document([object_event(place, sensorElementList=[{"sensorReport": [report]}])]))
    assert len(server.at(place.urn, ("EQ_stringValue", "a+b c%20d"))) == 1
    assert server.at(place.urn, ("EQ_stringValue", "a b c d")) == []
