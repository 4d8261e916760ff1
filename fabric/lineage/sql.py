"""Lineage over SQL, inside the transaction that sequences: facts in, derived rows replaced by scope.

Nothing here commits. What a call writes is a function of all facts that are then in the store, so it does not
matter in which portions or in which order they came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy.engine import Connection

from fabric.store.bulk import delete_rows, execute_keys, insert_rows, replace_rows, select_keys, update_rows
from fabric.store.schema import event, line
from fabric.store.schema import touched as touched_table

from .derive import Touched, derive
from .derived import EdgeKind, ProcessNode
from .fact import GS1, Fact, HolderOf, Sort
from .memory import conflict_of
from .occurrence import outvoted, voided
from .reader import SqlReader, load_names, load_sorts
from .rows import (
    EVENT_COLUMNS,
    LINE_COLUMNS,
    SELECT_FACT,
    NewFact,
    Row,
    event_row,
    fact_from,
    line_rows,
    with_ids,
)
from .same import restore_edges
from .schema import TABLES, contradiction, edge, loser
from .tables import EVENT_ID_SCOPE, stored_view, write_derived

BATCH: Final = 1_000
_CLASH: Final = ("thing", "scope", "n", "kind", "things", "records", "detail")


def names_of(fact: Fact) -> set[str]:
    """The IRIs of a fact that `index_facts` needs ids for."""
    found = {str(line.thing) for line in fact.lines}
    found |= {str(line.lot) for line in fact.lines if line.lot is not None}
    return found | {place for place in (fact.read_point, fact.biz_location) if place is not None}


def index_facts(
    connection: Connection, new: Sequence[NewFact], ids: Mapping[str, int], holder_of: HolderOf
) -> None:
    """Insert the facts' `event` and `line` rows, void what they declare void, and derive what they touch.

    Facts in any order; their `record` rows exist. `ids` has a thing id for all `names_of` the facts.
    """
    insert_rows(connection, event, EVENT_COLUMNS, [event_row(one, ids) for one in new])
    insert_rows(connection, line, LINE_COLUMNS, [row for one in new for row in line_rows(one.fact, ids)])
    sorts = _sorts(connection, new, ids)
    facts = [with_ids(one.fact, ids, sorts) for one in new]
    _index(connection, facts, sorts, holder_of, fresh=True)


def _sorts(connection: Connection, new: Sequence[NewFact], ids: Mapping[str, int]) -> dict[int, Sort]:
    """The sort of each thing that new facts name. A GS1 key tells it; of other names records may say different."""
    sorts: dict[int, Sort] = {}
    private: set[int] = set()
    for one in new:
        for row in one.fact.lines:
            iri = str(row.thing)
            key = ids[iri]
            if key in sorts:
                continue
            if iri.startswith(GS1):
                sorts[key] = row.sort
            else:
                private.add(key)
    return sorts | load_sorts(connection, private)


def remove_facts(connection: Connection, records: Sequence[int], holder_of: HolderOf) -> None:
    """Delete the `event` and `line` rows of erased records, and derive what they touched without them.

    An error declaration among them must void nothing any more: that is not undone here.
    """
    gone = SqlReader(connection, holder_of).records(records)
    names = {fact.event_id for fact in gone if fact.event_id is not None}
    _drop_lots(connection, gone)
    rows = [(number,) for number in records]
    for table in (line, event, loser):
        delete_rows(connection, table, ("record",), rows)
    statement = f"DELETE FROM lineage_contradiction WHERE scope = {EVENT_ID_SCOPE} AND n IN {{keys}}"
    execute_keys(connection, statement, records)
    query = (
        "SELECT e.record, e.declares, e.void_by FROM record r JOIN event e ON e.record = r.id"
        " WHERE r.event_id IN {keys}"
    )
    found = select_keys(connection, query, sorted(names))
    recounted = _Settlement(connection, (), holder_of, found).run()[1] if found else {}
    touched = Touched.by(recounted.values(), gone)
    if touched.since or touched.transformations or touched.gone:
        write_derived(connection, derive(touched, SqlReader(connection, holder_of)), set())


def recount(connection: Connection, holder_of: HolderOf) -> None:
    """Decide again which of contradicting records count, after the holder of a place became another one."""
    query = (
        "SELECT e.record, e.declares, e.void_by FROM lineage_loser x JOIN record r ON r.event_id = x.event_id"
        " JOIN event e ON e.record = r.id"
    )
    found = [tuple(row) for row in connection.exec_driver_sql(query)]
    if not found:
        return
    _, recounted, _ = _Settlement(connection, (), holder_of, found).run()
    touched = Touched.by(recounted.values())
    if touched.since or touched.transformations or touched.gone:
        write_derived(connection, derive(touched, SqlReader(connection, holder_of)), set())


def rebuild(connection: Connection, holder_of: HolderOf) -> None:
    """Empty the lineage tables and derive them again from all `event` and `line` rows."""
    clear(connection)
    restore_edges(connection)
    connection.exec_driver_sql("UPDATE event SET void_by = NULL, void_seq = NULL WHERE void_by IS NOT NULL")
    records = [
        number for (number,) in connection.exec_driver_sql("SELECT record FROM event ORDER BY seq, record")
    ]
    for start in range(0, len(records), BATCH):
        part = records[start : start + BATCH]
        reader = SqlReader(connection, holder_of)
        facts = reader.records(part) + _declarations(connection, part)
        _index(connection, facts, {}, holder_of, fresh=False)


def clear(connection: Connection) -> None:
    """Empty the lineage tables; `event` and `line` stay."""
    for table in TABLES:
        connection.exec_driver_sql(f"DELETE FROM {table.name}")


def dump(connection: Connection) -> dict[str, list[list[Any]]]:
    """Everything stored, in IRIs and commitments, in one order: equal dumps are equal indices."""
    return stored_view(connection)


def _index(
    connection: Connection, facts: list[Fact], sorts: Mapping[int, Sort], holder_of: HolderOf, *, fresh: bool
) -> None:
    gone, recounted, void = _settle_event_ids(connection, facts, holder_of)
    live = [
        recounted.pop(fact.record, fact) for fact in facts if not fact.declares and fact.record not in void
    ]
    held = live if fresh else ()
    reader = SqlReader(connection, holder_of, held=held, sorts=sorts)
    live += recounted.values()
    touched = Touched.by(live, gone)
    if touched.since or touched.transformations or touched.gone:
        known = {ProcessNode(fact.record) for fact in facts} if fresh else set()
        write_derived(connection, derive(touched, reader), known)


def _declarations(connection: Connection, records: Sequence[int]) -> list[Fact]:
    query = f"{SELECT_FACT} WHERE e.record IN {{keys}} AND e.declares = 1"
    rows = [Row(*values) for values in select_keys(connection, query, records)]
    return [_bare(connection, rows, row)._replace(declares=True) for row in rows]


def _bare(connection: Connection, rows: Iterable[Row], row: Row) -> Fact:
    places = {place for place in (row.read_point, row.biz_location) if place is not None}
    return fact_from(row, (), {}, load_names(connection, places))


def _settle_event_ids(
    connection: Connection, facts: Sequence[Fact], holder_of: HolderOf
) -> tuple[list[Fact], dict[int, Fact], set[int]]:
    """Void and outvote records that share an eventID with the new ones.

    Gives what was live before and is void now (whole), what counts differently now (whole), and which records
    under these IDs are void.
    """
    names = {fact.event_id for fact in facts if fact.event_id is not None}
    query = (
        "SELECT e.record, e.declares, e.void_by FROM record r JOIN event e ON e.record = r.id"
        " WHERE r.event_id IN {keys}"
    )
    found = select_keys(connection, query, sorted(names))
    if len(found) == len(names):
        return [], {}, set()
    return _Settlement(connection, facts, holder_of, found).run()


def _drop_lots(connection: Connection, gone: Sequence[Fact]) -> None:
    """Take back what voided or erased records said about lots; every other edge goes with its scope."""
    pairs = [
        (line.lot, line.thing, EdgeKind.LOT_OF.value, fact.record)
        for fact in gone
        for line in fact.lines
        if line.lot is not None
    ]
    delete_rows(connection, edge, ("src", "dst", "kind", "record"), pairs)


class _Settlement:
    """Which of the records that share eventIDs are live and count. Rare, so it may cost a few statements."""

    def __init__(
        self, connection: Connection, facts: Sequence[Fact], holder_of: HolderOf, found: Sequence[Any]
    ) -> None:
        self._connection = connection
        self._holder_of = holder_of
        self._new = {fact.record for fact in facts}
        self._declares = {record: bool(declares) for record, declares, _ in found}
        self._void_by = {record: void_by for record, _, void_by in found}
        self._facts = self._load()

    def run(self) -> tuple[list[Fact], dict[int, Fact], set[int]]:
        void = voided(self._facts)
        changed = [
            (by.record, by.seq, record) for record, by in void.items() if self._void_by[record] != by.record
        ]
        newly = [
            record for _, _, record in changed if self._void_by[record] is None and record not in self._new
        ]
        gone = SqlReader(self._connection, self._holder_of).records(newly)
        update_rows(self._connection, event, ("void_by", "void_seq"), ("record",), changed)
        late = [(record, seq) for _, seq, record in changed if record not in self._new]
        replace_rows(self._connection, touched_table, ("record", "seq"), "record", late)
        _drop_lots(self._connection, gone)
        live = [fact for fact in self._facts if not fact.declares and fact.record not in void]
        return gone, self._recount(live, gone), set(void)

    def _load(self) -> list[Fact]:
        query = f"{SELECT_FACT} WHERE e.record IN {{keys}}"
        rows = [Row(*values) for values in select_keys(self._connection, query, self._declares)]
        places = {place for row in rows for place in (row.read_point, row.biz_location) if place is not None}
        names = load_names(self._connection, places)
        return [fact_from(row, (), {}, names)._replace(declares=self._declares[row.record]) for row in rows]

    def _recount(self, live: Sequence[Fact], gone: Sequence[Fact]) -> dict[int, Fact]:
        """Write the contradictions of these eventIDs again; give the records that count differently now."""
        names = sorted({fact.event_id for fact in self._facts if fact.event_id is not None})
        query = "SELECT record, counts FROM lineage_loser WHERE event_id IN {keys}"
        before: dict[int, int] = dict(select_keys(self._connection, query, names))
        after, groups = self._votes(live)
        self._replace_losers(names, after, live)
        void = {fact.record for fact in gone}
        flipped = {record for record, counts in after.items() if before.get(record, 1) != counts}
        flipped |= {record for record, counts in before.items() if not counts and record not in after} - void
        wanted = flipped.union(*groups)
        whole = {fact.record: fact for fact in SqlReader(self._connection, self._holder_of).records(wanted)}
        self._replace_contradictions(before, whole, groups)
        return {record: whole[record] for record in flipped if record in whole}

    def _votes(self, live: Sequence[Fact]) -> tuple[dict[int, int], list[list[int]]]:
        by_id: dict[str | None, list[Fact]] = {}
        for fact in live:
            by_id.setdefault(fact.event_id, []).append(fact)
        counts: dict[int, int] = {}
        groups: list[list[int]] = []
        for group in by_id.values():
            contradict, lost = outvoted(group, self._holder_of)
            if contradict:
                counts |= {fact.record: int(fact.record not in lost) for fact in group}
                groups.append([fact.record for fact in group])
        return counts, groups

    def _replace_losers(self, names: Sequence[str], after: Mapping[int, int], live: Sequence[Fact]) -> None:
        execute_keys(self._connection, "DELETE FROM lineage_loser WHERE event_id IN {keys}", names)
        rows = [(fact.record, fact.event_id, after[fact.record]) for fact in live if fact.record in after]
        insert_rows(self._connection, loser, ("record", "event_id", "counts"), rows)

    def _replace_contradictions(
        self, before: Mapping[int, int], whole: Mapping[int, Fact], groups: Sequence[Sequence[int]]
    ) -> None:
        """One row for each thing that contradicting records name, numbered by the first of them."""
        numbers = before.keys() | {record for group in groups for record in group}
        statement = f"DELETE FROM lineage_contradiction WHERE scope = {EVENT_ID_SCOPE} AND n IN {{keys}}"
        execute_keys(self._connection, statement, numbers)
        rows = []
        for group in groups:
            found = conflict_of(whole[record] for record in group)
            texts = (found.kind, str(list(found.things)), str(list(found.records)), found.detail)
            rows += [(thing, EVENT_ID_SCOPE, min(group), *texts) for thing in found.things]
        insert_rows(self._connection, contradiction, _CLASH, rows)


__all__ = [
    "NewFact",
    "SqlReader",
    "clear",
    "dump",
    "index_facts",
    "names_of",
    "rebuild",
    "recount",
    "remove_facts",
]
