"""Records by event ID, as different readers ask for them."""

from __future__ import annotations

import pytest

from fabric.capture import naming
from fabric.capture.naming import commitment_named
from ledger.errors import Conflict, NotFound
from tests.simulator import Simulator

EVENT_ID = "urn:uuid:00000000-0000-4000-8000-00000000abcd"


def _named(sim: Simulator, member: str) -> str:
    return commitment_named(sim.node.reading, EVENT_ID, sim.node.reader(member))


def test_hidden_namesakes_push_no_visible_record_out(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming, "MOST_NAMESAKES", 2)
    for name in ("one", "two", "three"):
        sim.admit(name)
        sim.capture(name, [sim.event(eventID=EVENT_ID, epcList=[f"urn:epc:id:sgtin:9506000.013435.{name}"])])
    own = sim.capture("farm", [sim.event(eventID=EVENT_ID, epcList=["urn:epc:id:sgtin:9506000.013435.1"])])
    assert _named(sim, "farm") == sim.names(own)[1]
    with pytest.raises(NotFound):
        _named(sim, "packer")


def test_who_sees_all_is_told_of_every_namesake_up_to_the_limit(sim: Simulator) -> None:
    for name in ("farm", "one"):
        if name != "farm":
            sim.admit(name)
        sim.capture(name, [sim.event(eventID=EVENT_ID, epcList=[f"urn:epc:id:sgtin:9506000.013435.{name}"])])
    sim.state({"type": "role", "grantee": "packer", "role": "auditor", "for": "all", "until": None})
    with pytest.raises(Conflict) as caught:
        _named(sim, "packer")
    assert len(caught.value.findings) == 2
