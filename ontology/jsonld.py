"""Turns a context table of ours into a JSON-LD 1.1 context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import read_table


def jsonld_context(name: str, types: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The JSON-LD context of one table, such as ``contexts/epcis.toml``.

    `types` replaces the JSON-LD types of single terms, where editions of a context differ in nothing else.
    """
    table = read_table(name)
    context: dict[str, Any] = {"@version": 1.1, **table["prefixes"]}
    if table["protected"]:
        context["@protected"] = True
    terms = {term: {**row} for term, row in table["terms"].items()}
    for term, type_iri in (types or {}).items():
        terms[term]["type"] = type_iri
    context.update({term: _definition(term, row, table) for term, row in terms.items()})
    return context


def word_iris(place: str, field: str) -> dict[str, str]:
    """The bare words of one field and their IRIs, from a table such as ``cbv/words.toml``."""
    table = read_table(place)
    words = table[field]
    return {word: f"{table['base']}{words['prefix']}{word}" for word in words["words"]}


def _definition(term: str, row: Mapping[str, Any], table: Mapping[str, Any]) -> Any:
    if "alias" in row:
        return row["alias"]
    definition: dict[str, Any] = {"@id": row.get("iri", f"epcis:{term}")}
    if "type" in row:
        definition["@type"] = row["type"]
    if row.get("set"):
        definition["@container"] = "@set"
    inner = _scoped(row, table)
    if inner:
        definition["@context"] = inner
    return definition


def _scoped(row: Mapping[str, Any], table: Mapping[str, Any]) -> list[dict[str, Any]]:
    inner: list[dict[str, Any]] = []
    if "words" in row:
        inner.append(word_iris(*row["words"]))
    if "scope" in row:
        terms = table["scope"][row["scope"]]
        inner.append(
            {"@protected": True, **{term: _definition(term, inside, table) for term, inside in terms.items()}}
        )
    return inner
