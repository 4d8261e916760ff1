"""The duplicates rule (design: meaning, section 2), as a matrix over the pure function and through the node."""

from __future__ import annotations

from typing import Any

import pytest

from fabric.capture.duplicates import judge
from fabric.store.records import Earlier, NewRecord
from ledger.errors import Conflict
from tests.simulator import Simulator

LOT = "https://id.gs1.org/01/09506000134352/10/A1"
HEADER = NewRecord(0, None, 0, b"h", b"header", b"", b"")


def record(event_id: str | None, digest: bytes, *, declares: int = 0, kind: int = 2) -> NewRecord:
    return NewRecord(kind, event_id, declares, b"c" + digest, digest, b"", b"")


def outcome(new: NewRecord, stored: NewRecord | None) -> str:
    by_id: dict[str, list[Earlier]] = {}
    by_digest: dict[bytes, Earlier] = {}
    if stored is not None:
        earlier = Earlier(7, stored.declares, stored.digest, stored.commitment)
        if stored.event_id is None:
            by_digest[stored.digest] = earlier
        else:
            by_id[stored.event_id] = [earlier]
    found = judge([HEADER, new], [(0, ""), (1, "/e/0")], by_id, by_digest)
    return "conflict" if found.conflicts else "duplicate" if found.duplicates else "new"


MATRIX: list[tuple[str, NewRecord, NewRecord | None, str]] = [
    ("nothing before", record("a", b"1"), None, "new"),
    ("same ID, equal body", record("a", b"1"), record("a", b"1"), "duplicate"),
    ("same ID, other body", record("a", b"1"), record("a", b"2"), "conflict"),
    ("other ID, equal body less ID", record("a", b"1"), record("b", b"1"), "new"),
    ("no ID, equal body", record(None, b"1"), record(None, b"1"), "duplicate"),
    ("no ID, other body", record(None, b"1"), record(None, b"2"), "new"),
    ("declaration about a record", record("a", b"1", declares=1), record("a", b"2"), "new"),
    ("record after its declaration", record("a", b"2"), record("a", b"1", declares=1), "new"),
    ("declaration again", record("a", b"1", declares=1), record("a", b"1", declares=1), "duplicate"),
    ("second declaration", record("a", b"1", declares=1), record("a", b"3", declares=1), "new"),
    ("master data again", record(None, b"1", kind=1), record(None, b"1", kind=1), "duplicate"),
]


@pytest.mark.parametrize(
    ("new", "stored", "expected"), [row[1:] for row in MATRIX], ids=[row[0] for row in MATRIX]
)
def test_a_record_against_what_its_member_captured_before(
    new: NewRecord, stored: NewRecord | None, expected: str
) -> None:
    assert outcome(new, stored) == expected


@pytest.mark.parametrize(
    ("new", "stored", "expected"), [row[1:] for row in MATRIX], ids=[row[0] for row in MATRIX]
)
def test_a_record_against_an_earlier_one_of_the_same_document(
    new: NewRecord, stored: NewRecord | None, expected: str
) -> None:
    before = [] if stored is None else [stored]
    places = [(number, "/e") for number in range(3)]
    found = judge([HEADER, *before, new], places, {}, {})
    assert ("conflict" if found.conflicts else "duplicate" if found.duplicates else "new") == expected
    assert list(found.duplicates) in ([], [2])


def test_a_conflict_names_the_pointer_of_the_event_id() -> None:
    found = judge([HEADER, record("a", b"1"), record("a", b"2")], [(0, ""), (1, "/e/0"), (2, "/e/1")], {}, {})
    assert [(one.record, one.pointer, one.rule) for one in found.conflicts.values()] == [
        (2, "/e/1/eventID", "event-id-conflict")
    ]


def test_nothing_repeats_what_conflicts() -> None:
    """Of an ID with three bodies the first stands; the second again is no duplicate, because it is not captured."""
    records = [HEADER, *[record("a", digest) for digest in (b"1", b"2", b"2", b"1")]]
    found = judge(records, [(number, "") for number in range(5)], {}, {})
    assert (list(found.conflicts), list(found.duplicates)) == ([2, 3], [4])
    assert found.duplicates[4].position == 1


def test_at_most_a_hundred_conflicts_are_listed(sim: Simulator) -> None:
    before = sim.counts()
    one = sim.event(quantityList=[{"epcClass": LOT, "quantity": 3}])
    with pytest.raises(Conflict) as refusal:
        sim.capture("farm", [one | {"ex:n": number} for number in range(150)])
    assert len(refusal.value.findings) == 100
    assert sim.counts() == before


