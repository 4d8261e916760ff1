"""`loomark hyperledger confirm` tells who says what, and ends with a status of its own for each case."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.cli import main
from ledger.hyperledger.errors import Conflict
from tests.hyperledger.consortium import ONE, TWO, Consortium, Log
from tests.hyperledger.double.network import DoubleNetwork


@pytest.fixture
def log(double_consortium: Consortium) -> Iterator[Log]:
    with double_consortium.closing() as consortium:
        yield consortium.logs()[0]


def _confirm(
    tx_id: str,
    profile: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    wait_s: str = "30",
) -> tuple[int, str]:
    options = ["--profile", str(profile), "--wait-s", wait_s, "--json"]
    words = ["loomark", "hyperledger", "confirm", tx_id, *options]
    monkeypatch.setattr("sys.argv", words)
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0), capsys.readouterr().out


def test_each_ending_has_its_status(
    double: DoubleNetwork,
    double_consortium: Consortium,
    log: Log,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    channel, profile = double_consortium.channel(), double.write_profile()
    done = channel.submit(log.note(1), [])
    double.ledger.conflicts = 1
    with pytest.raises(Conflict) as void:
        channel.submit(log.note(2), log.proof(1, 2))
    code, told = _confirm(done.tx_id, profile, monkeypatch, capsys)
    assert code == 0
    assert {each["code"] for each in json.loads(told)["answers"].values()} == {"VALID"}
    code, told = _confirm(void.value.tx_id, profile, monkeypatch, capsys)
    assert code == 1
    double.peer(ONE).faults.lie = 0
    code, told = _confirm(void.value.tx_id, profile, monkeypatch, capsys)
    assert code == 5
    assert json.loads(told)["disputed"] is True
    said = {name.split()[0]: each["code"] for name, each in json.loads(told)["answers"].items()}
    assert said == {ONE: "VALID", TWO: "MVCC_READ_CONFLICT"}
    for msp in (ONE, TWO):
        double.peer(msp).stop()
    code, told = _confirm(done.tx_id, profile, monkeypatch, capsys, wait_s="0.2")
    assert code == 3
    assert len(json.loads(told)["silent"]) == 2
