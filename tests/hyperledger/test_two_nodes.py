"""Two organisations, each with its own node and log, on one channel: they cosign each other, and follow each other."""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from bench.serving import process_tree
from ledger.hyperledger.anchor.companion import NAME
from ledger.keyfile import read_key_file
from ledger.note import ED25519, VerifierKey
from ledger.policy import policy_text

from .anchoring import GrowingLog, until
from .double.network import DoubleNetwork
from .two_nodes import OrganisationsNode, ProfileWriter, folder_served, loomark

ANCHOR = "\n[anchor]\nevery = 1\nseconds = 1\nquorum = 2\n"


@pytest.fixture(scope="module", params=["double", pytest.param("real", marks=pytest.mark.hyperledger)])
def write_profile(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProfileWriter]:
    """Profiles on the double, or on the real network."""
    if request.param == "double":
        double = DoubleNetwork(tmp_path_factory.mktemp("double"))
        try:
            yield lambda number, more, admin: double.write_profile(
                f"Org{number}MSP", "admin" if admin else "client", more
            )
        finally:
            double.close()
        return
    network = request.getfixturevalue("real_network")

    def real(number: int, more: str, admin: bool) -> Path:
        plain = network.profile(number, admin=admin)
        path: Path = plain.with_name(f"two-nodes-{secrets.token_hex(4)}-{plain.name}")
        path.write_text(plain.read_text().partition("[anchor]")[0] + more)
        return path

    yield real


@pytest.fixture(scope="module")
def founded(
    write_profile: ProfileWriter, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[OrganisationsNode, OrganisationsNode]]:
    """Two nodes that are founded and registered."""
    run = secrets.token_hex(4)
    with ExitStack() as running:
        made = []
        for number in (1, 2):
            folder = tmp_path_factory.mktemp(f"node{number}")
            node = OrganisationsNode(number, folder, write_profile, f"log-{run}-{number}.example/log")
            node.found()
            running.callback(node.stop)
            made.append(node)
        yield made[0], made[1]


@pytest.fixture
def nodes(
    founded: tuple[OrganisationsNode, OrganisationsNode],
) -> Iterator[tuple[OrganisationsNode, OrganisationsNode]]:
    """The two nodes, not running, with what earlier tests left in them."""
    yield founded
    for node in founded:
        node.stop()


def follow(other: OrganisationsNode) -> str:
    return f'\n[[follow]]\norigin = "{other.origin}"\nurl = "{other.url}"\n'


def test_the_main_job_on_two_nodes_ends_in_an_offline_verdict_that_names_the_organisations(
    nodes: tuple[OrganisationsNode, OrganisationsNode], tmp_path: Path, write_profile: ProfileWriter
) -> None:
    one, two = nodes
    proof, policy = tmp_path / "proof.json", tmp_path / "policy.txt"
    # The other organisation is down: captures and proofs go on, and the quorum of two is refused to one.
    one.start(ANCHOR + follow(two))
    record = one.capture(1)
    until(lambda: one.status().get("on_channel", 0) >= one.size(), "the channel to have it", 120)
    assert "not cosigned one that covers it yet" in one.prove(record, proof)
    told = one.policy(policy)
    assert f"witness {one.msp} " in told
    assert "group orgs 2 Org1MSP Org2MSP" in told
    assert "quorum orgs" in told
    alone = loomark("verify", str(proof), "--policy", str(policy), "--json")
    assert alone.exit_code == 1
    assert json.loads(alone.stdout)["failure"]["step"] == 9
    assert httpx2.get(f"{one.url}/log/anchored").status_code == 404
    # The other one comes up, and cosigns what it missed.
    two.start(ANCHOR + follow(one))
    one.wait_anchored(one.size())
    assert "cosigned" in one.prove(record, proof)
    verdict = loomark("verify", str(proof), "--policy", str(policy), "--json")
    assert verdict.exit_code == 0, verdict.output
    (shown,) = json.loads(verdict.stdout)["records"]
    assert "cosigned by Org1MSP at" in shown["steps"][8]["detail"]
    assert "Org2MSP at" in shown["steps"][8]["detail"]
    assert (shown["unwitnessed"], shown["record"]) == (False, record)
    assert shown["notAfter"] is not None
    # The second organisation verifies by what its own peer says, without asking the first one's node.
    ran = loomark(
        *("hyperledger", "policy", one.origin, "-o", str(policy), "--quorum", "2"),
        *("--profile", str(write_profile(2, "", False))),
    )
    assert ran.exit_code == 0, ran.output
    assert loomark("verify", str(proof), "--policy", str(policy)).exit_code == 0
    strict = policy.read_text().replace("group orgs 2 Org1MSP Org2MSP", "group orgs all Org1MSP Org2MSP")
    policy.write_text(strict.replace(f"witness {two.msp} ", f"witness {two.msp} ", 1))
    assert loomark("verify", str(proof), "--policy", str(policy)).exit_code == 0
    check_what_the_nodes_say(one, two)
    check_history(one, write_profile(2, "", False))


