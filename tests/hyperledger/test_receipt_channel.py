"""Receipts as a channel really gives them: on the double always, on a real network where there is one."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from api.cli import native_receipt
from compose.network import Network
from ledger.checkpoint import Checkpoint
from ledger.errors import InvalidInput, VerificationError
from ledger.hyperledger.config_block import roots_of_config
from ledger.hyperledger.connection import Profile, load_profile
from ledger.hyperledger.errors import BadAnswer, ChaincodeRefused, NetworkAway
from ledger.hyperledger.gateway import Gateway, Patience
from ledger.hyperledger.receipt import VerifiedReceipt, fetch_receipt, parse_receipt, verify_receipt
from ledger.hyperledger.roots import ChannelRoots, parse_roots, roots_text
from ledger.note import parse_vkey
from tests.hyperledger.consortium import ONE, TWO, Consortium, Log
from tests.hyperledger.double.network import DoubleNetwork

BOTH = (ONE, TWO)


@pytest.fixture
def roots(request: pytest.FixtureRequest, consortium: Consortium) -> ChannelRoots:
    """What a verifier pins of the consortium's channel: both organisations."""
    if consortium.kind == "double":
        double: DoubleNetwork = request.getfixturevalue("double")
        pem = {msp: member.authority.pem.decode() for msp, member in double.members.items()}
    else:
        real: Network = request.getfixturevalue("real_network")
        pem = {
            f"Org{number}MSP": "".join(
                [path.read_text() for path in (real.layout.org(number) / "msp" / "cacerts").iterdir()]
            )
            for number in (1, 2)
        }
    pinned = "".join([f"{msp} = '''\n{text}'''\n" for msp, text in pem.items()])
    return parse_roots(f'channel = "loomark"\nchaincode = "loomark"\nquorum = 2\n[organisations]\n{pinned}')


def _anchored(consortium: Consortium) -> tuple[Log, int]:
    """A log with anchored checkpoints of 3 and 5 entries, and the block of the second."""
    [log] = consortium.logs()
    channel = consortium.channel()
    channel.submit(log.note(3), [])
    return log, channel.submit(log.note(5), log.proof(3, 5)).block


def test_both_organisations_peers_say_which_block_wrote_it(
    consortium: Consortium, roots: ChannelRoots
) -> None:
    log, block = _anchored(consortium)
    for asked in (BOTH, ()):
        data = fetch_receipt(consortium.gateway(), log.origin, 5, asked)
        verified = verify_receipt(
            parse_receipt(data), roots, [parse_vkey(log.vkey)], Checkpoint(log.origin, 5, log.root(5))
        )
        assert verified.organisations == BOTH
        assert (verified.block, verified.anchored.start) == (block, 3)


def test_one_organisations_word_does_not_do_for_two(consortium: Consortium, roots: ChannelRoots) -> None:
    log, _ = _anchored(consortium)
    data = fetch_receipt(consortium.gateway(), log.origin, 5, [ONE])
    with pytest.raises(VerificationError) as refused:
        verify_receipt(parse_receipt(data), roots, [parse_vkey(log.vkey)])
    assert (refused.value.step, refused.value.place) == (10, "/endorsements")
    alone = verify_receipt(parse_receipt(data), replace(roots, quorum=1), [parse_vkey(log.vkey)])
    assert alone.organisations == (ONE,)


def test_a_receipt_for_another_channel_of_the_same_organisations_is_refused(
    consortium: Consortium, roots: ChannelRoots
) -> None:
    log, _ = _anchored(consortium)
    data = fetch_receipt(consortium.gateway(), log.origin, 5, BOTH)
    for other in (replace(roots, channel="other"), replace(roots, chaincode="other")):
        with pytest.raises(VerificationError) as refused:
            verify_receipt(parse_receipt(data), other, [parse_vkey(log.vkey)])
        assert (refused.value.step, refused.value.place) == (10, "/channelHeader")


def test_asking_orders_nothing(consortium: Consortium) -> None:
    log, _ = _anchored(consortium)
    channel = consortium.channel()
    before = channel.history(log.origin)
    fetch_receipt(consortium.gateway(), log.origin, 5, BOTH)
    assert channel.history(log.origin) == before
    again = channel.submit(log.note(6), log.proof(5, 6))
    assert again.code == "VALID"


def test_there_is_no_receipt_of_what_was_never_anchored(consortium: Consortium) -> None:
    log, _ = _anchored(consortium)
    for origin, size in ((log.origin, 4), (log.origin, 6), ("nobody.example", 5)):
        with pytest.raises(ChaincodeRefused) as refused:
            fetch_receipt(consortium.gateway(), origin, size, BOTH)
        assert (refused.value.status, refused.value.rule) == (404, "nothing-anchored")


