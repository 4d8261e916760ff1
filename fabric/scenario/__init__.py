"""Seeded supply-chain scenarios that come with their own truth.

Physical portions move through farms, packers, kitchens, depots and stores; each member captures EPCIS 2.0
documents of what it did, and `truth.json` says what any trace must answer. Truth is read off the simulator's
books and portions; nothing here knows the lineage index or the trace.

    generate(events=10_000, members=8, seed=7, out=Path("run"))
"""

from __future__ import annotations

from .demo import Demo, demo_scenario
from .generation import Generated, generate
from .levels import Run, recall_levels, recall_source
from .reference import reference_documents, reference_events, reference_world
from .world import members_json

__all__ = [
    "Demo",
    "Generated",
    "Run",
    "demo_scenario",
    "generate",
    "members_json",
    "recall_levels",
    "recall_source",
    "reference_documents",
    "reference_events",
    "reference_world",
]
