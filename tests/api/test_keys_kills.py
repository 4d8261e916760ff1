"""kill -9 of a node that changes its keys under load: what was acknowledged is kept, each change is whole or absent.

A slice runs with every test run, and rotates with its seed; the long form kills 200 times.
"""

from __future__ import annotations

import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from bench.serving import Served
from fabric.integrity import check_node
from ledger.bundle import parse_bundle
from ledger.key_change import extended_policy, parse_evidence
from ledger.note import parse_note
from ledger.policy import parse_policy
from ledger.verify import Verifier
from tests.faults.served import Load, Promises, births, each_job, kill, survivors

# A second may pass before a busy node gets to a change, and then the overlap has ended; or too many overlap.
WAITING = ("bad-until", "too-many-log-keys")
SLICE_KILLS = 2
SOAK_KILLS = 200
MEMBERS = ("farm", "shop")
WHAT = ("log", "custody", "operator")
STOP_WITHIN_S = 60.0


class Rotating:
    """Somebody who asks for one new key after the other until the node is gone."""

    def __init__(self, node: Served, api_key: str, chance: random.Random) -> None:
        self._node, self._key, self._chance = node, api_key, chance
        self.done: list[str] = []
        self.errors: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Rotating:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        try:
            with self._node.client(self._key) as http:
                while not self._stop.is_set():
                    what = self._chance.choice(WHAT)
                    told = {} if what == "operator" else {"overlapSeconds": self._chance.choice([1, 3, 5])}
                    answer = http.post(f"/api/keys/{what}", json=told)
                    if answer.status_code == 201:
                        self.done.append(what)
                    elif answer.status_code != 503 and not any(rule in answer.text for rule in WAITING):
                        self.errors.append(answer.text)
        except httpx2.HTTPError:
            return


class Lives:
    """One folder and the nodes that live on it; the first policy is all that its verifier ever pinned."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.chance = random.Random(seed)
        self.promises = Promises()
        self.changed: list[str] = []
        with Served(folder) as node:
            self.operator = node.operator_key
            members = [{"id": name, "name": name, "parties": []} for name in MEMBERS]
            self.keys = node.admit({"members": members})
            self.pinned = httpx2.get(f"{node.url}/api/policy").text

    def live_and_die(self) -> None:
        with Served(self.folder) as node:
            self.check(node)
            tree = births(node.process.pid)
            with (
                Load(node, self.keys, self.promises, self.chance) as load,
                Rotating(node, self.operator, self.chance) as rotating,
            ):
                wanted, deadline = self.chance.choice([1, 2, 4]), time.monotonic() + 60
                while time.monotonic() < deadline and (
                    len(rotating.done) < wanted or load.answers.count(202) < wanted
                ):
                    time.sleep(0.01)
                time.sleep(self.chance.uniform(0, 0.2))
                kill(tree)
            assert node.process.wait(STOP_WITHIN_S) == -signal.SIGKILL
            assert survivors(tree) == []
            assert rotating.errors == []
            self.changed += rotating.done

    def check(self, node: Served) -> None:
        """What was acknowledged is there, and the first policy leads to whoever signs now, offline."""
        for _, job in each_job(node, self.keys, dict(self.promises.jobs)):
            assert job["state"] == "sequenced", job
            self.promises.hear(job)
        evidence = httpx2.get(f"{node.url}/log/key-changes").content
        self.pinned, _ = extended_policy(self.pinned, parse_evidence(evidence))
        said: Any = parse_policy(httpx2.get(f"{node.url}/api/policy").text)
        assert parse_policy(self.pinned) == said
        note = parse_note(httpx2.get(f"{node.url}/log/checkpoint").content)
        assert note.signatures[0].key_id == said.logs[-1].key_id
        verifier = Verifier(said)
        for proof in self.promises.proofs:
            verifier.verify(parse_bundle(proof))

    def finish(self) -> None:
        with Served(self.folder) as node:
            self.check(node)
            node.process.send_signal(signal.SIGTERM)
            assert node.process.wait(STOP_WITHIN_S) == 0
        assert check_node(self.folder, self.folder / "loomark.db").faults == ()


def test_a_node_killed_while_it_changes_keys_keeps_what_it_promised(tmp_path: Path, seed: int) -> None:
    lives = Lives(tmp_path / "node", seed)
    for _ in range(SLICE_KILLS):
        lives.live_and_die()
    lives.finish()
    print(f"seed {seed}: {len(lives.changed)} changes, {len(lives.promises.jobs)} captures acknowledged")
    assert lives.changed
    assert lives.promises.jobs


@pytest.mark.soak
@pytest.mark.timeout(4 * 3600)
def test_a_node_killed_two_hundred_times_while_it_changes_keys(tmp_path: Path, seed: int) -> None:
    lives = Lives(tmp_path / "node", seed)
    for number in range(SOAK_KILLS):
        lives.live_and_die()
        print(f"{number + 1} kills, {len(lives.changed)} changes", flush=True)
    lives.finish()
