"""Who may ask, and how a session lives and ends; what every response carries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from api.auth import COOKIE, Sessions
from fabric.store.credentials import Principal
from ledger.errors import Forbidden

from .door import Door

GUARDED = (
    ("GET", "/epcis/capture/" + "ab" * 16),
    ("GET", "/epcis/capture/" + "ab" * 16 + "/document"),
    ("POST", "/epcis/capture"),
    ("POST", "/epcis/events"),
    ("GET", "/api/members"),
    ("POST", "/api/statements"),
    ("POST", "/api/members/farm/api-key"),
    ("GET", "/api/records/" + "ab" * 32),
    ("GET", "/api/records/" + "ab" * 32 + "/proof"),
    ("GET", "/log/tile/entries/000.p/2"),
)
PUBLIC = ("/healthz", "/readyz", "/log/checkpoint", "/log/vkey", "/login", "/docs", "/static/loomark.css")


@pytest.mark.parametrize(("method", "path"), GUARDED)
@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer nonsense",
        "Bearer lm_" + "A" * 43,
        "Basic bG06bG0=",
        "bearer\tx",
        "Bearer " + "x" * 5000,
        "Bearer \xe9",
    ],
)
def test_without_a_known_key_nothing_is_answered(
    door: Door, method: str, path: str, header: str | None
) -> None:
    with door.unchanged():
        headers: dict[str, Any] = {} if header is None else {"Authorization": header.encode("latin-1")}
        answer = door.http.request(method, path, headers=headers)
        door.refused(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"] == 'Bearer realm="loomark"'
        assert not header or len(header) < 12 or header not in answer.text


def test_only_hashes_of_keys_are_stored_anywhere(door: Door) -> None:
    stored = {row[0] for row in door.sim.rows("SELECT hash FROM credential")}
    assert {sha256(key.encode()).digest() for key in door.keys.values()} <= stored
    for file in sorted(path for path in door.sim.folder.rglob("*") if path.is_file()):
        data = file.read_bytes()
        for key in door.keys.values():
            assert key.encode() not in data, file


def test_keys_are_random_and_long(door: Door) -> None:
    assert all(re.fullmatch(r"lm_[A-Za-z0-9_-]{43}", key) for key in door.keys.values())
    assert len(set(door.keys.values())) == len(door.keys)


def test_the_operator_sees_no_record_and_captures_nothing(door: Door) -> None:
    job = door.captured(door.sim.document([door.sim.event(epcList=["urn:epc:id:sgtin:9506000.013435.1"])]))
    with door.unchanged():
        door.refused(
            door.get(f"/api/records/{job['records'][1]['record']}", "operator"), 404, "unknown-record"
        )
        for path in ("/epcis/capture", "/epcis/events"):
            body = door.sim.document([door.sim.event(epcList=["urn:epc:id:sgtin:9506000.013435.1"])])
            door.refused(door.post(body, "operator", path=path), 403, "not-a-member")
        door.refused(door.get(f"/epcis/capture/{job['captureID']}", "operator"), 403, "not-a-member")


# -- keys that are replaced ----------------------------------------------------------------------------


def test_a_fresh_key_ends_the_old_one_and_its_sessions(door: Door) -> None:
    door.admit("rotating")
    old = door.keys["rotating"]
    cookie = log_in(door, old)
    assert page(door, cookie).status_code == 200
    answer = door.post(b"", "operator", path="/api/members/rotating/api-key")
    assert answer.status_code == 201
    door.refused(door.get("/api/members", "rotating"), 401, "unauthenticated")
    door.refused(
        door.http.get("/api/members", headers={"Cookie": f"{COOKIE}={cookie}"}), 401, "unauthenticated"
    )
    door.keys["rotating"] = answer.json()["apiKey"]
    assert door.keys["rotating"] != old
    assert door.get("/api/members", "rotating").json()["self"] == "rotating"


def test_only_the_operator_issues_keys_and_only_to_members(door: Door) -> None:
    with door.unchanged():
        for member in ("farm", "packer"):
            answer = door.post(b"", member, path="/api/members/farm/api-key")
            door.refused(answer, 403, "not-operator")
        for name in ("nobody", "Not%20A%20Name", "..%2f", "x" * 300):
            answer = door.post(b"", "operator", path=f"/api/members/{name}/api-key")
            assert answer.status_code in (400, 404)
            assert answer.headers["content-type"] == "application/problem+json"
        assert door.get("/api/members").status_code == 200


# -- sessions ------------------------------------------------------------------------------------------


def log_in(door: Door, key: str, to: str = "/") -> str:
    """The cookie of a new session; the client's jar forgets it."""
    answer = door.http.post("/login", data={"key": key, "to": to})
    assert answer.status_code == 303, answer.text
    value = answer.cookies[COOKIE]
    door.http.cookies.clear()
    return str(value)


