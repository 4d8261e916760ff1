"""`/api/erasures`, `/api/retention` and the commands over them: whose they are, what answers after them, what refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from ledger.canonical import parse_json
from ledger.policy import parse_policy
from ledger.receipt import verify_receipt
from tests.fabric.erasure.conftest import Erasing

from .door import Door

LOT = "https://id.gs1.org/01/09506000134352/10/E1"


def made(door: Door, member: str = "farm", **fields: Any) -> str:
    """A record of a member, by its commitment."""
    event = door.sim.event(action="ADD", bizStep="commissioning", **{"epcList": ["urn:example:x"], **fields})
    return door.sim.names(door.sim.capture(member, [event]))[1]


def erase(door: Door, body: Any, member: str | None = "farm", kind: str = "application/json") -> Any:
    return door.post(body, member, kind, "/api/erasures")


def get(door: Door, path: str, member: str = "farm", **parameters: Any) -> Any:
    return door.http.get(path, params=parameters, headers=door.headers(member))


def test_an_erasure_is_answered_with_its_statement_and_the_record_with_its_tombstone(door: Door) -> None:
    name = made(door, readPoint={"id": "urn:example:at"})
    answer = erase(door, {"records": [f"urn:loomark:record:{name}"], "reason": "asked to"})
    assert answer.status_code == 201, answer.text
    stated = answer.json()
    assert (stated["type"], stated["state"]) == ("erasure", "sequenced")
    for path in (f"/api/records/{name}", f"/api/records/{name}/proof"):
        gone = get(door, path)
        assert gone.status_code == 410, gone.text
        problem = gone.json()
        assert problem["type"] == "urn:loomark:problem:erased"
        assert problem["tombstone"]["erasures"][0]["index"] == stated["index"]
        assert "urn:example" not in gone.text
        door.refused(get(door, path, "shop"), 404, "unknown-record")
    assert get(door, f"/api/records/{name}/proof", format="tlog").status_code == 200
    Erasing(door.sim).settle()
    found = get(door, f"/api/erasures/{stated['statement']}").json()
    assert (found["index"], found["database"], found["records"]) == (stated["index"], True, [name])
    assert get(door, "/api/erasures").json()["erasures"][0] == found
    assert get(door, "/api/erasures", "shop").json() == {"erasures": []}
    door.refused(get(door, f"/api/erasures/{stated['statement']}", "shop"), 404, "unknown-erasure")


def test_a_unit_goes_and_the_answers_say_which(door: Door) -> None:
    name = made(door, readPoint={"id": "urn:example:there"}, bizLocation={"id": "urn:example:here"})
    told = {"records": [name], "units": ["/readPoint/id"], "reason": "a private address"}
    assert erase(door, told).status_code == 201
    record = get(door, f"/api/records/{name}").json()
    assert "readPoint" not in record["value"]
    assert "bizLocation" in record["value"]
    assert (record["erased"]["state"], record["erased"]["units"]) == ("erased-in-part", ["/readPoint"])
    proof = get(door, f"/api/records/{name}/proof")
    assert proof.headers["Loomark-Erased"] == "/readPoint"
    assert not door.sim.verify(proof.content).opened.full
    door.refused(get(door, f"/api/records/{name}/proof", show="/readPoint"), 410, "erased")
    door.refused(get(door, f"/api/records/{name}/proof", show=""), 410, "erased")
    assert get(door, f"/api/records/{name}/proof", show="/bizLocation").status_code == 200


def test_the_submitted_bytes_are_dropped_with_a_record_in_them(door: Door) -> None:
    events = [door.sim.event(epcList=["urn:example:one"]), door.sim.event(epcList=["urn:example:two"])]
    job = door.sim.capture("farm", events)
    path = f"/epcis/capture/{job.id}/document"
    assert get(door, path).status_code == 200
    assert erase(door, {"records": [door.sim.names(job)[1]], "reason": "asked to"}).status_code == 201
    door.refused(get(door, path), 410, "erased")
    assert get(door, f"/api/records/{door.sim.names(job)[2]}/proof").status_code == 200
    again = door.sim.post("farm", door.sim.document(events))
    assert (again.id, again.index) == (job.id, job.index)


def test_a_signed_erasure_is_accepted_from_its_author_alone_and_answers_twice_alike(door: Door) -> None:
    job = door.sim.capture_signed("packer", [door.sim.event(epcList=["urn:example:signed"])])
    name = door.sim.names(job)[1]
    value = Erasing(door.sim).signed("packer", name)
    with door.unchanged():
        door.refused(erase(door, value), 403, "wrong-member")
        door.refused(erase(door, {"records": [name], "reason": "x"}, "packer"), 403, "no-delegation")
        door.refused(erase(door, value | {"salt": "00" * 32}, "packer"), 400, "wrong-commitment")
    first = erase(door, value, "packer")
    assert first.status_code == 201
    with door.unchanged():
        assert erase(door, value, "packer").json() == first.json()


@pytest.mark.parametrize(
    ("change", "status", "rule"),
    [
        ({"records": []}, 400, "bad-shape"),
        ({"records": ["zz"]}, 400, "bad-record-name"),
        ({"records": ["ab" * 32]}, 404, "unknown-record"),
        ({"records": 5}, 400, "bad-shape"),
        ({"reason": ""}, 400, "bad-shape"),
        ({"reason": "x" * 1001}, 400, "bad-shape"),
        ({"units": ["/nothing"]}, 400, "no-such-pointer"),
        ({"units": ["/epcList/9"]}, 400, "no-such-pointer"),
        ({"units": ["readPoint"]}, 400, "no-such-pointer"),
        ({"units": ["/type"]}, 400, "always-open"),
        ({"units": ["/@context"]}, 400, "always-open"),
        ({"units": ["/@context/0"]}, 400, "always-open"),
        ({"units": ["/eventTime"]}, 400, "unit-needed"),
        ({"units": ["/action"]}, 400, "unit-needed"),
        ({"units": ["/epcList"]}, 400, "unit-needed"),
        ({"parties": ["nobody"]}, 400, "unknown-member"),
        ({"more": 1}, 400, "bad-shape"),
    ],
)
def test_what_cannot_be_erased_is_refused_and_nothing_changes(
    door: Door, change: dict[str, Any], status: int, rule: str
) -> None:
    name = made(door, readPoint={"id": "urn:example:at"})
    body = {"records": [name], "reason": "asked to"} | change
    before = get(door, f"/api/records/{name}/proof").content
    with door.unchanged():
        door.refused(erase(door, body), status, rule)
    assert len(get(door, f"/api/records/{name}/proof").content) == len(before)


def test_erasing_twice_is_refused_the_second_time(door: Door) -> None:
    name = made(door, readPoint={"id": "urn:example:at"})
    part = {"records": [name], "units": ["/readPoint"], "reason": "asked to"}
    assert erase(door, part).status_code == 201
    with door.unchanged():
        door.refused(erase(door, part), 410, "erased")
    whole = {"records": [name], "reason": "asked to"}
    assert erase(door, whole).status_code == 201
    with door.unchanged():
        door.refused(erase(door, whole), 410, "erased")
        door.refused(erase(door, part), 410, "erased")


def test_others_records_the_operator_and_strangers_are_refused(door: Door) -> None:
    name = made(door)
    told = {"records": [name], "reason": "asked to"}
    with door.unchanged():
        door.refused(erase(door, told, "shop"), 404, "unknown-record")
        door.refused(erase(door, told, "operator"), 403, "not-a-member")
        door.refused(erase(door, told, None), 401, "unauthenticated")
        door.refused(erase(door, told, kind="text/plain"), 415, "unsupported-media-type")
        door.refused(erase(door, b"{" + b" " * 2_000_000), 413, "body-too-large")


def test_a_trace_says_how_many_records_are_erased(door: Door) -> None:
    one = made(door, epcList=None, quantityList=[{"epcClass": LOT, "quantity": 5}])
    made(door, epcList=None, quantityList=[{"epcClass": LOT, "quantity": 7}])
    asked: dict[str, Any] = {"thing": LOT, "direction": "forward"}
    before = get(door, "/api/trace", **asked).json()
    assert "erased" not in before
    assert erase(door, {"records": [one], "reason": "asked to"}).status_code == 201
    after = get(door, "/api/trace", **asked).json()
    assert after["erased"] == {"records": 1, "things": [{"thing": LOT, "records": 1}]}
    assert after["quantities"][0]["made"] == "7"
    door.http.post("/login", data={"key": door.keys["farm"], "to": "/"})
    for path in (f"/trace?thing={quote(LOT, safe='')}", f"/things/{quote(LOT, safe='')}"):
        page = door.http.get(path, headers={"Accept": "text/html"})
        assert page.status_code == 200, (path, page.text[:200])
        assert "was erased" in page.text
    door.http.cookies.clear()


def put(door: Door, member: str, value: Any, caller: str) -> Any:
    return door.http.put(
        f"/api/members/{member}/retention",
        content=json.dumps(value).encode(),
        headers=door.headers(caller, **{"Content-Type": "application/json"}),
    )


def test_a_policy_is_the_members_or_the_operators_for_one_without_a_key(door: Door) -> None:
    with door.unchanged():
        door.refused(put(door, "farm", {"days": 30}, "shop"), 403, "not-yours")
        door.refused(put(door, "packer", {"days": 30}, "operator"), 403, "not-yours")
        door.refused(put(door, "nobody", {"days": 30}, "operator"), 400, "unknown-member")
        door.refused(put(door, "farm", {"days": 0}, "farm"), 400, "out-of-range")
        door.refused(
            put(door, "farm", {"days": 3, "until": "2026-01-01T00:00:00.000Z"}, "farm"), 400, "bad-shape"
        )
        door.refused(put(door, "farm", {"until": "soon"}, "farm"), 400, "bad-time")
        door.refused(door.post(b"", "farm", "application/json", "/api/retention/pass"), 403, "no-policy")
    assert put(door, "shop", {"days": 30}, "operator").json()["policy"]["setBy"] == "operator"
    assert put(door, "packer", {"until": "2030-01-01T00:00:00.000Z"}, "packer").status_code == 200
    assert [one["member"] for one in get(door, "/api/retention", "operator").json()["policies"]] == [
        "packer",
        "shop",
    ]
    assert get(door, "/api/retention").json() == {"policies": []}
    assert put(door, "packer", {}, "packer").json() == {"member": "packer", "policy": None}
    assert put(door, "shop", {}, "operator").status_code == 200


def test_bundles_below_the_minimum_index_are_refused_and_everything_else_goes_on(tmp_path: Path) -> None:
    with Door(tmp_path / "node", log_minimum_index=7) as door:
        door.admit("farm")
        first = made(door)
        while door.sim.node.state()["size"] < 12:
            made(door)
        for width in (1, 7):
            door.refused(get(door, f"/log/tile/entries/000.p/{width}"), 410, "pruned")
        assert get(door, "/log/tile/entries/000.p/8").status_code == 200
        assert get(door, "/log/tile/0/000.p/5").status_code == 200
        door.refused(get(door, "/log/tile/entries/000"), 404, "no-tile")
        proof = get(door, f"/api/records/{first}/proof")
        assert door.sim.verify(proof.content).opened.full


def test_receipts_hold_before_and_after_an_erasure(door: Door) -> None:
    events = [
        door.sim.event(epcList=[f"urn:example:receipt{n}"], readPoint={"id": "urn:example:at"})
        for n in range(3)
    ]
    job = door.sim.capture("farm", events)
    path = f"/epcis/capture/{job.id}/receipt"
    policy = parse_policy(f"log {door.sim.node.vkey}\nquorum none\n")
    before = get(door, path).content
    names = door.sim.names(job)
    assert erase(door, {"records": [names[1]], "reason": "asked to"}).status_code == 201
    assert (
        erase(door, {"records": [names[2]], "units": ["/readPoint"], "reason": "asked to"}).status_code == 201
    )
    after = get(door, path).content
    old, new = (verify_receipt(parse_json(one), policy) for one in (before, after))
    assert [one.position for one in old.records] == [0, 1, 2, 3]
    assert ([one.position for one in new.records], new.erased) == ([0, 2, 3], (1,))
    assert b"receipt0" in before
    assert b"receipt0" not in after
