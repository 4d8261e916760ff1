"""A description as Turtle, and as compacted JSON-LD with a context of our own.

The JSON-LD is readable without a processor: the thing first, then the records that name it with their parts
inside them, then claims and hand-overs. Both forms hold the same triples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from pyoxigraph import Literal, NamedNode, Quad, RdfFormat, Triple, serialize

from ontology import read_table
from ontology.vocabulary import MAPPING, prefixes, term

from .names import GRAPH, RECORD
from .reader import Description

_TYPE: Final = term("rdf:type")
_STRING: Final = term("xsd:string")
_NATIVE: Final[dict[str, Callable[[str], Any]]] = {
    term("xsd:boolean"): lambda text: text == "true",
    term("xsd:integer"): int,
}
_TYPES: Final = {"time": "xsd:dateTime", "decimal": "xsd:decimal", "hex": "xsd:hexBinary"}
_REFERENCES: Final = frozenset({"iri", "word", "name", "place"})
_OWN_REFERENCES: Final = (
    "prov:wasAttributedTo",
    "prov:wasGeneratedBy",
    "prov:used",
    "loomark:lotOf",
    "loomark:process",
    "loomark:voidedBy",
    "loomark:duplicateOf",
    "loomark:about",
    "loomark:vocabulary",
    "loomark:child",
    "loomark:thing",
    "loomark:dispatch",
    "loomark:receipt",
    "loomark:strength",
    "loomark:evidence",
)


@cache
def context() -> Mapping[str, Any]:
    """Our JSON-LD context: the prefixes, and the mapping's terms by their local names."""
    found: dict[str, Any] = {"@version": 1.1, **prefixes()}
    for table in read_table(MAPPING).values():
        for row in table.values() if isinstance(table, dict) else ():
            if isinstance(row, dict) and "as" in row:
                for name in (row["is"], row.get("also")):
                    if name is not None:
                        _define(found, name, row["as"])
    for name in _OWN_REFERENCES:
        _define(found, name, "iri")
    _define(found, "prov:generatedAtTime", "time")
    for name in ("loomark:nameAsSent", "loomark:logIndex", "loomark:coveredSize", "loomark:detail"):
        _define(found, name, "text")
    return found


def _define(found: dict[str, Any], name: str, how: str) -> None:
    key = name.partition(":")[2]
    kind = "@id" if how in _REFERENCES else _TYPES.get(how)
    definition = name if kind is None else {"@id": name, "@type": kind}
    # One predicate may hold numbers and texts; then each value says its own type.
    found[key] = name if key in found and found[key] != definition else definition


def to_turtle(description: Description) -> bytes:
    """The triples as Turtle."""
    triples = [Triple(quad.subject, quad.predicate, quad.object) for quad in _distinct(description.quads)]
    found = serialize(triples, format=RdfFormat.TURTLE, prefixes=dict(prefixes()))
    return found if found is not None else b""


def to_jsonld(description: Description) -> dict[str, Any]:
    """The triples as one compacted JSON-LD document."""
    nodes: dict[str, dict[str, Any]] = {}
    for quad in _distinct(description.quads):
        subject = _name(quad.subject)
        node = nodes.setdefault(subject, {"@id": compact(subject)})
        _put(node, quad)
    parts = {name for name in nodes if name.startswith(RECORD) and "#" in name}
    graph = [_nested(name, nodes, parts, ()) for name in _order(nodes, description) if name not in parts]
    return {"@context": dict(context()), "@graph": graph}


def compact(name: str) -> str:
    """An IRI with its prefix, where one of ours fits and the rest is a plain name."""
    for prefix, start in prefixes().items():
        rest = name[len(start) :]
        if name.startswith(start) and rest and rest.replace("-", "").replace("_", "").isalnum():
            return f"{prefix}:{rest}"
    return name


def _distinct(quads: tuple[Quad, ...]) -> list[Quad]:
    """One quad of those that differ in their graphs alone."""
    return list({(quad.subject, quad.predicate, quad.object): quad for quad in quads}.values())


def _order(nodes: Mapping[str, Any], description: Description) -> list[str]:
    first = [description.thing, *description.records]
    known = set(first) | {GRAPH}
    rest = sorted(name for name in nodes if name not in known)
    return [name for name in (*first, *rest, GRAPH) if name in nodes]


def _put(node: dict[str, Any], quad: Quad) -> None:
    predicate = quad.predicate.value
    if predicate == _TYPE and isinstance(quad.object, NamedNode):
        key, value = "@type", compact(quad.object.value)
    else:
        key, kind = _key(predicate)
        value = _value(quad.object, kind)
    if key not in node:
        node[key] = value
    elif isinstance(node[key], list):
        node[key].append(value)
    else:
        node[key] = [node[key], value]


@cache
def _key(predicate: str) -> tuple[str, str | None]:
    """The key of a predicate, and the type that the context gives its values (as an IRI, or @id)."""
    name = compact(predicate)
    local = name.partition(":")[2]
    definition = context().get(local)
    if definition == name:
        return local, None
    if isinstance(definition, dict) and definition["@id"] == name:
        kind = definition["@type"]
        return local, kind if kind == "@id" else term(kind)
    return name, None


def _value(node: Any, kind: str | None) -> Any:
    if isinstance(node, NamedNode):
        # A value of type @id is not looked up as a term, so a prefixed name is safe either way.
        return compact(node.value) if kind == "@id" else {"@id": compact(node.value)}
    if not isinstance(node, Literal):
        return str(node)
    datatype = node.datatype.value
    if node.language:
        return {"@value": node.value, "@language": node.language}
    if datatype == kind or (kind is None and datatype == _STRING):
        return node.value
    if kind is None and datatype in _NATIVE and _is_plain(node.value, datatype):
        return _NATIVE[datatype](node.value)
    return {"@value": node.value, "@type": compact(datatype)}


def _is_plain(text: str, datatype: str) -> bool:
    native = _NATIVE[datatype](text)
    return text == (str(native).lower() if isinstance(native, bool) else str(native))


def _nested(
    name: str, nodes: Mapping[str, dict[str, Any]], parts: set[str], path: tuple[str, ...]
) -> dict[str, Any]:
    """A node with the parts it points to put inside it."""
    found: dict[str, Any] = {}
    for key, value in nodes[name].items():
        values = value if isinstance(value, list) else [value]
        inner = [_inside(one, nodes, parts, (*path, name)) for one in values]
        found[key] = inner if isinstance(value, list) else inner[0]
    return found


def _inside(value: Any, nodes: Mapping[str, dict[str, Any]], parts: set[str], path: tuple[str, ...]) -> Any:
    if isinstance(value, dict) and set(value) == {"@id"} and value["@id"] in parts - set(path):
        return _nested(value["@id"], nodes, parts, path)
    return value


def _name(node: object) -> str:
    return node.value if isinstance(node, NamedNode) else str(node)
