"""The parameters with flexible names: units, types, extension fields, master data attributes."""

from __future__ import annotations

import pytest

from .clauses import must, should
from .documents import EXTENSIONS, document, fresh_place, object_event
from .identifiers import Place
from .server import Server
from .test_query_parameters import Case, case
from .world import CITY, World

BOTH = "made seen"

FAMILIES = {
    "EQ_bizTransaction_TYPE: a business transaction of that type": [
        case("EQ_bizTransaction_po", lambda world: world.order, "shipped"),
        case("EQ_bizTransaction_desadv", lambda world: world.order, ""),
    ],
    "EQ_source_TYPE and EQ_destination_TYPE: a source or destination of that type": [
        case("EQ_source_location", lambda world: world.line.urn, "shipped"),
        case("EQ_source_owning_party", lambda world: world.line.urn, ""),
        case("EQ_destination_location", lambda world: world.dock.urn, "shipped"),
        case("EQ_destination_location", lambda world: world.line.urn, ""),
    ],
    "*_value_UOM: the value of a sensor report": [
        case("EQ_value_CEL", "4.5", "cold"),
        case("EQ_value_CEL", "4.6", ""),
        case("GT_value_CEL", "4.5", "warm"),
        case("GE_value_CEL", "4.5", "cold warm"),
        case("LT_value_CEL", "30", "cold"),
        case("LE_value_CEL", "30", "cold warm"),
        case("GE_value_P1", "60", "warm"),
    ],
    "*_minValue_UOM and its kin: the statistics of a sensor report": [
        case("GE_minValue_CEL", "2.5", "cold"),
        case("GT_minValue_CEL", "2.5", ""),
        case("LE_maxValue_CEL", "6.5", "cold"),
        case("LT_maxValue_CEL", "6.5", ""),
        case("GE_meanValue_CEL", "4.25", "cold"),
        case("LT_meanValue_CEL", "4.25", ""),
        case("LE_sDev_CEL", "0.5", "cold"),
        case("GT_sDev_CEL", "0.5", ""),
        case("GE_percValue_CEL", "4.75", "cold"),
        case("LT_percValue_CEL", "4.75", ""),
    ],
    "*_quantity_UOM: a quantity in that unit": [
        case("EQ_quantity_KGM", "10", "packed"),
        case("GT_quantity_KGM", "10", "cooked"),
        case("LE_quantity_GRM", "2000", "counted"),
    ],
    "Values in another unit of the same dimension are converted (UN/ECE Recommendation 20).": [
        case("EQ_value_KEL", "277.65", "cold"),
        case("GE_value_KEL", "300", "warm"),
        case("LT_value_FAH", "41", "cold"),
        case("GE_minValue_KEL", "275.65", "cold"),
        case("EQ_quantity_GRM", "10000", "packed"),
        case("LE_quantity_KGM", "2", "counted"),
        case("GE_value_LTR", "0", ""),
    ],
}

FIELDS = {
    "EQ_fieldname: an extension field of the event": [
        case("EQ_ex:colour", "red", "made"),
        case("EQ_ex:colour", "red|blue", BOTH),
        case("EQ_ex:colour", "Red", ""),
        case("EQ_ex:count", "9", "seen"),
    ],
    "GT_, GE_, LT_ and LE_fieldname: an extension field that is a number or a time": [
        case("GT_ex:count", "5", "seen"),
        case("GE_ex:count", "5", BOTH),
        case("LT_ex:count", "9", "made"),
        case("LE_ex:count", "9", BOTH),
        case("LT_ex:count", "5", ""),
        case("GE_ex:moment", "2024-06-01T02:00:00+02:00", "seen"),
        case("LT_ex:moment", "2024-06-01T00:00:00Z", "made"),
    ],
    "EXISTS_fieldname: an extension field that is there": [
        case("EXISTS_ex:colour", "true", BOTH),
        case("EXISTS_ex:nothing", "true", ""),
    ],
    "*_INNER_fieldname: an extension field at any depth inside another": [
        case("EQ_INNER_ex:label", "deep", "made"),
        case("GT_INNER_ex:depth", "3", "seen"),
        case("GE_INNER_ex:depth", "3", BOTH),
        case("LT_INNER_ex:depth", "7", "made"),
        case("LE_INNER_ex:depth", "2", ""),
        case("EXISTS_INNER_ex:label", "true", BOTH),
        case("EXISTS_INNER_ex:colour", "true", ""),
    ],
    "*_ILMD_fieldname: a field of the instance or lot master data": [
        case("EQ_ILMD_ex:batch", "B7|B8", "made"),
        case("GT_ILMD_ex:weight", "12.5", "cooked"),
        case("GE_ILMD_ex:weight", "12.5", "made cooked"),
        case("LT_ILMD_ex:best", "2024-10-01T00:00:00Z", "made"),
        case("LE_ILMD_ex:weight", "12", ""),
        case("EXISTS_ILMD_ex:batch", "true", "made cooked"),
        case("EXISTS_ILMD_ex:colour", "true", ""),
    ],
    "*_INNER_ILMD_fieldname: a field at any depth inside one of the instance or lot master data": [
        case("EQ_INNER_ILMD_ex:person", "Ann", "made"),
        case("GT_INNER_ILMD_ex:grade", "3", "cooked"),
        case("LE_INNER_ILMD_ex:grade", "3", "made"),
        case("EXISTS_INNER_ILMD_ex:person", "true", "made cooked"),
        case("EXISTS_INNER_ILMD_ex:batch", "true", ""),
    ],
    "*_ERROR_DECLARATION_fieldname: an extension field of the error declaration": [
        case("EQ_ERROR_DECLARATION_ex:ticket", "T-1", "declared"),
        case("GE_ERROR_DECLARATION_ex:weight", "7", "declared"),
        case("LT_ERROR_DECLARATION_ex:weight", "7", ""),
        case("EXISTS_ERROR_DECLARATION_ex:ticket", "true", "declared"),
        case("EQ_INNER_ERROR_DECLARATION_ex:desk", "north", "declared"),
        case("GT_INNER_ERROR_DECLARATION_ex:rank", "2", ""),
        case("EXISTS_INNER_ERROR_DECLARATION_ex:ticket", "true", ""),
    ],
    "*_readPoint_fieldname and *_bizLocation_fieldname: an extension field of the location": [
        case("EQ_readPoint_ex:zone", "Z1", "seen"),
        case("EQ_readPoint_ex:zone", "Z2", ""),
        case("EQ_INNER_readPoint_ex:number", "4", "seen"),
        case("EQ_bizLocation_ex:floor", "F2", "seen"),
        case("EQ_INNER_bizLocation_ex:number", "8", "seen"),
        case("EQ_INNER_bizLocation_ex:number", "4", ""),
    ],
    "*_SENSORELEMENT_fieldname, *_SENSORMETADATA_ and *_SENSORREPORT_: an extension field of the sensor data": [
        case("EQ_SENSORELEMENT_ex:rack", "R1", "cold"),
        case("EQ_SENSORELEMENT_ex:probe", "P1", ""),
        case("EQ_SENSORMETADATA_ex:probe", "P1", "cold"),
        case("EQ_SENSORREPORT_ex:quality", "good", "cold"),
        case("EQ_SENSORREPORT_ex:quality", "bad", ""),
        case("GE_INNER_SENSORELEMENT_ex:row", "6", "cold"),
        case("EXISTS_SENSORELEMENT_ex:rack", "true", "cold"),
        case("EXISTS_SENSORMETADATA_ex:probe", "true", "cold"),
        case("EXISTS_SENSORREPORT_ex:probe", "true", ""),
    ],
}

