"""What a context may say, what it means, and every refusal with its pointer."""

from __future__ import annotations

from typing import Any

import pytest

from fabric.epcis import PACKAGED, Reading, read_document, resolve_name
from fabric.epcis.contexts import effective_context
from ledger.errors import InvalidInput

from .documents import GS1, GS1_DIGEST, document, event, raw

UNKNOWN = "https://contexts.example/unknown.jsonld"


@pytest.mark.parametrize(
    ("entry", "pointer", "rule"),
    [
        ({"@vocab": "https://x.example/"}, "/@vocab", "context-keyword"),
        ({"@base": "https://x.example/"}, "/@base", "context-keyword"),
        ({"@import": "https://x.example/"}, "/@import", "context-keyword"),
        ({"@propagate": False}, "/@propagate", "context-keyword"),
        ({"@version": 1.1}, "/@version", "context-keyword"),
        ({"kind": "@type"}, "/kind", "context-keyword"),
        ({"ex:kind": "@type"}, "/ex:kind", "context-keyword"),
        ({"ex:kind": {"@id": "@type"}}, "/ex:kind", "context-keyword"),
        ({"name": {"@id": "https://x.example/name"}}, "/name", "context-term"),
        ({"bizStep": "https://x.example/step"}, "/bizStep", "context-term"),
        ({"ex:set": {"@container": "@set"}}, "/ex:set", "context-term"),
        ({"ex:set": {"@id": "ex:set", "@context": {}}}, "/ex:set", "context-term"),
        ({"ex:set": {"@type": "integer"}}, "/ex:set", "context-term"),
        ({"ex:set": {"@type": 1}}, "/ex:set", "context-term"),
        ({"ex:set": "relative"}, "/ex:set", "context-term"),
        ({"ex": "relative/"}, "/ex", "context-prefix"),
        ({"ex": "gs1:mine/"}, "/ex", "context-prefix"),
        ({"ex": None}, "/ex", "context-term"),
        ({"": "https://x.example/"}, "/", "context-prefix"),
        ({"urn": "https://x.example/"}, "/urn", "context-prefix"),
        ({"url": "https://x.example/", "sha256": "urn:x:y"}, "/url", "context-prefix"),
        ("relative.jsonld", "", "context-url"),
        (None, "", "context-entry"),
        (7, "", "context-entry"),
        ([], "", "context-entry"),
        ({"a/b~": 1}, "/a~1b~0", "context-term"),
    ],
)
def test_a_context_that_could_change_the_reading_is_refused(entry: Any, pointer: str, rule: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_document(raw(document(event(ilmd=None), **{"@context": [GS1, entry]})), "application/json")
    assert (f"/@context/1{pointer}", rule) in [(found.pointer, found.rule) for found in caught.value.findings]


def test_an_events_own_context_is_held_to_the_same_rules() -> None:
    sent = event() | {"@context": {"@vocab": "https://x.example/"}}
    with pytest.raises(InvalidInput) as caught:
        read_document(raw(document(event(), sent)), "application/json")
    (found,) = caught.value.findings
    assert (found.record, found.pointer) == (2, "/epcisBody/eventList/1/@context/@vocab")


def test_an_events_own_prefix_holds_for_that_event_alone() -> None:
    own = event() | {"@context": {"own": "https://own.example/"}, "own:note": 1}
    with pytest.raises(InvalidInput) as caught:
        read_document(raw(document(own, event() | {"own:note": 1})), "application/json")
    (found,) = caught.value.findings
    assert (found.record, found.pointer, found.rule) == (
        2,
        "/epcisBody/eventList/1/own:note",
        "undeclared-prefix",
    )


def test_a_protected_prefix_keeps_its_meaning_with_a_warning() -> None:
    redefined = {"cbvmda": "http://example.com/cbvmda/"}
    read = read_document(
        raw(document(event(ilmd={"cbvmda:lotNumber": "1"}), **{"@context": [GS1, redefined]})),
        "application/json",
    )
    assert [(found.pointer, found.rule) for found in read.warnings] == [
        ("/@context/1/cbvmda", "protected-prefix")
    ]
    committed = read.events[0].committed["@context"]
    assert committed[1] == redefined
    assert resolve_name(committed, "cbvmda:lotNumber") == "urn:epcglobal:cbv:mda:lotNumber"


def test_repeating_a_protected_prefix_as_it_is_needs_no_word() -> None:
    read = read_document(
        raw(document(event(ilmd=None), **{"@context": [GS1, {"gs1": "https://gs1.org/voc/"}]})),
        "application/json",
    )
    assert read.warnings == ()


def test_an_unknown_context_leaves_its_names_unresolved_until_it_is_added() -> None:
    data = raw(document(event(ilmd={"own:a": 1}), **{"@context": [GS1, UNKNOWN]}))
    before = read_document(data, "application/json")
    context = before.events[0].committed["@context"]
    assert before.unresolved == (UNKNOWN,)
    assert resolve_name(context, "own:a") is None
    table = PACKAGED.with_added(
        UNKNOWN, "11" * 32, b'{"@context": {"own": "https://own.example/", "own:a": {"@type": "@id"}}}'
    )
    after = read_document(data, "application/json", Reading(contexts=table))
    assert after.unresolved == ()
    assert resolve_name(context, "own:a", table) == "https://own.example/a"
    assert effective_context(context, table).types == {"https://own.example/a": "@id"}


def test_an_added_context_that_is_none_is_refused_and_changes_nothing() -> None:
    for bytes_given in (b"[]", b"{}", b"not json"):
        with pytest.raises(InvalidInput):
            PACKAGED.with_added(UNKNOWN, "11" * 32, bytes_given)
    assert PACKAGED.digest(UNKNOWN) is None


def test_names_resolve_by_prefix_or_stand_for_themselves() -> None:
    context = [{"url": GS1, "sha256": GS1_DIGEST}, {"ex": "https://ns.example.com/"}]
    assert resolve_name(context, "ex:a") == "https://ns.example.com/a"
    assert resolve_name(context, "gs1:a") == "https://gs1.org/voc/a"
    assert resolve_name(context, "https://x.example/a") == "https://x.example/a"
    assert resolve_name(context, "urn:x:a") == "urn:x:a"
    with pytest.raises(InvalidInput) as caught:
        resolve_name(context, "no:a")
    assert caught.value.rule == "undeclared-prefix"


def test_a_later_entry_rebinds_a_prefix() -> None:
    context = [{"ex": "https://one.example/"}, {"ex": "https://two.example/"}]
    assert resolve_name(context, "ex:a") == "https://two.example/a"


def test_prefixed_terms_may_be_typed() -> None:
    rail = {"rail": "urn:gs1:epcisapp:rail:", "rail:axles": {"@type": "xsd:integer"}}
    read = read_document(
        raw(document(event(ilmd=None) | {"rail:axles": 8}, **{"@context": [GS1, rail]})), "application/json"
    )
    types = effective_context(read.events[0].committed["@context"]).types
    assert types == {"urn:gs1:epcisapp:rail:axles": "http://www.w3.org/2001/XMLSchema#integer"}


def test_unprefixed_names_inside_an_extension_are_legal_and_stay() -> None:
    sent = event(ilmd={"ex:a": {"plain": [{"deeper": 1}]}})
    read = read_document(raw(document(sent)), "application/json")
    assert read.events[0].committed["ilmd"] == sent["ilmd"]


def test_every_packaged_address_has_a_digest() -> None:
    assert PACKAGED.known
    assert all(len(entry.sha256 or "") == 64 for entry in PACKAGED.known.values())
