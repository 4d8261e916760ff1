"""The demonstration on two nodes and a real Hyperledger Fabric network, as somebody who has just cloned it runs it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from compose.network import BinariesMissing
from compose.network.binaries import VARIABLE, find_binaries
from ledger.policy import parse_policy

from .demonstration import Ended, interrupted, left_of, loomark

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
NAMED = rf"cosigned by Org1MSP at {TIME}, Org2MSP at {TIME}: quorum orgs 2 of 2 met"


@dataclass(frozen=True)
class Played:
    """A demonstration that was interrupted first, and then played to its end in the same folder."""

    folder: Path
    interrupted: int
    had: set[int]
    left: set[int]
    ended: Ended


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    try:
        find_binaries()
    except BinariesMissing as missing:
        pytest.skip(str(missing))
    folder = tmp_path_factory.mktemp("consortium") / "demo"
    code, had = interrupted(folder, "--hyperledger", at="registers it on the channel")
    left = left_of(folder)
    ended = loomark("demo", "--hyperledger", "--data", str(folder))
    return Played(folder, code, had, left, ended)


@pytest.mark.hyperledger
@pytest.mark.timeout(600)
def test_it_ends_well_with_everything_stopped_also_where_it_was_interrupted_before(played: Played) -> None:
    # An orderer, two peers, two chaincode servers, and a node with its children.
    assert len(played.had) >= 6
    assert played.left == set()
    assert played.interrupted != 0
    assert played.ended.code == 0, played.ended.err
    assert left_of(played.folder) == set()


@pytest.mark.hyperledger
@pytest.mark.timeout(600)
def test_what_it_leaves_verifies_offline_and_names_the_organisations_that_cosigned(played: Played) -> None:
    assert len(re.findall(NAMED, played.ended.out)) == 2
    policy = parse_policy((played.folder / "policy.txt").read_text())
    assert policy.quorum == "orgs"
    assert (policy.groups["orgs"].threshold, policy.groups["orgs"].members) == (2, ("Org1MSP", "Org2MSP"))
    for file in ("proof.json", "report.json"):
        verified = _verified(played, file, "policy.txt")
        assert verified.code == 0
        assert re.search(NAMED, verified.out)
    told = json.loads(_verified(played, "report.json", "policy.txt", "--json").out)
    assert list(told["cosigners"]) == ["Org1MSP", "Org2MSP"]
    assert told["unwitnessed"] is False


@pytest.mark.hyperledger
@pytest.mark.timeout(600)
def test_the_other_organisation_verifies_it_under_a_policy_of_its_own_peer(played: Played) -> None:
    own, other = (
        parse_policy((played.folder / name).read_text()) for name in ("policy.txt", "policy-of-org2.txt")
    )
    assert own == other
    assert _verified(played, "report.json", "policy-of-org2.txt").code == 0
    assert re.search(
        r"follows org1\.example/log: (\d+) entries anchored, \1 shown by its server; nothing to suspect",
        played.ended.out,
    )


@pytest.mark.hyperledger
@pytest.mark.timeout(600)
def test_one_changed_byte_is_refused_by_step_and_place(played: Played) -> None:
    whole, changed = ((played.folder / f"{name}.json").read_bytes() for name in ("report", "tampered"))
    assert len(whole) == len(changed)
    assert sum(one != other for one, other in zip(whole, changed, strict=True)) == 1
    refused = _verified(played, "tampered.json", "policy.txt")
    assert refused.code == 1
    assert re.search(r"not verified: step \d+ \(.+\)\n  at /evidence/records/\d+/disclosure\n", refused.out)


@pytest.mark.hyperledger
@pytest.mark.timeout(600)
def test_a_fork_by_the_logs_own_key_is_refused_by_every_organisations_peer(played: Played) -> None:
    for msp in ("Org1MSP", "Org2MSP"):
        for rule in ("fork", "consistency"):
            assert f"the peer of {msp}: the chaincode refused (422 {rule}): " in played.ended.out
    size = json.loads(_verified(played, "report.json", "policy.txt", "--json").out)["size"]
    assert f"the channel keeps the tree of {size} entries that both cosigned" in played.ended.out


def test_without_the_programs_it_says_where_to_get_them_and_touches_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "demo" / "scenario").mkdir(parents=True)
    refused = loomark(
        "demo",
        "--hyperledger",
        *("--data", str(tmp_path / "demo")),
        environment={VARIABLE: str(tmp_path / "empty")},
    )
    assert refused.code == 2
    assert (
        f"not found in {tmp_path / 'empty'}: orderer, peer, osnadmin, configtxgen, cryptogen" in refused.err
    )
    assert "https://github.com/hyperledger/fabric" in refused.err
    assert [path.name for path in (tmp_path / "demo").iterdir()] == ["scenario"]


@pytest.mark.hyperledger
@pytest.mark.soak
def test_it_can_be_played_again_and_again(played: Played) -> None:
    for _ in range(3):
        assert loomark("demo", "--hyperledger", "--data", str(played.folder)).code == 0
        assert left_of(played.folder) == set()


def _verified(played: Played, file: str, policy: str, *more: str) -> Ended:
    return loomark("verify", str(played.folder / file), "--policy", str(played.folder / policy), *more)
