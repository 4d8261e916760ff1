"""Named queries: create, list, read, run, delete."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .clauses import must, should
from .documents import NAMESPACE, document, fresh_place, object_event
from .identifiers import fresh
from .server import Server, event_list, next_link, part, refused
from .world import World

CREATE = "POST /queries"
LIST = "GET /queries"
READ = "GET /queries/{queryName}"
RUN = "GET /queries/{queryName}/events"
DELETE = "DELETE /queries/{queryName}"

Create = Callable[..., str]


@pytest.fixture
def create(server: Server) -> Iterator[Create]:
    """Makes named queries, and deletes them at the end."""
    made: list[str] = []

    def make(query: dict[str, Any]) -> str:
        name = f"conformance-{fresh()}"
        answer = server.post("/queries", {"name": name, "query": query})
        assert answer.status_code == 201, answer.text
        made.append(name)
        return name

    yield make
    for name in made:
        server.ask("DELETE", f"/queries/{part(name)}")


@must(
    CREATE,
    "A query is created under its name: 201, with its URL in Location; the URL answers its definition.",
)
def test_a_query_is_created(server: Server) -> None:
    name = f"conformance-{fresh()}"
    query = {"eventType": ["ObjectEvent"], "EQ_bizStep": ["shipping", "receiving"]}
    answer = server.post("/queries", {"name": name, "query": query})
    assert answer.status_code == 201, answer.text
    read = server.ask("GET", server.absolute(answer.headers["location"]))
    assert read.status_code == 200
    assert read.json()["name"] == name
    server.ask("DELETE", f"/queries/{name}")


@must(CREATE, "409, ResourceAlreadyExistsException: the name is taken; the query that has it stays.")
def test_a_taken_name_is_refused(server: Server, create: Create) -> None:
    name = create({"EQ_bizStep": ["shipping"]})
    answer = server.post("/queries", {"name": name, "query": {"EQ_bizStep": ["packing"]}})
    refused(answer, 409, "ResourceAlreadyExistsException")
    assert server.get(f"/queries/{name}").json()["query"] == {"EQ_bizStep": ["shipping"]}


INVALID: dict[str, Any] = {
    "an unknown parameter": {"query": {"EQ_noSuchParameter": ["1"]}},
    "a wrong action": {"query": {"EQ_action": ["REMOVE"]}},
    "a list where one value belongs": {"query": {"GE_eventTime": ["2024-01-01T00:00:00Z"]}},
    "one value where a list belongs": {"query": {"EQ_action": "ADD"}},
    "a limit without an order": {"query": {"eventCountLimit": 5}},
    "both limits": {"query": {"orderBy": "eventTime", "eventCountLimit": 5, "maxEventCount": 5}},
    "no query": {},
    "a query that is no object": {"query": ["EQ_action"]},
}


@must(
    CREATE,
    "A query that is wrong is refused when it is created, with 400. Reading: QueryValidationException,"
    " QueryParameterException and ValidationException are all listed for queries.",
)
@pytest.mark.parametrize("name", INVALID)
def test_a_wrong_query_is_refused(server: Server, name: str) -> None:
    query_name = f"conformance-{fresh()}"
    answer = server.post("/queries", {"name": query_name, **INVALID[name]})
    refused(answer, 400, "QueryValidationException", "QueryParameterException", "ValidationException")
    refused(server.get(f"/queries/{query_name}"), 404, "NoSuchNameException")


@must(CREATE, "A query without a name is refused.")
@pytest.mark.parametrize(
    "body", [b'{"query": {}}', b'{"name": "", "query": {}}', b'{"name": 5, "query": {}}', b"[]", b"{"]
)
def test_a_query_without_a_name_is_refused(server: Server, body: bytes) -> None:
    answer = server.post_bytes("/queries", body, "application/json")
    refused(answer, 400, "QueryValidationException", "QueryParameterException", "ValidationException")


@must(CREATE, "415, UnsupportedMediaTypeException: a query is JSON.")
def test_a_query_in_another_form_is_refused(server: Server) -> None:
    body = json.dumps({"name": fresh(), "query": {}}).encode()
    refused(server.post_bytes("/queries", body, "text/plain"), 415, "UnsupportedMediaTypeException")


@must(LIST, "The list holds each query with its name and definition.")
def test_the_list_holds_a_query(server: Server, create: Create) -> None:
    name = create({"EQ_bizStep": ["shipping"]})
    answer = server.get("/queries", {"perPage": "100"})
    while name not in {one["name"] for one in answer.json()}:
        following = next_link(answer)
        assert following is not None, "the list ended without the query"
        answer = server.ask("GET", server.absolute(following))
    (listed,) = (one for one in answer.json() if one["name"] == name)
    assert listed["query"] == {"EQ_bizStep": ["shipping"]}


@must(LIST, "The list is paged.")
def test_the_list_is_paged(server: Server, create: Create) -> None:
    names = {create({"EQ_bizStep": ["shipping"]}) for _ in range(3)}
    answer, seen = server.get("/queries", {"perPage": "1"}), []
    while True:
        page = answer.json()
        assert len(page) <= 1
        seen += [one["name"] for one in page]
        following = next_link(answer)
        if following is None or len(seen) > 500:
            break
        answer = server.ask("GET", server.absolute(following))
    assert len(seen) == len(set(seen))
    assert names <= set(seen) or len(seen) > 500


@must(
    READ,
    "The answer is the definition as it was given. Reading: one object, as in the example, not a list, as in the schema.",
)
def test_a_query_is_read(server: Server, create: Create) -> None:
    query = {"eventType": ["ObjectEvent"], "GE_eventTime": "2024-01-01T00:00:00Z", "GE_quantity": 5}
    read = server.get(f"/queries/{create(query)}")
    assert read.status_code == 200
    assert read.json()["query"] == query


@must(READ, "404, NoSuchNameException: no query has that name.")
@pytest.mark.parametrize("path", ["", "/events", "/subscriptions", "/subscriptions/nothing"])
def test_an_unknown_name_is_not_found(server: Server, path: str) -> None:
    names = ["NoSuchNameException", *(["NoSuchResourceException"] if path.count("/") == 2 else [])]
    refused(server.get(f"/queries/{fresh()}{path}"), 404, *names)


@must(
    RUN,
    "The answer is an EPCISQueryDocument of the events that the query finds, with the query's name in it.",
)
def test_a_query_is_run(server: Server, world: World, create: Create) -> None:
    name = create(
        {
            "EQ_bizLocation": [world.home],
            "EQ_action": ["ADD"],
            "eventType": ["ObjectEvent", "AggregationEvent"],
        }
    )
    answer = server.get(f"/queries/{name}/events")
    assert world.names(event_list(answer)) == ["made", "packed"]
    assert answer.json()["epcisBody"]["queryResults"]["queryName"] == name


@must(RUN, "A query is a view: it finds what was captured after it was created.")
def test_a_query_finds_later_events(server: Server, create: Create) -> None:
    place = fresh_place()
    name = create({"EQ_bizLocation": [place.urn]})
    assert event_list(server.get(f"/queries/{name}/events")) == []
    server.capture(document([object_event(place)]))
    assert len(event_list(server.get(f"/queries/{name}/events"))) == 1


@must(RUN, "The answer is paged.")
def test_the_events_of_a_query_are_paged(server: Server, world: World, create: Create) -> None:
    name = create({"EQ_bizLocation": [world.home], "orderBy": "eventTime", "orderDirection": "ASC"})
    found = server.events({"perPage": "4"}, f"/queries/{name}/events")
    assert len(found) == 11
    assert [event["eventTime"] for event in found] == sorted(event["eventTime"] for event in found)


@must(RUN, "413, QueryTooLargeException: the query finds more than its own maxEventCount.")
def test_a_query_that_finds_too_much_is_refused(server: Server, world: World, create: Create) -> None:
    name = create({"EQ_bizLocation": [world.home], "maxEventCount": 3})
    refused(server.get(f"/queries/{name}/events"), 413, "QueryTooLargeException")


@must("query-schema", "Prefixes of extension fields are defined by the query's own @context.")
def test_a_query_names_extension_fields_by_its_context(server: Server, world: World, create: Create) -> None:
    query = {"@context": {"mine": NAMESPACE}, "EQ_bizLocation": [world.home], "EQ_mine:colour": ["red"]}
    assert world.names(event_list(server.get(f"/queries/{create(query)}/events"))) == ["made"]


@must("query-schema", "Single values, numbers and truth values are JSON's own.")
@pytest.mark.parametrize(
    ("more", "names"),
    [
        ({"GE_quantity": 200}, ["cooked", "counted"]),
        ({"EQ_booleanValue": True}, ["cold"]),
        ({"GE_value_KEL": 300}, ["warm"]),
        ({"EQ_value_CEL": [4.5]}, ["cold"]),
        ({"GE_eventTime": "2024-03-01T10:10:00Z", "EQ_action": ["OBSERVE"]}, ["cold", "warm"]),
    ],
)
def test_values_of_a_query_have_types(
    server: Server, world: World, create: Create, more: dict[str, Any], names: list[str]
) -> None:
    name = create({"EQ_bizLocation": [world.home], **more})
    assert world.names(event_list(server.get(f"/queries/{name}/events"))) == names


@must(
    "query-schema",
    "The existence of an error declaration is asked for by true. Reading: the schema's integer or null is taken for the OpenAPI's boolean too.",
)
@pytest.mark.parametrize("value", [True, 1, None])
def test_existence_has_three_spellings(server: Server, world: World, create: Create, value: object) -> None:
    name = create({"EQ_bizLocation": [world.home], "EXISTS_errorDeclaration": value})
    assert world.names(event_list(server.get(f"/queries/{name}/events"))) == ["declared"]


@must(DELETE, "204, and the name is free again.")
def test_a_query_is_deleted(server: Server, create: Create) -> None:
    name = create({"EQ_bizStep": ["shipping"]})
    assert server.ask("DELETE", f"/queries/{name}").status_code == 204
    refused(server.get(f"/queries/{name}"), 404, "NoSuchNameException")
    refused(server.ask("DELETE", f"/queries/{name}"), 404, "NoSuchNameException")
    assert server.post("/queries", {"name": name, "query": {}}).status_code == 201


@should(
    "GET /queries/{queryName}", "A name with characters that a path has to encode is found percent-encoded."
)
def test_a_name_may_need_encoding(server: Server) -> None:
    name = f"straße & {fresh()}"
    answer = server.post("/queries", {"name": name, "query": {}})
    if answer.status_code == 400:
        pytest.skip("the server does not allow such names, which the standard leaves open")
    assert answer.status_code == 201, answer.text
    assert server.get(f"/queries/{part(name)}").json()["name"] == name
    assert server.ask("DELETE", f"/queries/{part(name)}").status_code == 204


@must(
    RUN,
    "A filter in the query string of a named query narrows it or is refused, and is never left out. Reading: the OpenAPI"
    " lists none there.",
)
def test_a_filter_of_a_named_query_is_not_left_out(server: Server, world: World, create: Create) -> None:
    name = create({"EQ_bizLocation": [world.home]})
    answer = server.get(f"/queries/{name}/events", {"EQ_action": "DELETE", "perPage": "100"})
    if answer.status_code == 400:
        refused(
            answer, 400, "QueryParameterException", "SubscriptionControlsException", "ValidationException"
        )
    else:
        assert world.names(event_list(answer)) == ["declared", "mistake"]


@must(
    "query-schema", "Lists of values in a query's JSON mean any of them, patterns and hierarchies included."
)
@pytest.mark.parametrize(
    ("make", "names"),
    [
        (
            lambda world: {"MATCH_anyEPC": [world.raw.urn, world.pallet.link]},
            "cooked declared mistake packed shipped",
        ),
        (lambda world: {"MATCH_epc": ["urn:epc:idpat:sgtin:9521321.000017.*"]}, "made packed seen shipped"),
        (lambda world: {"WD_readPoint": [world.yard]}, "made"),
        (lambda world: {"EQ_quantity": [200, 30, 7]}, "cooked"),
        (lambda world: {"EQ_bizTransaction_po": [world.order]}, "shipped"),
    ],
    ids=["epcs", "patterns", "hierarchy", "numbers", "transactions"],
)
def test_lists_of_a_query_mean_any(
    server: Server, world: World, create: Create, make: Callable[[World], dict[str, Any]], names: str
) -> None:
    name = create({"EQ_bizLocation": [world.home], **make(world)})
    assert world.names(event_list(server.get(f"/queries/{name}/events"))) == names.split()
