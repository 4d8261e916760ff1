"""MATCH parameters: EPCs and classes, as URNs, patterns and Digital Links."""

from __future__ import annotations

import pytest

from .clauses import must
from .identifiers import PREFIX
from .server import Server
from .test_query_parameters import Case, case
from .world import World

SECTION = "EPCIS 8.2.7.1.1"

CASES = {
    "the EPCs of epcList and childEPCs": [
        case("MATCH_epc", lambda world: world.item.urn, "made packed"),
        case("MATCH_epc", lambda world: f"{world.item.urn}|{world.second.urn}", "made packed seen shipped"),
        case("MATCH_epc", lambda world: world.product.urn, "joined cold warm"),
        case("MATCH_epc", lambda world: world.pallet.urn, ""),
    ],
    "the parent": [
        case("MATCH_parentID", lambda world: world.pallet.urn, "packed shipped"),
        case("MATCH_parentID", lambda world: world.device, "joined"),
        case("MATCH_parentID", lambda world: world.item.urn, ""),
    ],
    "the EPCs that went into a transformation": [
        case("MATCH_inputEPC", lambda world: world.raw.urn, "cooked"),
        case("MATCH_inputEPC", lambda world: world.product.urn, ""),
    ],
    "the EPCs that came out of a transformation": [
        case("MATCH_outputEPC", lambda world: world.product.urn, "cooked"),
        case("MATCH_outputEPC", lambda world: world.raw.urn, ""),
    ],
    "every EPC of an event, as object, child, parent, input or output": [
        case("MATCH_anyEPC", lambda world: world.pallet.urn, "packed shipped"),
        case("MATCH_anyEPC", lambda world: world.product.urn, "cooked joined cold warm"),
        case("MATCH_anyEPC", lambda world: world.raw.urn, "cooked mistake declared"),
        case("MATCH_anyEPC", lambda world: world.lot.urn, ""),
    ],
    "the classes of quantityList and childQuantityList": [
        case("MATCH_epcClass", lambda world: world.lot.urn, "packed counted"),
        case("MATCH_epcClass", lambda world: world.made_lot.urn, ""),
    ],
    "the classes that went into a transformation": [
        case("MATCH_inputEPCClass", lambda world: world.lot.urn, "cooked"),
        case("MATCH_inputEPCClass", lambda world: world.made_lot.urn, ""),
    ],
    "the classes that came out of a transformation": [
        case("MATCH_outputEPCClass", lambda world: world.made_lot.urn, "cooked"),
        case("MATCH_outputEPCClass", lambda world: world.lot.urn, ""),
    ],
    "every class of an event": [
        case("MATCH_anyEPCClass", lambda world: world.lot.urn, "packed cooked counted"),
        case("MATCH_anyEPCClass", lambda world: world.item.urn, ""),
    ],
}

SPELLINGS = {
    "A pure identity pattern matches every EPC whose fields it names; an asterisk stands for any value.": [
        case("MATCH_epc", f"urn:epc:idpat:sgtin:{PREFIX}.000017.*", "made packed seen shipped"),
        case(
            "MATCH_epc",
            f"urn:epc:idpat:sgtin:{PREFIX}.*.*",
            "made packed seen shipped joined cold warm mistake declared",
        ),
        case("MATCH_anyEPC", f"urn:epc:idpat:sscc:{PREFIX}.*", "packed shipped"),
        case("MATCH_parentID", f"urn:epc:idpat:sscc:{PREFIX}.*", "packed shipped"),
        case("MATCH_inputEPC", f"urn:epc:idpat:sgtin:{PREFIX}.000025.*", "cooked"),
        case("MATCH_outputEPC", f"urn:epc:idpat:sgtin:{PREFIX}.000025.*", ""),
        case("MATCH_epc", f"urn:epc:idpat:grai:{PREFIX}.*.*", ""),
    ],
    "A GS1 Digital Link matches the EPC it names, however the event spelt it.": [
        case("MATCH_epc", lambda world: world.item.link, "made packed"),
        case("MATCH_anyEPC", lambda world: world.pallet.link, "packed shipped"),
        case("MATCH_parentID", lambda world: world.pallet.link, "packed shipped"),
        case("MATCH_anyEPC", lambda world: f"{world.item.link}X", ""),
        case("MATCH_epcClass", lambda world: world.lot.link, "packed counted"),
        case("MATCH_anyEPCClass", lambda world: world.lot.link, "packed cooked counted"),
    ],
}


def _examples() -> list[object]:
    named = [
        pytest.param(one, id=one.id, marks=must("GET /events", f"{one.parameter} compares {text}."))
        for text, cases in CASES.items()
        for one in cases
    ]
    spelt = [
        pytest.param(one, id=f"{one.id}-{index}", marks=must(SECTION, text))
        for text, cases in SPELLINGS.items()
        for index, one in enumerate(cases)
    ]
    return [*named, *spelt]


@pytest.mark.parametrize("example", _examples())
def test_a_match_finds_what_it_names_and_nothing_else(server: Server, world: World, example: Case) -> None:
    found = server.at(world.home, (example.parameter, example.value(world)))
    assert world.names(found) == sorted(example.finds.split())
