"""Facts in a database in memory, indexed as a capture would index them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from fabric.epcis.identifiers import Kind
from fabric.lineage import Fact, HolderOf, Sort
from fabric.lineage.sql import NewFact, index_facts, names_of
from fabric.store.bulk import insert_rows
from fabric.store.schema import metadata, record, thing
from fabric.trace import Coverage, TraceSource
from fabric.trace.sql import sql_source

SHOWN, HIDDEN = 1, 2
_RECORD = ("id", "capture", "position", "kind", "member", "event_id", "declares", "commitment", "digest")
_KINDS = {Sort.LOT: Kind.LOT, Sort.CLASS: Kind.CLASS, Sort.OTHER: Kind.DOCUMENT}


class Store:
    """An in-memory database that holds `facts`, captured one by one in their order."""

    def __init__(self, facts: Sequence[Fact], holder_of: HolderOf) -> None:
        self.facts = list(facts)
        self._holder_of = holder_of
        engine = create_engine("sqlite://", poolclass=StaticPool)
        metadata.create_all(engine, checkfirst=False)
        self.connection = engine.connect()
        self._ids: dict[str, int] = {}
        for fact in facts:
            self._capture(fact)

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

    def _capture(self, fact: Fact) -> None:
        kinds = {str(line.thing): _KINDS.get(line.sort, Kind.SERIAL) for line in fact.lines}
        kinds |= {str(line.lot): Kind.LOT for line in fact.lines if line.lot is not None}
        new = [iri for iri in sorted(names_of(fact)) if iri not in self._ids]
        self._ids.update((iri, number) for number, iri in enumerate(new, len(self._ids) + 1))
        rows = [(self._ids[iri], iri, kinds.get(iri, Kind.PLACE).value) for iri in new]
        insert_rows(self.connection, thing, ("id", "iri", "kind"), rows)
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
