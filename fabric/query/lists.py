"""Lists of what a reader's events say: their EPCs, steps, dispositions, places and types, each value once.

Values come from indices that begin with a class, by jumping from value to value: neither events of others nor the
many events of one value cost anything. Steps and dispositions come in order of their texts; EPCs and places in the
order in which they were first named to this node.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

from fabric.epcis.identifiers import Position, canonical_thing
from ledger.errors import InvalidInput

from .errors import PageToken
from .plan import EVENT_TYPES
from .scope import Scope
from .streams import MERGED

_WORDS: Final = {"bizStep": "step", "disposition": "disposition"}
_PLACES: Final = {"bizLocation": "biz_location", "readPoint": "read_point"}
FIELDS: Final = ("epc", *_WORDS, *_PLACES, "eventType")

_NEXT: Final = (
    'SELECT {column} FROM event e WHERE e."class" = {number} AND {column} IS NOT NULL AND {column} > {after}'
    " ORDER BY {column} LIMIT 1"
)
_JUMPS: Final = (
    "WITH RECURSIVE v(x) AS (SELECT ({first}) UNION ALL SELECT ({more}) FROM v WHERE v.x IS NOT NULL)"
    " SELECT x FROM v WHERE x IS NOT NULL LIMIT ?"
)
_LISTED: Final = 'SELECT thing AS x FROM listed WHERE "class" = {number} AND thing > ? ORDER BY thing LIMIT ?'
_HAS: Final = (
    'SELECT 1 FROM event e WHERE e."class" IN {keys} AND e.{column} IS NOT NULL AND e.{column} = ? LIMIT 1'
)


def values_of(scope: Scope, field: str, per_page: int, after: str | None) -> tuple[list[str], str | None]:
    """The next values of a field behind one, and the last of them where there are more.

    Raises PageToken where a thing that the list goes on behind is not there any more.
    """
    if field == "eventType":
        return [name for name in EVENT_TYPES if knows(scope, field, name)], None
    if field in _WORDS:
        found = _jumps(scope, f"e.{_WORDS[field]}", after or "", per_page + 1)
        return _cut(found, per_page)
    start = -1 if after is None else _thing(scope, after)
    if start is None:
        raise PageToken(f"expected a value of the list, got one that was erased: {field}; begin again")
    if field in _PLACES:
        numbers = _jumps(scope, f"e.{_PLACES[field]}", start, per_page + 1)
    else:
        numbers = _listed(scope, start, per_page + 1)
    names = dict(map(tuple, scope.rows("SELECT id, iri FROM thing WHERE id IN {keys}", scope.keys(numbers))))
    return _cut([names[number] for number in numbers], per_page)


def knows(scope: Scope, field: str, value: str) -> bool:
    """Whether a visible event has a value; steps and dispositions are CBV short words or IRIs, types names."""
    if field == "eventType":
        return value in EVENT_TYPES and _has(scope, "type", value)
    if field in _WORDS:
        return _has(scope, _WORDS[field], value)
    # What nothing is called has a number that nothing has: both are asked for by the same queries.
    thing = _thing(scope, _canonical(value, field))
    number = -1 if thing is None else thing
    if field in _PLACES:
        return _has(scope, _PLACES[field], number)
    query = 'SELECT 1 FROM listed WHERE "class" IN {keys} AND thing = ? LIMIT 1'
    return bool(scope.rows(query, scope.seen, number))


def _canonical(value: str, field: str) -> str:
    try:
        return canonical_thing(value, Position.EPC if field == "epc" else Position.PLACE).iri
    except InvalidInput:
        return value


def _thing(scope: Scope, iri: str) -> int | None:
    return next((row[0] for row in scope.rows("SELECT id FROM thing WHERE iri = ?", iri)), None)


def _has(scope: Scope, column: str, value: int | str) -> bool:
    return bool(scope.rows(_HAS.replace("{column}", column), scope.seen, value))


def _jumps(scope: Scope, column: str, after: Any, most: int) -> list[Any]:
    """The next values of a column, each once, over all visible classes: the first so many in order."""
    found: set[Any] = set()
    for number in scope.classes:
        # Classes are numbers of this database, so they may stand in the text of a query.
        nearest = _NEXT.replace("{column}", column).replace("{number}", str(number))
        query = _JUMPS.replace("{first}", nearest.replace("{after}", "?"))
        query = query.replace("{more}", nearest.replace("{after}", "v.x"))
        found.update(row[0] for row in scope.rows(query, after, most))
    return sorted(found)[:most]


def _listed(scope: Scope, after: int, most: int) -> list[int]:
    found: set[int] = set()
    classes = iter(scope.classes)
    while part := list(islice(classes, MERGED)):
        selects = [f"SELECT * FROM ({_LISTED.replace('{number}', str(number))}) s" for number in part]
        values = [value for _ in part for value in (after, most)]
        found.update(row[0] for row in scope.rows(" UNION ALL ".join(selects), *values))
    return sorted(found)[:most]


def _cut(found: Iterable[str], per_page: int) -> tuple[list[str], str | None]:
    """A page of values, and the last of them where the list goes on behind it."""
    values = list(found)
    page = values[:per_page]
    return page, page[-1] if len(values) > per_page and page else None
