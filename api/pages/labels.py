"""What things are called: the claims of master data about the things that a page shows.

Master data of an identifier may be seen by whoever sees a record that names it (`fabric.visibility.sight`). A page
asks for the things that its answer named, and for the products of the lots among them. Of conflicting claims the one of the
identifier's own member wins, then the newest (design: meaning, section 2).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy.engine import Connection

from fabric.lineage import HolderOf
from fabric.store.bulk import fetch, select_keys
from fabric.visibility.reader import NOBODY, Reader
from fabric.visibility.sight import named_visibly

from .text import product_of

_CLAIMS: Final = (
    "SELECT t.iri, m.member, m.seq, r.position, r.body FROM thing t JOIN master m ON m.thing = t.id"
    " JOIN record r ON r.id = m.record WHERE t.iri IN {keys}"
)
_MENTIONING: Final = (
    "SELECT DISTINCT t.iri FROM thing t JOIN master m ON m.thing = t.id JOIN record r ON r.id = m.record"
    " WHERE lower({text:r.body}) LIKE ? ESCAPE '!' AND t.iri > ? ORDER BY t.iri LIMIT 500"
)
MAX_CALLED: Final = 50
_NAMES: Final = ("name", "descriptionShort", "regulatedProductName", "functionalName", "tradeItemDescription")
_PHONES: Final = ("telephone", "telephoneNumber")
_SEPARATORS: Final = re.compile(r"[/#:]")


class Attribute(NamedTuple):
    """One attribute of one claim: its name without prefix, its value as text, the member that claims it."""

    name: str
    value: str
    member: str


@dataclass(frozen=True, slots=True)
class Labels:
    """Names and telephone numbers by IRI, and every attribute that somebody claims, the winning claim first."""

    names: Mapping[str, str] = field(default_factory=dict)
    phones: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, tuple[Attribute, ...]] = field(default_factory=dict)


def load_labels(
    connection: Connection,
    iris: Iterable[str | None],
    holder_of: HolderOf,
    time_us: int,
    classes: Collection[int] | None,
    reader: Reader = NOBODY,
) -> Labels:
    """The claims about what a page shows, as far as a reader of these `classes` (None = all) may see them.

    What members claimed in whose name the `reader` asks is shown whether a record names the thing or not.
    """
    wanted = {iri for iri in iris if iri}
    wanted |= {product for iri in wanted if (product := product_of(iri)) is not None}
    named = named_visibly(connection, classes, wanted)
    rows = [
        row
        for row in select_keys(connection, _CLAIMS, sorted(wanted))
        if row[0] in named or reader.sees((row[1],))
    ]
    ranked = sorted(
        rows, key=lambda row: (row[1] == holder_of(row[0], time_us), row[2], row[3]), reverse=True
    )
    attributes: dict[str, tuple[Attribute, ...]] = {}
    for iri, member, _, _, body in ranked:
        attributes[iri] = attributes.get(iri, ()) + tuple(_attributes(body, member))
    return Labels(_first(attributes, _NAMES), _first(attributes, _PHONES), attributes)


def things_called(
    connection: Connection,
    text: str,
    holder_of: HolderOf,
    time_us: int,
    classes: Collection[int] | None,
    reader: Reader = NOBODY,
) -> list[tuple[str, str]]:
    """Products, places and parties with a text in their name, as far as the reader sees their names: IRI and name.

    Hidden ones are left out before anything is cut off, so they push no visible one out.
    """
    wanted, found, after = text.casefold(), list[tuple[str, str]](), ""
    if len(wanted) < 3:
        return found
    while len(found) < MAX_CALLED:
        iris = _mentioning(connection, text, after)
        names = load_labels(connection, iris, holder_of, time_us, classes, reader).names
        found += [(iri, names[iri]) for iri in iris if wanted in names.get(iri, "").casefold()]
        if len(iris) < 500:
            break
        after = iris[-1]
    return sorted(found[:MAX_CALLED], key=lambda row: (row[1], row[0]))


def _mentioning(connection: Connection, text: str, after: str) -> list[str]:
    """Things whose master data holds the longest run of plain letters of a text, wherever it stands in it."""
    plain = max(re.findall(r"[ 0-9A-Za-z]*", text), key=len).lower()
    return [row[0] for row in fetch(connection, _MENTIONING, f"%{plain}%", after)]


def _attributes(body: bytes | None, member: str) -> Iterable[Attribute]:
    """What a claim says, as far as it can be told in words; an erased claim says nothing."""
    element = {} if body is None else orjson.loads(body).get("element", {})
    for attribute in element.get("attributes", ()):
        value = _plain(attribute.get("attribute"))
        if value:
            yield Attribute(_SEPARATORS.split(attribute["id"])[-1], value, member)


def _plain(value: Any) -> str | None:
    if isinstance(value, dict):
        value = value.get("@value", value.get("@id"))
    if isinstance(value, list):
        return ", ".join(text for one in value if (text := _plain(one))) or None
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value).strip() if isinstance(value, str | int | float) else None


def _first(attributes: Mapping[str, tuple[Attribute, ...]], names: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for iri, own in attributes.items():
        for name in names:
            value = next((one.value for one in own if one.name == name), None)
            if value is not None:
                found[iri] = value
                break
    return found


__all__ = ["Attribute", "Labels", "load_labels", "things_called"]
