"""A record as RDF: the tables of `ontology/mapping.toml`, compiled once and applied to JSON (docs/spec/graph.md).

Pure. Statements are N-Triples text without their end. `own` ones have the record or a part of it as subject, so
they are this record's alone. `shared` ones are about what the record names (kind, name as sent, lot): several
records of one graph may state the same, and each is true there while one of them does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import orjson

from fabric.epcis.contexts import (
    PACKAGED,
    ContextTable,
    EffectiveContext,
    HeldTable,
    effective_context,
    escape,
)
from fabric.epcis.event import read_event
from fabric.epcis.identifiers import Position, name_reader
from fabric.epcis.master_data import MASTER_DATA_POSITION
from fabric.epcis.remembered import Remembered
from fabric.epcis.thing import Thing
from fabric.epcis.words import word_reader
from fabric.lineage.creation import with_action
from fabric.lineage.fact import fact_of
from ontology import read_table
from ontology.vocabulary import MAPPING, term

from . import terms
from .names import is_ours, member_iri, part_iri, process_iri
from .terms import iri, text_of, typed

_TABLE: Final = read_table(MAPPING)
_TYPE: Final = iri(term("rdf:type"))
_MEMBER: Final = iri(term("prov:wasAttributedTo"))
_INDEX: Final = iri(term("loomark:logIndex"))
_NAME: Final = iri(term("loomark:nameAsSent"))
_LOT_OF: Final = iri(term("loomark:lotOf"))
_DETAIL: Final = iri(term("loomark:detail"))
_IDENTIFIER: Final = iri(term("dcterms:identifier"))
_PROCESS: Final = iri(term("loomark:process"))
_ACTIVITY: Final = iri(term("prov:Activity"))
_USED: Final = iri(term("prov:used"))
_MADE: Final = iri(term("prov:wasGeneratedBy"))
_AT: Final = iri(term("prov:generatedAtTime"))
_PARTLY: Final = iri(term("loomark:PartlyShown"))
_CLAIM: Final = iri(term("loomark:Claim"))
_ABOUT: Final = iri(term("loomark:about"))
_VOCABULARY: Final = iri(term("loomark:vocabulary"))
_CHILD: Final = iri(term("loomark:child"))
VOIDED_BY: Final = iri(term("loomark:voidedBy"))
DUPLICATE_OF: Final = iri(term("loomark:duplicateOf"))

_TYPES: Final = {name: iri(term(of)) for name, of in _TABLE["types"].items()}
_KINDS: Final = {name: iri(term(of)) for name, of in _TABLE["kinds"].items()}
_NODE_TYPES: Final = {name: iri(term(of)) for name, of in _TABLE["node_types"].items()}
_INPUTS: Final = frozenset(_TABLE["process"]["inputs"])
_OUTPUTS: Final = frozenset(_TABLE["process"]["outputs"])

SHARED_PREDICATES: Final = (_TYPE, _NAME, _LOT_OF, _USED, _MADE)
"""Predicates that shared statements have."""


@dataclass(slots=True)
class Statements:
    """What one record says: statements of its own, and those about what it names."""

    own: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)

    def lines(self, graph: str) -> str:
        """All as N-Quads in one graph, named by its IRI."""
        end = f" {iri(graph)} .\n"
        return end.join([*self.own, *self.shared, ""])


@dataclass(frozen=True, slots=True)
class About:
    """What is known of a record beside what was committed.

    `voided_by` and `duplicate_of` are record IRIs; `stated_at` is the seal's time, for master data; `partly`
    says that only some units are shown.
    """

    record: str
    member: str
    index: int
    voided_by: str | None = None
    duplicate_of: str | None = None
    stated_at: str | None = None
    partly: bool = False


def record_quads(
    committed: Mapping[str, Any], about: About, graph: str, contexts: ContextTable = PACKAGED
) -> Iterator[str]:
    """The N-Quads lines of a record in a graph, shared statements included."""
    yield from record_statements(committed, about, contexts).lines(graph).splitlines(keepends=True)


def record_statements(
    committed: Mapping[str, Any], about: About, contexts: ContextTable = PACKAGED
) -> Statements:
    """What an event or master-data record in committed form, or the shown part of an event, says as RDF."""
    writer = _Writer(committed, about, contexts)
    if "element" in committed:
        writer.claim(committed)
    else:
        writer.event(committed)
    return writer.found


_Apply: TypeAlias = "Callable[[_Writer, str, str, Any], None]"
"""Writes one field: writer, subject, pointer of the value, value."""


class _Writer:
    """One record on its way into statements."""

    __slots__ = ("_contexts", "_effective", "about", "committed", "found", "things")

    def __init__(self, committed: Mapping[str, Any], about: About, contexts: ContextTable) -> None:
        self.committed = committed
        self.about = about
        self.found = Statements()
        self.things: dict[str, list[str]] = {}
        self._contexts = contexts
        self._effective: EffectiveContext | None = None

    @property
    def context(self) -> EffectiveContext:
        """The context in force, looked up once somebody needs it."""
        if self._effective is None:
            entries = self.committed.get("@context", ())
            self._effective = _IN_FORCE[orjson.dumps(entries), HeldTable(self._contexts)]
        return self._effective

    def event(self, value: Mapping[str, Any]) -> None:
        """Everything an event says."""
        about, own = self.about, self.found.own
        subject = iri(about.record)
        own.append(f"{subject} {_TYPE} {_TYPES[value['type']]}")
        self._custody(subject)
        if about.partly:
            own.append(f"{subject} {_TYPE} {_PARTLY}")
        if about.voided_by is not None:
            own.append(f"{subject} {VOIDED_BY} {iri(about.voided_by)}")
        if about.duplicate_of is not None:
            own.append(f"{subject} {DUPLICATE_OF} {iri(about.duplicate_of)}")
        for name, inner in value.items():
            apply = _EVENT.get(name)
            if apply is not None:
                apply(self, subject, "/" + name, inner)
            elif ":" in name:
                self.extension(subject, "/" + escape(name), name, inner)
        if value["type"] == "TransformationEvent":
            self._process(subject, value.get("transformationID"))
        if "ilmd" in value:
            self._lots(value)

    def claim(self, record: Mapping[str, Any]) -> None:
        """What a master-data element claims about its thing."""
        subject, own, element = iri(self.about.record), self.found.own, record["element"]
        position = MASTER_DATA_POSITION.get(record["type"], Position.EPC)
        own.append(f"{subject} {_TYPE} {_CLAIM}")
        self._custody(subject)
        own.append(f"{subject} {_VOCABULARY} {iri(record['type'])}")
        if self.about.stated_at is not None:
            own.append(f"{subject} {_AT} {typed(self.about.stated_at, terms.TIME)}")
        self.name(subject, _ABOUT, position, element["id"])
        for index, attribute in enumerate(element.get("attributes", ())):
            predicate = iri(attribute["id"])
            if "attribute" in attribute and predicate[0] == "<":
                pointer = f"/element/attributes/{index}/attribute"
                self.value(subject, predicate, pointer, attribute["attribute"], None)
        for child in element.get("children", ()):
            self.name(subject, _CHILD, position, child)
        for name, inner in element.items():
            if ":" in name:
                self.extension(subject, "/element/" + escape(name), name, inner)

    def name(self, subject: str, predicate: str, position: Position, text: str) -> str:
        """A quad to what a text names, and what the text says of it; gives the thing's term."""
        node, statements = _THINGS[text, position]
        self.found.own.append(f"{subject} {predicate} {node}")
        self.found.shared += statements
        return node

    def extension(self, subject: str, pointer: str, name: str, value: Any) -> None:
        """A member with a prefixed name; nothing while its context is not resolved."""
        meaning = self.context.expand(name)
        if meaning is None:
            return
        predicate = iri(meaning)
        if predicate[0] == "<":
            self.value(subject, predicate, pointer, value, self.context.types.get(meaning))

    def value(self, subject: str, predicate: str, pointer: str, value: Any, kind: str | None) -> None:
        """Any JSON value; `kind` is the type that the context gives the name. A list gives one quad a member."""
        if type(value) is list:
            for index, inner in enumerate(value):
                self.value(subject, predicate, f"{pointer}/{index}", inner, kind)
        elif type(value) is dict:
            if "@value" in value:
                self.value(subject, predicate, pointer, value["@value"], value.get("@type", kind))
            elif set(value) == {"@id"}:
                self.value(subject, predicate, pointer, value["@id"], "@id")
            else:
                self.node(subject, predicate, pointer, value)
        else:
            found = self._typed(value, kind)
            if found is not None:
                self.found.own.append(f"{subject} {predicate} {found}")

    def node(self, subject: str, predicate: str, pointer: str, value: Mapping[str, Any]) -> None:
        """An object as a part of its own with what its prefixed names say."""
        part = iri(part_iri(self.about.record, pointer))
        self.found.own.append(f"{subject} {predicate} {part}")
        self.inside(part, pointer, value)

    def inside(self, part: str, pointer: str, value: Mapping[str, Any]) -> None:
        """What the members of an object say of the node that stands for it."""
        for name, inner in value.items():
            if name in ("id", "@id") and type(inner) is str:
                self.found.own.append(f"{part} {_IDENTIFIER} {iri(inner)}")
            elif name in ("type", "@type"):
                self._classes(part, inner)
            elif ":" in name:
                self.extension(part, f"{pointer}/{escape(name)}", name, inner)

    def _classes(self, part: str, value: Any) -> None:
        for name in value if type(value) is list else (value,):
            meaning = self.context.expand(name) if type(name) is str else None
            if meaning is not None and terms.is_iri(meaning):
                self.found.own.append(f"{part} {_TYPE} {iri(meaning)}")

    def _typed(self, value: Any, kind: str | None) -> str | None:
        if kind is None or value is None or type(value) is bool:
            return terms.scalar(value)
        if kind in ("@id", "@vocab"):
            return iri(self.context.expand(value) or value) if type(value) is str else terms.scalar(value)
        datatype = self.context.expand(kind) or kind
        text = value if type(value) is str else orjson.dumps(value).decode()
        return typed(text, datatype) if terms.is_iri(datatype) else terms.scalar(value)

    def _custody(self, subject: str) -> None:
        own = self.found.own
        own.append(f"{subject} {_MEMBER} {iri(member_iri(self.about.member))}")
        own.append(f'{subject} {_INDEX} "{self.about.index}"^^<{terms.INTEGER}>')

    def _process(self, subject: str, transformation_id: str | None) -> None:
        if transformation_id is not None:
            transformation_id = name_reader(Position.DOCUMENT)(transformation_id)[0].iri
        node = iri(process_iri(self.about.record, self.about.member, transformation_id))
        self.found.own.append(f"{subject} {_PROCESS} {node}")
        shared = self.found.shared
        shared.append(f"{node} {_TYPE} {_ACTIVITY}")
        shared += [f"{node} {_USED} {thing}" for thing in self.things.get("input", ())]
        shared += [
            f"{thing} {_MADE} {node}" for thing in self.things.get("output", ()) if _may_be_said(thing)
        ]

    def _lots(self, value: Mapping[str, Any]) -> None:
        """The lots that an event's master data gives to the serials it creates, as lineage reads them."""
        if self.about.partly:
            value = with_action(value)
        fact = fact_of(read_event(value), record=0, commitment=b"", digest=b"", position=0, member="")
        for line in fact.lines:
            name = str(line.thing)
            if line.lot is not None and terms.is_iri(name) and not is_ours(name):
                self.found.shared.append(f"{iri(name)} {_LOT_OF} {iri(str(line.lot))}")


