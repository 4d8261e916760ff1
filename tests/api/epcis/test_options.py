"""`OPTIONS` on every address of the standard's own description, and what a wrong method is told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.epcis.interface import ADDRESSES, allowed
from tests.api.door import CAPTURE_LIMIT_BYTES, CAPTURE_LIMIT_EVENTS, Door

GS1_HEADERS = (
    "GS1-EPCIS-Version",
    "GS1-EPCIS-Min",
    "GS1-EPCIS-Max",
    "GS1-CBV-Version",
    "GS1-CBV-Min",
    "GS1-CBV-Max",
    "GS1-EPC-Format",
    "GS1-CBV-XML-Format",
    "GS1-Extensions",
    "GS1-Vendor-Version",
)
VALUES = {"eventID": "ni%3A%2F%2F%2Fsha-256%3Bab%3Fver%3DCBV2.0", "epc": "https%3A%2F%2Fexample.com%2F01%2F1"}


@pytest.fixture(scope="module")
def standard(shared_data: Path) -> dict[str, Any]:
    """The paths of the standard's OpenAPI document."""
    text = (shared_data / "epcis/gs1/rest/openapi.yaml").read_text(encoding="utf-8")
    paths: dict[str, Any] = yaml.safe_load(text)["paths"]
    return paths


def address(path: str) -> str:
    """A path of the standard as somebody asks for it."""
    return "/epcis" + re.sub(r"\{(\w+)\}", lambda found: VALUES.get(found[1], "some"), path)


def test_the_table_has_the_addresses_of_the_standard_and_their_methods(standard: dict[str, Any]) -> None:
    assert {one.path for one in ADDRESSES} == set(standard)
    for one in ADDRESSES:
        named = {name.upper() for name in standard[one.path] if name != "parameters"}
        assert set(one.methods) - {"HEAD", "OPTIONS"} == named - {"OPTIONS"}, one.path
        assert ("HEAD" in one.methods) == ("GET" in named)


def test_options_answers_everybody_with_the_methods_and_all_headers(door: Door) -> None:
    for one in ADDRESSES:
        answer = door.http.options(address(one.path))
        assert (answer.status_code, answer.content) == (204, b""), one.path
        assert answer.headers["allow"] == ", ".join(one.methods)
        assert all(answer.headers.get(name) for name in GS1_HEADERS), one.path
        assert answer.headers["gs1-epc-format"] == "No_Preference"


def test_options_on_capture_announces_the_limits(door: Door) -> None:
    told = door.http.options("/epcis/capture").headers
    assert told["gs1-epcis-capture-limit"] == str(CAPTURE_LIMIT_EVENTS)
    assert told["gs1-epcis-capture-file-size-limit"] == str(CAPTURE_LIMIT_BYTES)
    assert told["gs1-capture-error-behaviour"] == "all"
    assert (told["gs1-epcis-min"], told["gs1-epcis-max"]) == ("1.0.0", "2.0.0")
    assert "gs1-epcis-capture-limit" not in door.http.options("/epcis/events").headers


def test_options_reads_the_headers_of_a_request_too(door: Door) -> None:
    with door.unchanged():
        for one in ADDRESSES:
            refused = door.http.options(address(one.path), headers={"GS1-EPCIS-Min": "2.1"})
            door.refused(refused, 406, "not-acceptable")
        nonsense = door.http.options("/epcis/", headers={"GS1-EPC-Format": "URN"})
        found = door.refused(nonsense, 400, "bad-header")["findings"][0]
        assert found["pointer"] == "/header/GS1-EPC-Format"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "TRACE", "DELETE", "POST", "LOOK"])
def test_a_method_that_an_address_does_not_have_is_told_those_it_has(door: Door, method: str) -> None:
    with door.unchanged():
        for one in ADDRESSES:
            if method in one.methods:
                continue
            answer = door.http.request(method, address(one.path), headers=door.headers("farm"))
            door.refused(answer, 405, "method-not-allowed", "ImplementationException")
            assert answer.headers["allow"] == ", ".join(one.methods), one.path


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/epcis", "OPTIONS GET HEAD"),
        ("/epcis/events/a/b/c", "OPTIONS GET HEAD"),
        ("/epcis/epcs/https://example.com/1/events", "OPTIONS GET HEAD"),
        ("/epcis/capture/x/receipt", "OPTIONS GET HEAD"),
        ("/epcis/queries/a/subscriptions/b", "OPTIONS GET HEAD DELETE"),
        ("/epcis/queries/a/b", ""),
        ("/epcis/things", ""),
    ],
)
def test_methods_are_found_by_the_most_exact_address(path: str, methods: str) -> None:
    assert allowed(path) == tuple(methods.split())


def test_an_unknown_address_is_a_resource_that_there_is_not(door: Door) -> None:
    with door.unchanged():
        for method in ("GET", "OPTIONS", "POST"):
            answer = door.http.request(method, "/epcis/things", headers=door.headers("farm"))
            door.refused(answer, 404, "not-found")
