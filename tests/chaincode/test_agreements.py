"""Agreements go from proposed to accepted, revoked or expired, each by who may, and leave digests and parties alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from chaincode import Creator
from ledger import shape
from ledger.canonical import canonical, parse_json
from ledger.shape import time_text
from tests.chaincode.memory import (
    NOW_MS,
    MemoryChannel,
    Organisation,
    certificate,
    register,
    two_organisations,
)

PROPOSE, ACCEPT, REVOKE, EXPIRE, GET = [
    f"agreements:{name}".encode() for name in ("propose", "accept", "revoke", "expire", "get")
]
DIGEST = "ab" * 32
UNTIL_MS = NOW_MS + 60_000
GOOD = {"counterpart": "Org2MSP", "digest": DIGEST, "until": time_text(UNTIL_MS)}
STRANGER = Creator("Org9MSP", certificate("Org9MSP", "admin"))


def proposed(**change: Any) -> tuple[MemoryChannel, Organisation, Organisation]:
    """A channel with the agreement `deal-1`, proposed by the first organisation to the second."""
    channel, first, second = two_organisations()
    channel.invoke(first.user, PROPOSE, b"deal-1", canonical({**GOOD, **change}))
    return channel, first, second


def state(channel: MemoryChannel, creator: Creator) -> str:
    return str(channel.invoke(creator, GET, b"deal-1")["state"])


def test_a_proposal_is_kept_with_its_parties_and_told() -> None:
    channel, first, _ = two_organisations()
    response, stub = channel.simulate(first.user, PROPOSE, b"deal-1", canonical(GOOD))
    kept = {"id": "deal-1", "proposer": "Org1MSP", "state": "proposed", **GOOD}
    assert (response.status, parse_json(response.payload)) == (200, kept)
    assert stub.writes == [("agreement/deal-1", canonical(kept))]
    told = {"id": "deal-1", "proposer": "Org1MSP", "counterpart": "Org2MSP", "state": "proposed"}
    assert stub.event == ("agreement", canonical(told))


def test_the_counterpart_accepts_and_either_party_revokes() -> None:
    channel, first, second = proposed()
    channel.invoke(second.user, ACCEPT, b"deal-1")
    assert state(channel, first.user) == "accepted"
    channel.invoke(second.user, REVOKE, b"deal-1")
    assert state(channel, first.user) == "revoked"


def test_the_proposer_withdraws_a_proposal() -> None:
    channel, first, second = proposed(until=None)
    channel.invoke(first.user, REVOKE, b"deal-1")
    assert channel.refused(second.user, ACCEPT, b"deal-1") == (409, "wrong-state")


def test_who_is_not_the_counterpart_does_not_accept() -> None:
    channel, first, _ = proposed()
    third = Organisation.named("Org3MSP")
    register(channel, third)
    for creator in (first.user, first.admin, third.user):
        assert channel.refused(creator, ACCEPT, b"deal-1") == (403, "not-counterpart")
    for function in (REVOKE, EXPIRE):
        assert channel.refused(third.user, function, b"deal-1") == (403, "not-party")
    for function in (ACCEPT, REVOKE, EXPIRE):
        assert channel.refused(STRANGER, function, b"deal-1") == (403, "not-registered")
    assert state(channel, first.user) == "proposed"


def test_an_agreement_expires_by_the_transactions_timestamp() -> None:
    channel, first, second = proposed()
    before, at = UNTIL_MS - 1, UNTIL_MS
    assert channel.refused(second.user, EXPIRE, b"deal-1", timestamp_ms=before) == (409, "not-ended")
    assert channel.refused(second.user, ACCEPT, b"deal-1", timestamp_ms=at) == (409, "past-until")
    channel.invoke(first.user, EXPIRE, b"deal-1", timestamp_ms=at)
    assert state(channel, first.user) == "expired"


def test_an_agreement_without_end_does_not_expire() -> None:
    channel, first, _ = proposed(until=None)
    assert channel.refused(first.user, EXPIRE, b"deal-1", timestamp_ms=2**62) == (409, "not-ended")


@pytest.mark.parametrize("ending", [REVOKE, EXPIRE])
def test_what_has_ended_stays_so(ending: bytes) -> None:
    channel, first, second = proposed()
    channel.invoke(first.user, ending, b"deal-1", timestamp_ms=UNTIL_MS)
    for function in (ACCEPT, REVOKE, EXPIRE):
        refused = channel.refused(second.user, function, b"deal-1", timestamp_ms=UNTIL_MS)
        assert refused == (409, "wrong-state")


def test_an_agreement_is_accepted_once() -> None:
    channel, _, second = proposed()
    channel.invoke(second.user, ACCEPT, b"deal-1")
    assert channel.refused(second.user, ACCEPT, b"deal-1") == (409, "wrong-state")


def test_an_id_is_used_once() -> None:
    channel, first, second = proposed()
    for ending in (None, REVOKE):
        if ending is not None:
            channel.invoke(first.user, ending, b"deal-1")
        for creator, counterpart in ((first.user, "Org2MSP"), (second.user, "Org1MSP")):
            wanted = canonical({**GOOD, "counterpart": counterpart, "digest": "cd" * 32})
            assert channel.refused(creator, PROPOSE, b"deal-1", wanted) == (409, "already-proposed")


@pytest.mark.parametrize(
    ("proposal", "status", "rule"),
    [
        ([], 400, "bad-shape"),
        ({}, 400, "bad-shape"),
        ({**GOOD, "text": "x"}, 400, "bad-shape"),
        ({**GOOD, "counterpart": None}, 400, "bad-shape"),
        ({**GOOD, "counterpart": "a b"}, 400, "bad-msp"),
        ({**GOOD, "counterpart": "Org1MSP"}, 400, "same-party"),
        ({**GOOD, "counterpart": "Org9MSP"}, 404, "unknown-organisation"),
        ({**GOOD, "digest": "AB" * 32}, 400, "bad-hex"),
        ({**GOOD, "digest": "ab" * 31}, 400, "bad-hex"),
        ({**GOOD, "digest": 7}, 400, "bad-hex"),
        ({**GOOD, "until": "2027-01-15"}, 400, "bad-time"),
        ({**GOOD, "until": "2027-02-30T00:00:00.000Z"}, 400, "bad-time"),
        ({**GOOD, "until": 1}, 400, "bad-time"),
        ({**GOOD, "until": time_text(NOW_MS)}, 400, "bad-until"),
        ({**GOOD, "counterpart": "x" * 1_024}, 413, "too-large"),
    ],
)  # fmt: skip
def test_a_proposal_of_another_form_is_refused(proposal: Any, status: int, rule: str) -> None:
    channel, first, _ = two_organisations()
    assert channel.refused(first.user, PROPOSE, b"deal-1", canonical(proposal)) == (status, rule)


def test_a_caller_of_no_registered_organisation_proposes_nothing() -> None:
    channel, _, _ = two_organisations()
    assert channel.refused(STRANGER, PROPOSE, b"deal-1", canonical(GOOD)) == (403, "not-registered")


@pytest.mark.parametrize("identifier", [b"", b"Deal", b"a/b", b"\xff", b"a\n", b"x" * 65, "\u00e4".encode()])
@pytest.mark.parametrize("function", [ACCEPT, REVOKE, EXPIRE, GET])
def test_an_id_of_another_form_is_400_and_an_unknown_one_404(function: bytes, identifier: bytes) -> None:
    channel, first, _ = proposed()
    assert channel.refused(first.user, function, identifier)[0] == 400
    assert channel.refused(first.user, PROPOSE, identifier, canonical(GOOD))[0] == 400
    assert channel.refused(first.user, function, b"deal-2") == (404, "unknown-agreement")


@pytest.mark.parametrize(
    "value", [b"null", b"{}", b'{"until":1,"state":"proposed","proposer":"Org1MSP"}', b"\xff"]
)
def test_a_broken_agreement_is_500_and_is_not_shown(value: bytes) -> None:
    channel, first, _ = proposed()
    channel.state["agreement/deal-1"] = value
    response, stub = channel.simulate(first.user, EXPIRE, b"deal-1")
    assert (response.status, response.message) == (500, "internal-error: the chaincode failed")
    assert stub.writes == []


def test_a_time_that_later_versions_of_python_read_is_refused_by_all(monkeypatch: pytest.MonkeyPatch) -> None:
    class Later(datetime):
        """From Python 3.14 on the end of a day may be written as its hour 24."""

        @classmethod
        def fromisoformat(cls, text: str) -> Later:
            days = timedelta(days=text.count("T24:00:00"))
            return super().fromisoformat(text.replace("T24:00:00", "T00:00:00")) + days

    monkeypatch.setattr(shape, "datetime", Later)
    channel, first, _ = two_organisations()
    proposal = canonical({**GOOD, "until": "2027-02-28T24:00:00.000Z"})
    assert channel.refused(first.user, PROPOSE, b"deal-1", proposal) == (400, "bad-time")
