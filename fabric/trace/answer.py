"""The answer to one question: what was reached, and what follows from it.

Who is affected, how surely, who holds it and how much of it there is, are there at once, in columns: an answer
can have a hundred thousand members. The other sections are read from the source when they are first asked for,
so a trace is used up within the life of its source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from .balance import Weights
from .carrying import Held, Window, carrying
from .events import Calendar, Occurrence, occurrences
from .question import Question
from .reach import Direction, Node, Reach
from .source import ContradictionRow, Course, Coverage, ErasedRecords, LegRow, ThingRow, TraceSource

SCHEMA = "loomark/trace/v1"
FILLING = "filling"


class Hit(NamedTuple):
    """One member of A. `from_us` and `until_us` are a filling's; `until_us` None = still open."""

    node: Node
    thing: str
    kind: str
    from_us: int | None
    until_us: int | None
    level: int
    possible: bool
    directions: tuple[str, ...]


class Holder(NamedTuple):
    """Who had a thing at its last event; every part is None where nobody said so."""

    party: str | None
    member: str | None
    place: str | None
    time_us: int | None
    record: int | None
    state: str


UNKNOWN = Holder(None, None, None, None, None, "unknown")


State: TypeAlias = tuple[int, int, str | None, str | None, str]
"""Record, time, place, possessing party, and one of held, in_transit, outside, ended, unknown."""


