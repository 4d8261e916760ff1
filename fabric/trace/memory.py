"""A source over records in memory: the offline verifier's, and the reference that SQL is tested against."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from fabric.epcis.identifiers import Position, canonical_thing
from fabric.lineage import Contradiction, Fact, HolderOf, Sort
from fabric.lineage.fact import MENTION, sort_from
from fabric.lineage.memory import MemoryReader
from fabric.lineage.occurrence import voided

from .derived import DerivedSource
from .source import Coverage, ErasedRecords, LinkRow, Thing


class MemoryCatalogue:
    """Names of what is in a set of facts, error declarations included. Things are their IRIs."""

    def __init__(
        self,
        shown: Collection[Fact],
        reader: MemoryReader,
        hidden: Iterable[Fact] | None,
        links: Iterable[LinkRow] = (),
    ) -> None:
        self._reader = reader
        self._sorts: dict[Thing, Sort] = {}
        self._serials: dict[Thing, set[Thing]] = {}
        self._records = {fact.record: fact.commitment.hex() for fact in shown}
        for fact in shown:
            for line in fact.lines:
                self._sorts[line.thing] = min(line.sort, self._sorts.get(line.thing, line.sort))
                if line.lot is not None:
                    self._sorts[line.lot] = Sort.LOT
                    self._serials.setdefault(line.lot, set()).add(line.thing)
        void = voided(shown)
        self._voided = [(fact, void[fact.record].commitment.hex()) for fact in shown if fact.record in void]
        self._hidden = None if hidden is None else [(fact.record, _named(fact)) for fact in hidden]
        self._links: dict[Thing, set[LinkRow]] = {}
        for link in [one for one in links if hidden is None or self._names_both(one)]:
            for end in link[:2]:
                self._links.setdefault(end, set()).add(link)
                # What a link names has a kind, too: that of its key, or of a private serial.
                kind = canonical_thing(str(end), Position.EPC).kind.value
                self._sorts[end] = min(sort := sort_from(kind, str(end)), self._sorts.get(end, sort))

    def find(self, iri: str) -> tuple[Thing, Sort] | None:
        """A thing that one of the facts names."""
        sort = self._sorts.get(iri)
        return None if sort is None else (iri, sort)

    def sorts(self, things: Collection[Thing]) -> Mapping[Thing, Sort]:
        """What each thing is."""
        return {thing: self._sorts[thing] for thing in things}

    def iris(self, things: Collection[Thing]) -> Mapping[Thing, str]:
        """Each thing is its IRI."""
        return {thing: str(thing) for thing in things}

    def records(self, records: Collection[int]) -> Mapping[int, str]:
        """Commitments in hex."""
        return {record: self._records[record] for record in records}

    def serials(self, lots: Collection[Thing]) -> Iterable[Thing]:
        """The serials that a fact says belong to any of the lots."""
        return {serial for lot in lots for serial in self._serials.get(lot, ())}

    def mentions(self, things: Collection[Thing]) -> Iterable[Fact]:
        """Live facts that only mention any of the things."""
        wanted = set(things)
        return [
            fact
            for fact in self._reader.live
            if any(line.role == MENTION and line.thing in wanted for line in fact.lines)
        ]

    def conflicts(self, things: Collection[Thing]) -> Iterable[Contradiction]:
        """Facts about any of the things that share an eventID and not their content."""
        wanted = set(things)
        return [one for one in self._reader.conflicts if not wanted.isdisjoint(one.things)]

    def at_places(self, places: Collection[str], from_us: int, until_us: int) -> Iterable[Fact]:
        """Live facts at any of the places from one time to another."""
        live = self._reader.live
        return [fact for fact in live if fact.place in places and from_us <= fact.time_us <= until_us]

    def voided(self, things: Collection[Thing]) -> Iterable[tuple[Fact, str]]:
        """Voided facts that name any of the things, and the record that voids each."""
        wanted = set(things)
        return [(fact, by) for fact, by in self._voided if not wanted.isdisjoint(_named(fact))]

    def links(self, things: Collection[Thing]) -> Iterable[LinkRow]:
        """The links that touch any of the things, each once."""
        return set().union(*[self._links.get(thing, ()) for thing in things]) if self._links else ()

    def _names_both(self, link: LinkRow) -> bool:
        """Whether facts that the reader sees name both ends: a link shows nobody a thing that was hidden."""
        return link[0] in self._sorts and link[1] in self._sorts

    def hidden(self, things: Collection[Thing]) -> tuple[int, frozenset[Thing]] | None:
        """How many of the hidden facts name any of the things, and which things those are."""
        if self._hidden is None:
            return None
        wanted = frozenset(things)
        touching = [named & wanted for _, named in self._hidden if named & wanted]
        return len(touching), frozenset().union(*touching)

    def erased(self, _things: Collection[Thing]) -> ErasedRecords:
        """None: facts know nothing of what was erased."""
        return {}


def memory_source(
    facts: Iterable[Fact],
    coverage: Coverage,
    holder_of: HolderOf,
    *,
    hidden: Iterable[Fact] | None = None,
    links: Iterable[LinkRow] = (),
) -> DerivedSource:
    """A source over the facts that a reader may see; `hidden` are those it may not, None = there are none to hide.

    `links` are the `same` links that the reader may see.
    An earlier tree size is asked about by giving only the facts below it.
    """
    shown = list(facts)
    reader = MemoryReader(shown, holder_of)
    return DerivedSource(coverage, reader, MemoryCatalogue(shown, reader, hidden, links), holder_of)


def _named(fact: Fact) -> frozenset[Thing]:
    return frozenset(line.thing for line in fact.lines)


__all__ = ["MemoryCatalogue", "memory_source"]
