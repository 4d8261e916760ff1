"""The standard's words for steps, dispositions and types, and the one IRI of each spelling."""

from __future__ import annotations

from functools import lru_cache

from ontology import read_table

from .identifiers import is_absolute_uri

_TABLES = {name: read_table(name) for name in ("cbv/words.toml", "cbv/measurements.toml")}
_PLACES = {
    field: table for table in _TABLES.values() for field, row in table.items() if isinstance(row, dict)
}


def words_of(field: str) -> dict[str, str]:
    """The bare words of one field, such as ``bizStep``, and their IRIs."""
    table = _PLACES[field]
    return {word: f"{table['base']}{table[field]['prefix']}{word}" for word in table[field]["words"]}


_WORDS = {field: words_of(field) for field in _PLACES}
_SPELLINGS = {
    field: tuple(base + table[field]["prefix"] for base in (table["base"], *table["also"]))
    + ((table[field]["urn"],) if "urn" in table[field] else ())
    for field, table in _PLACES.items()
}


@lru_cache(maxsize=8_192)
def word_iri(field: str, text: str) -> str | None:
    """The IRI of a word in a field; a URI of one's own is itself. None for an unknown bare word."""
    known = _WORDS[field].get(text)
    if known is not None:
        return known
    for start in _SPELLINGS[field]:
        word = _WORDS[field].get(text[len(start) :]) if text.startswith(start) else None
        if word is not None:
            return word
    return text if is_absolute_uri(text) else None
