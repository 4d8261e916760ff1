"""Who may ask: 401 and its problem, and what a second client sees."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .clauses import must, should
from .documents import document, fresh_place, object_event
from .server import Server, Target, part, refused
from .world import World

PATHS = ["/", "/events", "/capture", "/queries", "/epcs"]


@pytest.fixture(scope="module", params=[None, "not-a-key"])
def stranger(request: pytest.FixtureRequest, target: Target, server: Server) -> Iterator[Server]:
    """A client without a key, or with one that nobody gave out."""
    if target.key is None:
        pytest.skip("the server was given without a key: it may be open to all")
    made = Server(target.url, request.param)
    if request.param is None and made.get("/events").status_code == 200:
        pytest.skip("the server answers without a key")
    yield made
    made.close()


@must("401 response", "401, SecurityException: a request without a valid key.")
@pytest.mark.parametrize("path", PATHS)
def test_a_stranger_is_refused(stranger: Server, path: str) -> None:
    answer = stranger.get(path)
    if path == "/" and answer.status_code == 200:
        pytest.skip("the server lists its resources to everybody, which tells nothing")
    refused(answer, 401, "SecurityException")


@must("401 response", "A stranger captures nothing.")
def test_a_stranger_captures_nothing(stranger: Server, server: Server) -> None:
    place = fresh_place()
    refused(stranger.post("/capture", document([object_event(place)])), 401, "SecurityException")
    refused(stranger.post("/events", object_event(place)), 401, "SecurityException")
    assert server.at(place.urn) == []


@should("401 response", "401 comes with WWW-Authenticate (RFC 9110).")
def test_a_stranger_is_told_how_to_authenticate(stranger: Server) -> None:
    assert stranger.get("/events").headers["www-authenticate"]


@must(
    "visibility",
    "What a client may see is one decision: an event is in its queries if and only if it is found by its ID.",
)
@pytest.mark.parametrize("name", ["made", "packed", "cooked"])
def test_another_client_sees_the_same_everywhere(second: Server, world: World, name: str) -> None:
    listed = world.names(second.at(world.home))
    answer = second.get(f"/events/{part(world.ids[name])}")
    assert answer.status_code in (200, 403, 404)
    assert (answer.status_code == 200) == (name in listed)


@must("visibility", "A value that a client may not see is no member of its lists.")
def test_another_clients_lists_hold_what_it_sees(second: Server, world: World) -> None:
    answer = second.get(f"/epcs/{part(world.item.link)}")
    if answer.status_code in (405, 501):
        pytest.skip("the server does not offer this list")
    seen = bool(second.events([("MATCH_anyEPC", world.item.link)]))
    assert (answer.status_code == 200) == seen


@must("visibility", "One client's named query runs with the rights of whoever asks.")
def test_a_query_runs_with_the_rights_of_its_reader(server: Server, second: Server, world: World) -> None:
    name = f"conformance-{world.run}"
    created = server.post("/queries", {"name": name, "query": {"EQ_bizLocation": [world.home]}})
    assert created.status_code == 201
    answer = second.get(f"/queries/{name}/events", {"perPage": "100"})
    if answer.status_code == 200:
        listed = answer.json()["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
        assert world.names(listed) == world.names(second.at(world.home))
    else:
        assert answer.status_code in (403, 404)
    assert server.ask("DELETE", f"/queries/{name}").status_code == 204
