"""Nodes in processes of their own: one is killed, something is erased, and it answers `gone` only once that is so."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bench.serving import Served, wait_until_covered
from tests.fabric.erasure.search import found
from tests.fabric.erasure.test_no_trace import word
from tests.faults.served import births, document, kill

from .fixtures import Postgres
from .test_takeover import MEDIA, MEMBER, Cluster, until


@pytest.fixture
def cluster(tmp_path: Path, postgres: Postgres) -> Iterator[Cluster]:
    with ExitStack() as stack:
        nodes = Cluster(tmp_path, postgres(), stack)
        nodes.key = nodes.start(0).state(MEMBER)["apiKey"]
        nodes.start(1)
        yield nodes


def told(cluster: Cluster, secret: str, seed: int) -> str:
    """Capture an event that names something, and wait until both graphs have it; the record's name."""
    value = json.loads(document(random.Random(seed), 2))
    value["epcisBody"]["eventList"][0]["epcList"] = [f"urn:example:{secret}"]
    with cluster.nodes[0].client(cluster.key) as http:
        sent = http.post("/epcis/capture", content=json.dumps(value), headers={"Content-Type": MEDIA})
        job = wait_until_covered(http, sent.headers["location"])
    for node in cluster.nodes:
        until(lambda node=node: cluster.ready(node).get("graph_size", 0) > job["index"])
    name: str = job["records"][1]["record"]
    return name


def answered(node: Served, key: str, statement: str) -> dict[str, Any]:
    with node.client(key) as http:
        answer: dict[str, Any] = http.get(f"/api/erasures/{statement}").json()
    return answer


def test_a_node_that_was_killed_before_an_erasure_sweeps_its_folder_at_its_start(
    cluster: Cluster, seed: int
) -> None:
    secret = word(f"killed {seed}")
    name = told(cluster, secret, seed)
    folders = [cluster.folder / "0", cluster.folder / "1"]
    assert all(found(folder, [secret]) for folder in folders)
    kill(births(cluster.nodes[1].process.pid)[:1])
    with cluster.nodes[0].client(cluster.key) as http:
        stated = http.post("/api/erasures", json={"records": [name], "reason": "asked to"}).json()
    until(lambda: answered(cluster.nodes[0], cluster.key, stated["statement"])["state"] == "gone")
    assert found(folders[0], [secret]) == {}
    assert found(folders[1], [secret]).keys() == {secret}
    back = cluster.start(1)
    until(lambda: answered(back, cluster.key, stated["statement"])["state"] == "gone")
    assert found(folders[1], [secret]) == {}
    assert [cluster.ready(node)["graph_purged"] for node in cluster.nodes] == [stated["index"]] * 2