def page(door: Door, cookie: str, path: str = "/docs") -> Any:
    """A page as a browser with this cookie asks for it."""
    return door.http.get(path, headers={"Accept": "text/html", "Cookie": f"{COOKIE}={cookie}"})


def csrf_of(text: str) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', text)
    assert found, text[:500]
    return found[1]


def test_logging_in_gives_a_cookie_no_script_and_no_other_site_can_use(door: Door) -> None:
    with door.unchanged():
        answer = door.http.post("/login", data={"key": f"  {door.keys['farm']}\n"})
        flags = answer.headers["set-cookie"].lower()
        assert "httponly" in flags
        assert "samesite=strict" in flags
        assert "path=/" in flags
        assert f"max-age={door.settings.session_life_s}" in flags
        assert door.keys["farm"].lower() not in flags
        headers = {"Cookie": f"{COOKIE}={answer.cookies[COOKIE]}"}
        door.http.cookies.clear()
        assert door.http.get("/api/members", headers=headers).json()["self"] == "farm"


@pytest.mark.parametrize(
    "key", ["nonsense", " ", "lm_" + "A" * 43, "x" * 512, "'\"<script>alert(1)</script>"]
)
def test_a_wrong_key_logs_nobody_in_and_is_not_echoed(door: Door, key: str) -> None:
    with door.unchanged():
        answer = door.http.post("/login", data={"key": key})
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
        assert not key.strip() or key not in answer.text
        assert "<script" not in answer.text


def test_a_form_without_its_fields_is_refused(door: Door) -> None:
    with door.unchanged():
        for data in ({}, {"key": "x" * 513}, {"to": "/"}):
            door.refused(door.http.post("/login", data=data), 400, "bad-parameter")
        assert door.http.post("/login", content=b"\xff\xfe").status_code == 400


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
        "evil.example",
        "/\x00",
        " //evil.example",
        "http:/evil.example",
        "/ /evil.example",
    ],
)
def test_a_log_in_leads_nowhere_else(door: Door, target: str) -> None:
    answer = door.http.post("/login", data={"key": door.keys["farm"], "to": target})
    door.http.cookies.clear()
    assert answer.status_code == 303
    assert re.fullmatch(r"/(?![/\\])[\x21-\x7e]*", answer.headers["location"])
    form = door.http.get("/login", params={"to": target}).text
    assert f'value="{target}"' not in form or target.startswith("/ ")


def test_a_log_in_goes_on_to_the_page_that_was_asked_for(door: Door) -> None:
    answer = door.http.post("/login", data={"key": door.keys["farm"], "to": "/search?q=a%20b"})
    door.http.cookies.clear()
    assert answer.headers["location"] == "/search?q=a%20b"


@pytest.mark.parametrize(
    "spoil",
    [
        # Not its last character, whose lowest bits say nothing.
        lambda cookie: cookie[:-2] + ("A" if cookie[-2] != "A" else "B") + cookie[-1],
        lambda cookie: "",
        lambda cookie: "1",
        lambda cookie: cookie.split(".")[0],
        lambda cookie: "MQ" + cookie[cookie.index(".") :],
        lambda cookie: Sessions(b"another secret of 32 bytes .....", 3600).cookie(
            Principal(1, "farm", "member")
        ),
    ],
)
def test_a_cookie_that_this_node_did_not_sign_is_nobodys(door: Door, spoil: Any) -> None:
    cookie = spoil(log_in(door, door.keys["farm"]))
    answer = door.http.get("/api/members", headers={"Cookie": f"{COOKIE}={cookie}"})
    door.refused(answer, 401, "unauthenticated")


