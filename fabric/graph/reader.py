"""What the graph says of a thing, as one reader may see it: from the newest published snapshot.

Only graphs of classes that the reader sees are read, by name; nothing is filtered after it was found. A thing
that no visible record names answers like one that nobody ever named.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from pyoxigraph import Literal, NamedNode, Quad, Store

from fabric.visibility.reader import Reader
from ledger.errors import NotFound, Unavailable
from ontology.vocabulary import term

from .graph import classes_of, covered_size, own_quads
from .names import GRAPH, MASTER, MEMBER, PAIRED, RECORD
from .snapshots import Snapshot, current, purged
from .terms import is_iri

MOST_RECORDS: Final = 100
"""Records that a description shows whole, the newest ones."""

_MOST_NAMED: Final = 20_000
"""Mentions that are looked at in one graph; of a thing that more records name, some newer ones may be missed."""

_TYPE: Final = NamedNode(term("rdf:type"))
_PARTLY: Final = NamedNode(term("loomark:PartlyShown"))
_TIME: Final = NamedNode(term("epcis:eventTime"))
_LOT_OF: Final = NamedNode(term("loomark:lotOf"))
_ABOUT: Final = NamedNode(term("loomark:about"))
_THING: Final = NamedNode(term("loomark:thing"))
_DISPATCH: Final = NamedNode(term("loomark:dispatch"))
_RECEIPT: Final = NamedNode(term("loomark:receipt"))
_MEMBER: Final = NamedNode(term("prov:wasAttributedTo"))
_COVERED: Final = NamedNode(term("loomark:coveredSize"))
_GRAPH: Final = NamedNode(GRAPH)
_MASTER: Final = NamedNode(MASTER)
_PAIRED: Final = NamedNode(PAIRED)


@dataclass(frozen=True, slots=True)
class Description:
    """What a reader may know of a thing: quads, whose graphs are of no interest to them.

    `records` are the visible records that name it, newest first, as far as they are shown; `more` says that there
    are others. `size` is the tree size that the answer covers.
    """

    thing: str
    size: int
    quads: tuple[Quad, ...]
    records: tuple[str, ...]
    more: bool


class GraphReader:
    """Reads the published graph of one folder; safe to share by threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._open: tuple[Snapshot, View] | None = None

    @property
    def size(self) -> int:
        """The tree size that the published graph covers; 0 before the first snapshot."""
        published = current(self._folder)
        with self._lock:
            # A snapshot that was removed keeps its room on disk, and what it says, for as long as it is open.
            if self._open is not None and self._open[0] != published:
                self._open = None
        return 0 if published is None else published.size

    @property
    def purged(self) -> int:
        """The log index of the last erasure of which no file of the graph holds anything; -1 before the first."""
        return purged(self._folder)

    def view(self) -> View:
        """The newest snapshot. Raises Unavailable before the first one."""
        with self._lock:
            for _ in range(5):
                published = current(self._folder)
                if published is None:
                    break
                if self._open is not None and self._open[0] == published:
                    return self._open[1]
                try:
                    store = Store.read_only(str(self._folder / published.name))
                except OSError:
                    # It was replaced, and removed, between reading the pointer and opening it.
                    continue
                self._open = (published, View(store))
                return self._open[1]
        raise Unavailable("the knowledge graph has not been published yet; try again soon")

    def describe(
        self, thing: str, reader: Reader, most: int = MOST_RECORDS, *, is_named: bool = False
    ) -> Description:
        """What the newest snapshot says of a thing. Raises NotFound, Unavailable."""
        return self.view().describe(thing, reader, most, is_named=is_named)


