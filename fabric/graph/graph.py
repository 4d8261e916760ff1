"""The store that the projector writes: batches in, records replaced, the covered tree size as a quad.

Adding much is a bulk load, which is not atomic: what a crash leaves behind is replaced when the batch is written again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Final, TypeAlias

from pyoxigraph import Literal, NamedNode, Quad, RdfFormat, Store

from ontology.vocabulary import mapping_version, term

from .mapping import SHARED_PREDICATES, Statements
from .names import GRAPH, PAIRED, PROCESS, RECORD, is_ours, member_iri
from .source import Placed
from .terms import iri

_GRAPH: Final = NamedNode(GRAPH)
_PAIRED: Final = NamedNode(PAIRED)
_TYPE: Final = NamedNode(term("rdf:type"))
_COVERED: Final = NamedNode(term("loomark:coveredSize"))
_VERSION: Final = NamedNode(term("loomark:mappingVersion"))
_CLASS: Final = NamedNode(term("loomark:VisibilityClass"))
_SEEN_BY: Final = NamedNode(term("loomark:seenBy"))
_THING: Final = NamedNode(term("loomark:thing"))
_DISPATCH: Final = NamedNode(term("loomark:dispatch"))
_RECEIPT: Final = NamedNode(term("loomark:receipt"))
_INTEGER: Final = NamedNode(term("xsd:integer"))
_SHARED: Final = tuple(NamedNode(one[1:-1]) for one in SHARED_PREDICATES)
_REMEMBERED: Final = 200_000
_BULK: Final = 2_000
"""Lines from which on a bulk load, which makes files of its own each time, is the faster way."""

_MOST_ASKED: Final = 64

_Key: TypeAlias = tuple[NamedNode, NamedNode]
"""A thing and a graph."""

ReadNamed = Callable[[Iterable[bytes]], list[Placed]]
"""What the event records with these commitments say now."""


class Graph:
    """The graph of one folder, or of memory. One writer."""

    def __init__(self, path: Path | None = None) -> None:
        self.store = Store() if path is None else Store(path)
        self._written: set[str] = set()
        self._classes: dict[str, frozenset[str]] = dict(classes_of(self.store))

    def covered(self) -> int:
        """The tree size that the graph covers."""
        return covered_size(self.store)

    def is_of_this_mapping(self) -> bool:
        """Whether this version of the mapping made the graph."""
        return _integer(self.store, _VERSION) == mapping_version()

    def cover(self, size: int) -> None:
        """State that the graph shows all statements below a tree size, in one step."""
        graph = f"<{GRAPH}>"
        rows = f"{graph} {_COVERED} {size} ; {_VERSION} {mapping_version()} ; a <{term('loomark:Graph')}> ."
        self.store.update(
            f"DELETE WHERE {{ GRAPH {graph} {{ {graph} ?p ?o }} }} ; INSERT DATA {{ GRAPH {graph} {{ {rows} }} }}"
        )

    def add(self, records: Iterable[Placed], more: Iterable[str] = ()) -> None:
        """Write records of which the graph holds nothing yet, and `more` N-Quads lines with them."""
        lines = list(more)
        for record in records:
            self._meet(record.classes, lines)
            for graph, said in record.graphs.items():
                end = f" {iri(graph)} .\n"
                lines += [statement + end for statement in said.own]
                lines += self._fresh([statement + end for statement in said.shared])
        self._load(lines)

    def holds(self, record: str) -> bool:
        """Whether the graph has statements of a record, by its IRI."""
        return next(self.store.quads_for_pattern(NamedNode(record), None, None, None), None) is not None

    def replace(self, records: Mapping[str, list[Placed]], read_named: ReadNamed) -> None:
        """Make the graph hold exactly what records say now: by IRI, all records of that name."""
        lines: list[str] = []
        for now in records.values():
            for one in now:
                self._meet(one.classes, lines)
                lines.append(one.lines())
        wanted = _normal(lines)
        before = {quad for record in records for quad in _walk(self.store, record, None)}
        # All of it, changed or not: a bulk load that a crash cut short may have left any part out.
        self._load("".join(lines).splitlines(keepends=True))
        obsolete = before - wanted
        if obsolete:
            self._written.clear()
            # One step for both: were the first gone alone after a crash, nothing would lead to the second.
            self._remove(obsolete | self._unsaid(obsolete, read_named))

    def handed_over(self, record: str) -> set[str]:
        """The things, by IRI, of which a hand-over has this record, by IRI, as its dispatch or receipt."""
        found = set()
        for predicate in (_DISPATCH, _RECEIPT):
            for quad in self.store.quads_for_pattern(None, predicate, NamedNode(record), _PAIRED):
                about = next(self.store.quads_for_pattern(quad.subject, _THING, None, _PAIRED), None)
                if about is not None:
                    found.add(_value(about.object))
        return found

    def settle_handovers(self, things: Iterable[str], lines: list[str]) -> list[str]:
        """Take back hand-overs of things, by IRI, that are not in `lines`; gives the lines that are to be added."""
        before = {
            quad
            for thing in things
            for found in self.store.quads_for_pattern(None, _THING, NamedNode(thing), _PAIRED)
            for quad in self.store.quads_for_pattern(found.subject, None, None, _PAIRED)
        }
        if before:
            self._remove(before - _normal(lines))
        return lines

    def drop_unused_classes(self) -> None:
        """Take back who sees a class of which nothing is left."""
        for graph in list(self._classes):
            node = NamedNode(graph)
            if next(self.store.quads_for_pattern(None, None, None, node), None) is None:
                self._remove(set(self.store.quads_for_pattern(node, None, None, _GRAPH)))
                del self._classes[graph]

    def _load(self, lines: list[str]) -> None:
        data = "".join(lines).encode()
        if len(lines) >= _BULK:
            self.store.bulk_load(data, RdfFormat.N_QUADS)
        elif lines:
            self.store.load(data, RdfFormat.N_QUADS)

    def _meet(self, classes: Mapping[str, frozenset[str]], lines: list[str]) -> None:
        """State who sees a class before anything is put into it."""
        for graph, members in classes.items():
            if graph not in self._classes:
                self._classes[graph] = members
                lines.append(f"<{graph}> {_TYPE} {_CLASS} <{GRAPH}> .\n")
                lines += [
                    f"<{graph}> {_SEEN_BY} {iri(member_iri(name))} <{GRAPH}> .\n" for name in sorted(members)
                ]

    def _fresh(self, lines: list[str]) -> list[str]:
        """Lines that were not written lately: many records say the same of a thing."""
        written = self._written
        if len(written) > _REMEMBERED:
            written.clear()
        found = [line for line in lines if line not in written]
        written.update(found)
        return found

    def _remove(self, quads: set[Quad]) -> None:
        """Remove quads in one step."""
        by_graph: dict[str, list[str]] = {}
        for quad in quads:
            statement = f"{quad.subject} {quad.predicate} {quad.object} ."
            by_graph.setdefault(str(quad.graph_name), []).append(statement)
        if quads:
            parts = [f"GRAPH {graph} {{ {' '.join(lines)} }}" for graph, lines in by_graph.items()]
            self.store.update(f"DELETE DATA {{ {' '.join(parts)} }}")

    def _unsaid(self, obsolete: set[Quad], read_named: ReadNamed) -> set[Quad]:
        """What is said of things in the graphs of obsolete quads, and by no record of the same graph now."""
        left: dict[_Key, set[Quad]] = {}
        for quad in obsolete:
            if isinstance(quad.object, NamedNode) and isinstance(quad.graph_name, NamedNode):
                key = (quad.object, quad.graph_name)
                if key not in left and _may_be_shared(quad.object.value):
                    left[key] = self._said_of(*key)
        mentions = {key: _mentions(self.store, *key) for key, said in left.items() if said}
        gone: set[Quad] = set()
        # Most things are named alike by all records, so the first one that still names it settles it.
        count = 1
        while mentions:
            asked = {key: list(islice(found, count)) for key, found in mentions.items()}
            said = _shared(read_named({one for names in asked.values() for one in names}))
            for key, names in asked.items():
                left[key] -= said
                if not names:
                    gone |= left[key]
                if not (names and left[key]):
                    del mentions[key]
            count = min(4 * count, _MOST_ASKED)
        return gone

    def _said_of(self, thing: NamedNode, graph: NamedNode) -> set[Quad]:
        return {
            quad
            for predicate in _SHARED
            for quad in self.store.quads_for_pattern(thing, predicate, None, graph)
        }


def _may_be_shared(name: str) -> bool:
    return name.startswith(PROCESS) or not is_ours(name)


def covered_size(store: Store) -> int:
    """The tree size that a store covers by its own statement; 0 without one."""
    return _integer(store, _COVERED)


def classes_of(store: Store) -> Iterator[tuple[str, frozenset[str]]]:
    """The visibility classes of a store: the name of the graph, and the ids of the members who see it."""
    prefix = len(member_iri(""))
    found: dict[str, set[str]] = {}
    for quad in store.quads_for_pattern(None, _SEEN_BY, None, _GRAPH):
        found.setdefault(_value(quad.subject), set()).add(_value(quad.object)[prefix:])
    for name, members in found.items():
        yield name, frozenset(members)


def own_quads(store: Store, record: str, graph: NamedNode) -> Iterator[Quad]:
    """What a record and its parts say in one graph."""
    yield from _walk(store, record, graph)


def _walk(store: Store, record: str, graph: NamedNode | None) -> Iterator[Quad]:
    waiting, seen = [record], {record}
    while waiting:
        for quad in store.quads_for_pattern(NamedNode(waiting.pop()), None, None, graph):
            yield quad
            target = quad.object
            if (
                isinstance(target, NamedNode)
                and target.value.startswith(record + "#")
                and target.value not in seen
            ):
                seen.add(target.value)
                waiting.append(target.value)


def _mentions(store: Store, thing: NamedNode, graph: NamedNode) -> Iterator[bytes]:
    """The commitments of records that name a thing in a graph."""
    seen: set[str] = set()
    for quad in store.quads_for_pattern(None, None, thing, graph):
        record = _value(quad.subject).partition("#")[0]
        if record.startswith(RECORD) and record not in seen:
            seen.add(record)
            yield bytes.fromhex(record[len(RECORD) :])


def _shared(records: list[Placed]) -> set[Quad]:
    """What records say of things, in each of their graphs."""
    return _normal(
        [Statements([], said.shared).lines(graph) for one in records for graph, said in one.graphs.items()]
    )


def _normal(lines: Iterable[str]) -> set[Quad]:
    """Quads as the store gives them back: it writes numbers and some datatypes in one way only."""
    store = Store()
    store.load("".join(lines).encode(), RdfFormat.N_QUADS)
    return set(store)


def _integer(store: Store, predicate: NamedNode) -> int:
    quad = next(store.quads_for_pattern(_GRAPH, predicate, None, _GRAPH), None)
    return int(quad.object.value) if quad is not None and isinstance(quad.object, Literal) else 0


def _value(node: object) -> str:
    return node.value if isinstance(node, NamedNode) else ""


__all__ = ["Graph", "classes_of", "covered_size", "own_quads"]
