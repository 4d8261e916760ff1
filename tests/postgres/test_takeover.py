"""Nodes in processes of their own on one database: the one that sequences is killed, and another goes on."""

from __future__ import annotations

import os
import random
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import pytest

from bench.serving import Served
from bench.witness import ChildWitness
from fabric.capture.witnessing import POLICY_FILE
from fabric.integrity import check_node
from fabric.store.engine import writer_engine
from ledger.errors import Unavailable
from ledger.note import parse_note, parse_vkey, verify_note
from ledger.policy import parse_policy
from tests.faults.served import births, document, kill, survivors

from .fixtures import Postgres

MEMBER = {"type": "member", "subject": "farm", "name": "Farm", "parties": ["9506000134352"]}
MEDIA = "application/ld+json"
WITHIN_S = 60.0
_BOTH = "group both all 0 1\nquorum both\n"


@dataclass
class Cluster:
    """Nodes of one log, by number; they share keys and database, and each has its folder."""

    folder: Path
    database: str
    stack: ExitStack
    key: str = ""
    nodes: list[Served] = field(default_factory=list)

    def start(self, number: int) -> Served:
        """Start a node for the first time, or again."""
        data = self.folder / str(number)
        if number and not data.exists():
            shutil.copytree(self.folder / "0" / "keys", data / "keys")
        node = Served(data, environment={"LOOMARK_DATABASE": self.database, "LOOMARK_PREPARE_PROCESSES": "1"})
        self.stack.enter_context(node)
        self.nodes[number:] = [node, *self.nodes[number + 1 :]]
        return node

    def ready(self, node: Served) -> dict[str, Any]:
        """What a node says of itself; nothing while it does not answer."""
        try:
            found: dict[str, Any] = httpx2.get(f"{node.url}/readyz", timeout=5).json()
        except httpx2.HTTPError:
            return {}
        return found

    def sequencer(self) -> Served | None:
        """The node that says that it sequences."""
        found = [node for node in self.nodes if self.ready(node).get("sequencing")]
        assert len(found) < 2, "two nodes say that they sequence"
        return found[0] if found else None


@pytest.fixture
def cluster(tmp_path: Path, postgres: Postgres) -> Iterator[Cluster]:
    with ExitStack() as stack:
        found = Cluster(tmp_path, postgres(), stack)
        first = found.start(0)
        found.key = first.state(MEMBER)["apiKey"]
        found.start(1)
        yield found