class View:
    """One snapshot: immutable, so every answer from it is of one tree size."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.size = covered_size(store)
        self._classes = {NamedNode(name): members for name, members in classes_of(store)}

    def describe(
        self, thing: str, reader: Reader, most: int = MOST_RECORDS, *, is_named: bool = False
    ) -> Description:
        """What a reader may see of a thing, by its canonical IRI.

        `is_named` says that a record which the reader sees names it although no quad does: a product class by one
        of its lots (`fabric.visibility.sight.named_visibly`). Its master data may then be seen.

        Raises NotFound for a thing that no record this reader sees names.
        """
        if not is_iri(thing):
            raise _unknown()
        node = NamedNode(thing)
        graphs = [graph for graph, members in self._classes.items() if reader.sees(members)]
        named, found = self._named(node, graphs)
        claims = list(self._claims(node, reader, is_named or bool(found or named)))
        if not found and not claims:
            raise _unknown()
        records, more = self._newest(named, graphs, most)
        quads = dict.fromkeys(found)
        for record in records:
            quads |= dict.fromkeys(self._record(record, graphs))
        quads |= dict.fromkeys(claims)
        quads |= dict.fromkeys(self._handovers(node, graphs))
        size = Literal(self.size)
        quads[Quad(_GRAPH, _COVERED, size)] = None
        return Description(thing, self.size, tuple(quads), tuple(records), more)

    def _named(self, node: NamedNode, graphs: list[NamedNode]) -> tuple[set[str], list[Quad]]:
        """The visible records that name a thing, and what is said of it in their graphs."""
        records: set[str] = set()
        found: list[Quad] = []
        for graph in graphs:
            mentions = self._store.quads_for_pattern(None, None, node, graph)
            for quad in islice(mentions, _MOST_NAMED):
                subject = quad.subject.value if isinstance(quad.subject, NamedNode) else ""
                if subject.startswith(RECORD):
                    records.add(subject.partition("#")[0])
                elif quad.predicate == _LOT_OF:
                    found.append(quad)
            found += self._store.quads_for_pattern(node, None, None, graph)
        return records, found

    def _newest(self, records: set[str], graphs: list[NamedNode], most: int) -> tuple[list[str], bool]:
        times = sorted([(self._time(record, graphs), record) for record in records], reverse=True)
        return [record for _, record in times[:most]], len(records) > most

    def _time(self, record: str, graphs: list[NamedNode]) -> str:
        for graph in graphs:
            quad = next(self._store.quads_for_pattern(NamedNode(record), _TIME, None, graph), None)
            if quad is not None and isinstance(quad.object, Literal):
                return quad.object.value
        return ""

    def _record(self, record: str, graphs: list[NamedNode]) -> Iterator[Quad]:
        whole = self._sees_whole(NamedNode(record), graphs)
        for graph in graphs:
            for quad in own_quads(self._store, record, graph):
                if not (whole and quad.object == _PARTLY):
                    yield quad

    def _sees_whole(self, record: NamedNode, graphs: list[NamedNode]) -> bool:
        """Whether some visible graph holds all of a record."""
        for graph in graphs:
            types = {quad.object for quad in self._store.quads_for_pattern(record, _TYPE, None, graph)}
            if types and _PARTLY not in types:
                return True
        return False

    def _claims(self, node: NamedNode, reader: Reader, is_named: bool) -> Iterator[Quad]:
        """Master data: for whoever sees the thing named, and for the member that claims it."""
        for found in self._store.quads_for_pattern(None, _ABOUT, node, _MASTER):
            claim = found.subject
            if isinstance(claim, NamedNode) and (is_named or reader.sees(self._author(claim))):
                yield from own_quads(self._store, claim.value, _MASTER)

    def _author(self, claim: NamedNode) -> list[str]:
        found = self._store.quads_for_pattern(claim, _MEMBER, None, _MASTER)
        return [
            quad.object.value.removeprefix(MEMBER) for quad in found if isinstance(quad.object, NamedNode)
        ]

    def _handovers(self, node: NamedNode, graphs: list[NamedNode]) -> Iterator[Quad]:
        """Pairs of a dispatch and a receipt, both of which the reader sees whole."""
        for found in self._store.quads_for_pattern(None, _THING, node, _PAIRED):
            quads = list(self._store.quads_for_pattern(found.subject, None, None, _PAIRED))
            ends = [quad.object for quad in quads if quad.predicate in (_DISPATCH, _RECEIPT)]
            if all(isinstance(end, NamedNode) and self._sees_whole(end, graphs) for end in ends):
                yield from quads


def _unknown() -> NotFound:
    return NotFound("no record that you may see names this thing", rule="unknown-thing")
