"""Queries that are wrong, and how they are refused."""

from __future__ import annotations

import pytest

from .clauses import must, should
from .server import Server, event_list, refused
from .world import World

WRONG = {
    "EQ_action: another value than ADD, OBSERVE or DELETE": [("EQ_action", "REMOVE")],
    "EQ_action: one wrong value among right ones": [("EQ_action", "ADD|REMOVE")],
    "orderDirection: another value than ASC or DESC": [("orderBy", "eventTime"), ("orderDirection", "UP")],
    "eventCountLimit together with maxEventCount": [
        ("orderBy", "eventTime"),
        ("eventCountLimit", "5"),
        ("maxEventCount", "5"),
    ],
    "eventCountLimit without orderBy": [("eventCountLimit", "5")],
    "eventCountLimit that is no number": [("orderBy", "eventTime"), ("eventCountLimit", "few")],
    "maxEventCount that is no number": [("maxEventCount", "few")],
    "orderBy: neither eventTime nor recordTime nor an extension field": [("orderBy", "epcList")],
    "a name that no parameter has": [("EQ_noSuchParameter", "1")],
    "a name that no parameter has, without a known beginning": [("colour", "red")],
    "a time that is none": [("GE_eventTime", "yesterday")],
    "a time without an offset": [("LT_eventTime", "2024-03-01T10:00:00")],
    "a number that is none": [("GE_quantity", "many")],
    "a truth value that is none": [("EQ_booleanValue", "perhaps")],
    "an existence that is neither true nor false": [("EXISTS_errorDeclaration", "perhaps")],
    "no value where a list has at least one": [("EQ_bizStep", "")],
    "a pattern that is none": [("MATCH_epc", "urn:epc:idpat:sgtin:*")],
    "a unit that is no code of the recommendation": [("GE_value_degrees", "1")],
}


def _wrong() -> list[object]:
    return [
        pytest.param(query, id=text.replace(" ", "-"), marks=must("QueryParameterException", f"{text}."))
        for text, query in WRONG.items()
    ]


@pytest.mark.parametrize("query", _wrong())
def test_a_wrong_query_is_a_query_parameter_exception(
    server: Server, world: World, query: list[tuple[str, str]]
) -> None:
    answer = server.get("/events", [("EQ_bizLocation", world.home), *query])
    refused(answer, 400, "QueryParameterException")


@must("schema PerPage", "A page size that is no number, or below one, is an error of the query.")
@pytest.mark.parametrize("size", ["0", "-1", "many", ""])
def test_a_wrong_page_size_is_refused(server: Server, size: str) -> None:
    refused(server.get("/events", [("perPage", size)]), 400, "QueryParameterException", "ValidationException")


@should(
    "GET /events",
    "One parameter twice with different values contradicts itself. Reading: values of a list are joined by a pipe, so a"
    " repeated name is an error of the query.",
)
def test_a_parameter_that_comes_twice_is_refused(server: Server) -> None:
    query = [("GE_eventTime", "2024-01-01T00:00:00Z"), ("GE_eventTime", "2025-01-01T00:00:00Z")]
    refused(server.get("/events", query), 400, "QueryParameterException")


@should(
    "414 response",
    "A URI that is too long is answered 414, URITooLongException; how long that is, is the server's choice.",
)
def test_a_uri_that_is_too_long_is_named_so(server: Server) -> None:
    for size in (9_000, 20_000, 40_000, 60_000):
        answer = server.get("/events", [("EQ_eventID", "urn:uuid:" + "0" * size)])
        if answer.status_code == 414:
            refused(answer, 414, "URITooLongException")
            return
        assert answer.status_code == 200, (size, answer.status_code, answer.text[:300])
    pytest.skip("the server takes URIs of 60,000 characters")


@must("EPCIS 8.2.7.1", "A refused query leaves the server as it was: the next right one is answered.")
def test_the_server_answers_after_a_wrong_query(server: Server, world: World) -> None:
    refused(server.get("/events", [("EQ_action", "X")]), 400, "QueryParameterException")
    assert len(server.at(world.home)) == 11


@should("404 response", "A path that the binding does not have is answered 404 with a problem.")
def test_an_unknown_path_is_not_found(server: Server) -> None:
    refused(server.get("/nothingOfTheKind"), 404, "NoSuchResourceException", "NoSuchNameException")


@must(
    "schema PerPage",
    "A page size above the server's own limit is no error: the page holds what the server allows.",
)
def test_a_page_size_above_the_limit_is_no_error(server: Server, world: World) -> None:
    answer = server.get("/events", {"EQ_bizLocation": world.home, "perPage": "1000000"})
    assert len(event_list(answer)) == 11