def lot_event(sim: Simulator, **fields: Any) -> dict[str, Any]:
    return sim.event(quantityList=[{"epcClass": LOT, "quantity": 3}], **fields)


def test_the_same_document_again_gives_the_first_job(sim: Simulator) -> None:
    body = sim.document([lot_event(sim)])
    first, before = sim.post("farm", body), sim.counts()
    assert sim.post("farm", body).id == first.id
    assert sim.counts() == before


def test_the_same_document_of_another_member_is_that_members_own_statement(sim: Simulator) -> None:
    sim.admit("mill")
    body = sim.document([lot_event(sim)])
    assert sim.post("farm", body).id != sim.post("mill", body).id
    assert [row[0] for row in sim.rows("SELECT member FROM event ORDER BY seq")] == ["farm", "mill"]


def test_in_custody_duplicates_are_left_out_and_named(sim: Simulator) -> None:
    old, new = lot_event(sim), lot_event(sim)
    first = sim.capture("farm", [old])
    second = sim.capture("farm", [old, new])
    assert second.count == 2
    assert second.notes["duplicates"] == [
        {"record": 1, "duplicateOf": f"urn:loomark:record:{sim.names(first)[1]}"}
    ]
    assert sim.rows("SELECT count(*) FROM event")[0][0] == 2


def test_in_custody_nothing_left_means_no_capture(sim: Simulator) -> None:
    old = lot_event(sim)
    sim.capture("farm", [old])
    size = sim.node.state()["size"]
    job = sim.capture("farm", [old], creationDate="2026-06-01T00:00:00Z")
    assert (job.state, job.capture) == ("duplicate", None)
    assert sim.node.state()["size"] == size


def test_record_time_makes_no_difference(sim: Simulator) -> None:
    old = lot_event(sim)
    sim.capture("farm", [old])
    assert sim.capture("farm", [old | {"recordTime": "2026-06-01T00:00:00Z"}]).state == "duplicate"


def test_without_an_event_id_an_equal_body_is_a_duplicate(sim: Simulator) -> None:
    old = lot_event(sim, eventID=None)
    sim.capture("farm", [old])
    assert sim.capture("farm", [old], creationDate="2026-06-01T00:00:00Z").state == "duplicate"


def test_signed_duplicates_stay_committed_and_are_flagged(sim: Simulator) -> None:
    old = lot_event(sim)
    first = sim.capture_signed("packer", [old])
    second = sim.capture_signed("packer", [old, lot_event(sim)])
    assert (second.state, second.count) == ("sequenced", 3)
    flagged = sim.rows(
        "SELECT hex(o.commitment) FROM event e JOIN record o ON o.id = e.duplicate_of WHERE e.seq = ?",
        second.index,
    )
    assert [row[0].lower() for row in flagged] == [sim.names(first)[1]]


def test_another_body_under_a_used_event_id_is_refused_and_changes_nothing(sim: Simulator) -> None:
    old = lot_event(sim)
    sim.capture("farm", [old])
    before = sim.counts()
    with pytest.raises(Conflict) as refusal:
        sim.capture("farm", [lot_event(sim), old | {"disposition": "damaged"}])
    assert refusal.value.rule == "event-id-conflict"
    assert refusal.value.findings[0].pointer == "/epcisBody/eventList/1/eventID"
    assert sim.counts() == before


def test_a_refused_capture_leaves_others_of_the_same_round_alone(sim: Simulator) -> None:
    old = lot_event(sim)
    sim.capture("farm", [old])
    bad = sim.node.capture.prepare(
        sim.document([old | {"disposition": "damaged"}]), "application/json"
    ).result()
    good = sim.node.capture.prepare(sim.document([lot_event(sim)]), "application/json").result()
    writer = sim.node._writer
    tickets = [writer.submit_capture("farm", one) for one in (good, bad, good)]
    with pytest.raises(Conflict):
        tickets[1].stored.result(10)
    assert tickets[0].stored.result(10).id == tickets[2].stored.result(10).id


def test_a_declaration_under_the_same_event_id_is_accepted_and_voids(sim: Simulator) -> None:
    old = lot_event(sim)
    sim.capture("farm", [old])
    declared = old | {
        "errorDeclaration": {"declarationTime": "2026-05-03T00:00:00Z", "reason": "did_not_occur"}
    }
    assert sim.capture("farm", [declared]).state == "sequenced"
    assert sim.rows("SELECT count(*) FROM event WHERE void_by IS NOT NULL AND declares = 0")[0][0] == 1
