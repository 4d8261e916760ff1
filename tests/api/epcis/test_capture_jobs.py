"""Capture jobs: what the standard says of one, what became of each record, and the list of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from api.epcis.jobs import MOST_ERRORS, job_json, job_summary, job_xml
from fabric.capture.naming import CapturedRecord
from fabric.store.jobs import Job
from ledger.submission import MEDIA_TYPE as SUBMISSION
from tests.api.door import Door

LOT = "https://id.gs1.org/01/09506000134352/10/J"
XML = "application/xml"


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A node of its own: the lists here are of what was captured here."""
    with Door(tmp_path_factory.mktemp("jobs") / "node") as door:
        door.admit("farm", parties=["9506000134352"])
        door.admit("packer", own_key=True)
        door.admit("shop")
        door.admit("walker")
        yield door


def capture(door: Door, *events: Any, member: str = "farm", proceed: bool = False) -> dict[str, Any]:
    headers = door.headers(member, content_type="application/json")
    if proceed:
        headers["GS1-Capture-Error-Behaviour"] = "proceed"
    door.sim.tick()
    answer = door.http.post("/epcis/capture", content=door.sim.document(events), headers=headers)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = door.get(answer.headers["location"], member, prefer="wait=20").json()
    return job


def event(door: Door, **fields: Any) -> dict[str, Any]:
    return door.sim.event(**({"epcList": [LOT]} | fields))


def job_of(state: str, *, proceed: bool = False, rejected: bool = False) -> Job:
    """A stored job in this state, as the table of the standard has them."""
    finding = {"record": 2, "pointer": "/x", "rule": "bad-action", "expected": "a", "got": "b"}
    notes: dict[str, Any] = {"proceed": True} if proceed else {}
    if rejected:
        notes["rejected"] = [{"record": 2, "findings": [finding]}]
    sequenced = state == "sequenced"
    reason = "no longer a member" if state == "refused" and not rejected else None
    return Job(
        "ab" * 16,
        "farm",
        state,
        1,
        None if state == "duplicate" or (state == "refused" and rejected) else 1,
        2,
        True,
        7 if sequenced else None,
        "not-active" if reason else None,
        reason,
        1_790_000_000_000,
        notes,
        "2026-09-21T14:13:21.000Z" if sequenced else None,
    )


# running and success, by state, behaviour and whether something was rejected.
TABLE = [
    ("staged", False, False, (True, True)),
    ("sequenced", False, False, (False, True)),
    ("duplicate", False, False, (False, True)),
    ("refused", False, False, (False, False)),
    ("staged", True, False, (True, True)),
    ("staged", True, True, (True, False)),
    ("sequenced", True, False, (False, True)),
    ("sequenced", True, True, (False, False)),
    ("duplicate", True, False, (False, True)),
    ("duplicate", True, True, (False, False)),
    ("refused", True, True, (False, False)),
    ("refused", True, False, (False, False)),
]


@pytest.mark.parametrize(("state", "proceed", "rejected", "expected"), TABLE)
def test_running_and_success_are_as_the_table_of_the_standard_has_them(
    state: str, proceed: bool, rejected: bool, expected: tuple[bool, bool]
) -> None:
    told = job_summary(job_of(state, proceed=proceed, rejected=rejected))
    assert (told["running"], told["success"]) == expected
    assert told["captureErrorBehaviour"] == ("proceed" if proceed else "rollback")
    assert bool(told["errors"]) is not told["success"]
    assert ("finishedAt" in told) is not told["running"]
    assert all(error["type"].startswith("epcisException:") and error["title"] for error in told["errors"])


def test_a_job_has_the_members_of_the_standard(shared_data: Any) -> None:
    """The schema of the binding, as it stands in the standard's own description."""
    described = yaml.safe_load((shared_data / "epcis/gs1/rest/openapi.yaml").read_text())
    schema = described["components"]["schemas"]["CaptureJob"]["allOf"][0]["properties"]
    told = job_summary(job_of("sequenced", proceed=True, rejected=True))
    assert schema.keys() <= told.keys()
    kinds = {"string": str, "boolean": bool}
    assert all(type(told[name]) is kinds[one["type"]] for name, one in schema.items())
    assert told["captureErrorBehaviour"] in schema["captureErrorBehaviour"]["enum"]


