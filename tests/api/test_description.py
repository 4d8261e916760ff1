"""The OpenAPI description says what callers may send, how they are known, and how they are refused."""

from __future__ import annotations

from typing import Any

import pytest

from .door import Door


@pytest.fixture(scope="module")
def description(door: Door) -> dict[str, Any]:
    found: dict[str, Any] = door.get("/openapi.json", None).json()
    return found


def test_every_operation_has_a_summary_and_declares_only_answers_it_gives(
    description: dict[str, Any],
) -> None:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], path
            assert operation["description"], (path, method)
            assert "422" not in operation["responses"], (path, method)
            assert "404" in operation["responses"], (path, method)


def test_bodies_and_authentication_are_declared(description: dict[str, Any]) -> None:
    content = description["paths"]["/epcis/capture"]["post"]["requestBody"]["content"]
    assert "application/vnd.loomark.capture.v1+json" in content
    assert description["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"
    assert description["paths"]["/log/checkpoint"]["get"]["security"] == []
    assert "security" not in description["paths"]["/api/trace"]["get"]


def test_a_refusal_has_the_members_that_the_description_promises(
    door: Door, description: dict[str, Any]
) -> None:
    schemas = description["components"]["schemas"]
    refused = door.get("/api/trace").json()
    assert set(schemas["Problem"]["required"]) <= refused.keys() <= schemas["Problem"]["properties"].keys()
    for finding in refused["findings"]:
        assert set(schemas["Finding"]["required"]) == finding.keys()


def test_every_reference_leads_somewhere(description: dict[str, Any]) -> None:
    found = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            found.update([value["$ref"]] if "$ref" in value else [])
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(description)
    assert found
    for reference in found:
        assert reference.rpartition("/")[2] in description["components"]["schemas"], reference
