"""Ten mistakes that an implementation of the event hash ID can make, each with the property that excludes it.

Three belong to the rules of the hash itself, and any implementation has them (two events that were made to share a
hash, a correction and its original, links of two domains): there the property is that nothing here rests on the hash
alone.
"""

from __future__ import annotations

import subprocess
import sys
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from fabric.capture.duplicates import judge
from fabric.epcis import read_document
from fabric.epcis.event_hash import event_pre_image, hash_document, index_key, names_of, record_hash
from fabric.epcis.event_hash_values import number_text, time_text
from fabric.epcis.identity import body_digest
from fabric.epcis.words import words_of
from fabric.store.records import NewRecord
from fabric.store.schema import EVENT as EVENT_KIND
from ledger.canonical import canonical
from ledger.commitment import record_commitment
from ledger.disclosure import disclose, open_disclosure

from .documents import EVENTS, GS1

NS = "https://example.org/ns/"
CONTEXT: list[Any] = [GS1, {"ex": NS}]
PLAIN = {name: value for name, value in EVENTS["ObjectEvent"].items() if name != "ilmd"}
CODES = st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True)
NUMBER_LIKE = st.one_of(
    st.from_regex(r"[+-]?0{0,2}[0-9]{1,22}(\.[0-9]{1,4})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.sampled_from(["inf", "-inf", "nan", "infinity", "1e400", "007", "7", "7.0", "1e3", "1000", "1_000"]),
)


def committed(**changes: Any) -> dict[str, Any]:
    document = {"@context": CONTEXT, **PLAIN, **changes}
    return read_document(canonical(document), "application/json").events[0].committed


def hash_id(**changes: Any) -> str | None:
    (one,) = hash_document({"@context": CONTEXT, **PLAIN, **changes})
    return one.hash_id


def stored(record: dict[str, Any]) -> NewRecord:
    declares = int("errorDeclaration" in record)
    return NewRecord(EVENT_KIND, None, declares, bytes(32), body_digest(record), bytes(32), canonical(record))


@given(first=CODES, second=CODES)
def test_1_events_forged_to_share_a_hash_are_not_taken_for_one(first: str, second: str) -> None:
    honest = committed(**{"ex:a": first, "ex:b": second})
    forged = committed(**{"ex:a": f"{first}{{{NS}}}b={second}"})
    assert record_hash(honest) == record_hash(forged)
    assert index_key(honest) != index_key(forged)
    assert record_commitment(honest, bytes(32)) != record_commitment(forged, bytes(32))
    assert judge([stored(honest), stored(forged)], [(0, "/0"), (1, "/1")], {}, {}).duplicates == {}


@given(reason=st.sampled_from(["did_not_occur", "incorrect_data"]), seconds=st.integers(0, 59))
def test_2_a_correction_shares_the_hash_and_stays_a_record_of_its_own(reason: str, seconds: int) -> None:
    original = committed()
    declaration = {"declarationTime": f"2026-05-05T00:00:{seconds:02}Z", "reason": reason}
    correction = committed(errorDeclaration=declaration)
    assert record_hash(original) == record_hash(correction)
    assert index_key(original) != index_key(correction)
    assert judge([stored(original), stored(correction)], [(0, "/0"), (1, "/1")], {}, {}).duplicates == {}


@given(here=NUMBER_LIKE, there=NUMBER_LIKE)
def test_3_text_that_looks_like_a_number_stays_text(here: str, there: str) -> None:
    assume(here != there)
    for name in ("ex:code", "transformationID", "action"):
        assert hash_id(**{name: here}) != hash_id(**{name: there})
    assert hash_id(ilmd={"ex:code": here}) != hash_id(ilmd={"ex:code": there})


@given(here=st.decimals(allow_nan=False, allow_infinity=False, places=9), zeros=st.integers(0, 12))
def test_3_numbers_are_written_exactly_and_without_exponent(here: Decimal, zeros: int) -> None:
    text = number_text(str(here))
    assert Decimal(text) == here
    assert "e" not in text.lower()
    assert not ("." in text and text.endswith("0"))
    assert number_text(f"{here:f}{'0' * zeros}") == text


@given(
    here=st.floats(allow_nan=False, allow_infinity=False),
    there=st.floats(allow_nan=False, allow_infinity=False),
)
def test_3_different_numbers_have_different_texts(here: float, there: float) -> None:
    assert (number_text(here) == number_text(there)) == (here == there)
    assert "e" not in number_text(here)


def test_3_integers_beyond_a_double_are_kept_but_for_the_one_published_string_value() -> None:
    assert number_text(9_007_199_254_740_993) == "9007199254740993"
    digits = "111100001111000011110000"
    one = {"type": "Dimensionless", "stringValue": digits, "ex:code": digits}
    (found,) = hash_document({"@context": CONTEXT, **PLAIN, "sensorElementList": [{"sensorReport": [one]}]})
    assert found.pre_image is not None
    assert "stringValue=111100001111000003641344{" in found.pre_image
    assert f"code={digits}" in found.pre_image
    for kept in ("007", "1e3", "1.50", "9007199254740992", "-12", "inf"):
        one["stringValue"] = kept
        (found,) = hash_document(
            {"@context": CONTEXT, **PLAIN, "sensorElementList": [{"sensorReport": [one]}]}
        )
        assert f"stringValue={kept}{{" in (found.pre_image or "")


DIGITS = st.text("0123456789", min_size=1, max_size=9)


@given(
    values=st.lists(NUMBER_LIKE, min_size=1, max_size=5), fractions=st.lists(DIGITS, min_size=1, max_size=5)
)
def test_4_no_event_is_ever_left_out(values: list[str], fractions: list[str]) -> None:
    events = [{**PLAIN, "ex:code": value} for value in values]
    events += [
        {**PLAIN, "eventTime": f"2026-12-31T23:59:59.{digits}Z"} for digits in ["9995", "99999", *fractions]
    ]
    document = {"@context": CONTEXT, "type": "EPCISDocument", "epcisBody": {"eventList": events}}
    found = hash_document(document)
    assert [one.position for one in found] == list(range(len(events)))
    assert all(one.hash_id for one in found)
    assert "eventTime=2027-01-01T00:00:00.000Z" in (found[len(values)].pre_image or "")


@given(place=st.integers(0, 3), bad=st.sampled_from([7, None, {"type": "ObjectEvent", "eventTime": "soon"}]))
def test_4_an_event_without_a_hash_keeps_its_place_and_says_why(place: int, bad: Any) -> None:
    events: list[Any] = [dict(PLAIN) for _ in range(3)]
    events.insert(place, bad)
    document = {"@context": CONTEXT, "type": "EPCISDocument", "epcisBody": {"eventList": events}}
    found = hash_document(document)
    assert [one.hash_id is None for one in found] == [index == place for index in range(4)]
    refused = found[place].problem
    assert refused is not None
    assert refused.findings[0].pointer.startswith(f"/epcisBody/eventList/{place}")


@given(seconds=st.decimals("0", "59.999999999", places=9))
def test_5_milliseconds_are_rounded_half_up(seconds: Decimal) -> None:
    whole = seconds.quantize(Decimal("0.001"), ROUND_HALF_UP)
    expected = f"00:{whole:06.3f}" if whole < 60 else "01:00.000"
    assert time_text(f"2026-01-31T10:00:{seconds:012.9f}Z") == f"2026-01-31T10:{expected}Z"


def test_5_a_half_goes_up_and_not_to_the_even_neighbour() -> None:
    assert time_text("2026-01-31T10:00:00.0125Z") == "2026-01-31T10:00:00.013Z"
    assert time_text("2026-01-31T10:00:00.0135Z") == "2026-01-31T10:00:00.014Z"


WORDS = sorted({word for field in ("bizStep", "disposition", "measurementType") for word in words_of(field)})


@given(word=st.sampled_from(WORDS))
def test_6_a_word_means_something_only_in_its_own_field(word: str) -> None:
    used = {"bizStep": word, "disposition": word, "sensorElementList": [{"sensorReport": [{"type": word}]}]}
    (one,) = hash_document({"@context": CONTEXT, **PLAIN, **used, "ex:say": word})
    assert one.pre_image is not None
    assert one.pre_image.endswith(f"{{{NS}}}say={word}")
    assert hash_id(**{"ex:say": word}) != hash_id(**{"ex:say": f"https://ref.gs1.org/cbv/BizStep-{word}"})


def test_7_the_unversioned_context_is_known_without_a_network() -> None:
    unversioned = "https://ref.gs1.org/standards/epcis/epcis-context.jsonld"
    (one,) = hash_document({"@context": [unversioned, {"ex": NS}], **PLAIN, "ex:a": "1"})
    assert one.hash_id == hash_id(**{"ex:a": "1"})


@given(namespaces=st.lists(st.sampled_from(["https://a.example/", "https://b.example/", None]), max_size=6))
def test_7_no_document_lends_its_namespaces_to_another(namespaces: list[str | None]) -> None:
    for namespace in namespaces:
        context = [GS1, {"ex": namespace}] if namespace else [GS1]
        (one,) = hash_document({"@context": context, **PLAIN, "ex:a": "1"})
        if namespace:
            assert (one.pre_image or "").endswith(f"{{{namespace}}}a=1")
        else:
            assert one.problem is not None
            assert one.problem.rule == "undeclared-prefix"


def test_7_a_context_that_is_not_known_is_said_where_it_matters_and_only_there() -> None:
    context = [GS1, "https://unknown.example/context.jsonld"]
    (plain,) = hash_document({"@context": context, **PLAIN})
    assert plain.hash_id == hash_id()
    (one,) = hash_document({"@context": context, **PLAIN, "theirs:a": "1"})
    assert one.problem is not None
    assert one.problem.rule == "context-not-resolved"


@given(domain=st.from_regex(r"[a-z]{1,8}\.example", fullmatch=True), lot=CODES, serial=CODES)
def test_8_links_of_two_domains_share_a_hash_and_stay_two_records(domain: str, lot: str, serial: str) -> None:
    ours = committed(epcList=[f"https://id.gs1.org/01/09506000134352/10/{lot}/21/{serial}"])
    theirs = committed(epcList=[f"https://{domain}/p/01/09506000134352/21/{serial}"])
    assert record_hash(ours) == record_hash(theirs)
    assert index_key(ours) != index_key(theirs)
    assert judge([stored(ours), stored(theirs)], [(0, "/0"), (1, "/1")], {}, {}).duplicates == {}


def test_9_hashing_needs_nothing_but_the_standard_library_and_the_base_install() -> None:
    program = (
        "import sys; before = set(sys.modules); import fabric.epcis.event_hash\n"
        "ours = {'fabric', 'ledger', 'ontology'}\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before} - ours - set(sys.stdlib_module_names)\n"
        "print(sorted(name for name in new if not name.startswith('_')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(done.stdout.strip("[]\n").replace("'", "").split(", "))
    assert loaded.isdisjoint({"flask", "pyld", "lxml", "dateutil", "frozendict", "requests", "rdflib"})
    assert loaded <= {"", "cryptography", "nacl", "orjson", "rfc8785"}, loaded


@given(
    hidden=st.sampled_from(["bizStep", "disposition", "epcList", "readPoint"]),
    salt=st.binary(min_size=32, max_size=32),
)
def test_10_a_part_of_an_event_has_another_hash_and_the_same_commitment(hidden: str, salt: bytes) -> None:
    record = committed()
    shown = [f"/{name}" for name in record if name not in ("@context", "type", hidden)]
    opened = open_disclosure(disclose(record, salt, shown))
    assert opened.commitment == record_commitment(record, salt)
    part = {name: value for name, value in record.items() if name != hidden}
    assert event_pre_image(part, names_of(CONTEXT)) != event_pre_image(record, names_of(CONTEXT))
