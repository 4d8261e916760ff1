"""Whatever a node writes of its own accord passes the audit of a stranger: no fault, no suspicion."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ledger.contradiction import Shown, bad_entry, duplicate_id, false_seal, void_statement
from ledger.errors import InvalidInput
from ledger.monitor.follow import open_monitor
from ledger.policy import parse_policy
from ledger.shape import time_text
from tests.simulator import ORIGIN, START_MS, Simulator

from .test_forked_node import Reading

LOTS = [f"https://id.gs1.org/01/09506000134352/10/{name}" for name in "AB"]


def live(sim: Simulator) -> None:
    """Everything that a node of this version lets be stated, void statements refused at the door among it."""
    sim.admit("farm", own_key=True, parties=["9506000134352"])
    sim.admit("packer", parties=["9506000134369"])
    sim.admit("auditor")
    sim.state({"type": "role", "grantee": "auditor", "role": "auditor", "for": "all", "until": None})
    until = time_text(sim.now_ms + 60_000)
    sim.state({"type": "role", "grantee": "packer", "role": "recall", "for": ["farm"], "until": until})
    sim.capture_signed("farm", [sim.event(epcList=[f"{LOTS[0][:-4]}21/1"])])
    job = sim.capture("packer", [sim.event(epcList=[f"{LOTS[0][:-4]}21/2"])])
    sim.link("packer", *LOTS)
    told = {"records": sim.names(job)[1:], "reason": "asked to"}
    ticket = sim.node.capture.erase("packer", json.dumps(told).encode())
    ticket.settled.result(30)
    sim.node.rotation.custody(None, 60_000)
    sim.node.rotation.operator_key()
    sim.node.rotation.log_key(60_000)
    sim.tick(90_000)
    sim.capture("packer", [sim.event(epcList=[f"{LOTS[0][:-4]}21/3"])])
    sim.state({"type": "member", "subject": "auditor", "roles": ["auditor"]})
    sim.capture_signed("farm", [sim.event(epcList=[f"{LOTS[0][:-4]}21/4"])])


def test_a_node_that_did_everything_it_can_is_sound_to_a_monitor(tmp_path: Path) -> None:
    with Simulator(tmp_path / "node") as sim:
        live(sim)
        keys = "".join([f"log {one.vkey.text()}\n" for one in sim.node.log_keys])
        policy = parse_policy(f"{keys}quorum none\n")
        monitor = open_monitor(tmp_path / "monitor", policy, ORIGIN, lambda: START_MS)
        report = monitor.look(Reading(sim))
        assert (report.suspicions, report.evidence, report.limits) == ([], [], [])
        assert report.entries == report.size == sim.node.log.size
        kinds = {one[0] for one in sim.rows("SELECT DISTINCT type FROM statement WHERE idx IS NOT NULL")}
        entries = dict(enumerate(monitor.archive.entries()))
        assert kinds >= {"charter", "member", "key", "role", "capture", "link", "erasure"}
        monitor.close()
    shown = Shown(ORIGIN, len(entries), entries)
    for index in entries:
        for judge in (bad_entry, false_seal, lambda what, at: void_statement(what, at, None)):
            with pytest.raises(InvalidInput):
                judge(shown, index)
        for other in range(index):
            with pytest.raises(InvalidInput):
                duplicate_id(shown, other, index)
