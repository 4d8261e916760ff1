from __future__ import annotations

import copy
import json
from hashlib import sha256
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from ledger import merkle
from ledger.commitment import record_commitment
from ledger.disclosure import covering_pointer, disclose, open_disclosure
from ledger.errors import InvalidInput, LoomarkError

from .strategies import records, salts, values

SALT = bytes(range(32))
RECORD: dict[str, Any] = {
    "@context": [{"url": "https://example.org/a", "sha256": None}, {"ex": "https://example.org/ex/"}],
    "type": "ObjectEvent",
    "eventID": "urn:uuid:1",
    "epcList": ["urn:a", "urn:b", "urn:c", "urn:d", "urn:e"],
    "quantityList": [{"epcClass": "urn:k", "quantity": 5}],
    "bizTransactionList": [],
    "readPoint": {"id": "urn:place"},
    "ilmd": {"ex:a/b": "1", "ex:~": {"deep": [1, 2, {"x": 3}]}, "ex:c": None},
}
COMMITMENT = record_commitment(RECORD, SALT)


def shown(*pointers: str) -> dict[str, Any]:
    value: dict[str, Any] = disclose(RECORD, SALT, pointers)
    return value


def node(value: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(item[1] for item in value["open"] if item[0] == name)
    return found


def refused(value: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        open_disclosure(value)
    return caught.value.rule


def pointers_of(record: dict[str, Any]) -> list[str]:
    def escape(name: Any) -> str:
        return str(name).replace("~", "~0").replace("/", "~1")

    found = [f"/{escape(name)}" for name in record]
    for name, value in record.items():
        keys: Any = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        found += [f"/{escape(name)}/{escape(key)}" for key in keys]
    return found


def test_full_disclosure_opens_the_commitment() -> None:
    opened = open_disclosure(json.loads(json.dumps(disclose(RECORD, SALT))))
    assert (opened.commitment, opened.full, opened.record, opened.hidden) == (COMMITMENT, True, RECORD, ())


def test_context_and_type_are_always_open_and_all_names_show() -> None:
    opened = open_disclosure(shown())
    assert opened.commitment == COMMITMENT
    assert opened.record == {"@context": RECORD["@context"], "type": "ObjectEvent"}
    assert set(opened.hidden) == {f"/{name}" for name in RECORD} - {"/@context", "/type"}


def test_one_element_is_shown_and_its_neighbours_are_named_as_hidden() -> None:
    opened = open_disclosure(shown("/epcList/3", "/ilmd/ex:a~1b"))
    assert opened.commitment == COMMITMENT
    assert opened.record["epcList"] == ["urn:d"]
    assert opened.record["ilmd"] == {"ex:a/b": "1"}
    assert {"/epcList/0", "/epcList/1", "/epcList/2", "/epcList/4"} <= set(opened.hidden)
    assert {"/ilmd/ex:c", "/ilmd/ex:~0"} <= set(opened.hidden)


def test_a_partial_disclosure_shows_no_hidden_value_no_length_and_no_record_salt() -> None:
    text = json.dumps(shown("/readPoint"))
    assert SALT.hex() not in text
    for hidden in ("urn:a", "urn:uuid:1", "urn:k"):
        assert hidden not in text
    assert node(shown("/readPoint"), "readPoint").keys() == {"salt", "value"}
    longer = disclose({**RECORD, "epcList": ["x"] * 50}, SALT, ["/readPoint"])
    assert len(json.dumps(longer)) == len(text)


def test_hidden_neighbours_are_merged_to_maximal_subtrees() -> None:
    group = node(shown("/epcList/4"), "epcList")
    assert len(group["hidden"]) == 1
    group = node(shown("/epcList/0"), "epcList")
    assert len(group["hidden"]) == 3


@pytest.mark.parametrize(
    ("pointer", "opened"),
    [
        ("", ""),
        ("/epcList", "/epcList"),
        ("/epcList/3", "/epcList/3"),
        ("/quantityList/0/epcClass", "/quantityList"),
        ("/readPoint/id", "/readPoint"),
        ("/ilmd/ex:~0/deep/2/x", "/ilmd/ex:~0"),
        ("/ilmd/ex:a~1b", "/ilmd/ex:a~1b"),
        ("/@context/0/url", "/@context/0"),
    ],
)
def test_a_pointer_opens_the_unit_or_group_around_it(pointer: str, opened: str) -> None:
    assert covering_pointer(RECORD, pointer) == opened
    assert open_disclosure(shown(pointer)).commitment == COMMITMENT


@pytest.mark.parametrize(
    "pointer", ["x", "/nope", "/epcList/5", "/epcList/03", "/epcList/-", "/ilmd/~2", "/type/0"]
)
def test_a_pointer_to_nothing_is_refused(pointer: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        shown(pointer)
    assert caught.value.rule == "no-such-pointer"


def test_an_event_id_made_from_content_stays_hidden() -> None:
    record = {**RECORD, "eventID": "ni:///sha-256;abc?ver=CBV2.0"}
    assert open_disclosure(disclose(record, SALT)).record == record
    for pointer in ("/eventID", ""):
        with pytest.raises(InvalidInput) as caught:
            disclose(record, SALT, [pointer])
        assert caught.value.rule == "content-event-id"
    forged = shown("/eventID")
    node(forged, "eventID")["value"] = "NI:///sha-256;abc"
    assert refused(forged) == "content-event-id"


@given(records(), salts, st.data())
def test_any_disclosure_opens_the_commitment(
    record: dict[str, Any], salt: bytes, data: st.DataObject
) -> None:
    pointers = data.draw(st.lists(st.sampled_from(pointers_of(record)), max_size=5))
    opened = open_disclosure(json.loads(json.dumps(disclose(record, salt, pointers))))
    assert opened.commitment == record_commitment(record, salt)
    for name, value in opened.record.items():
        if isinstance(value, dict):
            assert value.items() <= record[name].items() or value == record[name]
        elif isinstance(value, list):
            assert all(item in record[name] for item in value)
        else:
            assert value == record[name]


@given(st.data(), values)
def test_a_changed_value_opens_another_commitment(data: st.DataObject, value: Any) -> None:
    disclosed = shown("/epcList/1", "/readPoint", "/type")
    target = data.draw(st.sampled_from([node(disclosed, "type"), node(node(disclosed, "epcList"), 1)]))  # type: ignore[arg-type]
    if rfc8785.dumps(target["value"]) == rfc8785.dumps(value):
        return
    target["value"] = value
    try:
        assert open_disclosure(disclosed).commitment != COMMITMENT
    except InvalidInput:
        return


# The five forgeries that a careless commitment allows.


def test_forgery_1_a_list_element_is_not_a_key_with_a_slash() -> None:
    inside = {"@context": [], "type": "T", "f": ["5", "6"]}
    flat = {"@context": [], "type": "T", "f/0": "5", "f/1": "6"}
    assert record_commitment(inside, SALT) != record_commitment(flat, SALT)
    disclosed = disclose(inside, SALT, ["/f/0"])
    element = node(node(disclosed, "f"), 0)  # type: ignore[arg-type]
    # The opened element posed as a top-level member of the name "f/0", the group's other hash beside it.
    forged = copy.deepcopy(disclosed)
    forged["members"] = ["@context", "f/0", "type"]
    forged["open"] = [forged["open"][0], ["f/0", element], forged["open"][2]]
    assert open_disclosure(forged).commitment != record_commitment(inside, SALT)


def test_forgery_2_an_empty_list_is_not_absence() -> None:
    with_list = {"@context": [], "type": "T", "f": []}
    without = {"@context": [], "type": "T"}
    assert record_commitment(with_list, SALT) != record_commitment(without, SALT)
    disclosed = disclose(with_list, SALT, ["/f"])
    forged = copy.deepcopy(disclosed)
    forged["members"] = ["@context", "type"]
    forged["open"] = [item for item in forged["open"] if item[0] != "f"]
    assert open_disclosure(forged).commitment != record_commitment(with_list, SALT)
    # Nor can an opened empty list be passed off as a group of no members.
    forged = copy.deepcopy(disclosed)
    node(forged, "f").clear()
    node(forged, "f").update({"salt": "00" * 16, "members": 0, "open": [], "hidden": []})
    assert refused(forged) == "out-of-range"


def test_forgery_3_no_path_opens_to_two_values() -> None:
    disclosed = shown("/epcList/1")
    second = copy.deepcopy(disclosed)
    group = node(second, "epcList")
    group["open"] = [group["open"][0], group["open"][0]]
    assert refused(second) == "bad-open"
    second = copy.deepcopy(disclosed)
    second["open"].append(second["open"][0])
    assert refused(second) == "bad-open"
    twice = copy.deepcopy(disclosed)
    twice["members"] = sorted([*twice["members"], "type"])
    assert refused(twice) == "bad-members"
    # An element opened at its neighbour's index gives another commitment.
    moved = copy.deepcopy(disclosed)
    node(moved, "epcList")["open"][0][0] = 0
    assert open_disclosure(moved).commitment != COMMITMENT


def test_forgery_4_an_inner_node_is_not_a_unit() -> None:
    units = {"@context": [], "type": "T", "f": ["5", "6"]}
    commitment = record_commitment(units, SALT)
    disclosed = disclose(units, SALT, ["/f"])
    group = node(disclosed, "f")
    # The group opened as one unit that holds the whole list: refused by its shape.
    forged = copy.deepcopy(disclosed)
    node(forged, "f").clear()
    node(forged, "f").update({"salt": group["salt"], "value": ["5", "6"]})
    assert refused(forged) == "bad-unit"
    # The group hash's own preimage posed as a unit value is hashed under another domain.
    forged = copy.deepcopy(disclosed)
    node(forged, "f").clear()
    node(forged, "f").update({"salt": group["salt"], "value": 2})
    assert open_disclosure(forged).commitment != commitment
    # A group of two leaves posed as one hidden leaf of a longer array changes the bound length.
    forged = copy.deepcopy(disclosed)
    node(forged, "f")["members"] = 3
    assert refused(forged) == "bad-hidden"
    # A unit below a unit's depth is no group.
    forged = copy.deepcopy(disclosed)
    node(forged, "f")["open"][0][1] = copy.deepcopy(group)
    assert refused(forged) == "bad-group"


@pytest.mark.parametrize(
    "salt", ["", "00", "00" * 15, "00" * 17, "00" * 32, "0G" * 16, "AA" * 16, " " + "0" * 31, 0]
)
def test_forgery_5_a_salt_has_32_hex_characters(salt: Any) -> None:
    for name in ("type", "epcList"):
        forged = shown("/epcList/1")
        node(forged, name)["salt"] = salt
        assert refused(forged) == "bad-hex"
    forged = shown()
    forged["salt"] = salt
    assert refused(forged) == "bad-hex"


def test_a_hidden_hash_more_or_fewer_is_refused() -> None:
    more, fewer = shown("/epcList/1"), shown("/epcList/1")
    node(more, "epcList")["hidden"].append("00" * 32)
    node(fewer, "epcList")["hidden"].pop()
    assert refused(more) == "bad-hidden"
    assert refused(fewer) == "bad-hidden"


def test_hiding_type_or_part_of_the_context_is_refused() -> None:
    forged = shown()
    forged["open"] = [item for item in forged["open"] if item[0] != "type"]
    forged["hidden"].append("00" * 32)
    assert refused(forged) in ("always-open", "bad-hidden")
    forged = shown()
    context = node(forged, "@context")
    context["open"].pop()
    context["hidden"].append(sha256(b"").hexdigest())
    assert refused(forged) == "always-open"


def test_a_disclosure_cannot_claim_more_members_than_a_record_may_have() -> None:
    forged = shown("/epcList/1")
    node(forged, "epcList")["members"] = 65_536
    assert refused(forged) == "too-many-units"


@given(values)
def test_opening_anything_raises_only_errors_of_ours(value: Any) -> None:
    for candidate in (value, {"record": value, "salt": "00" * 32}, {**shown("/epcList/1"), "open": value}):
        try:
            open_disclosure(candidate)
        except LoomarkError:
            continue


def test_the_group_hash_is_as_the_specification_says() -> None:
    record = {"@context": [], "type": "T"}
    disclosed = disclose(record, SALT, [])
    leaves = [
        sha256(
            b"\x00" + rfc8785.dumps(["loomark/unit/v1", node(disclosed, name)["salt"], [name], record[name]])
        ).digest()
        for name in ("@context", "type")
    ]
    root = merkle.root(leaves).hex()
    preimage = ["loomark/group/v1", disclosed["salt"], [], ["@context", "type"], root]
    assert sha256(b"\x00" + rfc8785.dumps(preimage)).digest() == record_commitment(record, SALT)
