"""Which thing came from which, what lay in what, what was handed to whom: derived from records, never stored first.

`derive` is one pure function over a `FactReader`; `memory` and `sql` implement the reader, and `sql` also
keeps what was derived in tables, replaced by scope. Everything but `schema` and `sql` imports only the base
install, so that a verifier of reports recomputes the same answers. Who may see what is left to
`fabric.visibility`, walking the edges to `fabric.trace`.
"""

from __future__ import annotations

from .derived import (
    Contradiction,
    Derived,
    Edge,
    EdgeKind,
    Filling,
    FillingNode,
    Interval,
    Leg,
    Node,
    ProcessNode,
    RunNode,
    State,
    Stock,
    Summary,
)
from .fact import Fact, FactReader, HolderOf, Instant, Line, Sort, ThingKey, content_of, fact_of, sort_of

__all__ = [
    "Contradiction",
    "Derived",
    "Edge",
    "EdgeKind",
    "Fact",
    "FactReader",
    "Filling",
    "FillingNode",
    "HolderOf",
    "Instant",
    "Interval",
    "Leg",
    "Line",
    "Node",
    "ProcessNode",
    "RunNode",
    "Sort",
    "State",
    "Stock",
    "Summary",
    "ThingKey",
    "content_of",
    "fact_of",
    "sort_of",
]
