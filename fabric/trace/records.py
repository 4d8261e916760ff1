"""What every source answers from records, whatever it answers lineage from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Protocol

from fabric.lineage import Contradiction, Fact, FactReader, HolderOf, Sort

from .reach import Node
from .source import Coverage, ErasedRecords, LinkRow, Thing


class Catalogue(Protocol):
    """Names of what a reader may see. What it does not name, does not exist for that reader."""

    def find(self, iri: str) -> tuple[Thing, Sort] | None:
        """A thing that a visible record names."""

    def sorts(self, things: Collection[Thing]) -> Mapping[Thing, Sort]:
        """What each thing is."""

    def iris(self, things: Collection[Thing]) -> Mapping[Thing, str]:
        """Canonical IRIs."""

    def records(self, records: Collection[int]) -> Mapping[int, str]:
        """Commitments in hex."""

    def serials(self, lots: Collection[Thing]) -> Iterable[Thing]:
        """At least the serials that a visible record says belong to any of the lots."""

    def mentions(self, things: Collection[Thing]) -> Iterable[Fact]:
        """Visible live facts, whole, that only mention any of the things: documents, TransactionEvents."""

    def conflicts(self, things: Collection[Thing]) -> Iterable[Contradiction]:
        """Visible live facts about any of the things that share an eventID and not their content."""

    def at_places(self, places: Collection[str], from_us: int, until_us: int) -> Iterable[Fact]:
        """Visible live facts at any of the places from one time to another, whole."""

    def voided(self, things: Collection[Thing]) -> Iterable[tuple[Fact, str]]:
        """Visible voided facts that name any of the things, and the record that voids each."""

    def links(self, things: Collection[Thing]) -> Iterable[LinkRow]:
        """Visible `same` links that touch any of the things, each once.

        For a reader from whom records may be hidden, only those between things that visible records name.
        """

    def hidden(self, things: Collection[Thing]) -> tuple[int, frozenset[Thing]] | None:
        """How many hidden records name any of the things, and which; None for a reader who sees everything."""

    def erased(self, things: Collection[Thing]) -> ErasedRecords:
        """Records that this reader saw, of which what named any of the things was erased."""


class RecordSource:
    """The part of a `TraceSource` that reads records: `reader` their facts, `catalogue` what they name.

    Both show what the source's own reader may see, and nothing else.
    """

    def __init__(
        self, coverage: Coverage, reader: FactReader, catalogue: Catalogue, holder_of: HolderOf
    ) -> None:
        self._coverage = coverage
        self._reader = reader
        self._catalogue = catalogue
        self._holder_of = holder_of

    @property
    def coverage(self) -> Coverage:
        """The tree size and seal time that every answer of this source is about."""
        return self._coverage

    def find(self, iri: str) -> tuple[Thing, Sort] | None:
        """A thing that a visible record names, by its canonical IRI."""
        return self._catalogue.find(iri)

    def facts(self, things: Collection[Thing]) -> Iterable[Fact]:
        """Every live fact that names any of the things, each once."""
        found = {fact.record: fact for fact in self._catalogue.mentions(things)}
        found.update((fact.record, fact) for fact in self._reader.facts_of(set(things)))
        return found.values()

    def mentions(self, things: Collection[Thing]) -> Iterable[Fact]:
        """Every live fact that only mentions any of the things, whole."""
        return self._catalogue.mentions(things)

    def at_places(self, places: Collection[str], from_us: int, until_us: int) -> Iterable[Fact]:
        """Every live fact at any of the places from one time to another, whole."""
        return self._catalogue.at_places(places, from_us, until_us)

    def voided(self, things: Collection[Thing]) -> Iterable[tuple[Fact, str]]:
        """Every voided fact that names any of the things, and the record (hex) that voids it."""
        return self._catalogue.voided(things)

    def links(self, nodes: Collection[Node]) -> Iterator[tuple[Node, str]]:
        """Each `same` link (statement id) that touches a node."""
        for one, other, statement in self._catalogue.links(nodes):
            yield from ((end, statement) for end in (one, other) if end in nodes)

    def erased(self, things: Collection[Thing]) -> ErasedRecords:
        """Records that this reader saw, of which what named any of the things was erased."""
        return self._catalogue.erased(things)

    def iris(self, things: Collection[Thing]) -> Mapping[Thing, str]:
        """Canonical IRIs."""
        return self._catalogue.iris(things)

    def records(self, records: Collection[int]) -> Mapping[int, str]:
        """Commitments in hex."""
        return self._catalogue.records(records)

    def member(self, identifier: str, time_us: int) -> str | None:
        """The member that holds an identifier (IRI) at a time, None where nobody does."""
        return self._holder_of(identifier, time_us)
