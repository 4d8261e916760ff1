"""Receipts: every record of one capture with its proof, for whoever submitted it and nobody else."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

import fabric.capture.proof as proving
from api.cli.verify import verdict_of
from ledger.canonical import parse_json
from ledger.errors import VerificationError
from ledger.policy import Policy, parse_policy
from ledger.receipt import verify_receipt
from ledger.submission import MEDIA_TYPE as SUBMISSION

from .door import Door

LOT = "https://id.gs1.org/01/09506000134352/10/R"


def document(door: Door, hour: int, count: int = 3) -> bytes:
    """A document of `count` events of one day."""
    events = [
        door.sim.event(epcList=[f"{LOT}{n}"], eventTime=f"2026-06-{hour:02d}T08:00:{n:02d}Z")
        for n in range(count)
    ]
    return door.sim.document(events)


def policy(door: Door) -> Policy:
    return parse_policy(door.get("/api/policy").text)


def receipt_of(door: Door, job: dict[str, Any], member: str = "farm") -> bytes:
    answer = door.get(job["receipt"], member)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    content: bytes = answer.content
    return content


def test_a_receipt_proves_every_record_of_a_capture(door: Door) -> None:
    job = door.captured(document(door, 1))
    verdict = verdict_of(receipt_of(door, job), policy(door))
    assert (verdict["kind"], verdict["count"], verdict["erased"]) == ("receipt", 4, [])
    told = [(one["record"], one["position"]) for one in verdict["records"]]
    assert told == [(one["record"], one["position"]) for one in job["records"]]
    assert {one["index"] for one in verdict["records"]} == {job["index"]}
    assert all(one["full"] and one["custody"] == "service" for one in verdict["records"])


def test_a_receipt_of_a_signed_capture_says_so(door: Door) -> None:
    body = door.sim.submission("packer", [], document=document(door, 2))
    job = door.captured(body, "packer", SUBMISSION)
    verdict = verdict_of(receipt_of(door, job, "packer"), policy(door))
    assert {one["custody"] for one in verdict["records"]} == {"member"}


def test_a_job_links_its_receipt_once_it_is_in_the_log(door: Door) -> None:
    answer = door.post(document(door, 3))
    settled = door.get(answer.headers["location"], prefer="wait=20")
    path = f"{answer.headers['location']}/receipt"
    assert settled.json()["receipt"] == path
    assert settled.headers["link"] == f'<{path}>; rel="urn:loomark:rel:receipt"; type="application/json"'


def test_a_receipt_is_for_its_submitter_only(door: Door) -> None:
    job = door.captured(document(door, 4))
    with door.unchanged():
        for other in ("shop", "packer"):
            door.refused(door.get(job["receipt"], other), 404, "unknown-job")
        door.refused(door.get(job["receipt"], None), 401, "unauthenticated")
        unknown = "/epcis/capture/" + "ab" * 16 + "/receipt"
        assert door.get(unknown, "shop").json() == door.get(job["receipt"], "shop").json()


def test_a_job_that_added_nothing_has_no_receipt(door: Door) -> None:
    first = document(door, 5, 1)
    door.captured(first)
    events = json.loads(first)["epcisBody"]["eventList"]
    again = door.sim.document(events, creationDate="2026-07-01T00:00:00Z")
    answer = door.post(again)
    job = door.get(answer.headers["location"], prefer="wait=20")
    assert (job.json()["state"], job.json()["receipt"]) == ("duplicate", None)
    assert "link" not in job.headers
    with door.unchanged():
        door.refused(door.get(answer.headers["location"] + "/receipt"), 409, "no-receipt")


def test_what_was_erased_since_is_told_and_the_rest_proved(door: Door) -> None:
    job = door.captured(document(door, 14))
    erased = job["records"][2]["record"]
    told = json.dumps({"records": [erased], "reason": "asked for"}).encode()
    door.sim.node.capture.erase("farm", told).settled.result(20)
    verdict = verdict_of(receipt_of(door, job), policy(door))
    assert (verdict["count"], verdict["erased"]) == (4, [2])
    assert [one["position"] for one in verdict["records"]] == [0, 1, 3]


def test_a_large_receipt_is_several_bundles_against_one_checkpoint(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = door.captured(document(door, 6, 9))
    monkeypatch.setattr(proving, "_SHARE_BYTES", 3 * proving._ROW_BYTES)
    data = receipt_of(door, job)
    value = json.loads(data)
    assert len(value["bundles"]) > 3
    assert len({one["checkpoint"] for one in value["bundles"]}) == 1
    assert verdict_of(data, policy(door))["count"] == 10


def test_a_receipt_beyond_what_is_read_is_refused(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    job = door.captured(document(door, 7))
    monkeypatch.setattr(proving, "MAX_RECEIPT_BYTES", 1_000)
    with door.unchanged():
        door.refused(door.get(job["receipt"]), 413, "receipt-size", "QueryTooLargeException")


def _drop_last(value: dict[str, Any]) -> None:
    value["bundles"][0]["records"].pop()


def _hide_as_erased(value: dict[str, Any]) -> None:
    value["erased"] = [2]


def _double(value: dict[str, Any]) -> None:
    value["bundles"].append(copy.deepcopy(value["bundles"][0]))


def _change(value: dict[str, Any]) -> None:
    value["bundles"][0]["records"][1]["disclosure"]["record"]["action"] = "DELETE"


def _unknown_member(value: dict[str, Any]) -> None:
    value["more"] = 1


def _disorder(value: dict[str, Any]) -> None:
    value["erased"] = [9, 8]


@pytest.mark.parametrize(
    ("edit", "step", "place", "said"),
    [
        (_drop_last, 3, "", "got none for 3"),
        (_hide_as_erased, 3, "", "got one twice"),
        (_double, 3, "", "got one twice"),
        (_change, 2, "/bundles/0/records/1/disclosure", ""),
        (_unknown_member, 1, "", "unknown member"),
        (_disorder, 1, "/erased", "in order"),
    ],
)
def test_a_changed_receipt_fails_at_its_step_and_place(
    door: Door, edit: Callable[[dict[str, Any]], None], step: int, place: str, said: str
) -> None:
    job = door.captured(document(door, 8 + step))
    value = parse_json(receipt_of(door, job))
    verify_receipt(value, policy(door))
    edit(value)
    with pytest.raises(VerificationError) as caught:
        verify_receipt(value, policy(door))
    assert (caught.value.step, caught.value.place) == (step, place)
    assert said in caught.value.message


def test_two_captures_make_no_receipt(door: Door) -> None:
    one, other = (parse_json(receipt_of(door, door.captured(document(door, day, 1)))) for day in (20, 21))
    both = one | {"bundles": [*one["bundles"], *other["bundles"]]}
    with pytest.raises(VerificationError) as caught:
        verify_receipt(both, policy(door))
    assert (caught.value.step, caught.value.place) == (1, "/bundles/1/entries")
