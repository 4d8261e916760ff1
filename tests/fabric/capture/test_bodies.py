"""Statements whose bodies lie beside the log are refused while there is no place for such bodies."""

from __future__ import annotations

import pytest

from fabric.store.credentials import MEMBER, Principal
from ledger.errors import InvalidInput
from tests.simulator import Simulator


@pytest.mark.parametrize("kind", ["link", "agreement", "recall", "erasure"])
def test_a_statement_whose_body_nobody_keeps_is_refused_and_not_logged(sim: Simulator, kind: str) -> None:
    before = sim.rows("SELECT count(*) FROM statement"), sim.rows("SELECT count(*) FROM entry")
    envelope = sim.sign("packer", kind, {"parties": ["farm", "packer"], "commitment": "ab" * 32})
    ticket = sim.node.capture.post(Principal(0, "packer", MEMBER), envelope)
    with pytest.raises(InvalidInput) as caught:
        ticket.stored.result(30)
    assert caught.value.rule == "body-not-kept"
    assert (sim.rows("SELECT count(*) FROM statement"), sim.rows("SELECT count(*) FROM entry")) == before
