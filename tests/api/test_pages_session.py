"""Sessions of people: begun with an API key, ended by their own form, never a way to elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from api.auth import COOKIE

from .consortium_pages import Site, parse


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("session"))
    site.admit("farm")
    yield site
    site.close()


@pytest.fixture
def browser(site: Site) -> TestClient:
    client = TestClient(site.app, base_url="http://127.0.0.1", follow_redirects=False)
    client.headers["accept"] = "text/html"
    return client


def test_an_api_key_begins_a_session_that_scripts_cannot_read(site: Site, browser: TestClient) -> None:
    answer = browser.post("/login", data={"key": site.keys["farm"], "to": "/search?q=x"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/search?q=x")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert site.keys["farm"] not in answer.headers["set-cookie"]
    assert browser.get("/").status_code == 200


def test_a_wrong_key_begins_nothing_and_is_not_repeated(browser: TestClient) -> None:
    answer = browser.post("/login", data={"key": "lm_wrong"})
    assert answer.status_code == 401
    assert "lm_wrong" not in answer.text
    assert COOKIE not in browser.cookies
    assert browser.get("/").status_code == 303


@pytest.mark.parametrize(
    "target", ["//evil.example/", "https://evil.example/", "/\\evil.example", "x", "/\n/x"]
)
def test_logging_in_never_leads_elsewhere(site: Site, browser: TestClient, target: str) -> None:
    answer = browser.post("/login", data={"key": site.keys["farm"], "to": target})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_another_site_logs_nobody_in(site: Site, browser: TestClient) -> None:
    data = {"key": site.keys["farm"]}
    assert browser.post("/login", data=data, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert COOKIE not in browser.cookies
    assert browser.post("/login", data=data, headers={"sec-fetch-site": "same-origin"}).status_code == 303


def test_a_forged_cookie_is_nobodys(browser: TestClient) -> None:
    browser.cookies.set(COOKIE, "MQ.forged.forged")
    assert browser.get("/").status_code == 303


def test_only_the_sessions_own_form_ends_it(site: Site, browser: TestClient) -> None:
    browser.post("/login", data={"key": site.keys["farm"]})
    assert browser.post("/logout", data={"csrf": "0" * 64}).status_code == 403
    page = parse(browser.get("/").text)
    token = next(one.attributes["value"] for one in page.all("input") if one.attributes["name"] == "csrf")
    assert browser.post("/logout", data={"csrf": token}).status_code == 303
    assert browser.get("/").status_code == 303


def test_a_new_key_ends_the_sessions_of_the_old_one(site: Site, browser: TestClient) -> None:
    browser.post("/login", data={"key": site.keys["farm"]})
    assert browser.get("/").status_code == 200
    site.keys["farm"] = site.sim.node.capture.issue_key("farm")
    assert browser.get("/").status_code == 303
