"""Who may register what: an organisation itself, by an administrator, and nothing that is another's."""

from __future__ import annotations

from typing import Any

import pytest

from chaincode import Creator
from ledger.canonical import canonical, parse_json
from ledger.ed25519 import SigningKey
from ledger.note import COSIGNATURE, ED25519, ML_DSA_COSIGNATURE, VerifierKey
from tests.chaincode.memory import (
    Log,
    MemoryChannel,
    Organisation,
    certificate,
    register,
    seeded,
    two_organisations,
)

REGISTER = b"organisations:register"


def test_a_registration_is_kept_under_the_callers_msp_and_listed_by_msp() -> None:
    channel, first, second = two_organisations()
    expected = {"msp": "Org1MSP", **first.registration()}
    assert channel.invoke(second.user, b"organisations:get", b"Org1MSP") == expected
    listed = channel.invoke(first.user, b"organisations:list")
    assert [one["msp"] for one in listed] == ["Org1MSP", "Org2MSP"]
    assert listed[0] == expected


def test_an_origin_with_slashes_and_percent_signs_keeps_to_its_own_keys() -> None:
    channel, first, _ = two_organisations()
    first.log = Log("log.example/org1msp/0000000000000007%2F", first.log.key)
    origins = {
        "log.example/org1msp": [Log("log.example/org1msp", first.log.key).vkey],
        first.log.origin: [first.log.vkey],
    }
    channel.invoke(first.admin, REGISTER, canonical({"origins": origins, "cosigner": first.cosigner_vkey}))
    channel.invoke(first.user, b"checkpoints:submit", first.log.note(9), b"[]")
    plain = [b"checkpoints:history", b"log.example/org1msp", b"0", b"100"]
    assert channel.invoke(first.user, *plain) == []
    plain[1] = first.log.origin.encode()
    assert [one["size"] for one in channel.invoke(first.user, *plain)] == [9]
    assert channel.refused(first.user, b"checkpoints:latest", b"log.example/org1msp") == (
        404,
        "nothing-anchored",
    )


def test_an_organisation_changes_its_keys_and_adds_origins() -> None:
    channel, first, _ = two_organisations()
    changed = first.registration()
    rotated = Log(first.log.origin, seeded("rotated"))
    changed["origins"][first.log.origin].append(rotated.vkey)
    changed["origins"]["log.example/more"] = []
    changed["cosigner"] = VerifierKey("Org1MSP", COSIGNATURE, seeded("new cosigner").public_bytes).text()
    assert channel.invoke(first.admin, REGISTER, canonical(changed)) == {"msp": "Org1MSP", **changed}
    channel.invoke(first.user, b"checkpoints:submit", rotated.note(3), b"[]")


def test_a_key_that_was_taken_away_signs_no_more() -> None:
    channel, first, _ = two_organisations()
    old = first.log.note(3)
    first.log.key = seeded("rotated")
    register(channel, first)
    assert channel.refused(first.user, b"checkpoints:submit", old, b"[]") == (403, "unsigned-note")


def test_an_origin_without_keys_takes_nothing() -> None:
    channel, first, _ = two_organisations()
    closed = {"origins": {first.log.origin: []}, "cosigner": first.cosigner_vkey}
    channel.invoke(first.admin, REGISTER, canonical(closed))
    assert channel.refused(first.user, b"checkpoints:submit", first.log.note(3), b"[]") == (
        403,
        "unsigned-note",
    )


@pytest.mark.parametrize(
    "units", [("client",), ("peer",), ("orderer",), (), ("admin", "client"), ("Admin",), ("admins",)]
)
def test_a_certificate_whose_only_role_is_not_admin_registers_nothing(units: tuple[str, ...]) -> None:
    channel, first = MemoryChannel(), Organisation.named("Org1MSP")
    creator = Creator("Org1MSP", certificate("Org1MSP", *units))
    assert channel.refused(creator, REGISTER, canonical(first.registration())) == (403, "not-admin")


def test_a_unit_beside_the_role_does_no_harm() -> None:
    channel, first = MemoryChannel(), Organisation.named("Org1MSP")
    creator = Creator("Org1MSP", certificate("Org1MSP", "admin", "purchasing"))
    assert channel.invoke(creator, REGISTER, canonical(first.registration()))["msp"] == "Org1MSP"


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"\xff\x00",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
        certificate("Org1MSP", "admin")[:-200],
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    ],
)
def test_a_creator_without_a_certificate_registers_nothing(pem: bytes) -> None:
    channel, first = MemoryChannel(), Organisation.named("Org1MSP")
    answer = channel.refused(Creator("Org1MSP", pem), REGISTER, canonical(first.registration()))
    assert answer == (400, "bad-creator")


def _labelled(pem: bytes, label: bytes) -> bytes:
    return pem.replace(b"CERTIFICATE", label)


