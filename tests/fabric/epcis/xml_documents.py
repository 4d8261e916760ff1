"""EPCIS XML for the tests: one small valid document, in which each test changes one thing."""

from __future__ import annotations

NAMESPACE = "urn:epcglobal:epcis:xsd:2"
EVENT = """<ObjectEvent>
  <eventTime>2026-05-04T10:11:12.345+02:00</eventTime>
  <eventTimeZoneOffset>+02:00</eventTimeZoneOffset>
  <epcList><epc>urn:epc:id:sgtin:9506000.013435.1</epc><epc>urn:epc:id:sgtin:9506000.013435.2</epc></epcList>
  <action>ADD</action>
  <bizStep>urn:epcglobal:cbv:bizstep:commissioning</bizStep>
  <readPoint><id>urn:epc:id:sgln:9506000.00001.0</id></readPoint>
</ObjectEvent>"""


def around(events: str, *, header: str = "", root: str = "", prolog: str = "", version: str = "2.0") -> bytes:
    """A document with these events; `root` are more attributes of its root, `prolog` stands before it."""
    return (
        f'{prolog}<epcis:EPCISDocument xmlns:epcis="urn:epcglobal:epcis:xsd:{version[0]}"'
        f' schemaVersion="{version}" creationDate="2026-05-04T12:00:00Z" {root}>{header}'
        f"<EPCISBody><EventList>{events}</EventList></EPCISBody></epcis:EPCISDocument>"
    ).encode()


def with_inside(text: str, event: str = EVENT) -> str:
    """The event with more XML before its end."""
    return event.replace("</ObjectEvent>", f"{text}</ObjectEvent>")
