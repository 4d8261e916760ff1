"""Captures that go on without the events that fail, in custody only; what is captured is proved and rebuilt as ever."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from fabric.capture.prepare import Asked
from fabric.integrity import check_node
from fabric.store.jobs import Job
from ledger.errors import InvalidInput
from ledger.note import parse_vkey
from ledger.submission import MEDIA_TYPE as SUBMISSION
from tests.simulator import EPCIS, Simulator

LOT = "https://id.gs1.org/01/09506000134352/10/A1"
WRONG = "https://id.gs1.org/01/09506000134353/10/A1"
PROCEED = Asked(proceed=True)


@pytest.fixture(scope="module")
def sim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """One consortium for all tests here: each tells what it changed."""
    with Simulator(tmp_path_factory.mktemp("proceed") / "node") as simulator:
        simulator.admit("farm")
        simulator.admit("packer", own_key=True)
        yield simulator


def lot_event(sim: Simulator, **fields: Any) -> dict[str, Any]:
    return sim.event(**({"quantityList": [{"epcClass": LOT, "quantity": 3}]} | fields))


def proceed(sim: Simulator, events: list[Any], **members: Any) -> Job:
    sim.tick()
    body = sim.document(events, **members)
    return sim.node.capture.capture("farm", body, EPCIS, settled=True, asked=PROCEED)


def rejections(job: Job) -> list[tuple[int, str]]:
    return [(one["record"], one["findings"][0]["rule"]) for one in job.rejected]


def test_the_events_that_fail_are_left_out_and_the_others_proved(sim: Simulator) -> None:
    good = [lot_event(sim), lot_event(sim)]
    job = proceed(sim, [lot_event(sim, action="NO"), good[0], 7, lot_event(sim, epcList=[WRONG]), good[1]])
    assert job.state == "sequenced"
    assert rejections(job) == [(1, "bad-action"), (3, "wrong-type"), (4, "bad-check-digit")]
    names = sim.names(job)
    assert len(names) == 3
    for name, event in zip(names[1:], good, strict=True):
        value = sim.node.prover.value(name, sim.node.reader("farm"))
        assert value["eventID"] == event["eventID"]
        sim.verify(sim.node.prover.bundle_for(name, sim.node.reader("farm")))


def test_each_rejection_has_the_pointer_in_the_document(sim: Simulator) -> None:
    job = proceed(sim, [lot_event(sim), lot_event(sim, action="NO", bizStep="dance")])
    (one,) = job.rejected
    found = {(finding["pointer"], finding["rule"], finding["got"]) for finding in one["findings"]}
    assert found == {
        ("/epcisBody/eventList/1/action", "bad-action", "NO"),
        ("/epcisBody/eventList/1/bizStep", "unknown-word", "dance"),
    }


def test_what_contradicts_an_earlier_event_is_rejected_alone(sim: Simulator) -> None:
    known = lot_event(sim)
    sim.capture("farm", [known])
    twice = lot_event(sim)
    job = proceed(sim, [known | {"disposition": "damaged"}, twice, twice | {"disposition": "damaged"}])
    assert (job.state, rejections(job)) == (
        "sequenced",
        [(1, "event-id-conflict"), (3, "event-id-conflict")],
    )
    assert len(sim.names(job)) == 2


def test_duplicates_are_left_out_by_their_places_in_the_document(sim: Simulator) -> None:
    known, fresh = lot_event(sim), lot_event(sim)
    first = sim.capture("farm", [known])
    job = proceed(sim, [lot_event(sim, action="NO"), known, fresh])
    assert job.notes["duplicates"] == [
        {"record": 2, "duplicateOf": f"urn:loomark:record:{sim.names(first)[1]}"}
    ]
    assert rejections(job) == [(1, "bad-action")]
    assert len(sim.names(job)) == 2


def test_where_nothing_is_good_nothing_is_captured(sim: Simulator) -> None:
    before = sim.counts()
    job = proceed(sim, [lot_event(sim, action="NO")])
    assert (job.state, job.capture, job.rule) == ("refused", None, "bad-action")
    after = sim.counts()
    assert {name for name in after if after[name] != before[name]} == {"job", "document"}


def test_what_is_left_without_the_events_at_fault_may_be_all_duplicates(sim: Simulator) -> None:
    known = lot_event(sim)
    sim.capture("farm", [known])
    job = proceed(sim, [known, lot_event(sim, action="NO")])
    assert (job.state, job.capture, rejections(job)) == ("duplicate", None, [(2, "bad-action")])


def element(name: str) -> dict[str, Any]:
    return {"id": name, "attributes": []}


def master_data(*elements: dict[str, Any]) -> dict[str, Any]:
    kind = "urn:epcglobal:epcis:vtype:Location"
    return {"epcisMasterData": {"vocabularyList": [{"type": kind, "vocabularyElementList": list(elements)}]}}


def test_master_data_is_captured_when_all_events_fail(sim: Simulator) -> None:
    header = master_data(element("urn:epc:id:sgln:9506000.00001.0"))
    job = proceed(sim, [lot_event(sim, action="NO")], epcisHeader=header)
    assert (job.state, len(sim.names(job)), rejections(job)) == ("sequenced", 2, [(2, "bad-action")])


@pytest.mark.parametrize(
    ("members", "rule"),
    [
        ({"schemaVersion": "1.2"}, "schema-version"),
        ({"@context": [{"id": "@id"}]}, "context-keyword"),
        ({"epcisHeader": master_data({"attributes": []})}, "missing-field"),
        ({"creationDate": "yesterday"}, "bad-time"),
    ],
)
def test_what_is_wrong_with_the_document_refuses_all_of_it(
    sim: Simulator, members: dict[str, Any], rule: str
) -> None:
    before = sim.counts()
    with pytest.raises(InvalidInput) as refusal:
        proceed(sim, [lot_event(sim)], **members)
    assert refusal.value.rule == rule
    assert sim.counts() == before


def test_a_text_that_is_no_json_refuses_all_of_it(sim: Simulator) -> None:
    before = sim.counts()
    body = sim.document([lot_event(sim), lot_event(sim, **{"ex:n": 7})]).replace(b": 7", b": 1e400")
    with pytest.raises(InvalidInput) as refusal:
        sim.node.capture.capture("farm", body, EPCIS, asked=PROCEED)
    assert refusal.value.rule == "jcs-number"
    assert sim.counts() == before


def test_a_signed_capture_stands_or_falls_whole(sim: Simulator) -> None:
    before = sim.counts()
    body = sim.submission("packer", [lot_event(sim)])
    with pytest.raises(InvalidInput) as refusal:
        sim.node.capture.capture("packer", body, SUBMISSION, asked=PROCEED)
    assert refusal.value.rule == "signed-proceed"
    assert sim.counts() == before


def test_the_same_document_again_has_its_first_job_only_where_all_of_it_was_captured(sim: Simulator) -> None:
    whole, partly = [lot_event(sim)], [lot_event(sim), lot_event(sim, action="NO")]
    first = proceed(sim, whole)
    assert proceed(sim, whole).id == first.id
    # Asked in another way it is another question, and everything is a duplicate.
    assert sim.capture("farm", whole).state == "duplicate"
    second = proceed(sim, partly)
    again = proceed(sim, partly)
    assert (again.id != second.id, again.state, rejections(again)) == (True, "duplicate", rejections(second))
    with pytest.raises(InvalidInput):
        sim.capture("farm", partly)


def test_every_event_of_very_many_says_what_is_wrong_with_it(sim: Simulator) -> None:
    bad = {"action": "NO", "bizStep": "dance", "disposition": "gone"}
    job = proceed(sim, [*[lot_event(sim, **bad) for _ in range(300)], lot_event(sim)])
    assert (job.state, len(job.rejected)) == ("sequenced", 300)
    assert all(one["findings"] for one in job.rejected)
    # Each of the first is told whole, of the others one thing: a job stays readable.
    assert sum(len(one["findings"]) for one in job.rejected) < 500


def test_a_context_that_is_refused_is_refused_for_every_event_that_has_it(sim: Simulator) -> None:
    own = {"@context": [{"id": "@id"}]}
    job = proceed(sim, [lot_event(sim, **own), lot_event(sim, **own), lot_event(sim)])
    assert rejections(job) == [(1, "context-keyword"), (2, "context-keyword")]


def test_warnings_of_a_rejected_event_are_not_told(sim: Simulator) -> None:
    zone = {"eventTime": "2026-05-01T08:00:00+02:00", "eventTimeZoneOffset": "+01:00"}
    job = proceed(sim, [lot_event(sim, action="NO", **zone), lot_event(sim, **zone)])
    assert [(one["record"], one["rule"]) for one in job.notes["warnings"]] == [(2, "offset-differs")]


def test_fsck_and_a_rebuild_find_everything_as_it_was(sim: Simulator) -> None:
    proceed(sim, [lot_event(sim), lot_event(sim, action="NO"), lot_event(sim)])
    proceed(sim, [lot_event(sim, action="NO")])
    before = sim.counts()
    assert sim.rebuild() > 0
    assert sim.counts() == before
    database = sim.database or sim.folder / "loomark.db"
    assert check_node(sim.folder, database, parse_vkey(sim.node.vkey)).faults == ()


def test_what_is_told_of_a_rejected_event_goes_with_what_is_erased_beside_it(sim: Simulator) -> None:
    job = proceed(sim, [lot_event(sim), lot_event(sim, action="SECRET")])
    body = json.dumps({"records": [sim.names(job)[1]], "reason": "asked to"}).encode()
    ticket = sim.node.capture.erase("farm", body)
    ticket.settled.result(30)
    again = sim.node.capture.job(job.id, "farm")
    assert rejections(again) == [(2, "bad-action")]
    assert "SECRET" not in json.dumps(dict(again.notes))
