"""Checks of sensor elements: metadata, reports, and what both may say."""

from __future__ import annotations

from typing import Any

from .contexts import EffectiveContext
from .fields import (
    Check,
    check_boolean,
    check_hex,
    check_members,
    check_number,
    check_text,
    check_time,
    check_uri,
    thing_check,
    word_check,
)
from .findings import Findings
from .identifiers import Position

_SHARED: dict[str, Check] = {
    "time": check_time,
    "deviceID": thing_check(Position.DEVICE),
    "deviceMetadata": check_uri,
    "rawData": check_uri,
    "dataProcessingMethod": check_uri,
    "bizRules": check_uri,
}
_METADATA: dict[str, Check] = {**_SHARED, "startTime": check_time, "endTime": check_time}
_REPORT: dict[str, Check] = {
    **_SHARED,
    "type": word_check("measurementType"),
    "exception": word_check("exception"),
    "component": word_check("component"),
    "microorganism": check_uri,
    "chemicalSubstance": check_uri,
    "coordinateReferenceSystem": check_uri,
    "uriValue": check_uri,
    "stringValue": check_text,
    "booleanValue": check_boolean,
    "hexBinaryValue": check_hex,
    "uom": check_text,
    **dict.fromkeys(
        ("value", "minValue", "maxValue", "meanValue", "sDev", "percRank", "percValue"), check_number
    ),
}


def check_sensor_elements(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
    """A list of sensor elements."""
    if type(value) is not list:
        found.refuse(where, "wrong-type", "a list of sensor elements", value)
        return
    for index, element in enumerate(value):
        place = f"{where}/{index}"
        check_members(element, place, found, context, fields=_ELEMENT, required=("sensorReport",))
        if type(element) is dict:
            _check_said_once(element, place, found)


def _check_metadata(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
    check_members(value, where, found, context, fields=_METADATA)


def _check_reports(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
    if type(value) is not list or not value:
        found.refuse(where, "wrong-type", "a list of sensor reports that is not empty", value)
        return
    for index, report in enumerate(value):
        check_members(report, f"{where}/{index}", found, context, fields=_REPORT, required=("type",))


def _check_said_once(element: dict[str, Any], where: str, found: Findings) -> None:
    # The standard wants an attribute in one of the two places. The authors' own examples repeat them, so a
    # partner's documents will: the report's own value is the one that holds, and the sender is told.
    metadata, reports = element.get("sensorMetadata"), element.get("sensorReport")
    if type(metadata) is not dict or type(reports) is not list:
        return
    for index, report in enumerate(reports):
        twice = [name for name in metadata if name in _SHARED and type(report) is dict and name in report]
        for name in twice:
            found.warn(
                f"{where}/sensorReport/{index}/{name}",
                "sensor-attribute-twice",
                f"{name} in sensorMetadata or in sensorReport",
                "both",
            )


_ELEMENT: dict[str, Check] = {"sensorMetadata": _check_metadata, "sensorReport": _check_reports}
