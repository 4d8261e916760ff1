"""Names in the form a reader asks for, over HTTP: with what the node knows of company prefixes, or a refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.api.door import Door

LINK = "https://id.gs1.org/01/09506000134352/21/1"
UNKNOWN = "https://id.gs1.org/01/02950600012348/21/1"
URN = "urn:epc:id:sgtin:4012345.012345.1"


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A node of which a member holds the company prefix 9506000, which the published list has not so."""
    with Door(tmp_path_factory.mktemp("held") / "node") as door:
        door.admit("farm", parties=["9506000"])
        for name in (LINK, URN):
            door.captured(door.sim.document([door.sim.event(epcList=[name])]))
        yield door


def names(door: Door, form: str, path: str = "/epcis/events?orderBy=eventTime") -> list[str]:
    answer = door.get(path, gs1_epc_format=form)
    assert answer.status_code == 200, answer.text
    assert answer.headers["gs1-epc-format"] == form
    body = answer.json()
    if "member" in body:
        return sorted(body["member"])
    events = body["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
    return sorted(name for event in events for name in event["epcList"])


@pytest.mark.parametrize("path", ["/epcis/events", "/epcis/epcs"])
def test_names_are_urns_with_the_prefix_that_a_member_holds(held: Door, path: str) -> None:
    assert names(held, "Always_EPC_URN", path) == [URN, "urn:epc:id:sgtin:9506000.013435.1"]
    assert names(held, "Always_GS1_Digital_Link", path) == ["https://id.gs1.org/01/04012345123456/21/1", LINK]


@pytest.mark.parametrize("form", ["Never_Translates", "No_Preference"])
def test_names_are_as_captured_where_nobody_asks_for_a_form(held: Door, form: str) -> None:
    assert names(held, form) == sorted([LINK, URN])


def test_a_name_without_a_known_prefix_is_not_acceptable_as_a_urn(tmp_path: Path) -> None:
    with Door(tmp_path / "node") as door:
        door.admit("farm")
        door.captured(door.sim.document([door.sim.event(epcList=[UNKNOWN])]))
        with door.unchanged():
            answer = door.get("/epcis/events", gs1_epc_format="Always_EPC_URN")
            body = door.refused(answer, 406, "unknown-company-prefix")
        assert body["findings"][0]["pointer"].endswith("/epcList/0")
        assert names(door, "Always_GS1_Digital_Link") == [UNKNOWN]
