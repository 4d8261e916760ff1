"""A store to ask, its readers, and every answer the slow way: each event that a reader sees, decided one by one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from fabric.epcis import read_event
from fabric.query.answer import Found
from fabric.query.budget import Budget
from fabric.query.conditions import Candidate, Query
from fabric.query.places import MasterData
from fabric.query.plan import order_of
from fabric.query.run import Events
from fabric.query.scope import Scope
from fabric.query.streams import Row
from fabric.scenario import demo_scenario, generate
from fabric.visibility.holders import Holders
from fabric.visibility.reader import EVERYBODY, NOBODY, Reader
from ledger.submission import MEDIA_TYPE
from tests.e2e.test_truth import captured
from tests.simulator import Simulator

AMPLE = Budget(seconds=120, bodies=1_000_000)
SITE, HALL, ROOM = (f"https://example.org/places/{name}" for name in ("site", "hall", "room"))


class Store:
    """A scenario captured, and more of what scenarios do not have: declarations, repeats, masters, free words."""

    def __init__(self, folder: Path, kind: str, seed: int) -> None:
        if kind == "demo":
            demo_scenario(folder / "scenario")
        else:
            generate(260, 5, seed % 1000, folder / "scenario")
        self.sim = Simulator(folder / "node")
        captured(self.sim, folder / "scenario", random.Random(seed))
        self.sim.admit("inspector", roles=["auditor"])
        self.sim.admit("signer", own_key=True, parties=["9521321000018"])
        self.members = [one for one in self.sim.node.registry.members if one != "operator"]
        self._more()

    def _more(self) -> None:
        sim, first = self.sim, self.members[0]
        (row,) = sim.rows(
            "SELECT r.body FROM record r JOIN event e ON e.record = r.id WHERE e.member = ?"
            " AND e.type = 'ObjectEvent' AND r.event_id IS NOT NULL ORDER BY r.id LIMIT 1",
            first,
        )
        body = orjson.loads(row[0])
        value = {name: body[name] for name in body if name not in ("@context", "ilmd") and ":" not in name}
        told = {"declarationTime": "2026-09-01T00:00:00Z", "reason": "incorrect_data"}
        sim.capture(first, [value | {"errorDeclaration": told}])
        mine = [
            sim.event(epcList=["urn:epc:id:sgtin:4012345.011111.1"], readPoint={"id": ROOM}, bizLocation={"id": ROOM}),
            sim.event(epcList=["urn:epc:id:sgtin:4012345.011111.2"], bizLocation={"id": HALL}, disposition="recalled"),
            sim.event("TransactionEvent", bizTransactionList=[{"bizTransaction": "urn:example:po:7"}], epcList=["urn:example:x"]),
            sim.event(quantityList=[{"epcClass": "urn:epc:class:lgtin:4012345.011111.L1", "quantity": 3}], bizStep="https://example.org/steps/own"),
        ]  # fmt: skip
        masters = [_place(SITE, HALL), _place(HALL, ROOM), _place(ROOM, SITE)]
        vocabulary = {"type": "urn:epcglobal:epcis:vtype:BusinessLocation", "vocabularyElementList": masters}
        header = {"epcisMasterData": {"vocabularyList": [vocabulary]}}
        sim.post(
            "signer",
            sim.submission("signer", mine, document=sim.document(mine, epcisHeader=header)),
            MEDIA_TYPE,
        )
        # The same events again, under the member's own signature: committed, and flagged as repeating the first.
        sim.capture_signed("signer", mine)

    @cached_property
    def readers(self) -> dict[str, Reader]:
        """Everybody who may ask, and two who see nothing and everything."""
        names = {name: self.sim.node.reader(name) for name in self.members}
        return names | {"nobody": NOBODY, "everybody": EVERYBODY}

    @property
    def holder_of(self) -> Any:
        return Holders(self.sim.node.registry.identifiers).member_of

    def events(self, budget: Budget = AMPLE) -> Events:
        """The planned answers over this store."""
        return Events(self.sim.node.reading, self.holder_of, budget=budget)

    def candidates(self, reader: Reader, size: int | None = None) -> Iterator[tuple[Row, str, Candidate]]:
        """Each event that a reader is answered with, as conditions see it."""
        with self.sim.node.reading.connect() as connection:
            scope = Scope.of(connection, reader, size)
            master = MasterData(scope, self.holder_of, 2**50)
            query = (
                "SELECT e.time_us, e.record, e.seq, e.position, r.commitment, r.body, e.duplicate_of,"
                ' e."class" FROM event e JOIN record r ON r.id = e.record'
            )
            rows = list(scope.rows(query))
            seen = {row[1] for row in rows if row[7] in scope.classes}
            times = scope.record_times({row[2] for row in rows})
            for *key, commitment, body, repeats, _ in rows:
                row = Row(*key)
                if row.record not in seen or row.seq >= scope.size or repeats in seen:
                    continue
                value = orjson.loads(body)
                yield (
                    row,
                    bytes(commitment).hex(),
                    Candidate(
                        value, read_event(value), times[row.seq], master.descendants, master.attributes
                    ),
                )

    def answer(self, reader: Reader, query: Query, size: int | None = None) -> list[str]:
        """The whole answer, in order, by decision on every event."""
        order = order_of(query)
        found = [(row, name) for row, name, one in self.candidates(reader, size) if query.matches(one)]
        found.sort(key=lambda item: order.key(item[0]), reverse=query.descending)
        return [name for _, name in found]

    def walk(self, reader: Reader, query: Query, per_page: int, between: Any = None) -> list[str]:
        """The whole answer, page by page; `between` is done between pages."""
        events, cursor, names = self.events(), None, list[str]()
        while True:
            page = events.page(reader, query, per_page=per_page, cursor=cursor)
            assert len(page.events) <= per_page
            names += [one.commitment.hex() for one in page.events]
            if page.cursor is None:
                return names
            assert page.events
            cursor = page.cursor
            if between is not None:
                between()


def names_of(found: tuple[Found, ...]) -> list[str]:
    return [one.commitment.hex() for one in found]


def _place(iri: str, *children: str) -> dict[str, Any]:
    attributes = [{"id": "https://example.org/terms/kind", "attribute": "place"}]
    return {"id": iri, "attributes": attributes, "children": list(children)}
