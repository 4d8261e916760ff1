"""EPCIS XML: documents in, answers out, and the same meaning as JSON."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from . import xml_documents
from .clauses import may, must, should
from .documents import NAMESPACE, Event, bare, document, fresh_place, object_event
from .identifiers import Item, Lot, Place, fresh
from .server import Server, ids, part
from .world import World
from .xml_documents import EPCIS, events_in, parsed

XML = "application/xml"


def full_event(place: Place) -> Event:
    """An event with what both forms can say."""
    lot = Lot("000041", fresh())
    return object_event(
        place,
        disposition="in_transit",
        bizStep="shipping",
        epcList=[Item("000017", fresh()).urn, Item("000017", fresh()).urn],
        quantityList=[
            {"epcClass": lot.urn, "quantity": 12.5, "uom": "KGM"},
            {"epcClass": lot.urn, "quantity": 3},
        ],
        readPoint={"id": fresh_place("00002").urn},
        bizTransactionList=[{"type": "po", "bizTransaction": f"https://example.org/po/{fresh()}"}],
        **{"ex:note": "Käse & <Brot>"},
    )


def captured(server: Server, data: bytes, media_type: str = XML) -> dict[str, Any]:
    job = server.finish(server.post_bytes("/capture", data, media_type))
    assert job["success"] is True, job
    return job


@must("POST /capture", "A document in XML is captured like one in JSON.")
@pytest.mark.parametrize("media_type", ["application/xml", "text/xml", "application/xml; charset=utf-8"])
def test_a_document_in_xml_is_captured(server: Server, media_type: str) -> None:
    place = fresh_place()
    events = [full_event(place), full_event(place)]
    captured(server, xml_documents.document(events), media_type)
    assert ids(server.at(place.urn)) == ids(events)


@must(
    "XML and JSON",
    "The same event means the same in both forms: what came as XML is given back as JSON whole.",
)
def test_xml_comes_back_as_json(server: Server) -> None:
    place = fresh_place()
    event = full_event(place)
    captured(server, xml_documents.document([event]))
    (found,) = server.at(place.urn, GS1_EPC_Format="Never_Translates")
    del found["recordTime"]
    prefix = {name for name in found if name.endswith(":note")}
    assert {found.pop(name) for name in prefix} == {event.pop("ex:note")}
    found.pop("@context", None)
    assert found == event


@must(
    "XML and JSON",
    "An event that came as XML and is sent again as JSON is the same event: it is not stored twice.",
)
def test_the_same_event_in_the_other_form_is_stored_once(server: Server) -> None:
    place = fresh_place()
    event = object_event(place)
    captured(server, xml_documents.document([event]))
    again = server.post("/capture", document([event]))
    assert again.status_code in (202, 400, 409)
    if again.status_code == 202:
        server.finish(again)
    assert len(server.at(place.urn)) == 1


BROKEN = {
    "no XML": b"<epcis",
    "a document type with an entity": (
        b'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
        + xml_documents.document([object_event(fresh_place(), bizStep="&e;")]).partition(b"?>")[2]
    ),
    "another root": b"<html/>",
    "another namespace": xml_documents.document([object_event(fresh_place())]).replace(
        EPCIS.encode(), b"urn:example:other"
    ),
    "a wrong action": xml_documents.document([object_event(fresh_place(), action="REMOVE")]),
}


@must(
    "POST /capture",
    "XML that is no EPCIS document is refused, with ValidationException; entities are never read.",
)
@pytest.mark.parametrize("name", BROKEN)
def test_broken_xml_is_refused(server: Server, name: str) -> None:
    answer = server.post_bytes("/capture", BROKEN[name], XML)
    if answer.status_code == 202:
        assert server.finish(answer)["success"] is False
        return
    assert answer.status_code == 400, answer.text
    assert answer.json()["type"] == "epcisException:ValidationException"


def ask(server: Server, world: World, **headers: str) -> bytes:
    answer = server.get("/events", {"EQ_bizLocation": world.home, "perPage": "100"}, Accept=XML, **headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].partition(";")[0] == XML
    return answer.content


@must(
    "GET /events",
    "Accept: application/xml is answered with an EPCISQueryDocument in XML that holds the same events.",
)
def test_events_come_as_xml(server: Server, world: World) -> None:
    found = events_in(ask(server, world))
    assert len(found) == 11
    told = {element.findtext(".//eventID") for element in found}
    assert told == set(world.ids.values())


@must(
    "header GS1-CBV-XML-Format", "Always_URN: words of the vocabulary as URNs; Always_Web_URI: as web URIs."
)
@pytest.mark.parametrize(
    ("wanted", "value"),
    [
        ("Always_URN", "urn:epcglobal:cbv:bizstep:packing"),
        ("Always_Web_URI", "https://ref.gs1.org/cbv/BizStep-packing"),
    ],
)
def test_words_keep_to_the_format(server: Server, world: World, wanted: str, value: str) -> None:
    steps = [one.findtext("bizStep") for one in events_in(ask(server, world, GS1_CBV_XML_Format=wanted))]
    assert value in steps


@should("header GS1-CBV-XML-Format", "No_Preference and Never_Translates are always answered.")
@pytest.mark.parametrize("wanted", ["No_Preference", "Never_Translates"])
def test_other_formats_of_words_are_answered(server: Server, world: World, wanted: str) -> None:
    assert len(events_in(ask(server, world, GS1_CBV_XML_Format=wanted))) == 11


@must("header GS1-CBV-XML-Format", "A value that is none of the four is refused. Reading: 400 or 406.")
def test_an_unknown_format_of_words_is_refused(server: Server) -> None:
    assert server.get("/events", Accept=XML, GS1_CBV_XML_Format="Sometimes").status_code in (400, 406)


@must("header GS1-EPC-Format", "The format of EPCs holds for XML as for JSON.")
def test_epcs_keep_to_the_format_in_xml(server: Server, world: World) -> None:
    for wanted, spelt in (("Always_EPC_URN", world.item.urn), ("Always_GS1_Digital_Link", world.item.link)):
        epcs = [
            one.text
            for event in events_in(ask(server, world, GS1_EPC_Format=wanted))
            for one in event.iter("epc")
        ]
        assert spelt in epcs


@must(
    "XML and JSON",
    "What is answered in XML can be captured again: round trip of an answer, extension fields included.",
)
def test_an_answer_in_xml_can_be_captured(server: Server) -> None:
    place = fresh_place()
    event = full_event(place)
    server.capture(document([event]))
    answer = server.get(
        "/events", {"EQ_bizLocation": place.urn}, Accept=XML, GS1_EPC_Format="Never_Translates"
    )
    changed = answer.content.replace(event["eventID"].encode(), full_event(place)["eventID"].encode())
    captured(server, changed)
    first, second = server.at(place.urn, GS1_EPC_Format="Never_Translates")
    for one in (first, second):
        del one["recordTime"], one["eventID"]
    assert first == second


@must(
    "XML and JSON",
    "Every kind of event and every field comes through XML and back: captured again, the answers are equal.",
)
def test_the_whole_world_comes_through_xml(server: Server, world: World) -> None:
    sent = ask(server, world, GS1_EPC_Format="Never_Translates")
    other = fresh_place()
    moved = sent.replace(world.home.encode(), other.urn.encode())
    for name, event_id in world.ids.items():
        if name != "declared":
            moved = moved.replace(
                event_id.replace("&", "&amp;").encode(), object_event(other)["eventID"].encode()
            )
    captured(server, moved)
    again = server.at(other.urn, GS1_EPC_Format="Never_Translates")
    first = server.at(world.home, GS1_EPC_Format="Never_Translates")
    assert sorted(map(_shape, again)) == sorted(map(_shape, first))


def _shape(event: Event) -> str:
    """The event as text, without what the test changed; numbers and texts of them are one, as XML has no types."""
    dropped = ("@context", "recordTime", "eventID", "bizLocation")
    return repr(_plain({name: value for name, value in event.items() if name not in dropped}))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return sorted((name, _plain(inner)) for name, inner in value.items())
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return str(value)


@must("GET /events/{eventID}", "One event comes as XML as well.")
def test_one_event_comes_as_xml(server: Server, world: World) -> None:
    answer = server.get(f"/events/{part(world.ids['seen'])}", Accept=XML)
    (found,) = events_in(answer.content)
    assert found.tag == "ObjectEvent"
    assert found.findtext(f"{{{NAMESPACE}}}colour") == "blue"


@must(
    "GET /capture/{captureID}",
    "A capture job comes as XML where it is asked for: ID, running and success as attributes.",
)
def test_a_job_comes_as_xml(server: Server) -> None:
    job = server.capture(document([object_event(fresh_place())]))
    answer = server.get(f"/capture/{job['captureID']}", Accept=XML)
    assert answer.status_code == 200, answer.text
    root = parsed(answer.content)
    assert root.tag == f"{{{EPCIS}}}EPCISCaptureJob"
    assert root.attrib == {
        **root.attrib,
        "captureID": job["captureID"],
        "running": "false",
        "success": "true",
    }
    assert root.findtext("captureErrorBehaviour") == "rollback"
    assert root.findtext("createdAt")


@must("GET /", "The top level comes as XML where it is asked for.")
def test_the_top_level_comes_as_xml(server: Server) -> None:
    answer = server.get("/", Accept=XML)
    assert answer.status_code == 200
    told = {element.text for element in parsed(answer.content).iter()}
    assert {"queries", "capture", "events"} <= told


@should(
    "schema RFC7807ProblemResponseBody",
    "A problem comes as application/problem+xml where the client accepts XML alone.",
)
def test_a_problem_comes_as_xml(server: Server) -> None:
    answer = server.get("/events", {"EQ_action": "REMOVE"}, Accept=XML)
    assert answer.status_code == 400
    assert answer.headers["content-type"].partition(";")[0] in ("application/problem+xml", XML)
    assert "epcisException:QueryParameterException" in {one.text for one in parsed(answer.content).iter()}


@should("POST /events", "A single event in XML: taken, or refused with 415 and nothing else.")
def test_a_single_event_in_xml(server: Server) -> None:
    place = fresh_place()
    whole = xml_documents.document([object_event(place)])
    event = ElementTree.fromstring(whole).find("EPCISBody/EventList/ObjectEvent")
    assert event is not None
    answer = server.post_bytes("/events", ElementTree.tostring(event), XML)
    assert answer.status_code in (201, 415, 400), answer.text
    assert len(server.at(place.urn)) == (1 if answer.status_code == 201 else 0)
    assert server.post("/events", bare(object_event(place))).status_code == 201


OLD = "urn:epcglobal:epcis:xsd:1"


@may("header GS1-EPCIS-Min", "A server that announces EPCIS 1.x for captures takes EPCIS 1.2 in XML.")
def test_the_version_before_is_captured(server: Server) -> None:
    lowest = server.ask("OPTIONS", "/capture").headers.get("gs1-epcis-min", "2.0")
    if not lowest.startswith("1."):
        pytest.skip(f"the server announces {lowest} as its lowest version")
    place = fresh_place()
    event = object_event(place)
    data = xml_documents.document([event]).replace(EPCIS.encode(), OLD.encode())
    captured(
        server, data.replace(b'schemaVersion="2.0"', b'schemaVersion="1.2"').replace(*_old_event_id(event))
    )
    assert ids(server.at(place.urn)) == [event["eventID"]]


def _old_event_id(event: Event) -> tuple[bytes, bytes]:
    """EPCIS 1.2 has the event ID in an extension of the event's base."""
    tag = f"<eventID>{event['eventID']}</eventID>".encode()
    return tag, b"<baseExtension>" + tag + b"</baseExtension>"


