"""What stays of a record once units of it were erased: it opens the same commitment, and never what is gone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.commitment import is_group, record_commitment
from ledger.disclosure import disclose, erase_units, narrow, open_disclosure, remains_of
from ledger.errors import Erased, InvalidInput

from .strategies import records, salts
from .test_disclosure import COMMITMENT, RECORD, SALT, pointers_of


def text(value: Any) -> str:
    return json.dumps(value)


def test_what_stays_opens_the_same_commitment_without_the_record_salt() -> None:
    left = remains_of(RECORD, SALT, ["/epcList/2", "/readPoint"])
    opened = open_disclosure(left)
    assert opened.commitment == COMMITMENT
    assert set(opened.hidden) == {"/epcList/2", "/readPoint"}
    assert SALT.hex() not in text(left)
    assert "urn:c" not in text(left)
    assert "urn:place" not in text(left)


def test_the_salt_of_an_erased_unit_is_gone_and_those_of_the_others_are_as_they_were() -> None:
    whole = disclose(RECORD, SALT, [""])
    salt = {key: node["salt"] for key, node in dict(whole["open"])["epcList"]["open"]}
    left = text(remains_of(RECORD, SALT, ["/epcList/2"]))
    assert salt[2] not in left
    assert all(salt[key] in left for key in (0, 1, 3, 4))


def test_what_stays_discloses_as_the_whole_record_did() -> None:
    left = remains_of(RECORD, SALT, ["/epcList/2"])
    for pointers in ([], ["/epcList/0", "/ilmd"], ["/eventID", "/quantityList/0/quantity"]):
        assert narrow(left, pointers) == disclose(RECORD, SALT, pointers)


def test_what_was_erased_cannot_be_opened_nor_the_whole() -> None:
    left = remains_of(RECORD, SALT, ["/epcList/2", "/ilmd"])
    for pointer in ("/epcList/2", "/ilmd", "/ilmd/ex:c", ""):
        with pytest.raises(Erased):
            narrow(left, [pointer])
    opened = open_disclosure(narrow(left, ["/epcList"]))
    assert opened.record["epcList"] == ["urn:a", "urn:b", "urn:d", "urn:e"]


def test_erasing_again_goes_on_from_what_stays_and_never_gives_anything_back() -> None:
    left = erase_units(remains_of(RECORD, SALT, ["/epcList/2"]), ["/epcList/2", "/epcList/3"])
    assert left == remains_of(RECORD, SALT, ["/epcList/2", "/epcList/3"])
    every = erase_units(left, [f"/epcList/{number}" for number in range(5)])
    assert open_disclosure(every).commitment == COMMITMENT
    assert "epcList" not in open_disclosure(every).record


def test_an_event_id_made_from_content_goes_with_the_first_unit() -> None:
    record = RECORD | {"eventID": "ni:///sha-256;aa?ver=CBV2.0"}
    left = remains_of(record, SALT, ["/readPoint"])
    assert "ni:///" not in text(left)
    assert open_disclosure(left).commitment == record_commitment(record, SALT)


@pytest.mark.parametrize(
    ("pointer", "rule"),
    [
        ("/type", "always-open"),
        ("/@context", "always-open"),
        ("/@context/0/url", "always-open"),
        ("", "always-open"),
        ("/nothing", "no-such-pointer"),
        ("/epcList/5", "no-such-pointer"),
        ("/epcList/-", "no-such-pointer"),
        ("/epcList/02", "no-such-pointer"),
        ("/readPoint/id/deeper", "no-such-pointer"),
        ("readPoint", "no-such-pointer"),
    ],
)
def test_a_pointer_to_nothing_or_to_what_is_always_open_is_refused(pointer: str, rule: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        remains_of(RECORD, SALT, ["/readPoint", pointer])
    assert caught.value.rule == rule


@given(records(), salts, st.data())
def test_any_erasure_opens_the_commitment_and_discloses_as_before(
    record: dict[str, Any], salt: bytes, data: st.DataObject
) -> None:
    record = record | {"@context": [], "type": "T"}
    record.pop("eventID", None)
    units = [one for one in pointers_of(record) if one.split("/")[1] not in ("@context", "type")]
    gone = data.draw(st.lists(st.sampled_from(units), unique=True) if units else st.just([]))
    left = remains_of(record, salt, gone)
    opened = open_disclosure(left)
    assert opened.commitment == record_commitment(record, salt)
    hidden = set(opened.hidden)
    kept = [one for one in units if not any(one == it or one.startswith(f"{it}/") for it in hidden)]
    kept = [one for one in kept if not any(it.startswith(f"{one}/") for it in hidden)]
    asked = data.draw(st.lists(st.sampled_from(kept), unique=True) if kept else st.just([]))
    assert narrow(left, asked) == disclose(record, salt, asked)
    assert len(open_disclosure(left).record) >= 2
    assert not any(name not in left["members"] for name in record)
    inner = [one.split("/")[1].replace("~1", "/").replace("~0", "~") for one in hidden if one.count("/") == 2]
    assert all(is_group(record[name]) for name in inner)