def test_every_record_says_what_became_of_it(door: Door) -> None:
    known = event(door)
    first = capture(door, known)
    good = event(door, eventTime="2026-05-01T08:00:00+02:00", eventTimeZoneOffset="+01:00")
    job = capture(
        door, event(door, action="NO"), good, known, known | {"disposition": "damaged"}, proceed=True
    )
    one, two, three, four = job["results"]
    assert (one["position"], one["outcome"], one["findings"][0]["pointer"]) == (
        1,
        "rejected",
        "/epcisBody/eventList/0/action",
    )
    assert (two["position"], two["outcome"], two["eventID"]) == (2, "accepted", good["eventID"])
    assert two["record"] == job["records"][1]["record"]
    assert [warning["rule"] for warning in two["warnings"]] == ["offset-differs"]
    assert three == {"position": 3, "outcome": "duplicate", "record": first["records"][1]["record"]}
    assert (four["outcome"], four["findings"][0]["rule"]) == ("rejected", "event-id-conflict")
    assert [(error["record"], error["status"], error["type"]) for error in job["errors"]] == [
        (1, 400, "epcisException:ValidationException"),
        (4, 409, "epcisException:ResourceAlreadyExistsException"),
    ]
    assert (job["state"], job["success"], job["errorCount"]) == ("sequenced", False, 2)


def test_what_a_signed_capture_repeats_is_a_duplicate_and_stays_a_record(door: Door) -> None:
    known = event(door)
    first = door.captured(door.sim.submission("packer", [known]), "packer", SUBMISSION)
    again = door.captured(door.sim.submission("packer", [known, event(door)]), "packer", SUBMISSION)
    assert [one["outcome"] for one in again["results"]] == ["duplicate", "accepted"]
    assert again["results"][0]["record"] == first["records"][1]["record"]
    assert (len(again["records"]), again["success"]) == (3, True)


def test_a_job_of_which_nothing_is_good_fails_and_has_no_receipt(door: Door) -> None:
    job = capture(door, event(door, action="NO"), proceed=True)
    assert (job["state"], job["success"], job["running"], job["receipt"]) == ("refused", False, False, None)
    assert job["finishedAt"] == job["createdAt"]
    path = f"/epcis/capture/{job['captureID']}"
    door.refused(door.get(f"{path}/receipt"), 409, "no-receipt")
    headers = door.get(path).headers
    assert not {"link", "loomark-receipt"} & set(headers)


def test_errors_are_bounded_and_results_are_not() -> None:
    finding = {"pointer": "/x", "rule": "bad-action", "expected": "a", "got": "b"}
    rejected = [{"record": n, "findings": [{"record": n, **finding}]} for n in range(1, 1_001)]
    job = replace(job_of("sequenced"), notes={"proceed": True, "rejected": rejected})
    records = [CapturedRecord(0, b"h", None), CapturedRecord(1, b"e", "urn:a:b")]
    told = job_json(job, records)
    assert (len(told["errors"]), told["errorCount"], len(told["results"])) == (MOST_ERRORS, 1_000, 1_001)
    assert told["results"][-1] == {
        "position": 1_001,
        "outcome": "accepted",
        "record": b"e".hex(),
        "eventID": "urn:a:b",
    }


def test_a_job_that_ended_tells_when_the_log_sealed_it(door: Door) -> None:
    job = capture(door, event(door))
    assert job["createdAt"] <= job["finishedAt"]
    sealed = door.sim.rows("SELECT time FROM seal WHERE idx > ? ORDER BY idx LIMIT 1", job["index"])[0][0]
    assert job["finishedAt"] == sealed


def test_a_job_links_its_receipt(door: Door) -> None:
    job = capture(door, event(door))
    answer = door.get(f"/epcis/capture/{job['captureID']}")
    assert answer.headers["loomark-receipt"] == answer.json()["receipt"]
    assert f'<{job["receipt"]}>; rel="urn:loomark:rel:receipt"' in answer.headers["link"]
    assert door.get(answer.headers["loomark-receipt"]).json()["receipt"] == "loomark/receipt/v1"


