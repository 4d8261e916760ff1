"""Hypothesis strategies for JSON values and records."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
integers = st.integers(-(2**53) + 1, 2**53 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not 2**53 <= abs(x) < 1e21)
scalars: st.SearchStrategy[Any] = st.none() | st.booleans() | integers | floats | texts
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
salts = st.binary(min_size=32, max_size=32)


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """A record: ``@context``, ``type`` and anything beside."""
    extra = draw(st.dictionaries(texts, values, max_size=6))
    return {**extra, "@context": draw(values), "type": draw(texts)}
