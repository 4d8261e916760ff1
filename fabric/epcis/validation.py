"""What an EPCIS 2.0 event must and may hold (EPCIS 2.0 section 7.4 and its JSON schema).

One table per event type says which fields it has and how each is checked; the rules across fields follow.
The schema of the standard is laxer than the standard, so words, prefixes and check digits are checked here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .contexts import EffectiveContext
from .fields import (
    EPC,
    EPCS,
    EVENT_ID,
    ILMD,
    OFFSET,
    PLACE,
    QUANTITIES,
    TIME,
    UNIQUE_EPCS,
    URI_OR_URIS,
    URIS,
    Fields,
    check_extension,
    leaf,
    list_field,
    object_field,
    open_object_field,
    thing_field,
    word_field,
)
from .findings import Findings
from .identifiers import Position
from .sensors import SENSOR_ELEMENTS
from .times import is_in_calendar, parse_offset, parse_time

ACTIONS = ("ADD", "OBSERVE", "DELETE")


def _is_action(value: Any) -> bool:
    return type(value) is str and value in ACTIONS


def _is_anything(value: Any) -> bool:
    return True


_ACTION = leaf(_is_action, "bad-action", "ADD, OBSERVE or DELETE")
# The type chose the table, and a context has its own checks.
_ELSEWHERE = leaf(_is_anything, "", "")
_DISPOSITION = word_field("disposition")
_DISPOSITIONS = list_field(_DISPOSITION, unique=True, filled=True)
_PERSISTENT = object_field({"set": _DISPOSITIONS, "unset": _DISPOSITIONS}, ())
_DECLARATION = open_object_field(
    {"declarationTime": TIME, "reason": word_field("errorReason"), "correctiveEventIDs": URIS},
    ("declarationTime",),
)
_TRANSACTION = object_field(
    {"type": word_field("bizTransactionType"), "bizTransaction": thing_field(Position.DOCUMENT)},
    ("bizTransaction",),
)
_PARTY_TYPE = word_field("sourceOrDestinationType")
_SOURCE = object_field({"type": _PARTY_TYPE, "source": thing_field(Position.PARTY)}, ("type", "source"))
_DESTINATION = object_field(
    {"type": _PARTY_TYPE, "destination": thing_field(Position.PARTY)}, ("type", "destination")
)

_COMMON: Fields = {
    "type": _ELSEWHERE,
    "@context": _ELSEWHERE,
    "eventTime": TIME,
    "eventTimeZoneOffset": OFFSET,
    "recordTime": TIME,
    "eventID": EVENT_ID,
    "certificationInfo": URI_OR_URIS,
    "errorDeclaration": _DECLARATION,
    "bizStep": word_field("bizStep"),
    "disposition": _DISPOSITION,
    "persistentDisposition": _PERSISTENT,
    "readPoint": PLACE,
    "bizLocation": PLACE,
    "bizTransactionList": list_field(_TRANSACTION),
    "sourceList": list_field(_SOURCE),
    "destinationList": list_field(_DESTINATION),
    "sensorElementList": SENSOR_ELEMENTS,
}
_WITH_CHILDREN: Fields = {
    **_COMMON,
    "action": _ACTION,
    "parentID": EPC,
    "childEPCs": EPCS,
    "childQuantityList": QUANTITIES,
}

FIELDS: Mapping[str, Fields] = {
    "ObjectEvent": {
        **_COMMON,
        "action": _ACTION,
        "epcList": UNIQUE_EPCS,
        "quantityList": QUANTITIES,
        "ilmd": ILMD,
    },
    "AggregationEvent": _WITH_CHILDREN,
    "AssociationEvent": _WITH_CHILDREN,
    "TransactionEvent": {
        **_COMMON,
        "action": _ACTION,
        "parentID": EPC,
        "epcList": EPCS,
        "quantityList": QUANTITIES,
    },
    "TransformationEvent": {
        **_COMMON,
        "inputEPCList": UNIQUE_EPCS,
        "inputQuantityList": QUANTITIES,
        "outputEPCList": UNIQUE_EPCS,
        "outputQuantityList": QUANTITIES,
        "transformationID": thing_field(Position.DOCUMENT),
        "ilmd": ILMD,
    },
}
"""The fields of each event type."""

_ANY_FIELD = frozenset(name for fields in FIELDS.values() for name in fields)


def check_event(event: Any, found: Findings, context: EffectiveContext) -> None:
    """Checks one event under the context in force; `found` already names its record."""
    if type(event) is not dict:
        found.refuse("", "wrong-type", "an event", event)
        return
    kind = event.get("type")
    fields = FIELDS.get(kind) if isinstance(kind, str) else None
    if fields is None or not isinstance(kind, str):
        _refuse_type(event, found)
        return
    for name, value in event.items():
        field = fields.get(name)
        if field is not None:
            if not field.accepts(value):
                field.check(value, "/" + name, found, context)
        elif name in _ANY_FIELD:
            found.refuse("/" + name, "field-not-allowed", f"no {name} in a {kind}", name)
        else:
            check_extension(name, value, "", found, context, known={})
    _check_across(event, found)
    _check_persistent(event, found)
    _RULES[kind](event, found)


def _refuse_type(event: dict[str, Any], found: Findings) -> None:
    if "type" in event:
        found.refuse("/type", "unknown-event-type", f"one of {', '.join(FIELDS)}", event["type"])
    else:
        found.missing("", "type")


def _check_across(event: dict[str, Any], found: Findings) -> None:
    time, offset = event.get("eventTime"), event.get("eventTimeZoneOffset")
    if time is None and "eventTime" not in event:
        found.missing("", "eventTime")
    if offset is None and "eventTimeZoneOffset" not in event:
        found.missing("", "eventTimeZoneOffset")
    if type(time) is str and type(offset) is str:
        moment, minutes = parse_time(time), parse_offset(offset)
        if moment and minutes is not None and moment[1] is not None and moment[1] != minutes:
            found.warn("/eventTimeZoneOffset", "offset-differs", f"the offset of {time}", offset)
        if moment and minutes is not None and not is_in_calendar(moment[0] + minutes * 60_000_000):
            found.refuse("/eventTimeZoneOffset", "bad-time", "a local date in the years 1 to 9999", offset)


def _need_action(event: dict[str, Any], found: Findings) -> None:
    if "action" not in event:
        found.missing("", "action")


def _object_rules(event: dict[str, Any], found: Findings) -> None:
    _need_action(event, found)
    if not (event.get("epcList") or event.get("quantityList") or event.get("sensorElementList")):
        found.refuse("", "no-things", "epcList, quantityList or sensorElementList", event)
    elif not ("epcList" in event or "quantityList" in event or "readPoint" in event):
        # What is measured is a thing or a place: without either, nobody could tell what the values are of.
        found.missing("", "readPoint, for sensor elements without epcList or quantityList")
    if "ilmd" in event and event.get("action") in ("OBSERVE", "DELETE"):
        found.refuse("/ilmd", "field-not-allowed", "ilmd with action ADD only", event["action"])


def _aggregation_rules(event: dict[str, Any], found: Findings) -> None:
    _need_action(event, found)
    action = event.get("action")
    if "parentID" not in event and action != "OBSERVE":
        found.missing("", f"parentID with action {action}")
    _need_children(event, found)


def _association_rules(event: dict[str, Any], found: Findings) -> None:
    _need_action(event, found)
    if "parentID" not in event:
        found.missing("", "parentID")
    _need_children(event, found)


def _need_children(event: dict[str, Any], found: Findings) -> None:
    if event.get("childEPCs") or event.get("childQuantityList") or event.get("action") == "DELETE":
        return
    if event.get("action") == "OBSERVE" and event.get("sensorElementList"):
        return
    found.refuse("", "no-things", "childEPCs or childQuantityList", event)


def _transaction_rules(event: dict[str, Any], found: Findings) -> None:
    _need_action(event, found)
    if not event.get("bizTransactionList"):
        found.missing("", "bizTransactionList with a business transaction")
    if "epcList" in event or event.get("quantityList") or "parentID" in event:
        return
    if event.get("action") != "DELETE" and not event.get("sensorElementList"):
        found.refuse("", "no-things", "epcList, quantityList or parentID", event)


def _check_persistent(event: dict[str, Any], found: Findings) -> None:
    if event.get("persistentDisposition") == {}:
        found.missing("/persistentDisposition", "set or unset")


def _transformation_rules(event: dict[str, Any], found: Findings) -> None:
    inputs = event.get("inputEPCList") or event.get("inputQuantityList")
    outputs = event.get("outputEPCList") or event.get("outputQuantityList")
    if "transformationID" in event:
        if not (inputs or outputs):
            found.refuse("", "no-things", "inputs or outputs", event)
    elif not (inputs and outputs):
        found.refuse("", "no-things", "inputs and outputs, or a transformationID", event)


_RULES: Mapping[str, Callable[[dict[str, Any], Findings], None]] = {
    "ObjectEvent": _object_rules,
    "AggregationEvent": _aggregation_rules,
    "AssociationEvent": _association_rules,
    "TransactionEvent": _transaction_rules,
    "TransformationEvent": _transformation_rules,
}
