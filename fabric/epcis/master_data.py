"""Master data in a document's header: vocabularies and their elements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from .contexts import EffectiveContext, escape
from .fields import EPCS, TEXT, check_extension
from .findings import Findings
from .identifiers import Position, is_absolute_uri, read_name

MASTER_DATA_POSITION: Final = {
    "urn:epcglobal:epcis:vtype:EPCClass": Position.EPC_CLASS,
    "urn:epcglobal:epcis:vtype:ReadPoint": Position.PLACE,
    "urn:epcglobal:epcis:vtype:BusinessLocation": Position.PLACE,
    "urn:epcglobal:epcis:vtype:Location": Position.PLACE,
    "urn:epcglobal:epcis:vtype:Party": Position.PARTY,
    "urn:epcglobal:epcis:vtype:SourceDest": Position.PARTY,
    "urn:epcglobal:epcis:vtype:BusinessTransaction": Position.DOCUMENT,
}
"""Where a vocabulary's identifiers would stand in an event; it gives the kind of private names."""


@dataclass(frozen=True, slots=True)
class Element:
    """One vocabulary element: the type of its vocabulary, its name, itself as submitted, its pointer."""

    type: str
    name: str
    value: dict[str, Any]
    pointer: str


def check_vocabularies(document: dict[str, Any], found: Findings, context: EffectiveContext) -> list[Element]:
    """Checks `epcisHeader` and gives the master-data elements in document order.

    Elements get the positions after the header record; `found` names each while it is checked.
    """
    header = document.get("epcisHeader")
    if "epcisHeader" not in document:
        return []
    if type(header) is not dict:
        found.refuse("/epcisHeader", "wrong-type", "an object", header)
        return []
    for name, value in header.items():
        if name != "epcisMasterData":
            check_extension(name, value, "/epcisHeader", found, context, known={"epcisMasterData": TEXT})
    master = header.get("epcisMasterData", {})
    lists = master.get("vocabularyList", []) if type(master) is dict else None
    if type(lists) is not list:
        found.refuse("/epcisHeader/epcisMasterData", "wrong-type", "an object with a vocabularyList", master)
        return []
    _check_names(master, {"vocabularyList"}, "/epcisHeader/epcisMasterData", found, context)
    elements: list[Element] = []
    for index, vocabulary in enumerate(lists):
        found.at(0, f"/epcisHeader/epcisMasterData/vocabularyList/{index}")
        _check_vocabulary(vocabulary, elements, found, context)
    found.at(0, "")
    return elements


def _check_vocabulary(
    vocabulary: Any, elements: list[Element], found: Findings, context: EffectiveContext
) -> None:
    if type(vocabulary) is not dict:
        found.refuse("", "wrong-type", "a vocabulary", vocabulary)
        return
    _check_names(vocabulary, {"type", "vocabularyElementList"}, "", found, context)
    kind, pointer = vocabulary.get("type"), found.pointer
    if type(kind) is not str or not is_absolute_uri(kind):
        found.refuse("/type", "not-a-uri", "the vocabulary's type, an absolute URI", kind)
        return
    rows = vocabulary.get("vocabularyElementList", [])
    if type(rows) is not list:
        found.refuse("/vocabularyElementList", "wrong-type", "a list of elements", rows)
        return
    for index, row in enumerate(rows):
        found.at(1 + len(elements), f"{pointer}/vocabularyElementList/{index}")
        if type(row) is not dict or type(row.get("id")) is not str:
            found.missing("", "an element with an id")
            continue
        _check_element(row, kind, found, context)
        elements.append(Element(kind, row["id"], row, found.pointer))


def _check_names(
    value: dict[str, Any], known: set[str], where: str, found: Findings, context: EffectiveContext
) -> None:
    for name, inner in value.items():
        if name not in known:
            check_extension(name, inner, where, found, context, known=dict.fromkeys(sorted(known), TEXT))


def _check_element(row: dict[str, Any], kind: str, found: Findings, context: EffectiveContext) -> None:
    problem = read_name(row["id"], MASTER_DATA_POSITION.get(kind, Position.EPC))[1]
    if problem is not None:
        found.identifier("/id", problem)
    for name, value in row.items():
        if name == "children":
            EPCS.check(value, "/children", found, context)
        elif name == "attributes":
            _check_attributes(value, found)
        elif name != "id":
            check_extension(name, value, "", found, context, known={"id": TEXT, "attributes": TEXT})


def _check_attributes(value: Any, found: Findings) -> None:
    if type(value) is not list:
        found.refuse("/attributes", "wrong-type", "a list of attributes", value)
        return
    for index, attribute in enumerate(value):
        where = f"/attributes/{index}"
        if type(attribute) is not dict or type(attribute.get("id")) is not str:
            found.missing(where, "an attribute with an id")
        elif not is_absolute_uri(attribute["id"]):
            found.refuse(f"{where}/id", "not-a-uri", "an absolute URI", attribute["id"])
        else:
            for name in attribute.keys() - {"id", "attribute"}:
                found.refuse(f"{where}/{escape(name)}", "unknown-field", "id and attribute", name)
