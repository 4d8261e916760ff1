"""kill -9 of a serving node under load: of the node, of one of its children, of all; at moments the seed picks.

What was acknowledged is there at the next start, which needs no repair; no index is used twice; no process of the
tree outlives its node; old proofs still verify; the store is clean. A slice runs with every test run, and rotates
with its seed; the long form kills 1,000 times.
"""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from api.cli.child import LOG_FILE
from bench.serving import Served
from fabric.integrity import check_node
from ledger.bundle import parse_bundle
from ledger.note import parse_vkey
from ledger.policy import parse_policy
from ledger.verify import Verifier

from .served import (
    GONE_WITHIN_S,
    Load,
    Promises,
    births,
    children,
    each_job,
    kill,
    survivors,
)

SLICE_S = 8.0
SOAK_KILLS = 1_000
MEMBERS = ("farm", "shop")
STOP_WITHIN_S = 15.0


class Lives:
    """One folder and the nodes that live on it, one after the other."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.chance = random.Random(seed)
        self.keys: dict[str, str] = {}
        self.promises = Promises()
        self.kills = 0
        self._checked: set[str] = set()

    def found(self) -> None:
        """Start for the first time, admit the members, stop in order."""
        with Served(self.folder) as node:
            members = [{"id": name, "name": name, "parties": []} for name in MEMBERS]
            self.keys = node.admit({"members": members})

    def live_and_die(self, victim: str) -> None:
        """Serve under load until the kill; a node that only lost a child goes on, then dies as well."""
        with Served(self.folder) as node:
            self.check_promises(node)
            tree = births(node.process.pid)
            with Load(node, self.keys, self.promises, self.chance) as load:
                self._wait_for_a_moment(load)
                tree = sorted({*tree, *births(node.process.pid)}, key=lambda one: one[0] != node.process.pid)
                if victim == "child":
                    self._lose_a_child(node, tree, load)
                    tree = sorted(
                        {*tree, *births(node.process.pid)}, key=lambda one: one[0] != node.process.pid
                    )
                kill(tree if victim == "all" else tree[:1])
                self.kills += 1
            assert node.process.wait(20) == -signal.SIGKILL
            assert survivors(tree) == [], "a process outlived its node"

    def _wait_for_a_moment(self, load: Load) -> None:
        """Mostly until some captures were acknowledged, sometimes while the children still start."""
        wanted = self.chance.choice([0, 1, 5, 20])
        deadline = time.monotonic() + 20
        while load.answers.count(202) < wanted and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(self.chance.uniform(0, 0.3))

    def check_promises(self, node: Served) -> None:
        """Everything acknowledged in earlier lives is there and settled."""
        fresh = {name: job for name, job in self.promises.jobs.items() if name not in self._checked}
        for name, job in each_job(node, self.keys, fresh):
            assert job["state"] in ("sequenced", "refused", "duplicate"), job
            assert job["state"] != "refused" or job["reason"]
            assert job["state"] != "sequenced" or len(job["records"]) == 1 + fresh[name][1]
            self.promises.hear(job)
            self._checked.add(name)
        taken = list(self.promises.index.values())
        assert len(taken) == len(set(taken)), "an index was used twice"

    def finish(self) -> None:
        """One more start: all promises hold, what was not answered can be sent again, the folder is clean."""
        with Served(self.folder) as node:
            self._checked.clear()
            self.check_promises(node)
            self._send_again(node)
            with node.client(self.keys["farm"]) as http:
                vkey = http.get("/log/vkey").text.strip()
            verifier = Verifier(parse_policy(f"log {vkey}\nquorum none\n"))
            for proof in self.promises.proofs:
                verifier.verify(parse_bundle(proof))
            assert check_node(self.folder, self.folder / "loomark.db", parse_vkey(vkey)).faults == ()
            node.process.send_signal(signal.SIGTERM)
            assert node.process.wait(STOP_WITHIN_S) == 0

    def _lose_a_child(self, node: Served, tree: list[tuple[int, str]], load: Load) -> None:
        victims = children(tree)
        if not victims:
            return
        kill([self.chance.choice(victims)])
        self.kills += 1
        deadline, before = time.monotonic() + GONE_WITHIN_S, load.answers.count(202)
        while load.answers.count(202) <= before + 2:
            assert time.monotonic() < deadline, "captures did not go on after a child died"
            assert node.process.poll() is None, "the node died of its child's death"
            time.sleep(0.05)

    def _send_again(self, node: Served) -> None:
        for member, body in self.promises.unanswered:
            with node.client(self.keys[member]) as http:
                headers = {"Content-Type": "application/ld+json"}
                answer = http.post("/epcis/capture", content=body, headers=headers)
                assert answer.status_code == 202, answer.text
                job = http.get(answer.headers["location"], headers={"Prefer": "wait=20"}).json()
                assert job["state"] == "sequenced", job
                self.promises.hear(job)


def test_a_node_killed_under_load_keeps_what_it_promised(tmp_path: Path, seed: int) -> None:
    lives = Lives(tmp_path / "node", seed)
    lives.found()
    deadline = time.monotonic() + SLICE_S
    victims = ["node", "child", "all"]
    lives.chance.shuffle(victims)
    # Each victim dies at least once, however slow the machine is.
    while time.monotonic() < deadline or lives.kills < len(victims):
        lives.live_and_die(victims[lives.kills % 3])
    print(f"seed {seed}: {lives.kills} kills, {len(lives.promises.jobs)} captures acknowledged")
    lives.finish()
    assert lives.promises.jobs


@pytest.mark.soak
@pytest.mark.timeout(4 * 3600)
def test_a_node_survives_a_thousand_kills(tmp_path: Path, seed: int) -> None:
    lives = Lives(tmp_path / "node", seed)
    lives.found()
    while lives.kills < SOAK_KILLS:
        lives.live_and_die(lives.chance.choice(["node", "child", "all"]))
        print(f"{lives.kills} kills, {len(lives.promises.jobs)} captures acknowledged", flush=True)
    lives.finish()


def test_a_node_stops_in_order_under_load_and_says_nothing(tmp_path: Path, seed: int) -> None:
    lives = Lives(tmp_path / "node", seed)
    lives.found()
    with Served(lives.folder) as node:
        with Load(node, lives.keys, lives.promises, lives.chance):
            time.sleep(1)
            tree = births(node.process.pid)
            began = time.monotonic()
            node.process.send_signal(signal.SIGTERM)
            node.process.send_signal(signal.SIGTERM)
            assert node.process.wait(STOP_WITHIN_S) == 0
            assert time.monotonic() - began < STOP_WITHIN_S
        assert survivors(tree) == []
    assert (lives.folder / LOG_FILE).read_text() == ""
    lives.finish()
    assert (lives.folder / LOG_FILE).read_text() == ""


def test_a_node_that_is_told_to_stop_while_it_starts_stops(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    folder = tmp_path / "node"
    command = [sys.executable, "-m", "api.cli", "serve", "--data", str(folder), "--port", "0"]
    for _ in range(3):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as node:
            time.sleep(chance.uniform(0.2, 1.5))
            tree = births(node.pid)
            node.send_signal(signal.SIGTERM)
            said, complained = node.communicate(timeout=STOP_WITHIN_S)
        # Before the handler is there the signal ends the process as it ends any other.
        assert node.returncode == 0 or (node.returncode == -signal.SIGTERM and not said)
        assert complained == ""
        assert survivors(tree) == []
    with Served(folder) as node_:
        assert httpx2.get(f"{node_.url}/readyz").status_code == 200


def test_a_client_that_hangs_does_not_hold_up_the_stop(tmp_path: Path) -> None:
    with Served(tmp_path / "node") as node:
        host, port = node.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as slow:
            slow.sendall(b"POST /epcis/capture HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
            with httpx2.Client(base_url=node.url) as http:
                assert http.get("/healthz").status_code == 200
            node.process.send_signal(signal.SIGTERM)
            assert node.process.wait(STOP_WITHIN_S) == 0
