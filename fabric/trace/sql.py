"""A source over the stored lineage tables, for a reader who sees everything, at the head.

Speed comes from two habits. A whole level is one query, its nodes passed as one JSON array. And a query gives
one row: each column gathered into a JSON array by the database and parsed at once, which costs a tenth of
fetching the rows. Everyone else is answered by `fabric.trace.derived` over the same tables' records.
"""

from __future__ import annotations

from typing import Final

CHUNK: Final = 20_000
"""Things whose courses are read in one query; bounds the text that is in memory at once."""

_AHEAD: Final = (
    "SELECT json_group_array(e.dst), max(e.inferred) FROM json_each(?) AS p"
    " CROSS JOIN lineage_edge AS e ON e.src = p.value"
)
_BACK: Final = (
    "SELECT json_group_array(e.src), max(e.inferred) FROM json_each(?) AS p"
    " CROSS JOIN lineage_edge AS e ON e.dst = p.value"
)
_THINGS: Final = (
    "SELECT json_group_array(t.id), json_group_array(t.iri), json_group_array(t.kind) FROM json_each(?) AS p"
    " CROSS JOIN thing AS t ON t.id = p.value"
)
_FILLINGS: Final = (
    "SELECT json_group_array(json_array(f.carrier, f.node, f.from_us, f.until_us, f.closed_by))"
    " FROM json_each(?) AS p CROSS JOIN lineage_filling AS f ON f.carrier = p.value"
)
_INTERVALS: Final = (
    "SELECT json_group_array(json_array(i.child, i.parent, i.filling, i.from_us, i.until_us, i.inferred_from_us))"
    " FROM json_each(?) AS p CROSS JOIN lineage_interval AS i ON "
)
_WITHIN: Final = f"{_INTERVALS}i.parent = p.value"
_AROUND: Final = f"{_INTERVALS}i.child = p.value"
_SUMMARIES: Final = (
    "SELECT '[' || coalesce(group_concat('[' || s.thing || ',' || s.body || ']'), '') || ']'"
    " FROM json_each(?) AS p CROSS JOIN lineage_summary AS s ON s.thing = p.value"
)
_CONTRADICTIONS: Final = (
    "SELECT json_group_array(json_array(c.kind, json(c.things), json(c.records), c.detail))"
    " FROM json_each(?) AS p CROSS JOIN lineage_contradiction AS c ON c.thing = p.value"
)
