"""Questions to the EPCIS query interface: the language (pure), and the answers from the store.

`parameters` reads a question, `conditions` are what it asks of an event, `pattern` its names and patterns,
`units` converts what sensors measured. Which parameters there are, what each is compared with and what is
refused: docs/spec/query.md.
"""

from __future__ import annotations

from .conditions import Candidate, Condition, Query
from .parameters import from_json, from_pairs
from .pattern import Pattern

__all__ = ["Candidate", "Condition", "Pattern", "Query", "from_json", "from_pairs"]
