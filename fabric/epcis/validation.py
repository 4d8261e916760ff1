"""What an EPCIS 2.0 event must and may hold (EPCIS 2.0 section 7.4 and its JSON schema).

One table per event type says which fields it has and how each is checked; the rules across fields follow.
The schema of the standard is laxer than the standard, so words, prefixes and check digits are checked here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from .contexts import EffectiveContext
from .fields import (
    Check,
    check_dispositions,
    check_extension,
    check_ilmd,
    check_list_of,
    check_members,
    check_offset,
    check_place,
    check_quantities,
    check_things,
    check_time,
    check_unique_things,
    check_uri,
    check_uri_or_uris,
    check_uris,
    thing_check,
    word_check,
)
from .findings import Findings
from .identifiers import Position
from .sensors import check_sensor_elements
from .times import parse_offset, parse_time

ACTIONS = ("ADD", "OBSERVE", "DELETE")
MOST_NODES = 65_536
"""Units and groups that one record may hold (design: evidence, Limits)."""


def _check_action(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
    if value not in ACTIONS:
        found.refuse(where, "bad-action", "ADD, OBSERVE or DELETE", value)


def _check_declaration(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
    check_members(value, where, found, context, fields=_DECLARATION, required=("declarationTime",))


def _check_nothing(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
    """For members that are checked elsewhere: the type chose the table, the context has its own checks."""


_DECLARATION: dict[str, Check] = {
    "declarationTime": check_time,
    "reason": word_check("errorReason"),
    "correctiveEventIDs": check_uris,
}
_TRANSACTION: dict[str, Check] = {
    "type": word_check("bizTransactionType"),
    "bizTransaction": thing_check(Position.DOCUMENT),
}
_PARTY_TYPE = word_check("sourceOrDestinationType")
_SOURCE: dict[str, Check] = {"type": _PARTY_TYPE, "source": thing_check(Position.PARTY)}
_DESTINATION: dict[str, Check] = {"type": _PARTY_TYPE, "destination": thing_check(Position.PARTY)}

_COMMON: dict[str, Check] = {
    "type": _check_nothing,
    "@context": _check_nothing,
    "eventTime": check_time,
    "eventTimeZoneOffset": check_offset,
    "recordTime": check_time,
    "eventID": check_uri,
    "certificationInfo": check_uri_or_uris,
    "errorDeclaration": _check_declaration,
    "bizStep": word_check("bizStep"),
    "disposition": word_check("disposition"),
    "readPoint": check_place,
    "bizLocation": check_place,
    "bizTransactionList": partial(check_list_of, fields=_TRANSACTION, required=("bizTransaction",)),
    "sourceList": partial(check_list_of, fields=_SOURCE, required=("type", "source")),
    "destinationList": partial(check_list_of, fields=_DESTINATION, required=("type", "destination")),
    "sensorElementList": check_sensor_elements,
}
_WITH_CHILDREN: dict[str, Check] = {
    **_COMMON,
    "action": _check_action,
    "parentID": thing_check(Position.EPC),
    "childEPCs": check_things,
    "childQuantityList": check_quantities,
}

FIELDS: Mapping[str, Mapping[str, Check]] = {
    "ObjectEvent": {
        **_COMMON,
        "action": _check_action,
        "epcList": check_unique_things,
        "quantityList": check_quantities,
        "persistentDisposition": check_dispositions,
        "ilmd": check_ilmd,
    },
    "AggregationEvent": _WITH_CHILDREN,
    "AssociationEvent": _WITH_CHILDREN,
    "TransactionEvent": {
        **_COMMON,
        "action": _check_action,
        "parentID": thing_check(Position.EPC),
        "epcList": check_things,
        "quantityList": check_quantities,
    },
    "TransformationEvent": {
        **_COMMON,
        "inputEPCList": check_unique_things,
        "inputQuantityList": check_quantities,
        "outputEPCList": check_unique_things,
        "outputQuantityList": check_quantities,
        "transformationID": thing_check(Position.DOCUMENT),
        "persistentDisposition": check_dispositions,
        "ilmd": check_ilmd,
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
        check = fields.get(name)
        if check is not None:
            check(value, "/" + name, found, context)
        elif name in _ANY_FIELD:
            found.refuse("/" + name, "field-not-allowed", f"no {name} in a {kind}", name)
        else:
            check_extension(name, value, "", found, context, known={})
    _check_across(event, found)
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
    if len(event) > 1_000 or any(len(value) > 1_000 for value in event.values() if type(value) is list):
        _check_size(event, found)


def _check_size(event: dict[str, Any], found: Findings) -> None:
    nodes = 1 + len(event)
    nodes += sum(len(value) for value in event.values() if type(value) in (list, dict) and len(value) > 1)
    if nodes >= MOST_NODES:
        found.refuse("", "too-many-units", f"{MOST_NODES} units in a record at most", nodes)


def _need_action(event: dict[str, Any], found: Findings) -> None:
    if "action" not in event:
        found.missing("", "action")


def _object_rules(event: dict[str, Any], found: Findings) -> None:
    _need_action(event, found)
    if not (event.get("epcList") or event.get("quantityList") or event.get("sensorElementList")):
        found.refuse("", "no-things", "epcList, quantityList or sensorElementList", event)
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
