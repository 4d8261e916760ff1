"""What one may not see answers as what does not exist: same status, same body, whatever it is asked by."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import pytest

from fabric.graph.projection import rebuild
from fabric.graph.source import Source

from .door import Door

LOT = "https://id.gs1.org/01/09506000134352/10/SECRET"
OPEN_LOT = "https://id.gs1.org/01/09506000134352/10/OPEN"
EVENT_ID = "urn:uuid:00000000-0000-4000-8000-5ec7e7000001"
VARYING = re.compile(r'"(?:made|created|issued|now|time)[A-Za-z]*":\s*"[^"]*"')
UNKNOWN_ID = "urn:uuid:00000000-0000-4000-8000-5ec7e7000002"


@pytest.fixture(scope="module")
def secret(door: Door) -> dict[str, Any]:
    """A capture of the farm's that names nobody else."""
    event = door.sim.event(epcList=[LOT], eventID=EVENT_ID, disposition="damaged")
    captured = door.captured(door.sim.document([event]))
    # No projector runs beside this node; without a graph every thing would be answered 503 alike.
    rebuild(door.sim.node.folder / "graph", Source(door.sim.node.reading))
    return captured


def same(door: Door, hidden: str, unknown: str, member: str | None) -> None:
    """Both answers refuse alike, and neither says more than the other."""
    answers = [door.get(path, member) for path in (hidden, unknown)]
    bodies = [
        one.text.replace(hidden.split("/")[3], "X").replace(unknown.split("/")[3], "X") for one in answers
    ]
    assert answers[0].status_code == answers[1].status_code
    assert answers[0].status_code in (401, 403, 404)
    assert bodies[0] == bodies[1]
    for text in (LOT, EVENT_ID, "damaged", "farm"):
        assert text not in bodies[0].replace("X", "")
    dropped = {"date"}
    headers = [{k: v for k, v in one.headers.items() if k not in dropped} for one in answers]
    assert headers[0].keys() == headers[1].keys()


@pytest.mark.parametrize("member", ["shop", "packer", "operator", None])
@pytest.mark.parametrize("tail", ["", "/proof", "/proof?show=/disposition", "/proof?show=/nothing"])
def test_a_hidden_record_answers_like_an_unknown_one(
    door: Door, secret: dict[str, Any], member: str | None, tail: str
) -> None:
    with door.unchanged():
        name = secret["records"][1]["record"]
        same(door, f"/api/records/{name}{tail}", f"/api/records/{'ab' * 32}{tail}", member)
        same(
            door,
            f"/api/records/urn:loomark:record:{name}{tail}",
            f"/api/records/urn:loomark:record:{'ab' * 32}{tail}",
            member,
        )
        same(door, f"/api/records/{EVENT_ID}{tail}", f"/api/records/{UNKNOWN_ID}{tail}", member)


@pytest.mark.parametrize("member", ["shop", "packer", "operator", None])
@pytest.mark.parametrize("tail", ["", "/document"])
def test_anothers_job_answers_like_an_unknown_one(
    door: Door, secret: dict[str, Any], member: str | None, tail: str
) -> None:
    with door.unchanged():
        same(door, f"/epcis/capture/{secret['captureID']}{tail}", f"/epcis/capture/{'ab' * 16}{tail}", member)


def test_its_own_member_sees_it(door: Door, secret: dict[str, Any]) -> None:
    found = door.get(f"/api/records/{EVENT_ID}").json()
    assert (found["record"], found["sight"]) == (secret["records"][1]["record"], "whole")
    assert json.dumps(found["value"]).count("SECRET") == 1


def test_an_event_id_that_several_records_carry_names_only_what_is_visible(door: Door) -> None:
    """Another member's record under the same eventID changes nothing for the first, not even the answer's kind."""
    shared = "urn:uuid:00000000-0000-4000-8000-5ec7e7000003"
    first = door.captured(door.sim.document([door.sim.event(epcList=[OPEN_LOT], eventID=shared)]))
    before = door.get(f"/api/records/{shared}").json()
    door.captured(
        door.sim.document([door.sim.event(epcList=[OPEN_LOT], eventID=shared, action="ADD")]), "shop"
    )
    assert door.get(f"/api/records/{shared}").json() == before
    assert before["record"] == first["records"][1]["record"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "%00",
        "..",
        "%2e%2e/%2e%2e/etc/passwd",
        "a" * 5000,
        "%ff",
        "%F0%9F%8D%8E",
        "urn:loomark:record:",
        "AB" * 32,
    ],
)
def test_a_strange_name_of_a_record_is_an_unknown_one(door: Door, name: str) -> None:
    with door.unchanged():
        for tail in ("", "/proof"):
            answer = door.get(f"/api/records/{name}{tail}")
            assert answer.status_code == 404
            assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "show", ["x", "/~2", "/eventTime/0", "/epcList/1", "/epcList/00", "/" * 400, "/\U0001f600", ""]
)
def test_a_pointer_to_nothing_is_refused(door: Door, secret: dict[str, Any], show: str) -> None:
    with door.unchanged():
        answer = door.http.get(
            f"/api/records/{secret['records'][1]['record']}/proof",
            params={"show": show},
            headers=door.headers("farm"),
        )
        if show == "":
            # The empty pointer names the whole record (RFC 6901).
            assert answer.status_code in (200, 400)
        else:
            door.refused(answer, 400, "no-such-pointer")


HIDDEN_LOT, UNKNOWN_LOT = LOT, "https://id.gs1.org/01/09506000134352/10/NOBODY"
ASKING = (
    "/api/trace?thing={}",
    "/api/trace?thing={}&direction=backward",
    "/api/trace?thing={}&direction=both&size=4",
    "/api/search?q={}",
    "/api/things/{}",
    "/api/reports/provenance?thing={}",
    "/api/compliance/fsma204?lot={}",
    "/things/{}",
    "/trace?thing={}",
    "/search?q={}",
    "/report?thing={}",
)


@pytest.mark.parametrize("member", ["shop", "packer", "operator"])
@pytest.mark.parametrize("asked", ASKING)
def test_a_hidden_thing_answers_like_an_unknown_one(
    door: Door, secret: dict[str, Any], member: str, asked: str
) -> None:
    assert secret["state"] == "sequenced"
    answers = [door.get(asked.format(quote(lot, safe="")), member) for lot in (HIDDEN_LOT, UNKNOWN_LOT)]
    assert answers[0].status_code == answers[1].status_code
    assert answers[0].status_code < 500
    texts = [
        answer.text.replace(lot.rpartition("/")[2], "LOT")
        for answer, lot in zip(answers, (HIDDEN_LOT, UNKNOWN_LOT), strict=True)
    ]
    assert VARYING.sub("", texts[0]) == VARYING.sub("", texts[1])
    for told in (EVENT_ID, "damaged", secret["records"][1]["record"]):
        assert told not in texts[0]


def test_its_member_is_told_of_it(door: Door, secret: dict[str, Any]) -> None:
    found = door.get(f"/api/trace?thing={quote(HIDDEN_LOT, safe='')}").json()
    assert [event["event_id"] for event in found["events"]] == [EVENT_ID]
    assert door.get(f"/api/trace?thing={quote(HIDDEN_LOT, safe='')}", None).status_code == 401
