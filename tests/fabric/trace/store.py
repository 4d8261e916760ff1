"""Facts in a database in memory, indexed as a capture would index them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from fabric.epcis.identifiers import Kind, Position, canonical_thing
from fabric.lineage import Fact, HolderOf, Sort
from fabric.lineage.same import NewSame, index_links
from fabric.lineage.sql import NewFact, index_facts, names_of
from fabric.store.bulk import insert_rows
from fabric.store.schema import metadata, record, thing
from fabric.trace import Coverage, TraceSource
from fabric.trace.source import LinkRow
from fabric.trace.sql import sql_source

SHOWN, HIDDEN = 1, 2
_RECORD = ("id", "capture", "position", "kind", "member", "event_id", "declares", "commitment", "digest")
_KINDS = {Sort.LOT: Kind.LOT, Sort.CLASS: Kind.CLASS, Sort.OTHER: Kind.DOCUMENT}


class Told(NamedTuple):
    """A `same` link with its log index, and whether limited readers see it."""

    seq: int
    row: LinkRow
    shown: bool


class Store:
    """An in-memory database that holds `facts`, captured one by one in their order, and `links` among them."""

    def __init__(self, facts: Sequence[Fact], holder_of: HolderOf, links: Sequence[Told] = ()) -> None:
        self.facts, self.links = list(facts), list(links)
        self._holder_of = holder_of
        engine = create_engine("sqlite://", poolclass=StaticPool)
        metadata.create_all(engine, checkfirst=False)
        self.connection = engine.connect()
        self._ids: dict[str, int] = {}
        self._link([one for one in links if one.seq == 0])
        for number, fact in enumerate(facts, 1):
            self._capture(fact)
            self._link([one for one in links if one.seq == number])

    def source(
        self, coverage: Coverage, hidden: Iterable[Fact] | None = None, *, below: int | None = None
    ) -> TraceSource:
        """A source for a reader to whom all but `hidden` is visible, None = who sees everything."""
        classes = None if hidden is None else {SHOWN}
        gone = [] if hidden is None else [fact.record for fact in hidden]
        self.connection.exec_driver_sql('UPDATE event SET "class" = ?', (SHOWN,))
        for number in gone:
            self.connection.exec_driver_sql('UPDATE event SET "class" = ? WHERE record = ?', (HIDDEN, number))
        return sql_source(self.connection, coverage, self._holder_of, classes=classes, below=below)

    def _link(self, links: Iterable[Told]) -> None:
        for told in links:
            ends = [canonical_thing(str(end), Position.EPC) for end in told.row[:2]]
            self._intern({end.iri: end.kind for end in ends})
            one, other = (self._ids[end.iri] for end in ends)
            number, visible = self.links.index(told) + 1, SHOWN if told.shown else HIDDEN
            index_links(self.connection, [NewSame(number, one, other, told.seq, str(told.row[2]), visible)])

    def _intern(self, kinds: Mapping[str, Kind]) -> None:
        new = [iri for iri in sorted(kinds) if iri not in self._ids]
        self._ids.update((iri, number) for number, iri in enumerate(new, len(self._ids) + 1))
        rows = [(self._ids[iri], iri, kinds[iri].value) for iri in new]
        insert_rows(self.connection, thing, ("id", "iri", "kind"), rows)

    def _capture(self, fact: Fact) -> None:
        kinds = {str(line.thing): _KINDS.get(line.sort, Kind.SERIAL) for line in fact.lines}
        kinds |= {str(line.lot): Kind.LOT for line in fact.lines if line.lot is not None}
        self._intern({iri: kinds.get(iri, Kind.PLACE) for iri in names_of(fact)})
        row = (
            fact.record,
            fact.record,
            1,
            2,
            fact.member,
            fact.event_id,
            int(fact.declares),
            fact.commitment,
        )
        insert_rows(self.connection, record, _RECORD, [(*row, fact.digest)])
        index_facts(self.connection, [NewFact(fact, SHOWN)], self._ids, self._holder_of)
