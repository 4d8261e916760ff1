"""Deliveries with two nodes on one database: one delivers, and when it is killed the other goes on where it was."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.serving import Served
from tests.fabric.subscription.receiver import Receiver, until
from tests.faults.delivered import ENVIRONMENT, Capturing, logged, require_delivered, subscribe
from tests.faults.served import births, kill, survivors

from .fixtures import Postgres
from .test_takeover import MEMBER, Cluster


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_another_node_goes_on_with_deliveries(tmp_path: Path, postgres: Postgres, seed: int) -> None:
    with ExitStack() as stack, Receiver() as quick, Receiver() as failing:
        cluster = Delivering(tmp_path, postgres(), stack)
        first = cluster.start(0)
        key = first.state(MEMBER)["apiKey"]
        second = cluster.start(1)
        # Asked at the node that does not deliver: what is stored is everybody's.
        subscribe(second, key, [quick, failing])
        with Capturing([first, second], key, seed) as capturing:
            quick.wait_for(lambda heard: len(heard) >= 5)
            # What is under way when its node dies is the other's to send again.
            failing.answer = lambda _: None
            least = len(failing.heard) + 2
            failing.wait_for(lambda heard: len(heard) >= least)
            tree = births(first.process.pid)
            kill(tree[:1])
            assert survivors(tree) == []
            failing.answer = lambda _: 200
            cluster.nodes[:] = capturing.nodes = [second]
            until(lambda: cluster.ready(second).get("sequencing"))
            later = len(quick.heard) + 5
            quick.wait_for(lambda heard: len(heard) >= later)
        wanted = logged(second, key, capturing.events)
        require_delivered(quick, wanted, kills=1)
        require_delivered(failing, wanted, kills=1)


class Delivering(Cluster):
    """Nodes that deliver to loopback."""

    def start(self, number: int) -> Served:
        """Start a node with a short time-out, which another one waits for before it sends again."""
        data = self.folder / str(number)
        if number and not data.exists():
            shutil.copytree(self.folder / "0" / "keys", data / "keys")
        node = Served(data, environment={**ENVIRONMENT, "LOOMARK_DATABASE": self.database})
        self.stack.enter_context(node)
        self.nodes[number:] = [node, *self.nodes[number + 1 :]]
        return node
