"""Checks of sensor elements: metadata, reports, and what both may say."""

from __future__ import annotations

from typing import Any

from .contexts import EffectiveContext
from .fields import (
    BOOLEAN,
    HEX,
    NUMBER,
    TEXT,
    TIME,
    URI,
    Field,
    list_field,
    open_object_field,
    thing_field,
    word_field,
)
from .findings import Findings
from .identifiers import Position

_SHARED: dict[str, Field] = {
    "time": TIME,
    "deviceID": thing_field(Position.DEVICE),
    "deviceMetadata": URI,
    "rawData": URI,
    "dataProcessingMethod": URI,
    "bizRules": URI,
}
_METADATA = open_object_field({**_SHARED, "startTime": TIME, "endTime": TIME})
_REPORT = open_object_field(
    {
        **_SHARED,
        "type": word_field("measurementType"),
        "exception": word_field("exception"),
        "component": word_field("component"),
        "microorganism": URI,
        "chemicalSubstance": URI,
        "coordinateReferenceSystem": URI,
        "uriValue": URI,
        "stringValue": TEXT,
        "booleanValue": BOOLEAN,
        "hexBinaryValue": HEX,
        "uom": TEXT,
        **dict.fromkeys(
            ("value", "minValue", "maxValue", "meanValue", "sDev", "percRank", "percValue"), NUMBER
        ),
    },
    ("type",),
)
_ELEMENTS = list_field(
    open_object_field(
        {"sensorMetadata": _METADATA, "sensorReport": list_field(_REPORT, filled=True)}, ("sensorReport",)
    )
)


def _check_elements(value: Any, where: str, found: Findings, context: EffectiveContext) -> None:
    _ELEMENTS.check(value, where, found, context)
    for index, element in enumerate(value if type(value) is list else ()):
        if type(element) is dict:
            _check_said_once(element, f"{where}/{index}", found)


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


SENSOR_ELEMENTS = Field(_check_elements)
"""A list of sensor elements. It is never accepted unseen: what is said twice is worth a warning."""
