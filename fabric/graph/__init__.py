"""The knowledge graph: records and things of all members in one RDF vocabulary, as a projection of the store.

`Projector` is the process that keeps it, `GraphReader` answers from its snapshots, `rebuild` makes it anew. The
mapping is data (`ontology/mapping.toml`); the graph's shape is on docs/spec/graph.md. Who may see what is
decided by `fabric.visibility`; here it is only kept apart, a graph a class.
"""

from __future__ import annotations

from .comparison import Difference, check, compare
from .projection import Projection, open_projection, rebuild
from .projector import Projector, start_projector
from .reader import Description, GraphReader
from .rendering import context, to_jsonld, to_turtle
from .source import Source

__all__ = [
    "Description",
    "Difference",
    "GraphReader",
    "Projection",
    "Projector",
    "Source",
    "check",
    "compare",
    "context",
    "open_projection",
    "rebuild",
    "start_projector",
    "to_jsonld",
    "to_turtle",
]