def check_what_the_nodes_say(one: OrganisationsNode, two: OrganisationsNode) -> None:
    two.wait_anchored(two.size())
    well: tuple[bool, int, int, list[object], str] = (True, 0, 0, [], "Org1MSP")
    # The anchor says how it stands twice a second, so the node may know of a cosigned checkpoint a little later.
    until(
        lambda: (
            tuple(one.ready()["anchor"][name] for name in ("healthy", "lag", "backlog", "reasons", "msp"))
            == well
        ),
        "the anchor to be well",
        60,
    )
    metrics = httpx2.get(f"{one.url}/metrics").text
    assert "loomark_anchor_healthy 1.0" in metrics
    assert "loomark_anchor_lag 0.0" in metrics
    assert f"loomark_anchor_cosigned_size {one.size():.1f}" in metrics
    until(lambda: two.status()["followed"].get(one.origin, {}).get("shown") == one.size(), "B to see A", 60)
    look = looked(two, one)
    assert (look["anchored"], look["evidence"]) == (one.size(), [])
    told = loomark("hyperledger", "status", "--data", str(one.folder))
    assert told.exit_code == 0, told.stdout
    assert f"cosigned {one.size()}" in told.stdout


def check_history(one: OrganisationsNode, profile: Path) -> None:
    ran = loomark("hyperledger", "history", one.origin, "--profile", str(profile), "--json")
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    assert [each["from"] for each in found] == [0, *[each["size"] for each in found[:-1]]]
    assert found[-1]["cosigned"] == ["Org1MSP", "Org2MSP"]


def test_a_server_that_shows_another_tree_than_the_anchored_one_is_accused_and_a_silent_one_suspected(
    nodes: tuple[OrganisationsNode, OrganisationsNode], tmp_path: Path
) -> None:
    one, two = nodes
    one.start(ANCHOR)
    one.capture(21)
    size = one.size()
    until(lambda: one.status().get("on_channel", 0) >= size, "the channel to have it", 120)
    one.stop()
    two.start(ANCHOR + follow(one))
    until(lambda: looked(two, one).get("anchored") == size, "B to know what was anchored", 120)
    until(lambda: looked(two, one)["suspicions"], "B to find nobody there", 120)
    assert looked(two, one)["evidence"] == []
    assert two.ready()["anchor"]["healthy"]
    # Whoever has the log's key puts another history into the place of the server.
    key = read_key_file(one.folder / "keys" / "log.key")
    GrowingLog(tmp_path / "forked", one.origin, key, history="other").grow(size + 20)
    with folder_served(tmp_path / "forked", one.port):
        until(lambda: looked(two, one)["evidence"], "B to have evidence", 120)
    anchor = two.ready()["anchor"]
    assert not anchor["healthy"]
    assert any(one.origin in reason and "misbehaved" in reason for reason in anchor["reasons"])
    policy = tmp_path / "policy.txt"
    policy.write_text(policy_text(VerifierKey(one.origin, ED25519, key.public_bytes)))
    for file in looked(two, one)["evidence"]:
        verdict = loomark("verify", file, "--policy", str(policy), "--json")
        assert verdict.exit_code == 4, verdict.output
        assert json.loads(verdict.stdout)["misbehaviour"]["kind"] == "inconsistent-growth"


def looked(follower: OrganisationsNode, other: OrganisationsNode) -> dict[str, Any]:
    """What the follower's last look at the other's log found."""
    found: dict[str, Any] = follower.status().get("followed", {}).get(other.origin, {})
    return found


def anchor_killed(victim: OrganisationsNode) -> int:
    """Kill a node's anchor with -9, once one has said that it runs; its process id."""
    assert victim.served is not None
    node = victim.served.process.pid
    until(lambda: victim.status().get("pid", 0) in process_tree(node), "an anchor that runs", 120)
    pid = int(victim.status()["pid"])
    os.kill(pid, signal.SIGKILL)
    return pid


def test_killed_anchors_and_nodes_go_on_where_they_were(
    nodes: tuple[OrganisationsNode, OrganisationsNode],
) -> None:
    one, two = nodes
    one.start(ANCHOR)
    two.start(ANCHOR)
    one.capture(11)
    one.wait_anchored(one.size())
    killed = [anchor_killed(one), anchor_killed(two)]
    one.capture(12)
    one.wait_anchored(one.size())
    until(lambda: one.status()["pid"] != killed[0] and two.status()["pid"] != killed[1], "others to say so")
    assert one.ready()["children"][NAME]["restarts"] >= 1
    one.kill()
    one.start(ANCHOR)
    one.capture(13)
    one.wait_anchored(one.size())


@pytest.mark.soak
def test_anchors_that_are_killed_again_and_again_lose_nothing(
    nodes: tuple[OrganisationsNode, OrganisationsNode], seed: int
) -> None:
    one, two = nodes
    chance = random.Random(seed)
    one.start(ANCHOR)
    two.start(ANCHOR)
    for number in range(100, 106):
        one.capture(number)
        time.sleep(chance.random())
        for node in chance.sample([one, two], chance.randint(1, 2)):
            anchor_killed(node)
    one.capture(106)
    one.wait_anchored(one.size())
