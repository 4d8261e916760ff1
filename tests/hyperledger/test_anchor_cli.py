"""`loomark hyperledger`: what it registers, and how it says what stands on the channel."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from ledger.ed25519 import SigningKey
from ledger.hyperledger.anchor.status import FOLDER, Status, write_status
from ledger.hyperledger.errors import ChaincodeRefused
from ledger.hyperledger.gateway import open_channel
from ledger.keyfile import read_public_key, write_key_file
from ledger.note import ED25519, VerifierKey, parse_vkey
from ledger.policy import parse_policy
from tests.chaincode.memory import seeded

from .anchoring import GrowingLog
from .double.network import DoubleNetwork
from .two_nodes import loomark

ORIGIN = "log.example/cli"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A node's folder as far as a registration needs it."""
    folder = tmp_path / "node"
    (folder / "keys").mkdir(parents=True, mode=0o700)
    (folder / "node.toml").write_text(f'origin = "{ORIGIN}"\n')
    write_key_file(folder / "keys" / "log.key", seeded("cli log"))
    return folder


def vkey(key: SigningKey) -> str:
    return VerifierKey(ORIGIN, ED25519, key.public_bytes).text()


def test_an_organisation_is_registered_with_its_log_and_a_cosigner_key_of_its_own(
    data: Path, double: DoubleNetwork
) -> None:
    admin = str(double.write_profile("Org1MSP", "admin"))
    ran = loomark("hyperledger", "register", "--data", str(data), "--profile", admin, "--json")
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    assert (told["msp"], told["origins"]) == ("Org1MSP", {ORIGIN: [vkey(seeded("cli log"))]})
    cosigner = parse_vkey(told["cosigner"])
    assert (cosigner.name, cosigner.public) == ("Org1MSP", read_public_key(data / "keys" / "cosigner.key"))
    # The log goes over to another key: both stay registered, and the cosigner is the same.
    write_key_file(data / "keys" / "log.0123456789abcdef.key", seeded("next cli log"))
    ran = loomark("hyperledger", "register", "--data", str(data), "--profile", admin, "--json")
    again = json.loads(ran.stdout)
    assert again["origins"] == {ORIGIN: [vkey(seeded("cli log")), vkey(seeded("next cli log"))]}
    assert again["cosigner"] == told["cosigner"]
    ran = loomark("hyperledger", "organisations", "--profile", admin, "--json")
    (listed,) = json.loads(ran.stdout)
    assert listed == {key: again[key] for key in ("msp", "origins", "cosigner")}


def test_an_earlier_log_of_the_organisation_stays_registered(
    data: Path, double: DoubleNetwork, tmp_path: Path
) -> None:
    admin = double.write_profile("Org1MSP", "admin")
    channel = open_channel(double.profile("Org1MSP", "admin"))
    earlier = VerifierKey("log.example/earlier", ED25519, seeded("earlier").public_bytes).text()
    cosigner = VerifierKey("Org1MSP", 4, seeded("earlier cosigner").public_bytes).text()
    channel.register({"log.example/earlier": [earlier]}, cosigner)
    ran = loomark("hyperledger", "register", "--data", str(data), "--profile", str(admin))
    assert ran.exit_code == 0, ran.output
    (found,) = channel.organisations()
    channel.close()
    assert found.origins == {"log.example/earlier": (earlier,), ORIGIN: (vkey(seeded("cli log")),)}


def test_only_an_admin_registers_and_no_key_gets_a_second_use(data: Path, double: DoubleNetwork) -> None:
    client = str(double.write_profile("Org1MSP"))
    ran = loomark("hyperledger", "register", "--data", str(data), "--profile", client)
    assert isinstance(ran.exception, ChaincodeRefused)
    assert ran.exception.rule == "not-admin"
    (data / "keys" / "cosigner.key").unlink()
    write_key_file(data / "keys" / "cosigner.key", seeded("cli log"))
    admin = str(double.write_profile("Org1MSP", "admin"))
    ran = loomark("hyperledger", "register", "--data", str(data), "--profile", admin)
    assert getattr(ran.exception, "rule", "") == "key-in-use"
    channel = open_channel(double.profile())
    assert channel.organisations() == []
    channel.close()


def test_a_folder_without_a_log_key_is_told_to_start_first(tmp_path: Path, double: DoubleNetwork) -> None:
    admin = str(double.write_profile("Org1MSP", "admin"))
    ran = loomark("hyperledger", "register", "--data", str(tmp_path / "none"), "--profile", admin)
    assert getattr(ran.exception, "rule", "") == "no-key-file"
    assert "start the node once" in str(ran.exception)
    assert not (tmp_path / "none" / "keys").exists()


def test_history_and_policy_come_from_the_own_peer(data: Path, double: DoubleNetwork, tmp_path: Path) -> None:
    admin = str(double.write_profile("Org1MSP", "admin"))
    assert loomark("hyperledger", "register", "--data", str(data), "--profile", admin).exit_code == 0
    log = GrowingLog(tmp_path / "log", ORIGIN, seeded("cli log"))
    channel = open_channel(double.profile())
    channel.submit(log.grow(5), [])
    channel.close()
    other = str(double.write_profile("Org2MSP"))
    ran = loomark("hyperledger", "history", ORIGIN, "--profile", other, "--json")
    (found,) = json.loads(ran.stdout)
    assert found == {"size": 5, "root": log.root(5).hex(), "from": 0, "msp": "Org1MSP", "cosigned": []}
    assert "not cosigned" in loomark("hyperledger", "history", ORIGIN, "--profile", other).stdout
    ran = loomark("hyperledger", "policy", ORIGIN, "--profile", other, "-o", str(tmp_path / "p.txt"))
    assert ran.exit_code == 0, ran.output
    policy = parse_policy((tmp_path / "p.txt").read_text())
    assert ([one.text() for one in policy.logs], policy.quorum) == ([vkey(seeded("cli log"))], "orgs")
    for wrong, rule in (("log.example/none", "unknown-log"), (ORIGIN, "bad-policy")):
        asked = ("hyperledger", "policy", wrong, "--quorum", "2", "--profile", other)
        ran = loomark(*asked, "-o", str(tmp_path / "none.txt"))
        assert getattr(ran.exception, "rule", "") == rule
        assert not (tmp_path / "none.txt").exists()


def test_status_ends_with_one_where_there_is_trouble(tmp_path: Path) -> None:
    ran = loomark("hyperledger", "status", "--data", str(tmp_path))
    assert getattr(ran.exception, "rule", "") == "not-anchored"
    (tmp_path / FOLDER).mkdir()
    now_ms = time.time_ns() // 1_000_000
    status = Status(origin=ORIGIN, msp="Org1MSP", time_ms=now_ms, published=9, cosigned=7)
    write_status(tmp_path / FOLDER, status)
    ran = loomark("hyperledger", "status", "--data", str(tmp_path))
    assert (ran.exit_code, "published 9" in ran.stdout, "cosigned 7" in ran.stdout) == (0, True, True)
    status.trouble = {"submit": {"rule": "network-away", "reason": "no answer", "since_ms": 1}}
    write_status(tmp_path / FOLDER, status)
    ran = loomark("hyperledger", "status", "--data", str(tmp_path))
    assert ran.exit_code == 1
    assert "trouble: submit: network-away: no answer" in ran.stdout
