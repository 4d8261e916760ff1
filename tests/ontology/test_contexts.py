"""Our context tables say what the publishers' documents say, and our vocabularies hold what theirs hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyld import jsonld

from ontology import read_table
from ontology.jsonld import jsonld_context, word_iris

PUBLISHED = "event-hash/e532647e8eb371379b8b0e8602d8981c8566bc60f7351f22c76a5bc865962008.jsonld"
WORKING_COPY = "gs1/epcis-context.jsonld"
FSMA = "fsma204/context/fsma204-context.jsonld"

# Documents that JSON-LD itself cannot expand, with either context: they redefine a prefix that is protected.
NOT_EXPANDABLE = frozenset(
    {
        "gs1/JSON/WithFullCombinationOfFields/transformation_event_all_possible_fields.jsonld",
        "openepcis/2.0/EPCIS/JSON/Capture/Documents/TransformationEvent_all_possible_fields.json",
        "seafood/gdst_certification_invalid_type.jsonld",
        "seafood/gdst_event_missing_information_provider.jsonld",
        "seafood/gdst_farm_harvest_event_invalid.jsonld",
        "seafood/gdst_farm_harvest_missing_aquaculture_method.jsonld",
        "seafood/gdst_fishing_event_invalid.jsonld",
        "seafood/gdst_processing_event_invalid.jsonld",
        "seafood/gdst_vessel_invalid_imo.jsonld",
    }
)


@pytest.fixture(scope="module")
def corpus(shared_data: Path) -> Path:
    return shared_data / "epcis"


def rows() -> list[dict[str, Any]]:
    return read_table("contexts.toml")["context"]  # type: ignore[no-any-return]


def epcis_urls() -> dict[str, dict[str, Any]]:
    return {url: row for row in rows() if row["data"] == "contexts/epcis.toml" for url in row["urls"]}


def ours(url: str) -> dict[str, Any]:
    row = epcis_urls()[url]
    return {"@context": jsonld_context(row["data"], row.get("types"))}


def loader(contents: Callable[[str], Any]) -> Callable[[str, dict[str, Any]], dict[str, Any]]:
    def load(url: str, options: dict[str, Any]) -> dict[str, Any]:
        document = contents(url) if url in epcis_urls() else {"@context": {}}
        return {
            "contentType": "application/ld+json",
            "contextUrl": None,
            "documentUrl": url,
            "document": document,
        }

    return load


def theirs(corpus: Path) -> Callable[[str], Any]:
    published = json.loads((corpus / PUBLISHED).read_bytes())
    working = json.loads((corpus / WORKING_COPY).read_bytes())
    return lambda url: working if "github.io" in url else published


def documents(corpus: Path) -> Iterator[tuple[str, Any]]:
    for path in sorted([*corpus.rglob("*.json"), *corpus.rglob("*.jsonld")]):
        try:
            value = json.loads(path.read_bytes())
        except ValueError:
            continue
        if (
            isinstance(value, dict)
            and str(value.get("type")).startswith(("EPCIS", "Transf"))
            and "@context" in value
        ):
            yield path.relative_to(corpus).as_posix(), value


def expanded(value: Any, contents: Callable[[str], Any]) -> Any:
    try:
        return jsonld.expand(value, {"documentLoader": loader(contents)})
    except jsonld.JsonLdError as error:
        return error.code


def test_our_context_expands_every_document_as_the_publishers_does(corpus: Path) -> None:
    publishers, failed, count = theirs(corpus), set(), 0
    for name, value in documents(corpus):
        by_them = expanded(value, publishers)
        assert expanded(value, ours) == by_them, name
        count += 1
        if isinstance(by_them, str):
            failed.add(name)
    assert failed == NOT_EXPANDABLE
    assert count > 100


def test_every_term_of_the_publishers_context_means_the_same_in_ours(corpus: Path) -> None:
    published = json.loads((corpus / PUBLISHED).read_bytes())["@context"]
    mine = ours(rows()[0]["urls"][0])["@context"]
    assert {name for name in published if not name.startswith("@")} == {
        name for name in mine if not name.startswith("@")
    }
    for name in published:
        if not name.startswith("@"):
            assert summary(published[name], published) == summary(mine[name], mine), name


def summary(term: Any, context: dict[str, Any]) -> Any:
    """A term's IRI, type and container in full, and the same of the terms in force inside it."""
    if isinstance(term, str):
        return {"@id": absolute(term, context)}
    inside = term.get("@context", {})
    layers = inside if isinstance(inside, list) else [inside]
    terms = {
        name: summary(value, context)
        for layer in layers
        for name, value in layer.items()
        if not name.startswith("@") and name != "epcis"
    }
    plain = {key: absolute(term[key], context) for key in ("@id", "@type", "@container") if key in term}
    return plain | ({"terms": terms} if terms else {})


def absolute(name: str, context: dict[str, Any]) -> str:
    prefix, colon, rest = name.partition(":")
    return context[prefix] + rest if colon and isinstance(context.get(prefix), str) else name


def test_listed_digests_are_those_of_the_publishers_bytes(corpus: Path) -> None:
    digests = {row["sha256"] for row in rows()}
    for name in (PUBLISHED, WORKING_COPY, FSMA):
        assert hashlib.sha256((corpus / name).read_bytes()).hexdigest() in digests


def test_the_fsma_table_says_what_the_publishers_context_says(corpus: Path) -> None:
    imported, theirs = json.loads((corpus / FSMA).read_bytes())["@context"]
    row = next(row for row in rows() if row["data"] == "contexts/fsma204.toml")
    table = read_table(row["data"])
    assert row["imports"] == [imported]
    assert table["prefixes"]["usfsma"] == theirs["usfsma"]
    terms = {name: value for name, value in theirs.items() if ":" in name}
    assert {
        name: {"@id": term["iri"], "@type": term["type"]} for name, term in table["terms"].items()
    } == terms


@pytest.mark.parametrize(
    ("table", "field", "definition"),
    [
        ("cbv/words.toml", "bizStep", "bizStep"),
        ("cbv/words.toml", "disposition", "disposition"),
        ("cbv/words.toml", "bizTransactionType", "bizTransaction-type"),
        ("cbv/words.toml", "sourceOrDestinationType", "source-dest-type"),
        ("cbv/words.toml", "errorReason", "error-reason"),
        ("cbv/words.toml", "component", "component"),
        ("cbv/measurements.toml", "measurementType", "measurementType"),
        ("cbv/measurements.toml", "exception", "sensorAlertType"),
    ],
)
def test_word_lists_are_those_of_the_standards_schema(
    corpus: Path, table: str, field: str, definition: str
) -> None:
    schema = json.loads((corpus / "gs1/EPCIS-JSON-Schema.json").read_bytes())["definitions"]
    words = next(part["enum"] for part in schema[definition]["anyOf"] if "enum" in part)
    assert set(word_iris(table, field)) == set(words)


def test_word_lists_have_each_word_once_and_in_order() -> None:
    for place in ("cbv/words.toml", "cbv/measurements.toml"):
        for field, row in read_table(place).items():
            if isinstance(row, dict):
                assert row["words"] == sorted(set(row["words"])), field
