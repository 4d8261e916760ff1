"""Profiles: read as written, strict, and every refusal names the file and the key."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.hyperledger.connection import (
    PASSPHRASE_VARIABLE,
    Anchoring,
    Followed,
    Peer,
    load_profile,
    parse_profile,
)
from ledger.hyperledger.errors import BadProfile
from tests.hyperledger.double.authority import Authority, write_pkcs12, write_private

SOURCE = Path("/etc/loomark/Org1.toml")
SMALLEST = """
channel = "loomark"
chaincode = "loomark"
msp = "Org1MSP"
identity = "msp"
[peer]
endpoint = "127.0.0.1:7051"
"""
WHOLE = """
channel = "loomark"
chaincode = "loomark"
msp = "Org1MSP"
identity = "client.p12"
identity_passphrase_file = "/run/passphrase"
[peer]
endpoint = "peer0.org1.example:7051"
tls_roots = "tls-ca.pem"
server_name = "peer0.org1.example"
client_certificate = "client.pem"
client_key = "client-key.pem"
[[peers]]
msp = "Org2MSP"
endpoint = "[::1]:9051"
[[peers]]
msp = "Org3MSP"
endpoint = "peer0.org3.example:7051"
tls_roots = "org3.pem"
[anchor]
every = 5
seconds = 2.5
quorum = 2
count_own = false
[[follow]]
origin = "log.example/b"
url = "https://b.example/"
api_key_file = "b.key"
"""


def test_the_smallest_profile_has_the_stated_defaults() -> None:
    profile = parse_profile(SMALLEST, SOURCE)
    assert (profile.channel, profile.chaincode, profile.msp) == ("loomark", "loomark", "Org1MSP")
    assert profile.identity == Path("/etc/loomark/msp")
    assert profile.peer == Peer("127.0.0.1:7051", "Org1MSP")
    assert profile.anchor == Anchoring(every=1, seconds=5.0, quorum=None, count_own=True)
    assert (profile.peers, profile.follow, profile.identity_passphrase_file) == ((), (), None)


def test_every_key_is_read() -> None:
    profile = parse_profile(WHOLE, SOURCE)
    folder = SOURCE.parent
    assert profile.peer == Peer(
        "peer0.org1.example:7051", "Org1MSP", folder / "tls-ca.pem", "peer0.org1.example",
        folder / "client.pem", folder / "client-key.pem",
    )  # fmt: skip
    assert [(peer.msp, peer.endpoint) for peer in profile.peers] == [
        ("Org2MSP", "[::1]:9051"), ("Org3MSP", "peer0.org3.example:7051"),
    ]  # fmt: skip
    assert profile.anchor == Anchoring(5, 2.5, 2, False)
    assert profile.follow == (Followed("log.example/b", "https://b.example", folder / "b.key"),)
    assert profile.identity_passphrase_file == Path("/run/passphrase")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('channel = "loomark"', "", "a text for channel, got nothing"),
        ('channel = "loomark"', 'channel = "Loomark"', "a channel's name for channel"),
        ('channel = "loomark"', "channel = 3", "a text for channel, got 3"),
        ('chaincode = "loomark"', 'chaincode = "../x"', "a chaincode's name for chaincode"),
        ('msp = "Org1MSP"', 'msp = ""', "a text for msp"),
        ('msp = "Org1MSP"', 'msp = "a\\nb"', "a text for msp"),
        ('identity = "msp"', 'identity = ["msp"]', "a text for identity, got a list"),
        ('identity = "msp"', 'identity = "msp"\nidentity_passfrase = "x"', "no such key for identity_passfrase"),
        ("[peer]", "[peers]", "a text for peer.endpoint, got nothing"),
        ('endpoint = "127.0.0.1:7051"', "", "a text for peer.endpoint"),
        ('"127.0.0.1:7051"', '"127.0.0.1"', "HOST:PORT for peer.endpoint"),
        ('"127.0.0.1:7051"', '"127.0.0.1:70510"', "a port of 1 to 65535 for peer.endpoint"),
        ('"127.0.0.1:7051"', '"grpcs://a:1"', "HOST:PORT for peer.endpoint"),
        ('"127.0.0.1:7051"', '"peer.example:7051"', "TLS for a peer beyond loopback for peer.tls_roots"),
        ('"127.0.0.1:7051"', '"127.0.0.1:7051"\nserver_name = "x"', "the roots of the peer's TLS certificate"),
        ('"127.0.0.1:7051"', '"127.0.0.1:7051"\nclient_key = "x"', "client_certificate and client_key together"),
        ('"127.0.0.1:7051"', '"127.0.0.1:7051"\ntimeout = 3', "no such key for peer.timeout"),
        ('"127.0.0.1:7051"', '"127.0.0.1:7051"\n[[peers]]\nendpoint = "127.0.0.1:1"', r"a text for peers\[0\].msp"),
        (
            '"127.0.0.1:7051"',
            '"127.0.0.1:7051"\n[[peers]]\nmsp = "B"\nendpoint = "127.0.0.1:7051"',
            "each endpoint once, got 127.0.0.1:7051 2 times",
        ),
    ],
)  # fmt: skip
def test_a_wrong_key_is_named(old: str, new: str, expected: str) -> None:
    assert old in SMALLEST
    with pytest.raises(BadProfile, match=expected) as refused:
        parse_profile(SMALLEST.replace(old, new, 1), SOURCE)
    assert str(refused.value).startswith(str(SOURCE))


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("[anchor]\nevery = 0", "a whole number of 1 to 1000000 for anchor.every, got 0"),
        ("[anchor]\nevery = true", "a whole number of 1 to 1000000 for anchor.every, got True"),
        ("[anchor]\nseconds = nan", "a number of 0.1 to 86400 for anchor.seconds, got nan"),
        ('[anchor]\nseconds = "5"', "a number of 0.1 to 86400 for anchor.seconds, got a str"),
        ("[anchor]\nquorum = 1.5", "a whole number of 1 to 1000 for anchor.quorum"),
        ("[anchor]\nqourum = 2", "no such key for anchor.qourum"),
        ("[anchor]\ncount_own = 1", "true or false for anchor.count_own, got 1"),
        ("[follow]\norigin = 'a'", r"tables \[\[follow\]\]"),
        ("[[follow]]\norigin = 'a'\nurl = 'ftp://x'", r"an http or https address for follow\[0\].url"),
        ("[[follow]]\nurl = 'http://x'", r"a text for follow\[0\].origin"),
        ("[[follow]]\norigin = 'a'\nurl = 'http://x'\n" * 2, "each follow.origin once"),
        ("[[follow]]\norigin = 'a'\nurl = 'http://x'\nkey = 1", r"no such key for follow\[0\].key"),
        ("[peers]\nmsp = 'B'", r"tables \[\[peers\]\] for peers, got a dict"),
        ("[broken", "expected TOML"),
        ("channel = 1", "no such key for peer.channel"),
    ],
)
def test_a_wrong_table_is_named(more: str, expected: str) -> None:
    with pytest.raises(BadProfile, match=expected):
        parse_profile(SMALLEST + more, SOURCE)


@given(text=st.text(max_size=60))
def test_no_text_leaves_the_error_tree(text: str) -> None:
    for whole in (text, SMALLEST + text):
        with contextlib.suppress(BadProfile):
            parse_profile(whole, SOURCE)


def test_a_number_of_thousands_of_digits_is_refused() -> None:
    with pytest.raises(BadProfile, match="expected TOML"):
        parse_profile(SMALLEST.replace("channel", f"more = {'9' * 5_000}\nchannel", 1), SOURCE)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadProfile, match=r"expected a readable profile at .*absent"):
        load_profile(tmp_path / "absent.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(BadProfile, match=r"binary.toml: expected UTF-8"):
        load_profile(binary)


def test_a_passphrase_comes_from_a_private_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = Authority("ca").issue("user", "client")
    write_pkcs12(tmp_path / "user.p12", credentials, b"word")
    path = tmp_path / "profile.toml"
    path.write_text(SMALLEST.replace('"msp"', '"user.p12"'))
    with pytest.raises(BadProfile, match=PASSPHRASE_VARIABLE):
        load_profile(path).load_identity()
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "word")
    assert load_profile(path).load_identity().certificate == credentials.pem
    monkeypatch.delenv(PASSPHRASE_VARIABLE)
    secret = write_private(tmp_path / "word", b"word\n")
    path.write_text(SMALLEST.replace('"msp"', '"user.p12"\nidentity_passphrase_file = "word"'))
    assert load_profile(path).load_identity().certificate == credentials.pem
    secret.chmod(0o644)
    with pytest.raises(BadProfile, match="chmod 600"):
        load_profile(path).load_identity()


def test_profiles_and_channels_are_known_without_the_extra() -> None:
    probe = (
        "import sys\n"
        "import ledger, ledger.hyperledger.channel, ledger.hyperledger.connection, ledger.hyperledger.identity\n"
        "print([name for name in ('grpc', 'google.protobuf', 'fabric_protos') if name in sys.modules])"
    )
    root = Path(__file__).resolve().parents[2]
    told = subprocess.run(
        [sys.executable, "-c", probe], cwd=root, capture_output=True, text=True, timeout=120, check=True
    )
    assert told.stdout.strip() == "[]"
