"""OPTIONS on every path: what may be done there, and what the server speaks."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

import pytest

from .binding import COLLECTIONS, PATHS, SINGULAR
from .clauses import may, must, should
from .documents import document, fresh_place, object_event
from .identifiers import fresh
from .server import Server, part, refused
from .test_discovery import MEMBERS
from .world import World

VERSION = re.compile(r"\d+(\.\d+)*")
FORMATS = {"No_Preference", "Always_GS1_Digital_Link", "Always_EPC_URN", "Never_Translates"}
WORDS = {"No_Preference", "Always_Web_URI", "Always_URN", "Never_Translates"}
OPTIONAL = {path for plural in COLLECTIONS for path in PATHS if path.startswith(f"/{plural}")}


class Somewhere:
    """A path of the server for each path of the binding."""

    def __init__(self, server: Server, world: World) -> None:
        self.server = server
        self.name = f"conformance-{fresh()}"
        self.subscription = ""
        job = server.capture(document([object_event(fresh_place())]))
        server.post("/queries", {"name": self.name, "query": {"EQ_bizLocation": [world.home]}})
        self.values = {
            "captureID": job["captureID"],
            "eventID": part(world.ids["made"]),
            "queryName": self.name,
            **{SINGULAR[plural]: part(MEMBERS[plural].value(world)) for plural in COLLECTIONS},
        }

    def path(self, template: str) -> str:
        """The path, with values in the place of names."""
        if "subscriptionID" in template:
            return self._subscription()
        return re.sub(r"\{(\w+)\}", lambda match: self.values[match[1]], template)

    def _subscription(self) -> str:
        if not self.subscription:
            controls = {
                "dest": "https://client.example.com/hook",
                "schedule": {"month": "1", "dayOfMonth": "1"},
            }
            answer = self.server.post(f"/queries/{self.name}/subscriptions", controls)
            if answer.status_code != 201:
                pytest.skip(
                    f"no subscription could be made to look at: {answer.status_code} {answer.text[:200]}"
                )
            self.subscription = f"/queries/{self.name}/subscriptions/{answer.json()['subscriptionID']}"
        return self.subscription


@pytest.fixture(scope="module")
def somewhere(server: Server, world: World) -> Somewhere:
    return Somewhere(server, world)


def _paths(text: str) -> list[object]:
    return [
        pytest.param(
            path, id=path.replace("{", "").replace("}", ""), marks=_level(path)(f"OPTIONS {path}", text)
        )
        for path, methods in PATHS.items()
        if "OPTIONS" in methods
    ]


def _level(path: str) -> Callable[[str, str], pytest.MarkDecorator]:
    return may if path in OPTIONAL else must


@pytest.mark.parametrize(
    "path", _paths("204 without a body; Allow lists the methods of the path, and no others of the binding.")
)
def test_options_lists_the_methods(server: Server, somewhere: Somewhere, path: str) -> None:
    answer = server.ask("OPTIONS", somewhere.path(path))
    if path in OPTIONAL and answer.status_code in (404, 405, 501):
        pytest.skip(f"the server answers {answer.status_code}: it does not offer this list")
    assert answer.status_code == 204, answer.text
    assert answer.content == b""
    allowed = {method.strip() for method in answer.headers["allow"].split(",")}
    assert allowed - {"HEAD"} == set(PATHS[path])


@pytest.mark.parametrize(
    "path", _paths("The headers tell the range and the choice of EPCIS versions, and the vendor's version.")
)
def test_options_tells_the_versions(server: Server, somewhere: Somewhere, path: str) -> None:
    answer = server.ask("OPTIONS", somewhere.path(path))
    if path in OPTIONAL and answer.status_code in (404, 405, 501):
        pytest.skip(f"the server answers {answer.status_code}: it does not offer this list")
    spoken = ["EPCIS"] if "subscriptionID" in path else ["EPCIS", "CBV"]
    for name in spoken:
        told = [answer.headers[f"gs1-{name}-{which}"] for which in ("min", "version", "max")]
        assert all(VERSION.fullmatch(one) for one in told), told
        lowest, used, highest = (tuple(map(int, one.split("."))) for one in told)
        assert lowest <= used <= highest
        assert highest[0] >= 2
    assert answer.headers["gs1-vendor-version"]


@must(
    "header GS1-EPC-Format", "OPTIONS announces the formats of EPCs. Reading: one, or several between commas."
)
@pytest.mark.parametrize("path", ["/", "/events", "/capture", "/queries"])
def test_options_tells_the_formats(server: Server, path: str) -> None:
    headers = server.ask("OPTIONS", path).headers
    assert {one.strip() for one in headers["gs1-epc-format"].split(",")} <= FORMATS
    assert {one.strip() for one in headers["gs1-cbv-xml-format"].split(",")} <= WORDS


@must(
    "OPTIONS /capture",
    "The limits of a capture and the error behaviour are announced; all means both behaviours.",
)
def test_options_tells_the_limits(server: Server) -> None:
    headers = server.ask("OPTIONS", "/capture").headers
    assert headers["gs1-capture-error-behaviour"] in ("rollback", "proceed", "all")
    told = [headers.get(f"gs1-epcis-capture-{name}") for name in ("limit", "file-size-limit")]
    assert any(told), "neither the number of events nor the size is announced"
    assert all(int(one) >= 1 for one in told if one is not None)


@should("header GS1-Extensions", "The prefixes and namespaces of extensions, where there are any.")
def test_options_tells_the_extensions(server: Server) -> None:
    told = server.ask("OPTIONS", "/").headers.get("gs1-extensions")
    if not told:
        pytest.skip("the server announces no extensions of its own")
    for one in told.split(","):
        assert re.fullmatch(r"\s*[\w.-]+=\S+\s*", one), one


@should(
    "OPTIONS /queries/{queryName}/subscriptions/{subscriptionID}",
    "From which record time on events are still to come. Reading: in the header, or as minRecordTime of the subscription.",
)
def test_options_tells_where_a_subscription_stands(server: Server, somewhere: Somewhere) -> None:
    path = somewhere.path("/queries/{queryName}/subscriptions/{subscriptionID}")
    told = server.ask("OPTIONS", path).headers.get("gs1-query-min-record-time")
    told = told or server.get(path).json()["minRecordTime"]
    assert datetime.fromisoformat(told).tzinfo is not None


@should("OPTIONS", "404 where there is nothing: an event, a query or a job that does not exist.")
@pytest.mark.parametrize("path", ["/events", "/queries", "/capture"])
def test_options_of_nothing_is_not_found(server: Server, path: str) -> None:
    answer = server.ask("OPTIONS", f"{path}/{fresh()}")
    if answer.status_code == 204:
        pytest.skip("the server describes its interface alone, and answers OPTIONS for any name alike")
    refused(answer, 404, "NoSuchResourceException", "NoSuchNameException")


@should("OPTIONS", "A method that a path does not have is refused with 405 and Allow (RFC 9110).")
@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/events"), ("PUT", "/capture"), ("PATCH", "/queries")]
)
def test_another_method_is_refused(server: Server, method: str, path: str) -> None:
    answer = server.ask(method, path)
    assert answer.status_code == 405, answer.text
    assert "GET" in answer.headers["allow"]
