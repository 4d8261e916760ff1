"""Reports over HTTP: the demonstration, asked by an auditor and by members who see a part of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.cli.verify import verdict_of
from api.settings import Settings
from ledger.policy import parse_policy
from tests.fabric.report.conftest import Demonstration


class Asking:
    """The demonstration behind its HTTP application."""

    def __init__(self, folder: Path) -> None:
        self.demo = Demonstration(folder)
        app = create_app(self.demo.sim.node, Settings(self.demo.sim.folder), bytes(32))
        self.http = TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)

    def get(self, path: str, member: str = "auditor", **params: str) -> Any:
        """GET a path with a member's API key."""
        headers = {"Authorization": f"Bearer {self.demo.keys[member]}"}
        return self.http.get(path, params=params, headers=headers)


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    found = Asking(tmp_path_factory.mktemp("asking"))
    with found.http:
        yield found
    found.demo.sim.node.close()


def test_a_downloaded_report_verifies_under_the_downloaded_policy(asking: Asking) -> None:
    answer = asking.get("/api/reports/provenance", thing=asking.demo.lot)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == 'attachment; filename="provenance-report.json"'
    policy = parse_policy(asking.get("/api/policy").text)
    verdict = verdict_of(answer.content, policy)
    assert (verdict["kind"], verdict["thing"], verdict["affected"]) == ("report", asking.demo.lot, 9)


def test_a_thing_may_be_asked_for_by_any_of_its_names(asking: Asking) -> None:
    lot = asking.demo.lot.rpartition("/")[2]
    urn = f"urn:epc:class:lgtin:9525001.000010.{lot}"
    answer = asking.get("/api/reports/provenance", thing=urn, direction="forward").json()
    assert answer["question"]["thing"] == asking.demo.lot
    assert answer["question"]["direction"] == "forward"


def test_a_page_is_served_with_the_sites_own_stylesheet(asking: Asking) -> None:
    page = asking.get("/report", thing=asking.demo.lot)
    assert page.status_code == 200, page.text
    assert "<style" not in page.text
    assert " style=" not in page.text
    assert "What remains the operator" in page.text
    assert "style-src 'self'" in page.headers["content-security-policy"]


def test_the_file_to_print_carries_its_own_style(asking: Asking) -> None:
    file = asking.get("/api/reports/provenance", thing=asking.demo.lot, format="html")
    assert file.headers["content-disposition"] == 'attachment; filename="provenance-report.html"'
    assert "<style>" in file.text
    assert "<svg" in file.text
    assert "/static/" not in file.text
    assert set(re.findall(r'href="(.)', file.text)) == {"#"}, "it leads nowhere but within itself"


def test_completeness_of_a_lot_names_the_gap(asking: Asking) -> None:
    gap = next(one for one in asking.demo.truth["gaps"] if one["cte"] == "receiving")
    answer = asking.get("/api/compliance/fsma204", lot=gap["lot"]).json()
    assert answer["schema"] == "loomark/fsma204/v1"
    assert [(one["cte"], one["kde"], one["event_id"]) for one in answer["gaps"]] == [
        (gap["cte"], gap["kde"], gap["record"])
    ]


@pytest.mark.parametrize(
    ("path", "name"),
    [("/api/reports/provenance", "thing"), ("/api/compliance/fsma204", "lot"), ("/report", "thing")],
)
def test_hidden_and_unknown_things_are_answered_alike(asking: Asking, path: str, name: str) -> None:
    hidden = asking.get(path, "retailer", **{name: asking.demo.lot})
    unknown = asking.get(path, "retailer", **{name: asking.demo.lot + "X"})
    assert hidden.status_code == unknown.status_code == 404
    assert hidden.text == unknown.text.replace(asking.demo.lot + "X", asking.demo.lot)


def test_nobody_gets_a_report_without_a_key(asking: Asking) -> None:
    answer = asking.http.get("/api/reports/provenance", params={"thing": asking.demo.lot})
    assert answer.status_code == 401


def test_what_is_no_lot_is_refused_with_a_problem(asking: Asking) -> None:
    answer = asking.get("/api/compliance/fsma204", lot="https://id.gs1.org/414/9525004000012")
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:loomark:problem:not-a-lot")