@may("POST /capture", "XML that nests entities is refused quickly, and the server answers afterwards.")
def test_entities_inside_entities_are_refused(server: Server) -> None:
    inner = b"".join(b'<!ENTITY e%d "%s">' % (n, b"&e%d;" % (n - 1) * 10) for n in range(1, 12))
    head = b'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY e0 "x">' + inner + b"]>"
    body = xml_documents.document([object_event(fresh_place())]).partition(b"?>")[2]
    answer = server.post_bytes("/capture", head + body.replace(b"OBSERVE", b"&e11;"), XML)
    assert answer.status_code == 400, answer.text
    assert server.get("/").status_code == 200


@must(
    "GET /queries/{queryName}/events",
    "The events of a named query, and those below a member of a list, come as XML too.",
)
def test_other_answers_with_events_come_as_xml(server: Server, world: World) -> None:
    name = f"conformance-{fresh()}"
    query = {"EQ_bizLocation": [world.home], "EQ_bizStep": ["packing"]}
    assert server.post("/queries", {"name": name, "query": query}).status_code == 201
    (event,) = events_in(server.get(f"/queries/{name}/events", Accept=XML).content)
    assert event.tag == "AggregationEvent"
    assert server.ask("DELETE", f"/queries/{name}").status_code == 204
    below = server.get("/bizSteps/packing/events", {"EQ_bizLocation": world.home}, Accept=XML)
    if below.status_code != 404:
        assert [one.tag for one in events_in(below.content)] == ["AggregationEvent"]
