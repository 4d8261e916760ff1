"""Every term that the graph writes exists: in our own vocabulary, or in the standard it is taken from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pyoxigraph import NamedNode, RdfFormat, parse

from fabric.graph.rendering import context
from ontology import read_table, vocabulary

ROOT = Path(__file__).resolve().parents[2]

# Terms of standards whose files are not among the shared data, as their specifications name them.
PROV = {"Activity", "Entity", "generatedAtTime", "used", "wasAttributedTo", "wasGeneratedBy"}
SOSA = {"Observation", "hasSimpleResult", "madeBySensor", "observedProperty", "resultTime"}
XSD = {"anyURI", "boolean", "dateTime", "decimal", "hexBinary", "integer", "string"}
OTHERS = {
    "prov": PROV,
    "sosa": SOSA,
    "xsd": XSD,
    "rdf": {"type"},
    "dcterms": {"identifier"},
    "rdfs": set(),
}


def terms_in_code() -> set[str]:
    """Every prefixed name that the code of the graph asks the vocabulary for, and all of the mapping's."""
    found: set[str] = set()
    prefixes = "|".join(vocabulary.prefixes())
    for path in (ROOT / "fabric" / "graph").glob("*.py"):
        found |= set(re.findall(rf"[\"']((?:{prefixes}):\w+)[\"']", path.read_text()))
    return {vocabulary.term(name) for name in found} | vocabulary.mapped_terms()


def defined_by_us() -> set[str]:
    triples = parse(vocabulary.turtle(), RdfFormat.TURTLE)
    return {
        triple.subject.value
        for triple in triples
        if isinstance(triple.subject, NamedNode) and triple.predicate.value.endswith("#type")
    }


def in_tables() -> set[str]:
    """EPCIS terms of our own rendering of the standard's context."""
    table = read_table("contexts/epcis.toml")
    scopes: list[dict[str, Any]] = [table["terms"], *table["scope"].values()]
    rows = {name: row for scope in scopes for name, row in scope.items()}
    found = {f"epcis:{name}" for name, row in rows.items() if "alias" not in row and "iri" not in row}
    found |= {row["iri"] for scope in scopes for row in scope.values() if "iri" in row}
    return {vocabulary.term(name) for name in found if name.partition(":")[0] in vocabulary.prefixes()}


def test_every_term_of_ours_that_is_used_is_defined_and_none_is_idle() -> None:
    ours = {name for name in terms_in_code() if name.startswith(vocabulary.term("loomark:"))}
    defined = {name for name in defined_by_us() if name != vocabulary.term("loomark:")}
    assert ours <= defined
    assert defined - ours == {vocabulary.term("loomark:Thing")}


def test_every_borrowed_term_is_one_of_its_standard() -> None:
    borrowed = {name for name in terms_in_code() if not name.startswith(vocabulary.term("loomark:"))}
    known = in_tables() | {
        vocabulary.term(f"{prefix}:{name}") for prefix, names in OTHERS.items() for name in names
    }
    assert borrowed - known == set()


def test_every_epcis_term_is_in_the_published_ontology(shared_data: Path) -> None:
    path = shared_data / "epcis" / "gs1" / "ontology" / "EPCIS.ttl"
    published = {
        triple.subject.value
        for triple in parse(path.read_bytes(), RdfFormat.TURTLE, lenient=True)
        if isinstance(triple.subject, NamedNode)
    }
    epcis = vocabulary.term("epcis:")
    used = {name for name in terms_in_code() if name.startswith(epcis)}
    assert len(used) > 50
    assert used - published == set()


def test_we_define_no_term_that_the_published_ontologies_have(shared_data: Path) -> None:
    text = "".join(
        path.read_text(encoding="utf-8")
        for path in (shared_data / "epcis" / "gs1" / "ontology").glob("*.ttl")
    )
    # A bizTransaction is a document's name there and a link to it here; an eventID is a name there, shared here.
    published = set(re.findall(r"^(?:epcis|cbv):(\w+)", text, re.MULTILINE))
    own = {name.rpartition(":")[2] for name in defined_by_us()}
    assert own & published == set()


def test_our_vocabulary_is_turtle_to_another_parser() -> None:
    rdflib = pytest.importorskip("rdflib")
    graph = rdflib.Graph().parse(data=vocabulary.turtle(), format="turtle")
    assert {str(one) for one in graph.subjects(rdflib.RDF.type, None)} == defined_by_us()


def test_every_name_of_our_context_expands_to_a_term_that_is_known() -> None:
    known = terms_in_code() | {vocabulary.term("loomark:coveredSize")}
    for name, definition in context().items():
        if name.startswith("@") or name in vocabulary.prefixes():
            continue
        iri = definition if isinstance(definition, str) else definition["@id"]
        assert vocabulary.term(iri) in known, name
