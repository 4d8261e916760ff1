"""`POST /api/links`: two names of one thing, and what a trace makes of them, as its parties see it."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.canonical import canonical

from .door import Door

A, B, C = (f"https://id.gs1.org/01/09506000134352/10/{name}" for name in ("LA", "LB", "LC"))


def link(door: Door, body: Any, member: str | None = "farm", kind: str = "application/json") -> Any:
    return door.post(body, member, kind, "/api/links")


def reached(door: Door, thing: str, member: str, direction: str = "forward") -> dict[str, list[str]]:
    answer = door.http.get(
        "/api/trace", params={"thing": thing, "direction": direction}, headers=door.headers(member)
    )
    assert answer.status_code == 200, answer.text
    return {hit["thing"]: hit["links"] for hit in answer.json()["affected"]}


def make(door: Door, member: str, *lots: str) -> None:
    events = [
        door.sim.event(action="ADD", bizStep="commissioning", quantityList=[{"epcClass": lot, "quantity": 5}])
        for lot in lots
    ]
    door.captured(door.sim.document(events), member)


def test_a_link_in_custody_is_answered_with_its_statement_and_followed_by_its_parties(door: Door) -> None:
    for member in ("farm", "shop"):
        make(door, member, A, B)
    told = {"same": ["(01)09506000134352(10)LB", A], "reason": "relabelled", "parties": ["packer"]}
    answer = link(door, told)
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert found.keys() == {"type", "statement", "state", "index"}
    assert (found["type"], found["state"]) == ("link", "sequenced")
    joined = {A: [found["statement"]], B: [found["statement"]]}
    assert reached(door, A, "farm") == joined
    assert reached(door, B, "farm", "backward") == joined
    assert reached(door, A, "shop") == {A: []}


def test_a_signed_link_is_accepted_from_its_author_alone(door: Door) -> None:
    value = door.sim.link_signed("packer", A, C)
    with door.unchanged():
        door.refused(link(door, value), 403, "wrong-member")
    assert link(door, value, "packer").status_code == 201
    with door.unchanged():
        assert link(door, value, "packer").status_code == 201


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (b"{", "not-json"),
        (b"[]", "bad-shape"),
        ({}, "bad-shape"),
        ({"same": [A, A]}, "same-name"),
        ({"same": [A, "https://id.gs1.org/01/09506000134352"]}, "not-material"),
        ({"same": [A, B], "parties": ["nobody"]}, "unknown-member"),
        ({"envelope": {}, "salt": "00" * 32, "body": {}}, "bad-shape"),
    ],
)
def test_what_is_no_link_is_refused_and_not_stored(door: Door, body: Any, rule: str) -> None:
    with door.unchanged():
        door.refused(link(door, body), 400, rule)


def test_the_operator_strangers_and_other_media_types_are_refused(door: Door) -> None:
    told = {"same": [A, B]}
    with door.unchanged():
        door.refused(link(door, told, "operator"), 403, "not-a-member")
        assert link(door, told, None).status_code == 401
        assert link(door, told, kind="text/plain").status_code == 415
        door.refused(link(door, b" " * 200_000), 413, "body-too-large")


def test_a_link_without_its_body_is_sent_to_where_links_go(door: Door) -> None:
    envelope = door.sim.link_signed("packer", A, B)["envelope"]
    with door.unchanged():
        body = door.refused(
            door.post(canonical(envelope), "packer", "application/json", "/api/statements"),
            400,
            "body-not-kept",
        )
    assert "/api/links" in body["detail"]
