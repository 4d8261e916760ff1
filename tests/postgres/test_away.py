"""The server goes away and comes back: nothing acknowledged is lost, and no node has to be started again."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fabric.store.engine import writer_engine
from fabric.store.migrate import migrate
from ledger.errors import Unavailable
from tests.simulator import Simulator, databases

from .server import NoServer, Server

WITHIN_S = 60.0


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of its own, because it is stopped."""
    try:
        with Server.started() as started:
            yield started
    except NoServer as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_a_node_goes_on_when_its_server_is_back(tmp_path: Path, server: Server, how: signal.Signals) -> None:
    url = server.new_database()
    engine = writer_engine(url)
    migrate(engine)
    engine.dispose()
    databases.append(lambda: url)
    try:
        sim = Simulator(tmp_path / "node")
    finally:
        databases.pop()
    with sim:
        sim.admit("farm")
        before = sim.capture("farm", [sim.event(epcList=["urn:epc:id:sgtin:9506000.013435.1"])])
        published = sim.node.log.published()
        port = server.port
        server.stop(how)
        event = sim.event(epcList=["urn:epc:id:sgtin:9506000.013435.2"])
        for _ in range(2):
            with pytest.raises(Unavailable):
                sim.capture("farm", [event])
        assert sim.node.state()["sequencing"] is False
        server.start(port)
        deadline = time.monotonic() + WITHIN_S
        while not (sim.node.state()["sequencing"] and sim.node.state()["writable"]):
            assert time.monotonic() < deadline, sim.node.state()
            time.sleep(0.02)
        job = sim.capture("farm", [event])
        assert (job.state, before.state) == ("sequenced", "sequenced")
        assert sim.node.log.consistency_path(published.checkpoint.size)
        assert sim.rows("SELECT count(*) FROM statement WHERE state = 'staged'") == [(0,)]
