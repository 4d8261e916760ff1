"""TLS and mutual TLS: who is not the named peer gets nothing, and who shows no certificate is not served."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.hyperledger.blocks import blocks
from ledger.hyperledger.connection import Profile
from ledger.hyperledger.errors import BadProfile, IdentityRefused, NetworkAway
from ledger.hyperledger.gateway import Patience, open_channel, open_gateway
from tests.hyperledger.consortium import ONE, TWO
from tests.hyperledger.double.authority import Authority, write_private
from tests.hyperledger.double.network import DoubleNetwork

GIVES_UP = Patience(evaluate_s=5, away_s=0.3)
RIDES_OUT = Patience(away_s=60)


@pytest.fixture(params=["server", "mutual"])
def secured(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DoubleNetwork]:
    network = DoubleNetwork(tmp_path / "double", tls=request.param)
    yield network
    network.close()


def _asks(profile: Profile, patience: Patience = GIVES_UP) -> list[object]:
    channel = open_channel(profile, patience=patience)
    try:
        return [*channel.organisations()]
    finally:
        channel.close()


def _fails(profile: Profile) -> None:
    with pytest.raises(NetworkAway):
        _asks(profile)


def test_both_organisations_are_served_and_their_blocks_delivered(secured: DoubleNetwork) -> None:
    for msp in (ONE, TWO):
        assert _asks(secured.profile(msp), RIDES_OUT) == []
        gateway = open_gateway(secured.profile(msp), patience=RIDES_OUT)
        assert [block.number for block in blocks(gateway, 0, 1, stop=threading.Event())] == [0, 1]
        gateway.close()


def test_a_peer_with_another_authority_or_name_is_not_believed(secured: DoubleNetwork) -> None:
    profile = secured.profile()
    other = secured.members[TWO].folder / "tls-ca.pem"
    _fails(replace(profile, peer=replace(profile.peer, tls_roots=other)))
    _fails(replace(profile, peer=replace(profile.peer, server_name="peer0.other.example")))
    plain = replace(profile.peer, tls_roots=None, server_name=None, client_certificate=None, client_key=None)
    _fails(replace(profile, peer=plain))
    assert _asks(profile, RIDES_OUT) == []


def test_mutual_tls_asks_for_a_certificate_of_its_authority(tmp_path: Path) -> None:
    network = DoubleNetwork(tmp_path / "double", tls="mutual")
    profile = network.profile()
    _fails(replace(profile, peer=replace(profile.peer, client_certificate=None, client_key=None)))
    foreign = Authority("tlsca.foreign").issue("client", "client")
    certificate = tmp_path / "foreign.pem"
    certificate.write_bytes(foreign.pem)
    key = write_private(tmp_path / "foreign-key.pem", foreign.key_pem)
    _fails(replace(profile, peer=replace(profile.peer, client_certificate=certificate, client_key=key)))
    assert _asks(profile, RIDES_OUT) == []
    network.close()


def test_a_request_for_blocks_is_tied_to_the_connection_of_mutual_tls(tmp_path: Path) -> None:
    network = DoubleNetwork(tmp_path / "double", tls="mutual")
    network.peer(ONE).binding = bytes(32)
    gateway = open_gateway(network.profile(), patience=RIDES_OUT)
    with pytest.raises(IdentityRefused, match="FORBIDDEN"):
        list(blocks(gateway, 0, 1, stop=threading.Event()))
    gateway.close()
    network.close()


def test_files_that_are_no_certificates_are_refused_before_anything_is_asked(tmp_path: Path) -> None:
    network = DoubleNetwork(tmp_path / "double", tls="mutual")
    profile = network.profile()
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_bytes(b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    other_key = write_private(tmp_path / "other.pem", Authority("x").issue("y", "z").key_pem)
    open_key = tmp_path / "open.pem"
    assert profile.peer.client_key is not None
    open_key.write_bytes(profile.peer.client_key.read_bytes())
    open_key.chmod(0o644)
    network.peer(ONE).faults.calls.clear()
    for peer, expected in (
        (replace(profile.peer, tls_roots=nonsense), "expected PEM certificates"),
        (replace(profile.peer, tls_roots=tmp_path / "absent.pem"), "expected a readable file of TLS roots"),
        (replace(profile.peer, client_certificate=nonsense), "expected PEM certificates"),
        (replace(profile.peer, client_key=other_key), "expected the private key of"),
        (replace(profile.peer, client_key=nonsense), "expected the TLS client key|expected the private key"),
        (replace(profile.peer, client_key=open_key), "chmod 600"),
    ):
        with pytest.raises(BadProfile, match=expected):
            open_channel(replace(profile, peer=peer))
    assert network.peer(ONE).faults.calls == []
    network.close()
