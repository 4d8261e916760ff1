"""What the standard's JSON schema refuses is refused here: valid documents of the standard with one thing changed."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from fabric.epcis.document import read_document
from ledger.errors import InvalidInput

VALUES: tuple[Any, ...] = (None, 7, True, "", "x y", [], {}, ["a"], {"a": 1}, -1.5, "urn:a:b")


@pytest.fixture(scope="module")
def standard(shared_data: Path) -> tuple[Any, list[dict[str, Any]]]:
    """The schema's validator, and the documents that both take."""
    folder = shared_data / "epcis" / "gs1"
    schema = json.loads((folder / "EPCIS-JSON-Schema.json").read_bytes())
    validator = jsonschema.validators.validator_for(schema)(schema)
    documents = [json.loads(path.read_bytes()) for path in sorted((folder / "JSON").rglob("*.jsonld"))]
    return validator, [one for one in documents if one.get("type") == "EPCISDocument" and is_taken(one)]


def is_taken(value: Any) -> bool:
    try:
        read_document(json.dumps(value).encode(), "application/json")
    except InvalidInput:
        return False
    return True


def is_taken_on_purpose(value: Any) -> bool:
    """Events that name no thing of their own, where the schema asks for one and the text for a parent or sensors."""
    return any(
        event["type"] not in ("ObjectEvent", "TransformationEvent")
        and ("sensorElementList" in event or (event["type"] == "TransactionEvent" and "parentID" in event))
        for event in value["epcisBody"]["eventList"]
    )


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands, of lists in their first two items."""
    if at and at[0] != "@context":
        yield at
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*at, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value[:2]):
            yield from places(inner, (*at, index))


def changed(value: dict[str, Any], at: tuple[Any, ...], chance: random.Random) -> dict[str, Any]:
    """The document with one thing left out, replaced, repeated or added."""
    found = copy.deepcopy(value)
    holder: Any = found
    for step in at[:-1]:
        holder = holder[step]
    here = holder[at[-1]]
    kind = chance.choice(["remove", "replace", "replace", "repeat", "add"])
    if kind == "repeat" and isinstance(here, list) and here:
        here.append(here[0])
    elif kind == "add" and isinstance(here, dict):
        here["unknownField"] = 1
    elif kind == "remove":
        del holder[at[-1]]
    else:
        holder[at[-1]] = chance.choice(VALUES)
    return found


@pytest.mark.parametrize("times", [4, pytest.param(150, marks=pytest.mark.soak)])
def test_what_the_schema_refuses_is_refused(
    standard: tuple[Any, list[dict[str, Any]]], seed: int, times: int
) -> None:
    validator, documents = standard
    assert len(documents) > 40
    chance, taken = random.Random(seed), 0
    for document in documents:
        every = list(places(document))
        for _ in range(times):
            at = chance.choice(every)
            value = changed(document, at, chance)
            if not is_taken(value):
                continue
            assert validator.is_valid(value) or is_taken_on_purpose(value), (at, json.dumps(value))
            taken += 1
    assert taken