@pytest.mark.parametrize(
    "pem",
    [
        pytest.param(lambda client, admin: _labelled(client, b"FOO") + admin, id="other label first"),
        pytest.param(
            lambda client, admin: _labelled(client, b"TRUSTED CERTIFICATE") + admin, id="trusted first"
        ),
        pytest.param(lambda client, admin: _labelled(client, b"X509 CERTIFICATE"), id="older label"),
        pytest.param(lambda client, admin: admin + client, id="two certificates"),
        pytest.param(lambda client, admin: b"-----BEGIN\n" + admin, id="something before"),
        pytest.param(lambda client, admin: admin + b"#", id="something after"),
        pytest.param(lambda client, admin: admin.replace(b"-----\n", b"-----\nA: b\n\n", 1), id="a header"),
    ],
)
def test_only_the_block_that_a_peer_reads_says_who_is_an_administrator(pem: Any) -> None:
    channel, first = MemoryChannel(), Organisation.named("Org1MSP")
    creator = Creator("Org1MSP", pem(certificate("Org1MSP", "client"), certificate("Org1MSP", "admin")))
    answer = channel.refused(creator, REGISTER, canonical(first.registration()))
    assert answer == (400, "bad-creator")


@pytest.mark.parametrize("msp", ["", "a/b", "Org 1", "Ö", "x" * 129, "-x", "a\nb", "a\x00"])
def test_an_msp_id_of_another_form_is_refused(msp: str) -> None:
    channel, first, _ = two_organisations()
    creator = Creator(msp, certificate("Org1MSP", "admin"))
    assert channel.refused(creator, REGISTER, canonical(first.registration())) == (400, "bad-msp")
    assert channel.refused(first.user, b"organisations:get", msp.encode())[0] == 400


def test_an_organisation_that_nobody_registered_is_404() -> None:
    channel, first, _ = two_organisations()
    assert channel.refused(first.user, b"organisations:get", b"Org3MSP") == (404, "unknown-organisation")


def _vkey(name: str, kind: int, public: bytes) -> str:
    return VerifierKey(name, kind, public).text()


LOG, COSIGNER = seeded("a log"), seeded("a cosigner")
GOOD: dict[str, Any] = {
    "origins": {"log.example/a": [_vkey("log.example/a", ED25519, LOG.public_bytes)]},
    "cosigner": _vkey("A", COSIGNATURE, COSIGNER.public_bytes),
}
SMALL_ORDER = bytes([1]) + bytes(31)
NOT_CANONICAL = (2**255 - 18).to_bytes(32, "little")


def _with(**members: Any) -> dict[str, Any]:
    return {**GOOD, **members}


@pytest.mark.parametrize(
    ("registration", "status", "rule"),
    [
        ([], 400, "bad-shape"),
        (None, 400, "bad-shape"),
        ({}, 400, "bad-shape"),
        (_with(more=1), 400, "bad-shape"),
        (_with(origins=[]), 400, "bad-shape"),
        (_with(origins={"log.example/a": "x"}), 400, "bad-shape"),
        (_with(origins={"log.example/a": [1]}), 400, "bad-shape"),
        (_with(origins={"log.example/a": ["x"]}), 400, "bad-vkey"),
        (_with(origins={"log.example/a": ["x" * 401]}), 400, "bad-shape"),
        (_with(origins={"log.example/a": [_vkey("log.example/b", ED25519, LOG.public_bytes)]}), 400, "wrong-name"),
        (_with(origins={"log.example/a": [_vkey("log.example/a", COSIGNATURE, LOG.public_bytes)]}), 400, "wrong-key-type"),
        (_with(origins={"log.example/a": [_vkey("log.example/a", ED25519, SMALL_ORDER)]}), 400, "bad-key"),
        (_with(origins={"log.example/a": [_vkey("log.example/a", ED25519, NOT_CANONICAL)]}), 400, "bad-key"),
        (_with(origins={"log.example/a": GOOD["origins"]["log.example/a"] * 2}), 400, "duplicate-key"),
        (_with(origins={"log.example/a": GOOD["origins"]["log.example/a"] * 17}), 400, "bad-shape"),
        (_with(origins={f"log.example/{n}": [] for n in range(65)}), 400, "bad-shape"),
        (_with(origins={"": []}), 400, "bad-origin"),
        (_with(origins={"a b": []}), 400, "bad-origin"),
        (_with(origins={"a+b": []}), 400, "bad-origin"),
        (_with(origins={"a\nb": []}), 400, "bad-origin"),
        (_with(origins={"ä": []}), 400, "bad-origin"),
        (_with(origins={"a" * 256: []}), 400, "bad-origin"),
        (_with(cosigner=None), 400, "bad-shape"),
        (_with(cosigner=_vkey("A", ED25519, COSIGNER.public_bytes)), 400, "wrong-key-type"),
        (_with(cosigner=_vkey("A", COSIGNATURE, SMALL_ORDER)), 400, "bad-key"),
        (_with(cosigner=_vkey("A", COSIGNATURE, LOG.public_bytes)), 400, "key-in-use"),
    ],
)  # fmt: skip
def test_a_registration_of_another_form_is_refused(registration: Any, status: int, rule: str) -> None:
    channel, _, _ = two_organisations()
    creator = Creator("Org3MSP", certificate("Org3MSP", "admin"))
    assert channel.refused(creator, REGISTER, canonical(registration)) == (status, rule)