def _may_be_said(node: str) -> bool:
    """Whether a thing's term can be a subject: an IRI, and none that names something of the graph's own."""
    return node[0] == "<" and not is_ours(node[1:-1])


def _in_force(key: tuple[bytes, HeldTable]) -> EffectiveContext:
    entries, held = key
    return effective_context(orjson.loads(entries), held.table)


_IN_FORCE: Final = Remembered(_in_force, 512, 32_768, lambda key: len(key[0]))


def _thing(named: tuple[str, Position]) -> tuple[str, tuple[str, ...]]:
    """The term of what a text names, and the statements about it that the text makes."""
    text, position = named
    thing: Thing = name_reader(position)(text)[0]
    node = iri(thing.iri)
    if node[0] != "<" or is_ours(thing.iri):
        return node, ()
    found = [f"{node} {_TYPE} {_KINDS[thing.kind.value]}"]
    if text != thing.iri:
        found.append(f"{node} {_NAME} {text_of(text)}")
    if thing.lot_of is not None:
        found.append(f"{node} {_LOT_OF} {iri(thing.lot_of)}")
    return node, tuple(found)


_THINGS: Final = Remembered(_thing, 65_536, size=lambda named: len(named[0]))


def _applier(row: Mapping[str, Any], name: str) -> _Apply:
    """The function that writes one field of the mapping."""
    predicates = [iri(term(row["is"])), *([iri(term(row["also"]))] if "also" in row else [])]
    how, of = str(row["as"]), row.get("of")
    if how == "name" and of == "side":
        return _side_applier(predicates[0])
    if how == "name":
        return _name_applier(predicates, Position(str(of)), name)
    if how == "place":
        return _place_applier(predicates[0], Position(str(of)))
    if how in ("part", "own"):
        return _part_applier(predicates[0], of, name)
    return _term_applier(predicates, _term_maker(how, of))


