"""What headers ask for: Accept with its qualities, versions, formats and prefixes; nonsense is named, never guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.epcis.negotiation import (
    JSON,
    JSON_LD,
    MAX_EXTENSIONS,
    MAX_EXTENSIONS_LENGTH,
    OFFERED,
    TEXT_XML,
    XML,
    BadHeader,
    Negotiated,
    check_sent_versions,
    media_type_for,
    negotiate,
    read_extensions,
)
from api.problems import NotAcceptable
from fabric.epcis.representation import CbvFormat, EpcFormat


def test_without_headers_the_answer_is_json_with_digital_links() -> None:
    assert negotiate({}) == Negotiated(JSON, EpcFormat.DIGITAL_LINK, CbvFormat.NO_PREFERENCE, {})


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("text/*", TEXT_XML),
        ("application/xml", XML),
        ("Application/XML", XML),
        ("application/ld+json", JSON_LD),
        ('application/ld+json; profile="x"', JSON_LD),
        ("application/json;q=0.5, application/xml;q=0.9", XML),
        ("application/json;q=0.5, application/xml;q=0.5", JSON),
        ("application/xml, */*;q=0.1", XML),
        ("*/*, application/json;q=0, application/ld+json;q=0", XML),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", XML),
        ("application/json; Q=0.001, text/html", JSON),
        ("application/problem+json, application/json", JSON),
        (" , application/xml , ", XML),
    ],
)
def test_accept_chooses_by_quality_then_by_the_order_offered(accept: str, chosen: str) -> None:
    assert media_type_for(accept, OFFERED) == chosen


@pytest.mark.parametrize(
    "accept", ["text/html", "application/json;q=0", "*/*;q=0", "image/*", "application/problem+json"]
)
def test_accept_that_excludes_every_form_cannot_be_met(accept: str) -> None:
    with pytest.raises(NotAcceptable) as caught:
        media_type_for(accept, OFFERED)
    (finding,) = caught.value.findings
    assert (finding.pointer, finding.rule, finding.got) == ("/header/Accept", "not-acceptable", accept)


@pytest.mark.parametrize(
    "accept",
    ["json", "application/json;q=2", "application/json;q=", "a/b;q=-1", "a/b/c", "*/json x", "a/b;q=0.1234"],
)
def test_accept_that_is_nonsense_is_named(accept: str) -> None:
    with pytest.raises(BadHeader) as caught:
        media_type_for(accept, OFFERED)
    assert caught.value.findings[0].pointer == "/header/Accept"


@given(st.text(max_size=60))
def test_any_accept_chooses_something_offered_or_is_refused(accept: str) -> None:
    try:
        chosen = media_type_for(accept, OFFERED)
    except (BadHeader, NotAcceptable):
        return
    assert chosen in OFFERED


@pytest.mark.parametrize("kind", ["EPCIS", "CBV"])
@pytest.mark.parametrize(
    ("low", "high"),
    [("1.2", "2.0"), ("2.0.0", "2.0.0"), ("0", "99"), ("2", "2"), ("2.0.1", None), (None, "2.0.7")],
)
def test_bounds_around_version_two_are_met(kind: str, low: str | None, high: str | None) -> None:
    bounds = {f"gs1-{kind.lower()}-min": low, f"gs1-{kind.lower()}-max": high}
    assert negotiate({name: value for name, value in bounds.items() if value}) == Negotiated()


@pytest.mark.parametrize("kind", ["EPCIS", "CBV"])
@pytest.mark.parametrize(
    ("end", "version"), [("Min", "2.1"), ("Min", "3"), ("Max", "1.2.0"), ("Max", "1.99999")]
)
def test_bounds_that_exclude_version_two_cannot_be_met(kind: str, end: str, version: str) -> None:
    name = f"GS1-{kind}-{end}"
    with pytest.raises(NotAcceptable) as caught:
        negotiate({name.lower(): version})
    assert (caught.value.findings[0].pointer, caught.value.findings[0].got) == (f"/header/{name}", version)


@pytest.mark.parametrize("version", ["", "two", "2.", ".2", "-1", "2.0.0 beta", "٢", "1" * 5000, "2.0,2.0"])
def test_a_version_that_is_none_is_named(version: str) -> None:
    for name in ("GS1-EPCIS-Min", "GS1-EPCIS-Max", "GS1-CBV-Min", "GS1-CBV-Max"):
        with pytest.raises(BadHeader) as caught:
            negotiate({name.lower(): version})
        assert caught.value.findings[0].pointer == f"/header/{name}"


def test_a_body_may_say_any_version_that_is_captured() -> None:
    for version in ("1.0", "1.1", "1.2", "1.2.0", "2.0", "2.0.1"):
        check_sent_versions({"gs1-epcis-version": version, "gs1-cbv-version": version})
    for name in ("GS1-EPCIS-Version", "GS1-CBV-Version"):
        for version in ("0.9", "2.1", "3"):
            with pytest.raises(NotAcceptable) as caught:
                check_sent_versions({name.lower(): version})
            assert caught.value.findings[0].pointer == f"/header/{name}"


@pytest.mark.parametrize("name", ["GS1-EPC-Format", "GS1-CBV-XML-Format"])
@pytest.mark.parametrize("value", ["", "always_epc_urn", "URN", "Always_EPC_URN, No_Preference"])
def test_a_format_that_the_standard_does_not_have_is_named(name: str, value: str) -> None:
    with pytest.raises(BadHeader) as caught:
        negotiate({name.lower(): value})
    assert caught.value.findings[0].pointer == f"/header/{name}"


def test_every_format_of_the_standard_is_taken() -> None:
    for epc in ("No_Preference", "Always_GS1_Digital_Link", "Always_EPC_URN", "Never_Translates"):
        assert negotiate({"gs1-epc-format": epc}).headers()["GS1-EPC-Format"] == epc
    for cbv in ("No_Preference", "Always_Web_URI", "Always_URN", "Never_Translates"):
        asked = negotiate({"gs1-cbv-xml-format": cbv, "accept": "application/xml"})
        assert asked.headers()["GS1-CBV-XML-Format"] == cbv
    # It says something of XML alone, so an answer in JSON does not speak of it.
    assert "GS1-CBV-XML-Format" not in negotiate({"gs1-cbv-xml-format": "Always_URN"}).headers()


def test_extensions_bind_prefixes() -> None:
    told = "ex=https://example.com/ns/, ex2=urn:example:two , ex=https://example.com/ns/,"
    assert read_extensions(told) == {"ex": "https://example.com/ns/", "ex2": "urn:example:two"}
    assert read_extensions("") == {}


@pytest.mark.parametrize(
    "text",
    [
        "ex",
        "ex=",
        "=https://example.com/",
        "1ex=https://example.com/",
        "ex=relative",
        "ex=https://example.com/ two",
        "ex=https://a.example/,ex=https://b.example/",
        "ex=https://example.com/\r\nX: y",
        "ex=https://example.com/\x01",
        "ex=https://example.com/\xe9",
        'ex=https://example.com/"',
        f"ex=https://example.com/{'a' * MAX_EXTENSIONS_LENGTH}",
        ",".join(f"p{number}=urn:x:{number}" for number in range(MAX_EXTENSIONS + 1)),
    ],
)
def test_extensions_that_bind_nothing_or_twice_are_named(text: str) -> None:
    with pytest.raises(BadHeader) as caught:
        read_extensions(text)
    assert caught.value.findings[0].pointer == "/header/GS1-Extensions"


@given(st.text(max_size=80))
def test_whatever_extensions_are_taken_can_be_said_again(text: str) -> None:
    try:
        found = read_extensions(text)
    except BadHeader:
        return
    assert read_extensions(", ".join(f"{prefix}={name}" for prefix, name in found.items())) == found