ATTRIBUTES = {
    "HASATTR_fieldname: the field's value has master data with one of these attributes": [
        case("HASATTR_readPoint", CITY, "made"),
        case("HASATTR_readPoint", f"{CITY}s", ""),
    ],
    "EQ_ATTR_fieldname_attribute: the master data attribute of the field's value is one of these": [
        case(f"EQ_ATTR_readPoint_{CITY}", "Lyon|Oslo", "made"),
        case(f"EQ_ATTR_readPoint_{CITY}", "Basel", ""),
    ],
}

SECTION = "EPCIS 8.2.7.1"


def _examples() -> list[object]:
    return [
        pytest.param(
            one, id=f"{one.id}-{index}", marks=must(SECTION, text if text.endswith(".") else text + ".")
        )
        for group in (FAMILIES, FIELDS, ATTRIBUTES)
        for text, cases in group.items()
        for index, one in enumerate(cases)
    ]


@pytest.mark.parametrize("example", _examples())
def test_a_flexible_parameter_finds_what_it_says_and_nothing_else(
    server: Server, world: World, example: Case
) -> None:
    query = [("EQ_bizLocation", world.home), (example.parameter, example.value(world))]
    found = server.events(query, GS1_Extensions=EXTENSIONS["GS1-Extensions"])
    assert world.names(found) == sorted(example.finds.split())


@pytest.fixture(scope="module")
def nested(server: Server) -> Place:
    """A location with one event whose sensor metadata and report have fields inside fields, which XML has no form for."""
    place = fresh_place()
    element = {
        "sensorMetadata": {"time": "2024-03-01T09:00:00Z", "ex:fit": {"ex:depth": "2"}},
        "sensorReport": [{"type": "Temperature", "value": 4, "uom": "CEL", "ex:lab": {"ex:score": "11"}}],
    }
    server.capture(document([object_event(place, sensorElementList=[element])]))
    return place


@must(SECTION, "*_INNER_SENSORMETADATA_fieldname and *_INNER_SENSORREPORT_: a field at any depth inside one.")
@pytest.mark.parametrize(
    ("parameter", "value", "count"),
    [
        ("EQ_INNER_SENSORMETADATA_ex:depth", "2", 1),
        ("LT_INNER_SENSORMETADATA_ex:depth", "2", 0),
        ("LE_INNER_SENSORREPORT_ex:score", "11", 1),
        ("GT_INNER_SENSORREPORT_ex:score", "11", 0),
        ("EQ_INNER_SENSORREPORT_ex:depth", "2", 0),
    ],
)
def test_fields_inside_fields_of_sensor_data(
    server: Server, nested: Place, parameter: str, value: str, count: int
) -> None:
    query = [("EQ_bizLocation", nested.urn), (parameter, value)]
    assert len(server.events(query, GS1_Extensions=EXTENSIONS["GS1-Extensions"])) == count


@should(
    "header GS1-Extensions",
    "A prefix that neither the standard nor the request's GS1-Extensions defines is an error of the query, not an"
    " empty answer: a typing error would look like no data.",
)
def test_a_prefix_that_nobody_defined_is_refused(server: Server, world: World) -> None:
    answer = server.get("/events", [("EQ_bizLocation", world.home), ("EQ_nobody:colour", "red")])
    assert answer.status_code == 400, answer.text
    assert answer.json()["type"] == "epcisException:QueryParameterException"
