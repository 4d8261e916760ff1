"""EPCIS XML for the tests: one small valid document, in which each test changes one thing."""

from __future__ import annotations

EX = 'xmlns:ex="https://example.com/ns/"'
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


FULL = with_inside(
    f"""<quantityList><quantityElement><epcClass>urn:epc:class:lgtin:4012345.012345.998877</epcClass>
    <quantity>200.50</quantity><uom>KGM</uom></quantityElement></quantityList>
    <bizTransactionList><bizTransaction type="urn:epcglobal:cbv:btt:po"> urn:example:po:1
    </bizTransaction></bizTransactionList>
    <sourceList><source type="urn:epcglobal:cbv:sdt:owning_party">urn:epc:id:pgln:4012345.00225</source></sourceList>
    <destinationList><destination type="https://ref.gs1.org/cbv/SDT-location">urn:epc:id:sgln:0614141.00777.0</destination>
    </destinationList>
    <sensorElementList><sensorElement><sensorMetadata time="2026-05-04T10:00:00Z" {EX} ex:more="m"/>
    <sensorReport type="gs1:Temperature" value="26.0" uom="CEL" booleanValue="1" component="urn:epcglobal:cbv:comp:x"/>
    <ex:note {EX}>n</ex:note></sensorElement></sensorElementList>
    <persistentDisposition><unset>urn:epcglobal:cbv:disp:completeness_inferred</unset>
    <set>urn:epcglobal:cbv:disp:completeness_verified</set></persistentDisposition>
    <ilmd {EX}><ex:harvest><part>1</part><part>2</part></ex:harvest></ilmd>
    <ex:list {EX}>a</ex:list><ex:list {EX}><ex:b unit="KGM">2</ex:b></ex:list>"""
)

MASTER = """<EPCISHeader>
<s:StandardBusinessDocumentHeader xmlns:s="http://www.unece.org/cefact/namespaces/StandardBusinessDocumentHeader">
<s:Sender><s:Identifier>urn:example:me</s:Identifier></s:Sender></s:StandardBusinessDocumentHeader>
<extension><EPCISMasterData><VocabularyList>
<Vocabulary type="urn:epcglobal:epcis:vtype:BusinessLocation"><VocabularyElementList>
<VocabularyElement id="urn:epc:id:sgln:0037000.00729.0"><attribute id="urn:epcglobal:cbv:mda#city">Bonn</attribute>
<attribute id="urn:example:deep"><a>1</a></attribute>
<children><id>urn:epc:id:sgln:0037000.00729.8201</id></children></VocabularyElement></VocabularyElementList></Vocabulary>
<Vocabulary type="urn:epcglobal:epcis:vtype:EPCClass"><VocabularyElementList>
<VocabularyElement id="urn:epc:class:lgtin:4012345.012345.998877"/>
<VocabularyElement id="urn:example:named"/></VocabularyElementList></Vocabulary>
</VocabularyList></EPCISMasterData></extension></EPCISHeader>"""