class Sending:
    """Clients that capture at whichever node answers, and remember what was acknowledged."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self._cluster = cluster
        self._stop = threading.Event()
        self._chance = random.Random(seed)
        self.acknowledged: list[str] = []
        self.settled: list[tuple[float, int]] = []
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(4)]

    def __enter__(self) -> Sending:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(WITHIN_S)
        assert not any(thread.is_alive() for thread in self._threads)

    def _run(self, number: int) -> None:
        chance = random.Random(self._chance.random())
        for turn in count():
            if self._stop.is_set():
                return
            node = self._cluster.nodes[(number + turn) % len(self._cluster.nodes)]
            try:
                with node.client(self._cluster.key) as http:
                    self._capture(http, chance)
            except httpx2.HTTPError:
                time.sleep(0.02)

    def _capture(self, http: httpx2.Client, chance: random.Random) -> None:
        body = document(chance, 1)
        answer = http.post("/epcis/capture", content=body, headers={"Content-Type": MEDIA})
        if answer.status_code != 202:
            assert answer.status_code == 503, answer.text
            return
        job = answer.headers["location"]
        self.acknowledged.append(job)
        found = http.get(job, headers={"Prefer": "wait=10"}).json()
        if found["state"] == "sequenced":
            self.settled.append((time.monotonic(), found["index"]))


def until(said: Any) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not said():
        assert time.monotonic() < deadline, "expected it within a minute, and it did not happen"
        time.sleep(0.02)


def test_a_killed_sequencer_is_followed_by_another_under_load(
    cluster: Cluster, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with Sending(cluster, seed) as sending:
        until(lambda: len(sending.settled) >= 10)
        first, second = cluster.nodes
        assert cluster.sequencer() is first
        tree = births(first.process.pid)
        killed_at = time.monotonic()
        kill(tree[:1])
        until(lambda: cluster.ready(second).get("sequencing"))
        taken_s = time.monotonic() - killed_at
        before = len(sending.settled)
        until(lambda: len(sending.settled) >= before + 5)
        settled_s = next(at for at, _ in sending.settled[before:]) - killed_at
        assert survivors(tree) == []
        cluster.start(0)
        until(lambda: cluster.ready(cluster.nodes[0]).get("size"))
        assert cluster.sequencer() is second
        until(lambda: len(sending.settled) >= before + 15)
    with capsys.disabled():
        print(f"\n  take-over after kill -9: lock {taken_s:.2f} s, next capture settled {settled_s:.2f} s")
    _require_whole(cluster, sending)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_whoever_sequences_is_killed_again_and_again(
    cluster: Cluster, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    chance, taken_s = random.Random(seed), list[float]()
    with Sending(cluster, seed) as sending:
        for _ in range(int(os.environ.get("LOOMARK_TAKEOVERS", "40"))):
            taken_s.append(_kill_sequencer(cluster, sending, chance.randint(1, 12)))
    with capsys.disabled():
        print(f"\n  {len(taken_s)} take-overs after kill -9: longest {max(taken_s):.2f} s")
    _require_whole(cluster, sending)


def _kill_sequencer(cluster: Cluster, sending: Sending, more: int) -> float:
    """Wait for more captures, kill who sequences, start it again; the seconds until another sequences."""
    least = len(sending.settled) + more
    until(lambda: len(sending.settled) >= least)
    until(cluster.sequencer)
    victim = cluster.sequencer()
    assert victim is not None
    number = cluster.nodes.index(victim)
    killed_at = time.monotonic()
    kill(births(victim.process.pid)[:1])
    until(lambda: cluster.ready(cluster.nodes[1 - number]).get("sequencing"))
    taken_s = time.monotonic() - killed_at
    cluster.start(number)
    until(lambda: cluster.ready(cluster.nodes[number]).get("size"))
    return taken_s


def test_who_takes_over_asks_the_same_witnesses_and_none_of_them_sees_a_fork(
    cluster: Cluster, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    vkey = httpx2.get(f"{cluster.nodes[0].url}/log/vkey").text.strip()
    witnesses = [
        cluster.stack.enter_context(
            ChildWitness(tmp_path / name, "--name", f"witness.example/{name}", "--log", vkey)
        )
        for name in ("one", "two")
    ]
    lines = [f"witness {number} {one.vkey} {one.url}" for number, one in enumerate(witnesses)]
    monkeypatch.setenv("LOOMARK_WITNESS_REQUIRE", "true")
    for number, node in enumerate(cluster.nodes):
        node.stop()
        (cluster.folder / str(number) / POLICY_FILE).write_text("\n".join([*lines, _BOTH]))
    first, second = [cluster.start(number) for number in (0, 1)]
    with Sending(cluster, seed) as sending:
        until(lambda: len(sending.settled) >= 5)
        assert cluster.sequencer() is first
        kill(births(first.process.pid)[:1])
        until(lambda: cluster.ready(second).get("sequencing"))
        before = len(sending.settled)
        until(lambda: len(sending.settled) >= before + 5)
        cluster.start(0)
        until(lambda: cluster.ready(cluster.nodes[0]).get("size"))
    _require_whole(cluster, sending)
    note = parse_note(httpx2.get(f"{cluster.nodes[0].url}/log/checkpoint").content)
    policy = parse_policy(httpx2.get(f"{second.url}/api/policy").text)
    assert {key.text() for key in policy.witnesses.values()} == {one.vkey for one in witnesses}
    assert policy.quorum_time_s(verify_note(note, policy.keys)) is not None
    for one in witnesses:
        assert "loomark_witness_forks_total 0.0" in httpx2.get(f"{one.url}/metrics").text


def _require_whole(cluster: Cluster, sending: Sending) -> None:
    """Nothing acknowledged is lost, no index is given twice, both nodes show one log, and a check finds it clean."""
    with cluster.nodes[1].client(cluster.key) as http:
        jobs = [http.get(job, headers={"Prefer": "wait=30"}).json() for job in sending.acknowledged]
    assert {job["state"] for job in jobs} <= {"sequenced", "duplicate"}
    indices = [job["index"] for job in jobs if job["state"] == "sequenced"]
    assert len(set(indices)) == len(indices)
    until(lambda: len({cluster.ready(node)["size"] for node in cluster.nodes}) == 1)
    notes = [httpx2.get(f"{node.url}/log/checkpoint").text for node in cluster.nodes]
    assert notes[0] == notes[1]
    vkey = parse_vkey(httpx2.get(f"{cluster.nodes[0].url}/log/vkey").text.strip())
    for number in (0, 1):
        report = check_node(cluster.folder / str(number), cluster.database, vkey)
        assert report.faults == ()


def test_serve_refuses_a_database_that_was_not_migrated(tmp_path: Path, postgres: Postgres) -> None:
    database = postgres.empty()
    node = Served(tmp_path / "node", environment={"LOOMARK_DATABASE": database})
    with pytest.raises(Unavailable) as refusal, node:
        pass
    assert "loomark migrate" in str(refusal.value)
    assert database.partition("@")[0].rpartition(":")[2] not in (tmp_path / "node" / "serve.log").read_text()
    engine = writer_engine(database)
    with engine.connect() as connection:
        tables = connection.exec_driver_sql(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        ).scalar()
    assert tables == 0
    engine.dispose()
