"""Events in the forms a reader may ask for: names as links or URNs, words as URIs, and what cannot be said so."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.epcis.company_prefix import PACKAGED, CompanyPrefixes
from fabric.epcis.gs1 import check_digit
from fabric.epcis.identifiers import Position, read_name
from fabric.epcis.representation import (
    CbvFormat,
    EpcFormat,
    Translator,
    Untranslatable,
    as_sent,
    names_in,
    translate,
    translate_name,
    translate_words,
    translator_for,
)

LINK, URN = EpcFormat.DIGITAL_LINK, EpcFormat.URN
SET_82 = "!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
SET_39 = "#-/0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
PREFIX = "9506000"
OURS = Translator(CompanyPrefixes([PREFIX]))


def event() -> dict[str, Any]:
    """One event with a URN in every place that a name may stand in, and links and texts where none may."""
    urn = "urn:epc:id:sgtin:9506000.013435."
    return {
        "type": "ObjectEvent",
        "eventID": "urn:epc:id:sgtin:9506000.013435.id",
        "epcList": [urn + "1", "urn:example:own:2"],
        "childEPCs": [urn + "3"],
        "inputEPCList": [urn + "4"],
        "outputEPCList": [urn + "5"],
        "parentID": "urn:epc:id:sscc:9506000.1234567890",
        "transformationID": "urn:epc:id:gdti:9506000.00001.7",
        "quantityList": [{"epcClass": "urn:epc:class:lgtin:9506000.013435.L/1", "quantity": 1}],
        "childQuantityList": [{"epcClass": "urn:epc:idpat:sgtin:9506000.013435.*"}],
        "inputQuantityList": [{"epcClass": "urn:epc:class:lgtin:9506000.013435.A"}],
        "outputQuantityList": [{"epcClass": "urn:epc:class:lgtin:9506000.013435.B"}],
        "readPoint": {"id": "urn:epc:id:sgln:9506000.12345.400", "ex:id": urn + "6"},
        "bizLocation": {"id": "urn:epc:id:sgln:9506000.12345.0"},
        "bizTransactionList": [{"type": "po", "bizTransaction": "urn:epc:id:gdti:9506000.00001.8"}],
        "sourceList": [{"type": "location", "source": "urn:epc:id:sgln:9506000.12345.0"}],
        "destinationList": [{"type": "owning_party", "destination": "urn:epc:id:pgln:9506000.12345"}],
        "sensorElementList": [
            {
                "sensorMetadata": {"deviceID": "urn:epc:id:giai:9506000.S1", "bizRules": urn + "7"},
                "sensorReport": [{"type": "Temperature", "deviceID": "urn:epc:id:giai:9506000.S2"}],
            }
        ],
        "ilmd": {"ex:from": urn + "8"},
        "ex:note": [urn + "9", {"epcClass": urn + "10"}],
    }


def test_every_name_of_an_event_becomes_a_link_and_nothing_else_does() -> None:
    before = event()
    after = translate(before, LINK)
    assert before == event()
    serial = "https://id.gs1.org/01/09506000134352/21/"
    assert after == event() | {
        "epcList": [serial + "1", "urn:example:own:2"],
        "childEPCs": [serial + "3"],
        "inputEPCList": [serial + "4"],
        "outputEPCList": [serial + "5"],
        "parentID": "https://id.gs1.org/00/195060002345678901",
        "transformationID": "https://id.gs1.org/253/95060000000157",
        "quantityList": [{"epcClass": "https://id.gs1.org/01/09506000134352/10/L%2F1", "quantity": 1}],
        "childQuantityList": [{"epcClass": "https://id.gs1.org/01/09506000134352"}],
        "inputQuantityList": [{"epcClass": "https://id.gs1.org/01/09506000134352/10/A"}],
        "outputQuantityList": [{"epcClass": "https://id.gs1.org/01/09506000134352/10/B"}],
        "readPoint": {
            "id": "https://id.gs1.org/414/9506000123455/254/400",
            "ex:id": before["readPoint"]["ex:id"],
        },
        "bizLocation": {"id": "https://id.gs1.org/414/9506000123455"},
        "bizTransactionList": [{"type": "po", "bizTransaction": "https://id.gs1.org/253/95060000000158"}],
        "sourceList": [{"type": "location", "source": "https://id.gs1.org/414/9506000123455"}],
        "destinationList": [{"type": "owning_party", "destination": "https://id.gs1.org/417/9506000123455"}],
        "sensorElementList": [
            {
                "sensorMetadata": {
                    "deviceID": "https://id.gs1.org/8004/9506000S1",
                    "bizRules": "urn:epc:id:sgtin:9506000.013435.7",
                },
                "sensorReport": [{"type": "Temperature", "deviceID": "https://id.gs1.org/8004/9506000S2"}],
            }
        ],
    }
    assert OURS.event(after, URN) == event() | {
        "quantityList": [{"epcClass": "urn:epc:class:lgtin:9506000.013435.L%2F1", "quantity": 1}]
    }


@pytest.mark.parametrize("form", [EpcFormat.NEVER, EpcFormat.NO_PREFERENCE])
def test_an_event_nobody_asks_to_translate_is_the_one_that_was_sent(form: EpcFormat) -> None:
    whole = event()
    assert translate(whole, form) is whole
    assert whole == event()


@pytest.mark.parametrize("form", [LINK, URN])
def test_an_event_that_is_in_the_form_already_is_not_copied(form: EpcFormat) -> None:
    whole = OURS.event(translate(event(), LINK), form)
    assert OURS.event(whole, form) is whole


def test_a_name_without_a_urn_is_refused_with_its_pointer_and_the_event_stays() -> None:
    whole = {
        "epcList": ["urn:epc:id:giai:9506000.A", "https://id.gs1.org/8004/4012345A"],
        "readPoint": {"id": "https://id.gs1.org/414/2950600012348"},
    }
    before = copy.deepcopy(whole)
    with pytest.raises(Untranslatable) as caught:
        translate(whole, URN)
    assert (caught.value.rule, caught.value.pointer) == ("unknown-company-prefix", "/readPoint/id")
    assert [finding.pointer for finding in caught.value.findings] == ["/readPoint/id"]
    assert whole == before


@pytest.mark.parametrize(
    "link",
    [
        "https://id.gs1.org/01/09506000134352/10/L/21/S",
        "https://id.gs1.org/01/09506000134352/22/V",
        "https://id.gs1.org/01/09506000134352/22/V/21/S",
        "https://id.gs1.org/01/09506000134352/21/S?17=261231",
        "https://example.com/01/09506000134352#part",
        "https://id.gs1.org/414/9506000123455/7040/1ABC",
        "https://id.gs1.org/417/9506000123455/7040/1ABC",
        "https://id.gs1.org/415/9506000123455",
        "https://id.gs1.org/415/9506000123455/8020/R1",
        "https://id.gs1.org/8004/9506000A/7040/1ABC",
        "https://id.gs1.org/8013/1987654Ad4X4bL5ttr2310c2K",
        "https://id.gs1.org/8018/950600012345678907/8019/1",
    ],
)
def test_what_a_urn_cannot_say_is_refused_and_never_shortened(link: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        OURS.name(link, URN)
    assert caught.value.rule == "no-urn-form"
    assert OURS.name(link, EpcFormat.NO_PREFERENCE) == link


@pytest.mark.parametrize(
    "text",
    [
        "https://example.com/page",
        "https://example.com/01/notagtin",
        "https://id.gs1.org/01/09506000134353",
        "http://exa mple.com/01/09506000134352",
        "urn:epc:id:gid:1.2.3",
        "urn:epc:id:sgtin:12.3.4",
        "urn:epc:idpat:sgtin:9506000.*.*",
        "urn:example:lot:1",
        "bare",
    ],
)
@pytest.mark.parametrize("form", [LINK, URN])
def test_what_names_no_gs1_key_stays_byte_for_byte(text: str, form: EpcFormat) -> None:
    assert OURS.name(text, form) == text


def test_a_link_of_another_domain_is_a_link_and_its_urn_has_no_domain() -> None:
    link = "https://shop.example/p/gtin/9506000134352/ser/1"
    assert OURS.name(link, LINK) == link
    assert OURS.name(link, URN) == "urn:epc:id:sgtin:9506000.013435.1"


def test_a_urn_in_capitals_becomes_the_same_link() -> None:
    assert (
        translate_name("URN:EPC:ID:sgtin:9506000.013435.1", LINK)
        == "https://id.gs1.org/01/09506000134352/21/1"
    )


def component(characters: str, most: int) -> st.SearchStrategy[str]:
    return st.text(characters, min_size=1, max_size=most).map(lambda text: quote(text, safe="!'()*+,-.:;=_"))


def numbers(count: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=count, max_size=count)


@st.composite
def urns(draw: st.DrawFn) -> tuple[str, str]:
    """A URN of any scheme in its canonical spelling, and the company prefix in it."""
    size = draw(st.integers(6, 12))
    prefix = draw(numbers(size).filter(lambda text: not text.startswith("00000")))
    dots = {"sgtin": 13 - size, "lgtin": 13 - size, "upui": 13 - size, "itip": 13 - size, "sscc": 17 - size}
    name = draw(st.sampled_from([*dots, *_REST]))
    length, last = _REST.get(name, (0, None))
    reference = draw(
        numbers(dots.get(name) or length - size) if length or name in dots else component(*_ALPHA[name])
    )
    parts = [prefix, reference]
    if name == "itip":
        parts += ["01", "09"]
    if name in ("sgtin", "lgtin", "itip"):
        last = (SET_82, 20)
    if name == "upui":
        last = (SET_82, 28)
    patterned = name not in ("lgtin", "upui", "sgln") and last is not None and draw(st.booleans())
    if last is not None:
        parts.append("*" if patterned else draw(component(*last)))
    if name == "cpi" and not patterned:
        parts[-1] = parts[-1].lstrip("0") or "0"
    space = "class" if name == "lgtin" else "idpat" if patterned else "id"
    return f"urn:epc:{space}:{name}:{'.'.join(parts)}", prefix


_ALPHA = {"giai": (SET_82, 18), "ginc": (SET_82, 18), "cpi": (SET_39, 18)}
_REST: dict[str, tuple[int, tuple[str, int] | None]] = {
    "grai": (12, (SET_82, 16)),
    "gdti": (12, (SET_82, 17)),
    "sgcn": (12, ("0123456789", 12)),
    "sgln": (12, (SET_82, 20)),
    "pgln": (12, None),
    "gsrn": (17, None),
    "gsrnp": (17, None),
    "gsin": (16, None),
    "giai": (0, None),
    "ginc": (0, None),
    "cpi": (0, ("0123456789", 12)),
}


@given(pair=urns())
def test_urn_to_link_to_urn_is_the_identity_where_the_prefix_is_known(pair: tuple[str, str]) -> None:
    urn, prefix = pair
    known = Translator(CompanyPrefixes([prefix]))
    link = known.name(urn, LINK)
    assert link.startswith("https://id.gs1.org/")
    assert known.name(link, URN) == urn


@given(pair=urns())
def test_link_to_urn_to_link_is_the_identity_on_canonical_links(pair: tuple[str, str]) -> None:
    link = translate_name(pair[0], LINK)
    known = Translator(CompanyPrefixes([pair[1]]))
    assert translate_name(known.name(link, URN), LINK) == link


@given(number=numbers(12), serial=st.text(SET_82, min_size=1, max_size=20))
def test_the_packaged_table_answers_or_refuses_and_its_urn_is_of_the_same_thing(
    number: str, serial: str
) -> None:
    link = f"https://id.gs1.org/01/0{number}{check_digit('0' + number)}/21/{quote(serial, safe='')}"
    length = PACKAGED.length(number)
    if length is None:
        with pytest.raises(Untranslatable, match="company prefix"):
            translate_name(link, URN)
    else:
        urn = translate_name(link, URN)
        assert urn.startswith(f"urn:epc:id:sgtin:{number[:length]}.0")
        assert translate_name(urn, LINK) == link


def test_only_what_is_asked_for_is_among_the_names() -> None:
    found = dict(names_in(event()))
    assert len(found) == 18
    assert found["/sensorElementList/0/sensorReport/0/deviceID"] == "urn:epc:id:giai:9506000.S2"
    assert not any("ex:" in pointer or pointer == "/eventID" for pointer in found)


def test_an_event_as_sent_has_its_contexts_as_they_were_sent() -> None:
    committed = {
        "@context": [{"url": "https://a.example/c", "sha256": "00"}, {"ex": "https://ex.example/"}],
        "type": "ObjectEvent",
    }
    assert as_sent(committed) == (
        {"type": "ObjectEvent"},
        ["https://a.example/c", {"ex": "https://ex.example/"}],
    )


def worded(
    step: str, disposition: str, kind: str, transaction: str, reason: str, measured: str
) -> dict[str, Any]:
    return {
        "bizStep": step,
        "disposition": disposition,
        "persistentDisposition": {"set": [disposition], "unset": [disposition]},
        "sourceList": [{"type": kind, "source": "urn:a:b"}],
        "destinationList": [{"type": kind, "destination": "urn:a:b"}],
        "bizTransactionList": [
            {"type": transaction, "bizTransaction": "urn:a:b"},
            {"bizTransaction": "urn:a:c"},
        ],
        "errorDeclaration": {"declarationTime": "2026-01-01T00:00:00Z", "reason": reason},
        "sensorElementList": [{"sensorReport": [{"type": measured, "value": 1}]}],
        "ex:step": "shipping",
    }


BARE = worded("shipping", "in_transit", "location", "po", "incorrect_data", "Temperature")
WEB = worded(
    "https://ref.gs1.org/cbv/BizStep-shipping",
    "https://ref.gs1.org/cbv/Disp-in_transit",
    "https://ref.gs1.org/cbv/SDT-location",
    "https://ref.gs1.org/cbv/BTT-po",
    "https://ref.gs1.org/cbv/ER-incorrect_data",
    "https://gs1.org/voc/Temperature",
)
URNS = worded(
    "urn:epcglobal:cbv:bizstep:shipping",
    "urn:epcglobal:cbv:disp:in_transit",
    "urn:epcglobal:cbv:sdt:location",
    "urn:epcglobal:cbv:btt:po",
    "urn:epcglobal:cbv:er:incorrect_data",
    "https://gs1.org/voc/Temperature",
)


@pytest.mark.parametrize("sent", [BARE, WEB, URNS], ids=["bare", "web", "urn"])
def test_words_are_written_in_the_form_that_is_asked_for(sent: dict[str, Any]) -> None:
    assert translate_words(sent, CbvFormat.WEB_URI) == WEB
    assert translate_words(sent, CbvFormat.URN) == URNS


@pytest.mark.parametrize("form", [CbvFormat.NEVER, CbvFormat.NO_PREFERENCE])
def test_words_nobody_asks_to_translate_are_bare_no_more_and_otherwise_as_sent(form: CbvFormat) -> None:
    assert translate_words(BARE, form) == URNS
    assert translate_words(WEB, form) is WEB
    assert translate_words(URNS, form) is URNS


@pytest.mark.parametrize("form", CbvFormat)
def test_a_word_of_ones_own_stays(form: CbvFormat) -> None:
    own = {"bizStep": "https://steps.example/glazing", "disposition": "urn:example:disp:glazed"}
    assert translate_words(own, form) is own


def test_prefixes_that_the_node_knows_go_before_the_table() -> None:
    link = "https://id.gs1.org/01/09506000134352/21/1"
    assert translate_name(link, URN) == "urn:epc:id:sgtin:95060001343.05.1"
    own = translator_for(frozenset([PREFIX, "9506"]))
    assert own.name(link, URN) == "urn:epc:id:sgtin:9506000.013435.1"
    assert translator_for(frozenset(["9506", PREFIX])) is own
    assert own.name("https://id.gs1.org/01/04012345123456", URN) == "urn:epc:idpat:sgtin:4012345.012345.*"


def events_of(folder: Path) -> Iterator[dict[str, Any]]:
    """The events of every JSON document below a folder that has any."""
    for path in sorted([*folder.rglob("*.json"), *folder.rglob("*.jsonld")]):
        try:
            document = json.loads(path.read_bytes())
        except ValueError:
            continue
        body = document.get("epcisBody") if isinstance(document, dict) else None
        if isinstance(body, dict):
            body = body.get("queryResults", {}).get("resultsBody", body)
            events = body.get("eventList", body.get("event", []))
            yield from (
                event
                for event in (events if isinstance(events, list) else [events])
                if isinstance(event, dict)
            )


@pytest.mark.parametrize("folder", ["gs1", "openepcis", "fsma204", "seafood", "event-hash"])
def test_a_translated_name_of_a_real_document_names_the_same_thing(shared_data: Path, folder: str) -> None:
    translated = refused = 0
    for event in events_of(shared_data / "epcis" / folder):
        before = copy.deepcopy(event)
        links = translate(event, LINK)
        assert event == before
        assert translate(links, LINK) is links
        for (pointer, sent), (_, link) in zip(names_in(event), names_in(links), strict=True):
            assert read_name(link, Position.EPC) == read_name(sent, Position.EPC), pointer
            translated += link != sent
            try:
                urn = translate_name(link, URN)
            except Untranslatable:
                refused += 1
            else:
                assert read_name(urn, Position.EPC)[0].iri == read_name(sent, Position.EPC)[0].iri, pointer
    assert translated or folder in ("fsma204", "seafood")
    print(f"{folder}: {translated} names became links, {refused} have no URN")


ALLOCATED = frozenset(["0012345", "0037000", "0614141", "4000001", "4012345", "4023333"])
"""Company prefixes of the standard's examples that the published list has; the others are for demonstrations."""


