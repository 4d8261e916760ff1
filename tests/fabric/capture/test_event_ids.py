"""Event IDs that a submitter asked the node for: found by, never committed, gone with what they are made of."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from fabric.capture.duplicates import judge
from fabric.capture.naming import commitment_named, records_of
from fabric.capture.prepare import Asked
from fabric.epcis.event_hash import record_hash
from fabric.integrity import NodeReport, check_node
from fabric.query.run import Events
from fabric.store.jobs import Job
from fabric.store.records import Earlier, NewRecord
from fabric.visibility.holders import Holders
from ledger.errors import Conflict, NotFound
from ledger.note import parse_vkey
from ledger.submission import MEDIA_TYPE as SUBMISSION
from tests.simulator import EPCIS, Simulator

LOT = "https://id.gs1.org/01/09506000134352/10/ID"
HASH = Asked(hash_ids=True)


@pytest.fixture(scope="module")
def sim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """One consortium for all tests here."""
    with Simulator(tmp_path_factory.mktemp("ids") / "node") as simulator:
        simulator.admit("farm")
        simulator.admit("mill")
        simulator.admit("packer", own_key=True)
        yield simulator


def unnamed(sim: Simulator, **fields: Any) -> dict[str, Any]:
    """An event without an ID that differs from all others."""
    number = sim.event()["eventID"][-4:]
    return sim.event(**({"eventID": None, "epcList": [LOT + number]} | fields))


def asked(sim: Simulator, *events: dict[str, Any], member: str = "farm", kind: Asked = HASH) -> Job:
    sim.tick()
    return sim.node.capture.capture(member, sim.document(events), EPCIS, settled=True, asked=kind)


def ids(sim: Simulator, job: Job) -> list[str | None]:
    assert job.capture is not None
    return [one.event_id for one in records_of(sim.node.reading, job.capture)[1:]]


def found(sim: Simulator, name: str, member: str = "farm") -> list[Any]:
    """What a query by an event ID answers."""
    events = Events(sim.node.reading, Holders(sim.node.registry.identifiers).member_of)
    return list(events.by_event_id(sim.node.reader(member), name, per_page=10).events)


def checked(sim: Simulator) -> NodeReport:
    database = sim.database or sim.folder / "loomark.db"
    return check_node(sim.folder, database, parse_vkey(sim.node.vkey))


def test_an_event_is_found_by_the_hash_that_was_asked_for(sim: Simulator) -> None:
    event, own = unnamed(sim), sim.event(epcList=[LOT])
    job = asked(sim, event, own)
    name = sim.names(job)[1]
    value = sim.node.prover.value(name, sim.node.reader("farm"))
    supplied = record_hash(value)
    assert ids(sim, job) == [supplied, own["eventID"]]
    assert supplied.startswith("ni:///sha-256;")
    # What is committed is what was sent, and it is proved as that.
    assert "eventID" not in value
    assert b"ni:///" not in sim.node.prover.bundle_for(name, sim.node.reader("farm"))
    assert commitment_named(sim.node.reading, supplied, sim.node.reader("farm")) == name
    (one,) = found(sim, supplied)
    assert (one.commitment.hex(), one.value["eventID"]) == (name, supplied)


def test_nothing_is_supplied_where_nobody_asked(sim: Simulator) -> None:
    job = asked(sim, unnamed(sim), kind=Asked())
    name = sim.names(job)[1]
    value = sim.node.prover.value(name, sim.node.reader("farm"))
    assert ids(sim, job) == [None]
    assert found(sim, record_hash(value)) == []


def test_every_event_is_found_by_the_name_of_its_record(sim: Simulator) -> None:
    job = asked(sim, unnamed(sim), sim.event(epcList=[LOT]), kind=Asked())
    for name in sim.names(job)[1:]:
        (one,) = found(sim, f"urn:loomark:record:{name}")
        assert one.commitment.hex() == name
        assert found(sim, f"urn:loomark:record:{name}", "mill") == []


def test_who_does_not_see_the_event_does_not_find_it(sim: Simulator) -> None:
    job = asked(sim, unnamed(sim))
    (supplied,) = ids(sim, job)
    assert supplied is not None
    assert found(sim, supplied, "mill") == []
    with pytest.raises(NotFound):
        commitment_named(sim.node.reading, supplied, sim.node.reader("mill"))


def test_a_signed_capture_may_ask_too(sim: Simulator) -> None:
    sim.tick()
    body = sim.submission("packer", [unnamed(sim)])
    job = sim.node.capture.capture("packer", body, SUBMISSION, settled=True, asked=HASH)
    (supplied,) = ids(sim, job)
    assert supplied is not None
    assert [one.commitment.hex() for one in found(sim, supplied, "packer")] == sim.names(job)[1:]


def test_the_same_event_again_is_a_duplicate_whoever_asked_for_an_id(sim: Simulator) -> None:
    first, second = unnamed(sim), unnamed(sim)
    given = asked(sim, first)
    asked(sim, second, kind=Asked())
    before = sim.counts()["record"]
    # In another document, so that it is not answered by the first one's job.
    assert asked(sim, first, second, kind=Asked()).state == "duplicate"
    assert asked(sim, second, first).state == "duplicate"
    assert sim.counts()["record"] == before
    assert len(ids(sim, given)) == 1


def test_the_id_that_was_supplied_is_taken(sim: Simulator) -> None:
    event = unnamed(sim)
    (supplied,) = ids(sim, asked(sim, event))
    before = sim.counts()
    with pytest.raises(Conflict) as refusal:
        sim.capture("farm", [event | {"eventID": supplied, "disposition": "damaged"}])
    assert refusal.value.rule == "event-id-conflict"
    assert sim.counts() == before
    # Another member's copy is that one's own.
    assert asked(sim, event, member="mill").state == "sequenced"


def test_a_declaration_under_the_supplied_id_is_taken(sim: Simulator) -> None:
    event = unnamed(sim)
    (supplied,) = ids(sim, asked(sim, event))
    declaration = {"declarationTime": "2026-06-01T00:00:00Z"}
    job = sim.capture("farm", [event | {"eventID": supplied, "errorDeclaration": declaration}])
    assert job.state == "sequenced"
    assert supplied is not None
    assert len(found(sim, supplied)) == 2


HASHED = "ni:///sha-256;00?ver=CBV2.0"


def record(event_id: str | None, digest: bytes, supplied: str | None = None, declares: int = 0) -> NewRecord:
    return NewRecord(2, event_id, declares, b"c" + digest, digest, b"", b"", None, supplied)


@pytest.mark.parametrize(
    ("new", "earlier", "expected"),
    [
        (record(None, b"1", HASHED), record(None, b"2", HASHED), "conflict"),
        (record(None, b"1", HASHED), record(None, b"1", HASHED), "duplicate"),
        (record(None, b"1", HASHED), record(None, b"1"), "duplicate"),
        (record(None, b"1"), record(None, b"1", HASHED), "duplicate"),
        (record(None, b"1"), record(None, b"2", HASHED), "new"),
        (record(HASHED, b"1"), record(None, b"2", HASHED), "conflict"),
        (record(None, b"1", HASHED), record(HASHED, b"2"), "conflict"),
        (record(None, b"1", HASHED, 1), record(None, b"2", HASHED), "new"),
        (record(None, b"1", HASHED), record(None, b"2", HASHED, 1), "new"),
    ],
)
def test_a_supplied_id_counts_as_an_id_against_other_bodies_only(
    new: NewRecord, earlier: NewRecord, expected: str
) -> None:
    header = NewRecord(0, None, 0, b"h", b"header", b"", b"")
    one = Earlier(7, earlier.declares, earlier.digest, earlier.commitment)
    by_id = {} if earlier.name is None else {earlier.name: [one]}
    by_digest = {earlier.digest: one} if earlier.event_id is None else {}
    places = [(number, "/e") for number in range(3)]
    stored = judge([header, new], places, by_id, by_digest)
    together = judge([header, earlier, new], places, {}, {})
    for told in (stored, together):
        assert ("conflict" if told.conflicts else "duplicate" if told.duplicates else "new") == expected


def test_an_event_that_has_no_hash_goes_without(sim: Simulator) -> None:
    """A prefix of a context that nobody here knows has no namespace to be hashed; the submitter is told."""
    own = {"@context": "https://example.org/own-context.jsonld", "own:thing": 1}
    job = asked(sim, unnamed(sim, **own), unnamed(sim))
    assert [one is None for one in ids(sim, job)] == [True, False]
    (warned,) = [one for one in job.notes["warnings"] if one["rule"] == "no-hash-id"]
    assert (warned["record"], warned["pointer"]) == (1, "/epcisBody/eventList/0")


def test_a_rebuild_and_fsck_find_the_ids_as_they_were(sim: Simulator) -> None:
    (supplied,) = ids(sim, asked(sim, unnamed(sim)))
    assert supplied is not None
    before, name = sim.counts(), found(sim, supplied)[0].commitment
    sim.rebuild()
    assert sim.counts() == before
    assert found(sim, supplied)[0].commitment == name
    assert checked(sim).faults == ()


@pytest.mark.parametrize("wrong", ["ni:///sha-256;" + "0" * 64 + "?ver=CBV2.0", "urn:example:mine"])
def test_fsck_finds_an_id_that_is_not_the_hash(sim: Simulator, wrong: str) -> None:
    if sim.database is not None:
        pytest.skip("changes a file of SQLite")
    job = asked(sim, unnamed(sim))
    (supplied,) = ids(sim, job)
    for value in (wrong, supplied):
        database = sqlite3.connect(sim.folder / "loomark.db", timeout=30)
        with database:
            changed = database.execute(
                "UPDATE record SET supplied_id = ? WHERE commitment = ?",
                (value, bytes.fromhex(sim.names(job)[1])),
            )
            assert changed.rowcount == 1
        database.close()
        rules = [one.rule for one in checked(sim).faults]
        assert rules == ([] if value == supplied else ["record-facts"])


@pytest.mark.parametrize("units", [None, ["/epcList"]])
def test_the_id_goes_with_what_it_is_made_of(sim: Simulator, units: list[str] | None) -> None:
    """A hash of the whole would let what was erased be guessed."""
    job = asked(sim, unnamed(sim, quantityList=[{"epcClass": LOT, "quantity": 3}]))
    (supplied,) = ids(sim, job)
    assert supplied is not None
    value: dict[str, Any] = {"records": [sim.names(job)[1]], "reason": "asked to"}
    if units is not None:
        value["units"] = units
    ticket = sim.node.capture.erase("farm", json.dumps(value).encode())
    ticket.stored.result(30)
    ticket.settled.result(30)
    assert found(sim, supplied) == []
    assert sim.rows("SELECT id FROM record WHERE supplied_id = ?", supplied) == []
    assert checked(sim).faults == ()
