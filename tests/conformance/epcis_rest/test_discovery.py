"""`GET /` and the six lists below it, with their members and the events of each.

The lists are the server's to offer or not; where a list is offered, all three of its paths have to be right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from .binding import COLLECTIONS, SINGULAR
from .clauses import may, must
from .documents import EXTENSIONS, NAMESPACE, document, fresh_place, object_event
from .identifiers import Item, fresh
from .server import Server, event_list, next_link, part, refused
from .world import World

MISSING = ("NoSuchResourceException", "NoSuchNameException")
EVENT_TYPES = {
    "ObjectEvent",
    "AggregationEvent",
    "TransactionEvent",
    "TransformationEvent",
    "AssociationEvent",
}
STEPS = {
    "accepting",
    "arriving",
    "assembling",
    "collecting",
    "commissioning",
    "consigning",
    "creating_class_instance",
    "cycle_counting",
    "decommissioning",
    "departing",
    "destroying",
    "disassembling",
    "dispensing",
    "encoding",
    "entering_exiting",
    "holding",
    "inspecting",
    "installing",
    "killing",
    "loading",
    "other",
    "packing",
    "picking",
    "receiving",
    "removing",
    "repackaging",
    "repairing",
    "replacing",
    "reserving",
    "retail_selling",
    "sampling",
    "sensor_reporting",
    "shipping",
    "staging_outbound",
    "stock_taking",
    "stocking",
    "storing",
    "transporting",
    "unloading",
    "unpacking",
    "void_shipping",
}
DISPOSITIONS = {
    "active",
    "available",
    "completeness_inferred",
    "completeness_verified",
    "conformant",
    "container_closed",
    "container_open",
    "damaged",
    "destroyed",
    "dispensed",
    "disposed",
    "encoded",
    "expired",
    "in_progress",
    "in_transit",
    "inactive",
    "mismatch_class",
    "mismatch_instance",
    "mismatch_quantity",
    "needs_replacement",
    "no_pedigree_match",
    "non_conformant",
    "non_sellable_other",
    "partially_dispensed",
    "recalled",
    "reserved",
    "retail_sold",
    "returned",
    "sellable_accessible",
    "sellable_not_accessible",
    "stolen",
    "unavailable",
    "unknown",
}


@dataclass(frozen=True)
class Member:
    """A value of the world in one list, another way to spell it, one that is nowhere, and the events that have it."""

    value: Callable[[World], str]
    other: Callable[[World], str]
    unknown: str
    finds: str


MEMBERS = {
    "eventTypes": Member(
        lambda world: "AggregationEvent", lambda world: "AggregationEvent", "NoSuchEvent", "packed"
    ),
    "epcs": Member(
        lambda world: world.item.link,
        lambda world: world.item.urn,
        f"urn:epc:id:sgtin:9521321.000017.{fresh()}",
        "made packed",
    ),
    "bizSteps": Member(
        lambda world: "packing",
        lambda world: "urn:epcglobal:cbv:bizstep:packing",
        f"https://example.org/{fresh()}",
        "packed",
    ),
    "bizLocations": Member(
        lambda world: world.hall.link,
        lambda world: world.home,
        f"urn:epc:id:sgln:9521321.00001.{fresh()}",
        "",
    ),
    "readPoints": Member(
        lambda world: world.line.link,
        lambda world: world.line.urn,
        f"urn:epc:id:sgln:9521321.00002.{fresh()}",
        "made",
    ),
    "dispositions": Member(
        lambda world: "in_transit",
        lambda world: "urn:epcglobal:cbv:disp:in_transit",
        f"https://example.org/{fresh()}",
        "shipped",
    ),
}


def offered(answer: httpx2.Response, plural: str) -> httpx2.Response:
    """The answer of a list; skips where the server does not have it."""
    if answer.status_code in (404, 405, 501):
        pytest.skip(f"the server answers {answer.status_code} to /{plural}: it does not offer this list")
    return answer


def members(answer: httpx2.Response) -> list[str]:
    """The members of a collection."""
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert body["@context"]
    assert body["type"] == "Collection"
    found: list[str] = body["member"]
    assert len(found) == len(set(found)), "a member comes twice"
    return found


@pytest.fixture(scope="module")
def pair(server: Server) -> dict[str, str]:
    """A value of each list that two events have."""
    place, gate, item = fresh_place(), fresh_place("00002"), Item("000017", fresh())
    step, disposition = f"https://example.org/steps/{fresh()}", f"https://example.org/dispositions/{fresh()}"
    fields = {
        "epcList": [item.urn],
        "readPoint": {"id": gate.urn},
        "bizStep": step,
        "disposition": disposition,
    }
    server.capture(document([object_event(place, **fields) for _ in range(2)]))
    return {
        "eventTypes": "ObjectEvent",
        "epcs": item.urn,
        "bizSteps": step,
        "bizLocations": place.urn,
        "readPoints": gate.urn,
        "dispositions": disposition,
    }


def _lists(
    method: str, path: str, text: str, level: Callable[[str, str], pytest.MarkDecorator] = may
) -> list[object]:
    return [
        pytest.param(
            plural,
            id=plural,
            marks=level(f"{method} {path.format(plural=plural, single=SINGULAR[plural])}", text),
        )
        for plural in COLLECTIONS
    ]


@must("GET /", "The top level is a collection of the nine resources, each once.")
def test_the_top_level_lists_its_resources(server: Server) -> None:
    found = members(server.get("/"))
    assert set(found) == {"queries", "capture", "events", *COLLECTIONS}


LIST = "/{plural}"
ONE = "/{plural}/{{{single}}}"
EVENTS = "/{plural}/{{{single}}}/events"


@pytest.mark.parametrize(
    "plural", _lists("GET", LIST, "A collection of what the events of the server have; paged.")
)
@pytest.mark.usefixtures("world")
def test_a_list_is_a_collection(server: Server, plural: str) -> None:
    answer = offered(server.get(f"/{plural}"), plural)
    assert members(answer)
    assert len(members(answer)) <= 30


@pytest.mark.parametrize(
    "plural", _lists("GET", LIST, "A walk over the pages lists every value once, and every value there is.")
)
def test_a_list_holds_every_value(server: Server, world: World, plural: str) -> None:
    wanted = MEMBERS[plural].value(world)
    answer = offered(server.get(f"/{plural}", {"perPage": "1000"}), plural)
    seen = members(answer)
    for _ in range(200):
        following = next_link(answer)
        if following is None:
            break
        answer = server.ask("GET", server.absolute(following))
        seen += members(answer)
    else:
        pytest.skip("the list is longer than this suite reads")
    assert wanted in seen
    assert len(seen) == len(set(seen)), "a value comes twice"


@pytest.mark.parametrize(
    "plural", _lists("GET", LIST, "No page holds more than perPage; the last has no Link.")
)
@pytest.mark.usefixtures("world", "pair")
def test_a_list_is_paged(server: Server, plural: str) -> None:
    answer = offered(server.get(f"/{plural}", {"perPage": "1"}), plural)
    first = members(answer)
    assert len(first) == 1
    following = next_link(answer)
    if following is None:
        pytest.skip("the server has no more than one value here")
    second = members(server.ask("GET", server.absolute(following)))
    assert len(second) == 1
    assert first != second


@may("GET /eventTypes", "The five standard types are listed, used or not.")
def test_standard_event_types_are_listed(server: Server) -> None:
    assert set(members(offered(server.get("/eventTypes", {"perPage": "1000"}), "eventTypes"))) >= EVENT_TYPES


@pytest.mark.parametrize(
    ("plural", "words"),
    [
        pytest.param(
            "bizSteps",
            STEPS,
            marks=may("GET /bizSteps", "All business steps of CBV are listed, as bare words."),
        ),
        pytest.param(
            "dispositions",
            DISPOSITIONS,
            marks=may("GET /dispositions", "All dispositions of CBV are listed, as bare words."),
        ),
    ],
)
def test_standard_words_are_listed(server: Server, plural: str, words: set[str]) -> None:
    listed = offered(server.get(f"/{plural}", {"perPage": "1000"}), plural)
    assert sorted(words - set(members(listed))) == []


@pytest.mark.parametrize("plural", _lists("GET", ONE, "What is below a member: at least its events."))
def test_a_member_has_events_below_it(server: Server, world: World, plural: str) -> None:
    for value in (MEMBERS[plural].value(world), MEMBERS[plural].other(world)):
        assert "events" in members(offered(server.get(f"/{plural}/{part(value)}"), plural))


@pytest.mark.parametrize("plural", _lists("GET", ONE, "404 for a value that no event has."))
def test_an_unknown_member_is_not_found(server: Server, plural: str) -> None:
    offered(server.get(f"/{plural}"), plural)
    refused(server.get(f"/{plural}/{part(MEMBERS[plural].unknown)}"), 404, *MISSING)


@pytest.mark.parametrize(
    "plural",
    _lists(
        "GET",
        EVENTS,
        "The events that have the value, however it is spelt, and no others; filtered by the parameters of queries.",
    ),
)
def test_the_events_of_a_member(server: Server, world: World, plural: str) -> None:
    member = MEMBERS[plural]
    wanted = sorted(member.finds.split() or world.events)
    offered(server.get(f"/{plural}"), plural)
    for value in (member.value(world), member.other(world)):
        narrow = {} if plural == "bizLocations" else {"EQ_bizLocation": world.home}
        found = server.events(narrow, f"/{plural}/{part(value)}/events")
        assert world.names(found) == wanted


@pytest.mark.parametrize("plural", _lists("GET", EVENTS, "The answer is paged."))
def test_the_events_of_a_member_are_paged(server: Server, pair: dict[str, str], plural: str) -> None:
    offered(server.get(f"/{plural}"), plural)
    answer = server.get(f"/{plural}/{part(pair[plural])}/events", {"perPage": "1"})
    first = event_list(answer)
    following = next_link(answer)
    assert following is not None
    second = event_list(server.ask("GET", server.absolute(following)))
    assert (len(first), len(second)) == (1, 1)
    assert first != second


@pytest.mark.parametrize(
    "plural", _lists("GET", EVENTS, "400, QueryParameterException: a filter that is wrong.")
)
def test_a_wrong_filter_is_refused(server: Server, world: World, plural: str) -> None:
    offered(server.get(f"/{plural}"), plural)
    path = f"/{plural}/{part(MEMBERS[plural].value(world))}/events"
    refused(server.get(path, {"EQ_action": "REMOVE"}), 400, "QueryParameterException")


@pytest.mark.parametrize("plural", _lists("GET", EVENTS, "404 for a value that no event has."))
def test_the_events_of_an_unknown_member_are_not_found(server: Server, plural: str) -> None:
    offered(server.get(f"/{plural}"), plural)
    refused(server.get(f"/{plural}/{part(MEMBERS[plural].unknown)}/events"), 404, *MISSING)


@may(
    "header GS1-EPC-Format",
    "The lists of identifiers keep to the format: Digital Links by default, URNs where asked.",
)
@pytest.mark.parametrize("plural", ["epcs", "readPoints", "bizLocations"])
@pytest.mark.usefixtures("world")
def test_a_list_keeps_to_the_format(server: Server, plural: str) -> None:
    linked = members(offered(server.get(f"/{plural}", {"perPage": "5"}), plural))
    assert not [value for value in linked if value.startswith("urn:epc:id:")]
    asked = server.get(f"/{plural}", {"perPage": "1000"}, GS1_EPC_Format="Always_EPC_URN")
    if asked.status_code != 406:
        assert [value for value in members(asked) if value.startswith("urn:epc:id:")]


@may(
    "header GS1-Extensions",
    "A list writes custom values with the prefixes that the request defines, else whole.",
)
def test_a_list_uses_the_prefixes_of_the_request(server: Server) -> None:
    word = fresh()
    server.capture(document([object_event(fresh_place(), bizStep=f"{NAMESPACE}{word}")]))
    plain = offered(server.get("/bizSteps", {"perPage": "1000"}), "bizSteps")
    if next_link(plain) is not None:
        pytest.skip("the list is longer than this suite reads at once")
    assert f"{NAMESPACE}{word}" in members(plain)
    named = server.get("/bizSteps", {"perPage": "1000"}, GS1_Extensions=EXTENSIONS["GS1-Extensions"])
    listed = members(named)
    if f"{NAMESPACE}{word}" in listed:
        pytest.skip("the server writes custom values whole, whatever prefixes a request defines")
    assert f"ex:{word}" in listed
    assert {"ex": NAMESPACE} in named.json()["@context"]
    found = server.get(f"/bizSteps/ex:{word}/events", GS1_Extensions=EXTENSIONS["GS1-Extensions"])
    assert len(event_list(found)) == 1


REPEATED = {
    "eventTypes": ("eventType", "TransactionEvent"),
    "epcs": ("MATCH_anyEPC", "urn:epc:id:sgtin:9521321.000017.NOBODY"),
    "bizSteps": ("EQ_bizStep", "shipping"),
    "bizLocations": ("EQ_bizLocation", "urn:epc:id:sgln:9521321.00001.NOBODY"),
    "readPoints": ("EQ_readPoint", "urn:epc:id:sgln:9521321.00002.NOBODY"),
    "dispositions": ("EQ_disposition", "active"),
}


@pytest.mark.parametrize(
    "plural",
    _lists(
        "GET",
        EVENTS,
        "A parameter that repeats what the path says narrows it or is refused, and is never left out. Reading: the OpenAPI"
        " does not list it there for five of the six paths.",
    ),
)
def test_a_parameter_that_the_path_has_is_not_left_out(server: Server, world: World, plural: str) -> None:
    offered(server.get(f"/{plural}"), plural)
    path = f"/{plural}/{part(MEMBERS[plural].value(world))}/events"
    answer = server.get(path, [REPEATED[plural]])
    if answer.status_code == 400:
        refused(answer, 400, "QueryParameterException")
    else:
        assert event_list(answer) == []


@may(
    "GET /epcs/{epc}/events",
    "A Digital Link in the path with encoded slashes, or a URN as it is: only what has to be is encoded.",
)
def test_a_path_may_be_encoded_as_little_as_it_has_to_be(server: Server, world: World) -> None:
    offered(server.get("/epcs"), "epcs")
    for value in (world.item.link.replace("/", "%2f"), world.item.urn):
        found = server.events({"EQ_bizLocation": world.home}, f"/epcs/{value}/events")
        assert world.names(found) == ["made", "packed"]


@may("GET /eventTypes", "406, NotAcceptableException, for lists as for everything else.")
@pytest.mark.parametrize("plural", COLLECTIONS)
def test_no_form_of_a_list_is_refused(server: Server, plural: str) -> None:
    offered(server.get(f"/{plural}"), plural)
    refused(server.get(f"/{plural}", Accept="image/png"), 406, "NotAcceptableException")
