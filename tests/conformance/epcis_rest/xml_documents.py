"""EPCIS XML of the suite's own: a document from events, and events out of an answer.

Both know only what the tests use. The answers are read with the standard library's parser: they come from the server
under test, and an answer with a document type is refused before it is parsed.
"""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from .documents import NAMESPACE, Event, now_text

EPCIS = "urn:epcglobal:epcis:xsd:2"
QUERY = "urn:epcglobal:epcis-query:xsd:2"
CBV = "urn:epcglobal:cbv"


def document(events: list[Event]) -> bytes:
    """An EPCISDocument in XML; words of the vocabulary are written as URNs, as EPCIS XML has them."""
    body = "".join(_event(event) for event in events)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><epcis:EPCISDocument xmlns:epcis="{EPCIS}" xmlns:ex="{NAMESPACE}"'
        f' schemaVersion="2.0" creationDate="{now_text()}"><EPCISBody><EventList>{body}</EventList></EPCISBody>'
        "</epcis:EPCISDocument>"
    ).encode()


def _event(event: Event) -> str:
    tags = [
        _tag("eventTime", event["eventTime"]),
        _tag("eventTimeZoneOffset", event["eventTimeZoneOffset"]),
        _tag("eventID", event["eventID"]),
        f"<epcList>{''.join(_tag('epc', epc) for epc in event['epcList'])}</epcList>",
        _tag("action", event["action"]),
        _tag("bizStep", f"{CBV}:bizstep:{event['bizStep']}"),
        *([_tag("disposition", f"{CBV}:disp:{event['disposition']}")] if "disposition" in event else []),
        f"<readPoint>{_tag('id', event['readPoint']['id'])}</readPoint>" if "readPoint" in event else "",
        f"<bizLocation>{_tag('id', event['bizLocation']['id'])}</bizLocation>",
        *([_transactions(event["bizTransactionList"])] if "bizTransactionList" in event else []),
        *([_quantities(event["quantityList"])] if "quantityList" in event else []),
        *(_tag(name, value) for name, value in event.items() if name.startswith("ex:")),
    ]
    return f"<ObjectEvent>{''.join(tags)}</ObjectEvent>"


def _transactions(listed: list[dict[str, str]]) -> str:
    each = (
        f'<bizTransaction type="{CBV}:btt:{one["type"]}">{escape(one["bizTransaction"])}</bizTransaction>'
        for one in listed
    )
    return f"<bizTransactionList>{''.join(each)}</bizTransactionList>"


def _quantities(listed: list[dict[str, Any]]) -> str:
    each = (
        f"<quantityElement>{''.join(_tag(name, one[name]) for name in ('epcClass', 'quantity', 'uom') if name in one)}"
        "</quantityElement>"
        for one in listed
    )
    return f"<quantityList>{''.join(each)}</quantityList>"


def _tag(name: str, value: object) -> str:
    return f"<{name}>{escape(str(value))}</{name}>"


def parsed(data: bytes) -> ElementTree.Element:
    """The root of an answer."""
    assert b"<!DOCTYPE" not in data
    return ElementTree.fromstring(data)


def events_in(data: bytes) -> list[ElementTree.Element]:
    """The events of an EPCISQueryDocument, checking the way down to them."""
    root = parsed(data)
    assert root.tag == f"{{{QUERY}}}EPCISQueryDocument", root.tag
    (results,) = root.findall(f"EPCISBody/{{{QUERY}}}QueryResults")
    (listed,) = results.findall("resultsBody/EventList")
    return list(listed)


def text(event: ElementTree.Element, path: str) -> str | None:
    """The text below an event."""
    return event.findtext(path)