def test_an_ml_dsa_key_is_no_cosigner_key_here() -> None:
    channel, first, _ = two_organisations()
    wanted = first.registration() | {"cosigner": _vkey("A", ML_DSA_COSIGNATURE, bytes(1312))}
    assert channel.refused(first.admin, REGISTER, canonical(wanted))[0] == 400


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (b"", "not-json"),
        (b"{", "not-json"),
        (b"\xff", "not-utf8"),
        (b'\xef\xbb\xbf{}', "not-json"),
        (b'{"cosigner":"a","cosigner":"b","origins":{}}', "duplicate-member"),
        (b'{"origins":{"a":[],"a":[]},"cosigner":"b"}', "duplicate-member"),
        (b'{"origins":{},"cosigner":9007199254740993}', "jcs-number"),
        (b'{"origins":{},"cosigner":1e400}', "jcs-number"),
        (b'{"origins":{},"cosigner":"\\ud800"}', "lone-surrogate"),
        (b'{"origins":{},"\\ud800":1,"cosigner":"a"}', "lone-surrogate"),
    ],
)  # fmt: skip
def test_json_that_parsers_disagree_on_is_refused(raw: bytes, rule: str) -> None:
    channel, first, _ = two_organisations()
    assert channel.refused(first.admin, REGISTER, raw) == (400, rule)


@pytest.mark.parametrize(
    ("raw", "rule"),
    [(b"[" * 65 + b"]" * 65, "too-deep"), (b"[" * 60_000, "too-deep"), (b" " * 65_537, "too-large")],
)
def test_json_that_is_too_deep_or_too_long_is_refused(raw: bytes, rule: str) -> None:
    channel, first, _ = two_organisations()
    assert channel.refused(first.admin, REGISTER, raw) == (413, rule)


def _conflict(change: Any) -> tuple[int, str]:
    channel, first, second = two_organisations()
    wanted = change(first, second)
    return channel.refused(second.admin, REGISTER, canonical(wanted))


def test_an_origin_belongs_to_the_organisation_that_registered_it() -> None:
    def taken(first: Organisation, second: Organisation) -> Any:
        return {
            "origins": {**second.registration()["origins"], first.log.origin: []},
            "cosigner": second.cosigner_vkey,
        }

    assert _conflict(taken) == (409, "origin-taken")


def test_an_origin_is_not_dropped() -> None:
    assert _conflict(lambda _, second: {"origins": {}, "cosigner": second.cosigner_vkey}) == (
        409,
        "origin-dropped",
    )


@pytest.mark.parametrize("other", [lambda first: first.cosigner, lambda first: first.log.key])
def test_a_cosigner_key_has_no_use_at_another_organisation(other: Any) -> None:
    def same_key(first: Organisation, second: Organisation) -> Any:
        key: SigningKey = other(first)
        return second.registration() | {"cosigner": _vkey("X", COSIGNATURE, key.public_bytes)}

    assert _conflict(same_key) == (409, "key-in-use")


def test_a_log_key_is_no_other_organisations_cosigner_key() -> None:
    def same_key(first: Organisation, second: Organisation) -> Any:
        wanted = second.registration()
        wanted["origins"]["log.example/x"] = [_vkey("log.example/x", ED25519, first.cosigner.public_bytes)]
        return wanted

    assert _conflict(same_key) == (409, "key-in-use")


@pytest.mark.parametrize("name", ["Org1MSP", "Org2MSP#", "#", "org2msp", "Org2MSP/a", "log.example/org2msp"])
def test_a_cosigner_key_is_named_by_the_msp_that_registers_it(name: str) -> None:
    def named(_: Organisation, second: Organisation) -> Any:
        return second.registration() | {"cosigner": _vkey(name, COSIGNATURE, second.cosigner.public_bytes)}

    assert _conflict(named) == (400, "wrong-name")


def test_an_origin_that_no_policy_can_name_is_refused() -> None:
    def commented(_: Organisation, second: Organisation) -> Any:
        wanted = second.registration()
        wanted["origins"]["log#example"] = [_vkey("log#example", ED25519, second.log.key.public_bytes)]
        return wanted

    assert _conflict(commented) == (400, "bad-origin")


def test_registering_the_same_again_changes_nothing() -> None:
    channel, first, _ = two_organisations()
    before = dict(channel.state)
    register(channel, first)
    assert channel.state == before


def test_two_registrations_at_once_read_the_range_that_both_write() -> None:
    channel, first, second = MemoryChannel(), Organisation.named("Org1MSP"), Organisation.named("Org2MSP")
    register(channel, first)
    _, stub = channel.simulate(second.admin, REGISTER, canonical(second.registration()))
    assert stub.reads == ["organisation/Org1MSP"]
    assert [key for key, _ in stub.writes] == ["organisation/Org2MSP", "origin/log.example%2Forg2msp"]
    assert parse_json(stub.writes[1][1]) == {"msp": "Org2MSP", "vkeys": [second.log.vkey]}