def _term_maker(how: str, of: str | None) -> Callable[[Any], str]:
    if how == "word" and of is not None:
        read = word_reader(of)
        return lambda value: iri(read(value) or value)
    datatypes = {"time": terms.TIME, "hex": term("xsd:hexBinary")}
    if how in datatypes:
        datatype = datatypes[how]
        return lambda value: typed(value, datatype)
    makers: dict[str, Callable[[Any], str]] = {
        "iri": iri,
        "text": text_of,
        "decimal": terms.decimal,
        "boolean": lambda value: typed("true" if value else "false", terms.BOOLEAN),
    }
    return makers[how]


def _term_applier(predicates: Sequence[str], make: Callable[[Any], str]) -> _Apply:
    def apply(writer: _Writer, subject: str, _pointer: str, value: Any) -> None:
        own = writer.found.own
        for inner in value if type(value) is list else (value,):
            made = make(inner)
            for predicate in predicates:
                own.append(f"{subject} {predicate} {made}")

    return apply


def _name_applier(predicates: Sequence[str], position: Position, name: str) -> _Apply:
    role = "input" if name in _INPUTS else "output" if name in _OUTPUTS else None

    def apply(writer: _Writer, subject: str, pointer: str, value: Any) -> None:
        for text in value if type(value) is list else (value,):
            node = ""
            for predicate in predicates:
                node = writer.name(subject, predicate, position, text)
            direction = role or _direction(pointer)
            if direction is not None:
                writer.things.setdefault(direction, []).append(node)

    return apply