def test_an_organisation_that_has_no_peer_cannot_be_asked(consortium: Consortium) -> None:
    log, _ = _anchored(consortium)
    gateway = Gateway(
        consortium.profiles(ONE, False).peer,
        consortium.profiles(ONE, False).load_identity(),
        *("loomark", "loomark"),
        patience=Patience(away_s=0.1),
    )
    try:
        with pytest.raises(NetworkAway):
            fetch_receipt(gateway, log.origin, 5, ["Org9MSP"])
    finally:
        gateway.close()


@pytest.mark.parametrize("number", [1, 2])
def test_the_channels_configuration_names_the_authorities(
    real_network: Network, number: int, tmp_path: Path
) -> None:
    """Whichever organisation asks its peer, what it may pin is what the organisations have in their folders."""
    output = tmp_path / "roots.toml"
    native_receipt.roots(output, real_network.profile(number))
    pinned = parse_roots(output.read_text())
    assert (pinned.channel, pinned.chaincode, pinned.quorum) == ("loomark", "loomark", 2)
    for msp, each in ((ONE, 1), (TWO, 2)):
        [path] = (real_network.layout.org(each) / "msp" / "cacerts").iterdir()
        [own] = parse_roots(
            f'channel = "c"\nchaincode = "c"\nquorum = 1\n[organisations]\nA = """{path.read_text()}"""'
        ).issuers["A"]
        assert pinned.issuers[msp] == (own,)


def test_a_changed_configuration_gives_other_authorities_or_none(real_network: Network, seed: int) -> None:
    """Nobody signs it for us; but whatever comes out can be pinned, and nothing else leaks."""
    profile, chosen = load_profile(real_network.profile(1)), random.Random(seed)
    gateway = Gateway(profile.peer, profile.load_identity(), profile.channel, "cscc")
    try:
        block = gateway.evaluate("GetConfigBlock", [b"loomark"])
    finally:
        gateway.close()
    for _ in range(300):
        changed = bytearray(block)
        changed[chosen.randrange(len(block))] ^= 1 << chosen.randrange(8)
        try:
            found = roots_of_config(bytes(changed), "loomark")
        except InvalidInput:
            continue
        assert parse_roots(roots_text(found)) == found


@pytest.mark.parametrize("block", [b"", b"x", b"\x12\x02\x0a\x00", b"\x12\x04\x0a\x00\x0a\x00", bytes(300)])
def test_a_block_that_configures_nothing_is_refused(block: bytes) -> None:
    with pytest.raises(InvalidInput):
        roots_of_config(block, "loomark")


@dataclass
class _Swapped:
    """A gateway that gives back whatever transaction it likes."""

    payload: bytes

    def endorse(self, function: str, args: Sequence[bytes], organisations: Sequence[str] = ()) -> _Swapped:
        return self


def test_a_gateway_that_answers_something_else_is_not_believed(double_consortium: Consortium) -> None:
    with double_consortium.closing() as consortium:
        log, _ = _anchored(consortium)
        gateway = consortium.gateway()
        of = {size: gateway.endorse("checkpoints:at", [log.origin.encode(), b"%d" % size]) for size in (3, 5)}
        registered = gateway.endorse("organisations:list", [])
        for payload in (
            of[3].payload,
            registered.payload,
            b"",
            b"x",
            of[5].payload[:-1],
            of[5].payload + b"x",
        ):
            with pytest.raises(BadAnswer):
                fetch_receipt(_Swapped(payload), log.origin, 5)
        with pytest.raises(BadAnswer):
            fetch_receipt(_Swapped(of[5].payload), log.origin, 5, [ONE, TWO, "Org3MSP"])
        assert len(parse_receipt(fetch_receipt(_Swapped(of[5].payload), log.origin, 5)).endorsements) == 2


@pytest.mark.soak
def test_peers_agree_on_the_version_after_losses_and_an_upgrade(
    network_of: Callable[..., Network], tmp_path: Path
) -> None:
    """A peer that read the whole channel again says the same as before; a peer that is down is not needed."""
    network = network_of(orgs=3)

    def profile(msp: str, admin: bool) -> Profile:
        return load_profile(network.profile(int(msp[3]), admin=admin))

    with Consortium("real", profile).closing() as consortium:
        log, block = _anchored(consortium)
        output = tmp_path / "roots.toml"
        native_receipt.roots(output, network.profile(1))
        pinned = parse_roots(output.read_text())

        def said(asked: Sequence[str]) -> VerifiedReceipt:
            data = fetch_receipt(consortium.gateway(), log.origin, 5, asked)
            return verify_receipt(parse_receipt(data), pinned, [parse_vkey(log.vkey)])

        every = (ONE, TWO, "Org3MSP")
        first = said(every)
        network.wipe_peer(3)
        again = said(every)
        assert first.organisations == again.organisations == every
        assert (first.block, first.transaction) == (again.block, again.transaction) == (block, 0)
        network.upgrade_chaincode()
        upgraded = said(every)
        assert (upgraded.block, upgraded.transaction, upgraded.version) == (block, 0, "2")
        network.stop("peer2")
        assert said(()).organisations == (ONE, "Org3MSP")
