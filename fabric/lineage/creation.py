"""What a reader gets of a creation record that a hand-over shows in part: decided here, for every answer.

With a dispatch its parties see of the records that created what it hands over a few units, never the inputs and
never the eventID (design: meaning, section 4). `creation_pointers` says which units, `shown_part` what lineage may
use of them, `SHOWN_LINE` and `seen` the same for queries. Nothing else may read a record for such a reader.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from .fact import MENTION, OBJECT, OUTPUT, Fact, ThingKey, content_of, short_word

CREATION_UNITS: Final = (
    "eventTime",
    "eventTimeZoneOffset",
    "readPoint",
    "bizLocation",
    "bizStep",
    "disposition",
    "ilmd",
)
CREATING_STEPS: Final = frozenset({"commissioning", "creating_class_instance"})
_OUTPUT_UNITS: Final = ("outputEPCList", "outputQuantityList")
_OBJECT_UNITS: Final = ("epcList", "quantityList")
_ALWAYS: Final = ("@context", "type")
_SHOWN_ROLES: Final = frozenset({OBJECT, OUTPUT})

SHOWN_LINE: Final = f"(l.role IN ('{OBJECT}', '{OUTPUT}') OR (l.role = '{MENTION}' AND l.thing IN (e.read_point, e.biz_location)))"
"""SQL: whether a row `l` of `line` is among the shown units of its record, `e` of `event`."""


def creation_pointers(record: Mapping[str, Any]) -> list[str]:
    """The pointers of a creation record that a dispatch shows, `@context` and `type` included."""
    lists = _OUTPUT_UNITS if record.get("type") == "TransformationEvent" else _OBJECT_UNITS
    return [f"/{name}" for name in (*_ALWAYS, *CREATION_UNITS, *lists) if name in record]


def shown_units(record: Mapping[str, Any]) -> dict[str, Any]:
    """A creation record in committed form less everything that a dispatch does not show."""
    names = {pointer[1:] for pointer in creation_pointers(record)}
    return {name: inner for name, inner in record.items() if name in names}


def with_action(shown: Mapping[str, Any]) -> dict[str, Any]:
    """The shown units with the action that they imply: objects are created by ADD and nothing else."""
    creates = shown.get("type") == "ObjectEvent" and short_word(shown.get("bizStep")) in CREATING_STEPS
    return {**shown, "action": "ADD"} if creates else dict(shown)


def shown_part(fact: Fact, names: Mapping[ThingKey, str] | None = None) -> Fact:
    """A fact, whole, reduced to the shown units. `names` are the IRIs of its things, None where keys are IRIs.

    Whoever has only the disclosed units comes to the same: the digest, which orders records of one instant, gives
    way to the commitment, and the content of an occurrence is that of what is shown.
    """
    places = {fact.read_point, fact.biz_location} - {None}

    def name(thing: ThingKey) -> str:
        return str(thing) if names is None else names[thing]

    lines = tuple(
        line
        for line in fact.lines
        if line.role in _SHOWN_ROLES or (line.role == MENTION and name(line.thing) in places)
    )
    creates = fact.type == "ObjectEvent" and fact.step in CREATING_STEPS
    part = fact._replace(
        digest=fact.commitment[: len(fact.digest)],
        event_id=None,
        action="ADD" if creates else None,
        transformation_id=None,
        transactions=(),
        sources=(),
        destinations=(),
        declares=False,
        lines=lines,
        counts=True,
    )
    named = part._replace(lines=tuple(line._replace(thing=name(line.thing)) for line in lines))
    return part._replace(content=content_of(named))


def seen(classes: Collection[int] | None) -> str:
    """SQL: what a WHERE has to add so that a reader of these classes finds only what it sees named; None = all.

    Needs `e` of `event` and `l` of `line`. A record that is void is shown to nobody in part.
    """
    if classes is None:
        return ""
    # Classes are numbers of this database, so they may stand in the text of the query.
    numbers = ", ".join(str(int(number)) for number in sorted(classes)) or "NULL"
    part = f"e.partial IN ({numbers}) AND e.void_by IS NULL AND {SHOWN_LINE}"
    return f' AND (e."class" IN ({numbers}) OR ({part}))'


__all__ = [
    "CREATING_STEPS",
    "CREATION_UNITS",
    "SHOWN_LINE",
    "creation_pointers",
    "seen",
    "shown_part",
    "shown_units",
    "with_action",
]
