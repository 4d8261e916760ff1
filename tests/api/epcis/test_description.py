"""What the OpenAPI description says of the EPCIS interface: all of it, and nothing that it does not do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from api.epcis.interface import ADDRESSES, COLLECTIONS
from fabric.query.grammar import FIXED
from tests.api.door import Door

GET_FORMS = {"application/json", "application/ld+json", "application/xml", "text/xml"}


@pytest.fixture(scope="module")
def paths(door: Door) -> dict[str, Any]:
    """The described operations by path below `/epcis`."""
    found = door.get("/openapi.json", None).json()["paths"]
    return {path: methods for path, methods in found.items() if path.startswith("/epcis")}


def operations(paths: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in paths.items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def test_every_address_of_the_standard_is_described_with_its_methods(paths: dict[str, Any]) -> None:
    for one in ADDRESSES:
        described = {name.upper() for name in paths[f"/epcis{one.path}"]}
        # HEAD is what GET is, without the body.
        assert described == set(one.methods) - {"HEAD"}, one.path
    alike = [re.sub(r"{\w+}", "{}", path) for path in paths]
    assert len(alike) == len(set(alike)), "one address is described twice"


def test_every_operation_has_its_parameters_once(paths: dict[str, Any]) -> None:
    for path, method, operation in operations(paths):
        named = [(one["in"], one["name"]) for one in operation["parameters"]]
        assert len(named) == len(set(named)), (path, method)
        inside = {name for place, name in named if place == "path"}
        assert inside == set(re.findall(r"{(\w+)}", path)), (path, method)
        assert ("header", "GS1-EPCIS-Max") in named
        has_format = method == "GET" or (method == "POST" and path.endswith("/subscriptions"))
        assert (("header", "GS1-EPC-Format") in named) == has_format, (path, method)


def test_questions_describe_every_parameter_that_has_a_name_of_its_own(paths: dict[str, Any]) -> None:
    for path in ("/epcis/events", *(f"/epcis/{many}/{{{one}}}/events" for many, one in COLLECTIONS.items())):
        named = {one["name"] for one in paths[path]["get"]["parameters"] if one["in"] == "query"}
        assert named == set(FIXED) | {"perPage", "nextPageToken"}, path


def test_refusals_are_problems_in_either_form(paths: dict[str, Any]) -> None:
    for path, method, operation in operations(paths):
        for status, answered in operation["responses"].items():
            if status >= "400":
                assert answered["content"].keys() == {"application/problem+json", "application/problem+xml"}
        expected = {"400", "401", "403", "404", "406", "414", "503"}
        assert expected <= operation["responses"].keys(), (path, method)


def test_answers_are_described_in_the_forms_they_have(door: Door, paths: dict[str, Any]) -> None:
    for path in ("/epcis/", "/epcis/events", "/epcis/epcs", "/epcis/bizSteps"):
        described = paths[path]["get"]["responses"]["200"]
        assert described["content"].keys() == GET_FORMS
        for form in GET_FORMS:
            answer = door.get(path, accept=form)
            assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, form)
            assert {name.lower() for name in described["headers"]} - {
                "link",
                "gs1-next-page-token-expires",
            } <= answer.headers.keys()
    for path in ("/epcis/queries", "/epcis/capture"):
        described = paths[path]["get"]["responses"]["200"]["content"]
        for form in GET_FORMS:
            assert door.get(path, accept=form).status_code == (200 if form in described else 406), (
                path,
                form,
            )


def test_strangers_may_ask_for_options_only(paths: dict[str, Any]) -> None:
    for path, method, operation in operations(paths):
        assert ({} in operation.get("security", [])) == (method == "OPTIONS"), path