def _direction(pointer: str) -> str | None:
    """Whether a part of a list is what a process used, or what it made."""
    list_name = pointer[1:].partition("/")[0]
    return "input" if list_name in _INPUTS else "output" if list_name in _OUTPUTS else None


def _side_applier(predicate: str) -> _Apply:
    def apply(writer: _Writer, subject: str, pointer: str, value: Any) -> None:
        kind = _at(writer.committed, pointer.rpartition("/")[0]).get("type", "")
        at_place = (word_reader("sourceOrDestinationType")(kind) or kind).endswith("SDT-location")
        writer.name(subject, predicate, Position.PLACE if at_place else Position.PARTY, value)

    return apply


def _at(value: Any, pointer: str) -> Any:
    for token in pointer[1:].split("/"):
        value = value[int(token)] if type(value) is list else value[token]
    return value


def _place_applier(predicate: str, position: Position) -> _Apply:
    def apply(writer: _Writer, subject: str, pointer: str, value: Any) -> None:
        writer.name(subject, predicate, position, value["id"])
        if len(value) > 1:
            writer.node(
                subject, _DETAIL, pointer, {name: inner for name, inner in value.items() if name != "id"}
            )

    return apply


def _part_applier(predicate: str, of: str | None, name: str) -> _Apply:
    kind = _NODE_TYPES.get(name)

    def apply(writer: _Writer, subject: str, pointer: str, value: Any) -> None:
        if type(value) is list:
            for index, inner in enumerate(value):
                write(writer, subject, f"{pointer}/{index}", inner)
        else:
            write(writer, subject, pointer, value)

    def write(writer: _Writer, subject: str, pointer: str, value: Mapping[str, Any]) -> None:
        own = writer.found.own
        part = f"<{part_iri(writer.about.record, pointer)}>"
        own.append(f"{subject} {predicate} {part}")
        if kind is not None:
            own.append(f"{part} {_TYPE} {kind}")
        fields = _FIELDS[of] if of is not None else {}
        for inner_name, inner in value.items():
            apply_inner = fields.get(inner_name)
            if apply_inner is not None:
                apply_inner(writer, part, f"{pointer}/{inner_name}", inner)
            elif ":" in inner_name:
                writer.extension(part, f"{pointer}/{escape(inner_name)}", inner_name, inner)

    return apply


_FIELDS: Final[dict[str, dict[str, _Apply]]] = {
    table: {name: _applier(row, name) for name, row in rows.items()}
    for table, rows in _TABLE.items()
    if isinstance(rows, dict) and any(isinstance(row, dict) and "as" in row for row in rows.values())
}
_EVENT: Final = _FIELDS["event"]
