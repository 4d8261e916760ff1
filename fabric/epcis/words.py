"""The standard's words for steps, dispositions and types, and the one IRI of each spelling."""

from __future__ import annotations

from collections.abc import Callable

from ontology import read_table

from .identifiers import is_absolute_uri
from .remembered import Remembered

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


def word_iri(field: str, text: str) -> str | None:
    """The IRI of a word in a field; a URI of one's own is itself. None for an unknown bare word."""
    return _READERS[field](text)


def word_reader(field: str) -> Callable[[str], str | None]:
    """`word_iri` for one field; faster where the field is known beforehand."""
    return _READERS[field]


def _make_reader(field: str) -> Callable[[str], str | None]:
    words, spellings = _WORDS[field], _SPELLINGS[field]

    def read(text: str) -> str | None:
        known = words.get(text)
        if known is not None:
            return known
        for start in spellings:
            word = words.get(text[len(start) :]) if text.startswith(start) else None
            if word is not None:
                return word
        return text if is_absolute_uri(text) else None

    return Remembered(read, 4_096).__getitem__


_READERS = {field: _make_reader(field) for field in _PLACES}


def urns_of(field: str) -> dict[str, str]:
    """The older URN of each word of a field by the word's IRI; empty for words that never had one."""
    urn = _PLACES[field][field].get("urn")
    return {} if urn is None else {iri: urn + word for word, iri in _WORDS[field].items()}


def bare_word(field: str, text: str) -> str:
    """A word of a field without its URI, as JSON documents carry it; any other text as it is."""
    return _BARE[field].get(_READERS[field](text) or "", text) if len(text) <= _LONGEST else text


_LONGEST = 256
"""No spelling of a word is longer; what is, is not remembered."""
_BARE = {field: {iri: word for word, iri in words.items()} for field, words in _WORDS.items()}