@dataclass(frozen=True)
class Trace:
    """An answer. `walks` are the one or two directions walked; `states` and `balances` are keyed by node.

    `balances` holds the fields of `Balance`,
    `killed` the record (hex) of the kill step at which a member was not followed. What is kept for each member is a plain tuple of plain values: the collector of cycles, which costs more than
    everything else once an answer has a hundred thousand members, looks at those only once.
    """

    question: Question
    coverage: Coverage
    walks: Mapping[Direction, Reach]
    things: Mapping[Node, ThingRow]
    states: Mapping[Node, State]
    balances: Mapping[tuple[Node, str | None], Weights]
    killed: Mapping[Node, str]
    source: TraceSource

    def __len__(self) -> int:
        return len(self.levels)

    @cached_property
    def levels(self) -> Mapping[Node, int]:
        """The smallest level of each member, over the directions asked."""
        walks = list(self.walks.values())
        if len(walks) == 1:
            return walks[0].levels
        levels = dict(walks[0].levels)
        for node, level in walks[1].levels.items():
            levels[node] = min(level, levels.get(node, level))
        return levels

    @cached_property
    def possible(self) -> frozenset[Node]:
        """The members that no direction reaches by stated relations alone."""
        found: set[Node] = set()
        for walk in self.walks.values():
            found |= walk.possible
        for walk in self.walks.values():
            found -= walk.levels.keys() - walk.possible
        return frozenset(found)

    @cached_property
    def order(self) -> list[Node]:
        """The members by IRI, then kind, then start of the filling: the order of the document."""
        rows = list(self.things.values())
        if any(row[3] == FILLING for row in rows):
            rows.sort(key=lambda row: (row[3], row[4] or 0))
        rows.sort(key=itemgetter(2))
        return [row[0] for row in rows]

    def hits(self) -> Iterator[Hit]:
        """The members of A in the order of the document."""
        levels, possible = self.levels, self.possible
        for node in self.order:
            _, _, iri, kind, start, end = self.things[node]
            ways = tuple(way.value for way, walk in self.walks.items() if node in walk.levels)
            yield Hit(node, iri, kind, start, end, levels[node], node in possible, ways)

    def holder(self, node: Node) -> Holder:
        """Possessing party, else the member of the place, at the last event (design: meaning, section 3)."""
        found = self.states.get(node)
        if found is None:
            return UNKNOWN
        record, time_us, place, party, state = found
        named = party or place
        member = None if named is None else self.source.member(named, time_us)
        return Holder(party, member, place, time_us, record, state)

    def courses(self) -> Iterable[Course]:
        """Where each member was and went, read again."""
        return self.source.courses(self.things)

    @cached_property
    def windows(self) -> dict[Node, tuple[Node, Window]]:
        """For each member the thing that records name, and when that thing is the member."""
        return {
            node: (row[1], (row[4], row[5]) if row[3] == FILLING else (None, None))
            for node, row in self.things.items()
        }

    @cached_property
    def named(self) -> frozenset[Node]:
        """What records name: the members, carriers instead of their fillings."""
        return frozenset(row[1] for row in self.things.values())

    @cached_property
    def held(self) -> list[Held]:
        """Every carrier's use that held a member, those included that are members themselves."""
        return carrying(self.windows, self.source.around)

    @cached_property
    def occurrences(self) -> list[Occurrence]:
        """The events of the members and of their carriers while they were inside."""
        carriers = {one.carrier for one in self.held} | (self.named - self.things.keys())
        calendar = Calendar(self.windows, self.held, self.source.fillings(carriers))
        return occurrences(self.source.facts(calendar.things), calendar)

    @cached_property
    def voided(self) -> list[tuple[Occurrence, str]]:
        """Voided records that name a member itself, and the record that voids each."""
        calendar = Calendar(self.windows, (), ())
        found = []
        for fact, by in self.source.voided(calendar.things):
            nodes = frozenset(calendar.meant(fact)[0])
            if nodes:
                found.append((Occurrence((fact,), nodes, nodes), by))
        return found

    @cached_property
    def contradictions(self) -> list[ContradictionRow]:
        """Contradictions about the members; a void record whose copies go on counting is one."""
        return [*self.source.contradictions(self.named), *self._voided_by_author_only()]

    def _voided_by_author_only(self) -> Iterator[ContradictionRow]:
        standing: dict[tuple[bytes, str | None], Occurrence] = {}
        if self.voided:
            standing = {(one.facts[0].content, one.facts[0].event_id): one for one in self.occurrences}
        for gone, _ in self.voided:
            fact = gone.facts[0]
            left = standing.get((fact.content, fact.event_id))
            if left is not None:
                things = tuple(self.things[node][2] for node in gone.nodes)
                members = ", ".join(sorted({copy.member for copy in left.facts}))
                detail = f"voided by its author {fact.member}; goes on counting as stated by {members}"
                records = (fact.record, *(copy.record for copy in left.facts))
                yield "voided-by-author-only", things, records, detail

    @cached_property
    def hidden(self) -> tuple[int, frozenset[Node]]:
        """How many hidden records name a member's thing, and which things they name."""
        return self.source.hidden(self.named) if self.source.limited else (0, frozenset())

    @cached_property
    def erased(self) -> ErasedRecords:
        """For each thing of a member, the records that this reader saw of which what named it was erased."""
        return self.source.erased(self.named)

    @cached_property
    def ends(self) -> list[tuple[str, int]]:
        """Classes without a lot that were met, by IRI, with the level."""
        met: dict[Node, int] = {}
        for walk in self.walks.values():
            for node, level in walk.ends.items():
                met[node] = min(level, met.get(node, level))
        return sorted((row[2], met[row[0]]) for row in self.source.things(met)) if met else []

    def as_json(self) -> dict[str, object]:
        """The document of docs/spec/trace.md."""
        # The document knows the answer, not the other way round; this is the one place that turns back.
        from .document import document

        return document(self)

    def as_chunks(self, dump: Callable[[object], bytes]) -> Iterator[bytes]:
        """The same document as bytes in pieces; `dump` writes one JSON value."""
        from .document import chunks

        return chunks(self, dump)


def leaves(source: TraceSource, leg: LegRow) -> bool:
    """Whether a dispatch that nobody received went to a destination that no member holds at that time."""
    if leg[8] != "open" or leg[2] is None or leg[3] is None:
        return False
    return source.member(leg[2], leg[3]) is None


def state_of(source: TraceSource, course: Course) -> State | None:
    """Where a thing is at its last event; what was dispatched out of the ledger is at its destination."""
    if course[1] is None:
        return None
    record, time_us, place, party, state = course[1]
    if state == "in_transit":
        for leg in course[3]:
            if leg[8] == "open" and record in leg[12] and leaves(source, leg):
                return record, time_us, leg[2], None, "outside"
    elif state == "held" and place is None and party is None:
        state = "unknown"
    return record, time_us, place, party, state


__all__ = ["FILLING", "SCHEMA", "Hit", "Holder", "Trace", "leaves", "state_of"]