def test_the_packaged_table_gives_back_published_urns_of_allocated_prefixes(shared_data: Path) -> None:
    sent = {text for event in events_of(shared_data / "epcis" / "gs1") for _, text in names_in(event)}
    urns = {text for text in sent if text.startswith("urn:epc:") and text.split(":")[4][:7] in ALLOCATED}
    assert {urn.split(":")[4][:7] for urn in urns} == ALLOCATED
    assert {urn: translate_name(translate_name(urn, LINK), URN) for urn in urns} == {urn: urn for urn in urns}


@given(
    head=st.sampled_from(
        ["", "urn:epc:id:", "urn:epc:idpat:sgtin:", "https://id.gs1.org/", "http://x/01/", "HTTPS://"]
    ),
    rest=st.text(SET_82 + "#[]é*\ud800", max_size=40),
    form=st.sampled_from(EpcFormat),
)
def test_any_text_is_given_or_refused_and_names_what_it_named(head: str, rest: str, form: EpcFormat) -> None:
    text = head + rest
    try:
        given_as = OURS.name(text, form)
    except Untranslatable:
        assert form is URN
        return
    assert (
        given_as == text or read_name(given_as, Position.EPC)[0].iri == read_name(text, Position.EPC)[0].iri
    )
    assert OURS.name(given_as, form) == given_as