def test_a_session_ends_after_its_life(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    from itsdangerous import TimestampSigner

    now = TimestampSigner("x").get_timestamp()
    cookie = log_in(door, door.keys["farm"])
    life = door.settings.session_life_s
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _self: now + life - 60)
    assert door.http.get("/api/members", headers={"Cookie": f"{COOKIE}={cookie}"}).status_code == 200
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _self: now + life + 60)
    answer = door.http.get("/api/members", headers={"Cookie": f"{COOKIE}={cookie}"})
    door.refused(answer, 401, "unauthenticated")


def test_logging_out_needs_the_token_of_the_same_session(door: Door) -> None:
    mine, others = log_in(door, door.keys["farm"]), log_in(door, door.keys["shop"])
    token, wrong = csrf_of(page(door, mine).text), csrf_of(page(door, others).text)
    assert token != wrong
    with door.unchanged():
        headers = {"Cookie": f"{COOKIE}={mine}"}
        for bad in (wrong, "", token.upper(), "\u00e9", token + "0"):
            answer = door.http.post("/logout", data={"csrf": bad}, headers=headers)
            assert answer.status_code in (400, 403)
            assert "set-cookie" not in answer.headers
        done = door.http.post("/logout", data={"csrf": token}, headers=headers)
        assert (done.status_code, done.headers["location"]) == (303, "/login")
        assert "max-age=0" in done.headers["set-cookie"].lower()


def test_a_session_writes_nothing_without_a_token() -> None:
    sessions = Sessions(bytes(32), 60)
    cookie = sessions.cookie(Principal(1, "farm", "member"))
    sessions.check_csrf(cookie, sessions.csrf_token(cookie))
    for token in ("", sessions.csrf_token("other"), sessions.csrf_token(cookie)[:-1]):
        with pytest.raises(Forbidden):
            sessions.check_csrf(cookie, token)


@pytest.mark.parametrize(
    "path", ["/epcis/capture", "/epcis/events", "/api/statements", "/api/members/farm/api-key"]
)
def test_a_cookie_alone_changes_nothing(door: Door, path: str) -> None:
    """Another site can make a browser send a form; what changes something takes a key in a header, or a token."""
    for member in ("farm", "operator"):
        cookie = log_in(door, door.keys[member])
        body = door.sim.document([door.sim.event(epcList=["urn:epc:id:sgtin:9506000.013435.7"])])
        with door.unchanged():
            headers = {"Cookie": f"{COOKIE}={cookie}", "Content-Type": "application/json"}
            answer = door.http.post(path, content=body, headers=headers)
            assert answer.status_code in (401, 403)
            assert answer.headers["content-type"] == "application/problem+json"


# -- headers -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A node with an address that fails."""
    with Door(tmp_path_factory.mktemp("broken") / "node") as door:

        @door.app.get("/broken")
        def broken() -> None:
            raise RuntimeError("a secret of the node's inside")

        yield door


def check_headers(answer: Any) -> None:
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "cache-control" in answer.headers
    assert "server" not in answer.headers


@pytest.mark.parametrize(
    "path", [*PUBLIC, "/metrics", "/openapi.json", "/nowhere", "/api/members", "/static/none"]
)
def test_every_response_carries_the_security_headers(door: Door, path: str) -> None:
    for method in ("GET", "HEAD", "DELETE", "OPTIONS"):
        check_headers(door.http.request(method, path))


def test_a_failure_of_the_node_says_nothing_of_its_inside(broken: Door) -> None:
    answer = broken.http.get("/broken")
    broken.refused(answer, 500, "internal-error")
    assert "secret" not in answer.text
    check_headers(answer)


def test_secure_cookies_are_a_setting(tmp_path: Path) -> None:
    with Door(tmp_path / "node", secure_cookies=True) as door:
        answer = door.http.post("/login", data={"key": door.keys["operator"]})
        assert "; secure" in answer.headers["set-cookie"].lower()
