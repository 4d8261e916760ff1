"""Traces: what is affected by a thing or contributed to it, who holds it, how much is missing.

`reach` is the walk, over any relation. A `TraceSource` is lineage as one reader sees it at one tree size;
`trace` puts the answer together from one, and `Trace.as_json` is the document of docs/spec/trace.md. Deriving
lineage from records is left to `fabric.lineage`, who may see a record to `fabric.visibility`. Everything but
`sql` needs nothing that the offline verifier does not have.
"""

from __future__ import annotations

from .answer import SCHEMA, Hit, Holder, Trace
from .assemble import trace
from .question import Options, Question
from .reach import Budget, Direction, Neighbours, Node, Reach, Step, reach
from .source import Coverage, TraceSource

__all__ = [
    "SCHEMA",
    "Budget",
    "Coverage",
    "Direction",
    "Hit",
    "Holder",
    "Neighbours",
    "Node",
    "Options",
    "Question",
    "Reach",
    "Step",
    "Trace",
    "TraceSource",
    "reach",
    "trace",
]