def test_a_job_in_xml_has_the_members_of_the_standard(door: Door) -> None:
    job = capture(door, event(door), event(door, action="<\x07&>"), proceed=True)
    answer = door.get(f"/epcis/capture/{job['captureID']}", accept=XML)
    assert answer.headers["content-type"].partition(";")[0] == XML
    root = ElementTree.fromstring(answer.content)
    space = "{urn:epcglobal:epcis:xsd:2}"
    assert root.tag == f"{space}EPCISCaptureJob"
    assert root.attrib == {"captureID": job["captureID"], "running": "false", "success": "false"}
    told = [(one.tag, one.text) for one in root if "}" not in one.tag]
    members = ("captureErrorBehaviour", "createdAt", "finishedAt")
    assert told == [*((name, job[name]) for name in members), ("errors", None)]
    assert root.findtext("{urn:loomark:term:}receipt") == job["receipt"]
    (error,) = root.findall("errors/error")
    assert error.findtext("type") == "epcisException:ValidationException"
    assert (error.findtext("detail") or "").endswith("got <\ufffd&>")


def test_xml_of_a_job_without_errors_has_no_list_of_them() -> None:
    root = ElementTree.fromstring(job_xml(job_of("staged")))
    assert (root.get("running"), root.get("success"), root.find("finishedAt")) == ("true", "true", None)
    assert root.find("errors") is None


def pages(door: Door, path: str, member: str) -> Iterator[list[dict[str, Any]]]:
    """The pages of a walk, by the links alone."""
    while True:
        answer = door.get(path, member)
        assert answer.status_code == 200, answer.text
        yield answer.json()
        if "link" not in answer.headers:
            return
        assert answer.headers["gs1-next-page-token-expires"]
        path = answer.headers["link"].partition(">")[0].removeprefix("<http://127.0.0.1")


def test_the_list_is_the_callers_newest_first_and_steady_while_it_grows(door: Door) -> None:
    made = [capture(door, event(door), member="walker")["captureID"] for _ in range(5)]
    seen: list[str] = []
    for page in pages(door, "/epcis/capture?perPage=2", "walker"):
        assert len(page) <= 2
        seen += [one["captureID"] for one in page]
        # Whatever comes meanwhile is newer than all that is left to show.
        capture(door, event(door), member="walker")
    assert seen == made[::-1]
    assert door.get("/epcis/capture", "shop").json() == []
    assert all("records" not in one and "results" not in one for one in door.get("/epcis/capture").json())


def test_jobs_of_one_instant_are_each_listed_once(door: Door) -> None:
    door.admit("quick")
    headers = door.headers("quick", content_type="application/json")
    for _ in range(4):
        body = json.dumps(door.sim.document([event(door)]).decode()).encode()
        answer = door.http.post("/epcis/capture", content=json.loads(body).encode(), headers=headers)
        assert answer.status_code == 202
        door.get(answer.headers["location"], "quick", prefer="wait=20")
    seen = [one["captureID"] for page in pages(door, "/epcis/capture?perPage=1", "quick") for one in page]
    assert len(seen) == len(set(seen)) == 4


@pytest.mark.parametrize(
    "query", ["perPage=0", "perPage=x", "perPage=-1", "nextPageToken=forged", "perPage=1&perPage=2"]
)
def test_a_page_that_is_none_is_refused(door: Door, query: str) -> None:
    with door.unchanged():
        answer = door.get(f"/epcis/capture?{query}")
        assert answer.status_code == 400
        assert answer.json()["type"] == "epcisException:QueryParameterException"


def test_a_token_of_somebody_else_is_refused(door: Door) -> None:
    for _ in range(2):
        capture(door, event(door))
    link = door.get("/epcis/capture?perPage=1").headers["link"]
    path = link.partition(">")[0].removeprefix("<http://127.0.0.1")
    with door.unchanged():
        assert door.get(path, "shop").status_code == 400
        assert door.get(path).status_code == 200


def test_the_list_has_no_form_in_xml(door: Door) -> None:
    answer = door.get("/epcis/capture", accept=XML)
    assert (answer.status_code, "epcisException:NotAcceptableException" in answer.text) == (406, True)


def test_a_job_is_for_its_submitter(door: Door) -> None:
    job = capture(door, event(door))
    with door.unchanged():
        for other in ("shop", "packer"):
            door.refused(door.get(f"/epcis/capture/{job['captureID']}", other), 404, "unknown-job")
        door.refused(door.get("/epcis/capture", "operator"), 403, "not-a-member")
        door.refused(door.get("/epcis/capture", None), 401, "unauthenticated")
