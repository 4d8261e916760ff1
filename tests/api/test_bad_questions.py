"""Questions that make no sense are refused as problems; none of them reaches a file, and none breaks the node."""

from __future__ import annotations

import pytest

from .door import Door

REFUSED = [
    ("/api/trace", 400),
    ("/api/trace?thing=", 404),
    ("/api/trace?thing=x&direction=up", 400),
    ("/api/trace?thing=x&size=-1", 404),
    ("/api/trace?thing=x&size=99999999999999999999999", 404),
    ("/api/trace?thing=x&size=1000", 404),
    ("/api/trace?thing=x&at=tomorrow", 400),
    ("/api/trace?thing=" + "x" * 3_000, 400),
    ("/api/trace?thing=%00", 404),
    ("/api/trace?thing=%ff", 404),
    ("/api/trace?thing=x&exposed=-5", 400),
    ("/api/trace?thing=x&exposed=99999999999999999999", 400),
    ("/api/search", 400),
    ("/api/reports/provenance", 400),
    ("/api/reports/provenance?thing=x", 404),
    ("/api/reports/provenance?thing=x&format=exe", 400),
    ("/api/compliance/fsma204?lot=%00", 404),
    ("/log/tile/0/abc", 400),
    ("/log/tile/9999999999999999999999/000", 400),
    ("/log/tile/entries/x000/x000/000", 400),
    ("/log/tile/%2e%2e/%2e%2e/keys/log.key", 400),
    ("/log/tile/0/999", 404),
    ("/static/%2e%2e/%2e%2e/app.py", 404),
    ("/static/..%2f..%2fapp.py", 404),
    ("/nowhere", 404),
]


@pytest.mark.parametrize(("path", "status"), REFUSED)
def test_a_question_that_makes_no_sense_is_a_problem(door: Door, path: str, status: int) -> None:
    with door.unchanged():
        answer = door.get(path)
        door.refused(answer, status, answer.json()["rule"])


@pytest.mark.parametrize("text", ["", "%25%5F'%22;drop table", "%ff%00", "*", "(" * 500, "\u202e"])
def test_a_search_takes_any_text(door: Door, text: str) -> None:
    with door.unchanged():
        found = door.get(f"/api/search?q={text}")
        assert found.status_code == 200
        assert found.json()["candidates"] == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "FOO"])
def test_another_method_is_a_problem(door: Door, method: str) -> None:
    with door.unchanged():
        for path in ("/epcis/capture", "/api/statements", "/api/members", "/log/checkpoint"):
            answer = door.http.request(method, path, headers=door.headers("farm"))
            door.refused(answer, 405, "method-not-allowed")


@pytest.mark.parametrize(
    ("path", "status"), [("/healthz", 200), ("/log/checkpoint", 200), ("/login", 200), ("/nowhere", 404)]
)
def test_head_is_answered_as_get_without_the_body(door: Door, path: str, status: int) -> None:
    told, whole = door.http.head(path), door.http.get(path)
    assert (told.status_code, told.content) == (status, b"")
    for name in ("content-length", "content-type", "content-security-policy"):
        assert told.headers[name] == whole.headers[name]


def test_head_of_what_only_takes_post_changes_nothing(door: Door) -> None:
    with door.unchanged():
        answer = door.http.head("/api/statements", headers=door.headers("farm"))
        assert (answer.status_code, answer.content) == (405, b"")


def test_a_name_of_one_thing_is_traced_and_a_name_of_several_lists_them(door: Door) -> None:
    lots = [f"https://id.gs1.org/01/0950600013{gtin}/10/SAME-7" for gtin in ("4352", "4369")]
    sole = "https://id.gs1.org/01/09506000134352/10/ONLY-7"
    door.captured(door.sim.document([door.sim.event(epcList=[name]) for name in (*lots, sole)]))
    with door.unchanged():
        found = door.get("/api/trace?thing=ONLY-7")
        assert (found.status_code, found.json()["thing"]) == (200, sole)
        several = door.get("/api/trace?thing=SAME-7")
        assert several.status_code == 409
        assert several.json()["type"] == "urn:loomark:problem:several-things"
        assert sorted(one["got"] for one in several.json()["findings"]) == lots
        assert door.get("/api/trace?thing=SAME-7", "shop").status_code == 404


@pytest.mark.parametrize(
    ("path", "pointer", "expected", "got"),
    [
        ("/api/trace", "/query/thing", "a value", "nothing"),
        ("/api/trace?thing=x&direction=up", "/query/direction", "'forward', 'backward' or 'both'", "up"),
        ("/api/trace?thing=" + "x" * 3_000, "/query/thing", "at most 2048 characters", "x" * 80),
    ],
)
def test_a_wrong_parameter_is_named_with_what_was_got(
    door: Door, path: str, pointer: str, expected: str, got: str
) -> None:
    finding = door.finding(door.get(path), "bad-parameter")
    assert (finding["pointer"], finding["expected"], finding["got"]) == (pointer, expected, got)
