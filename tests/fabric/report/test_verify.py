from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest

from fabric.report import verify_report
from fabric.report.document import SECTIONS, STEPS
from fabric.trace import Coverage, Direction, Question, trace
from fabric.trace.sql import sql_source
from fabric.visibility.holders import Holders
from ledger.canonical import canonical, parse_json
from ledger.ed25519 import SigningKey
from ledger.errors import InvalidInput, NotFound, VerificationError
from ledger.note import ED25519, VerifierKey
from ledger.policy import parse_policy

from .conftest import Demonstration


def failure(report: Any, demo: Demonstration) -> VerificationError:
    with pytest.raises(VerificationError) as caught:
        verify_report(report, demo.policy)
    return caught.value


def test_a_report_verifies_offline_and_says_what_it_proves(demo: Demonstration, report: Any) -> None:
    verdict = verify_report(report, demo.policy).as_json()
    assert (verdict["verified"], verdict["thing"], verdict["affected"]) == (True, demo.lot, 9)
    assert [step["number"] for step in verdict["steps"]] == list(STEPS)
    assert len(verdict["records"]) == len(report["evidence"]["records"])


def test_the_answer_is_the_one_the_store_gives(demo: Demonstration, report: Any) -> None:
    node, answer = demo.sim.node, report["answer"]
    seal = parse_json(node.log.entry(answer["size"] - 1))
    coverage = Coverage(
        answer["size"], verify_report(report, demo.policy).report.evidence.last.seal.time_ms * 1000
    )
    assert answer["time"] is not None
    assert seal["time"].startswith(answer["time"].removesuffix("Z"))
    with node.reading.connect() as connection:
        holder_of = Holders(node.log.registry().identifiers).member_of
        source = sql_source(connection, coverage, holder_of)
        assert json.loads(json.dumps(trace(Question(demo.lot, Direction.BOTH), source).as_json())) == answer


def test_the_answer_is_what_the_scenario_says_is_affected(demo: Demonstration, report: Any) -> None:
    told = [one for one in demo.truth["sources"] if (one["thing"], one["direction"]) == (demo.lot, "forward")]
    expected = {hit["thing"] for hit in told[0]["affected"]}
    assert {hit["thing"] for hit in report["answer"]["affected"] if "forward" in hit["direction"]} == expected


def test_one_checkpoint_serves_every_record(report: Any) -> None:
    evidence = report["evidence"]
    assert len(evidence["records"]) > 100
    assert len(evidence["entries"]) == 5
    assert report["answer"]["size"] == int(evidence["checkpoint"].splitlines()[1])


@pytest.mark.parametrize("section", ["report", "operator", *SECTIONS])
def test_a_changed_byte_is_detected_with_step_and_place(
    demo: Demonstration, report: Any, section: str, seed: int
) -> None:
    whole = canonical(report)
    inside = canonical(report[section])
    start = whole.index(b'"%b":%b' % (section.encode(), inside)) + len(section) + 3
    chance = random.Random(seed)
    for _ in range(12):
        at, bit = start + chance.randrange(len(inside)), 1 << chance.randrange(8)
        changed = bytearray(whole)
        changed[at] ^= bit
        try:
            value = parse_json(bytes(changed))
        except InvalidInput:
            continue
        error = failure(value, demo)
        assert error.step in STEPS
        context = bytes(changed[max(0, at - 60) : at + 20])
        assert error.place.startswith("/") or error.step == 1, (section, context, error.place, error.message)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("/answer/affected/0/holder/member", "somebody"),
        ("/answer/affected/0/level", 70),
        ("/answer/quantities/0/made", "0.5"),
        ("/answer/handovers/0/received", "2020-01-01T00:00:00Z"),
        ("/answer/events/3/step", "killing"),
        ("/answer/carriers/0/carrier", "https://id.gs1.org/00/095250020000000021"),
        ("/answer/coverage/inferred", 12),
        ("/answer/thing", "https://id.gs1.org/01/09525001000107/10/FA5001-00002"),
    ],
)
def test_a_changed_conclusion_is_named_by_its_pointer(
    demo: Demonstration, report: Any, place: str, value: object
) -> None:
    changed = copy.deepcopy(report)
    inner, name = at(changed, place)
    inner[name] = value
    error = failure(changed, demo)
    assert (error.step, error.place) == (13, place)


def test_a_conclusion_left_out_is_missed(demo: Demonstration, report: Any) -> None:
    changed = copy.deepcopy(report)
    changed["answer"]["affected"].pop()
    error = failure(changed, demo)
    assert (error.step, error.place) == (13, "/answer/affected")


@pytest.mark.parametrize(
    ("place", "value", "step", "named"),
    [
        (
            "/evidence/records/40/disclosure/record/eventTime",
            "2026-01-01T00:00:00Z",
            2,
            "/evidence/records/40/disclosure",
        ),
        ("/evidence/entries/1/envelope/signatures/0/sig", "A" * 86 + "==", 4, "/evidence/entries/1/envelope"),
        ("/identifiers/0/member", "retailer", 11, "/identifiers"),
        ("/members/0/name", "Somebody Else", 11, "/members"),
        ("/question/reader", "farm", 11, "/question"),
        ("/answer/hidden", "1-9", 11, "/answer"),
        ("/answer/affected/0/continues", True, 11, "/answer"),
        ("/operator/signature", "A" * 86 + "==", 11, "/operator/signature"),
        ("/operator/position", 70, 11, "/operator/record"),
    ],
)
def test_evidence_and_the_operators_word_cannot_be_changed_either(
    demo: Demonstration, report: Any, place: str, value: object, step: int, named: str
) -> None:
    changed = copy.deepcopy(report)
    inner, name = at(changed, place)
    assert inner[name] != value
    inner[name] = value
    error = failure(changed, demo)
    assert (error.step, error.place) == (step, named)


def test_a_record_left_out_is_missed(demo: Demonstration, report: Any) -> None:
    changed = copy.deepcopy(report)
    changed["evidence"]["records"].pop(20)
    error = failure(changed, demo)
    assert (error.step, error.place) == (11, "/evidence")


def test_another_logs_policy_does_not_accept_the_report(demo: Demonstration, report: Any) -> None:
    key = VerifierKey("other.example/log", ED25519, SigningKey(bytes(32)).public_bytes)
    with pytest.raises(VerificationError) as caught:
        verify_report(report, parse_policy(f"log {key.text()}\nquorum none\n"))
    assert caught.value.step == 9


def test_what_is_not_proved_is_listed_as_the_operators_word(demo: Demonstration, report: Any) -> None:
    words = " | ".join(verify_report(report, demo.policy).words)
    for part in ("completeness", "freshness", "identifier registry", "unwitnessed", "custody: records of"):
        assert part in words
    assert "hidden records" not in words


@pytest.mark.parametrize("member", ["packer", "processor", "distributor", "retailer"])
def test_a_limited_readers_report_verifies_and_shows_no_more_than_it_may(
    demo: Demonstration, member: str
) -> None:
    reader = demo.sim.node.reader(member)
    verified = verify_report(demo.report(demo.hearts, reader=reader), demo.policy)
    sight = {
        one.commitment.hex(): demo.sim.sight(member, one.commitment.hex()).value for one in verified.records
    }
    assert {
        name: "whole" if one.opened.full else "part"
        for name, one in zip(sight, verified.records, strict=True)
    } == sight
    assert verified.report.reader == member
    assert verified.answer["hidden"] != "none"
    assert any("hidden records" in word for word in verified.words)


def test_a_creation_seen_through_a_hand_over_is_disclosed_without_its_inputs(demo: Demonstration) -> None:
    reader = demo.sim.node.reader("processor")
    verified = verify_report(demo.report(demo.hearts, reader=reader), demo.policy)
    parts = [one for one in verified.records if not one.opened.full]
    assert parts
    assert all("inputQuantityList" not in one.record and "eventID" not in one.record for one in parts)


def test_a_thing_the_reader_cannot_see_has_no_report(demo: Demonstration) -> None:
    with pytest.raises(NotFound) as hidden:
        demo.report(demo.lot, reader=demo.sim.node.reader("retailer"))
    with pytest.raises(NotFound) as unknown:
        demo.report(f"{demo.lot}X", reader=demo.sim.node.reader("retailer"))
    assert hidden.value.rule == unknown.value.rule
    assert hidden.value.message == unknown.value.message.replace(f"{demo.lot}X", demo.lot)


def at(value: Any, place: str) -> tuple[Any, Any]:
    """The container and the key that a pointer ends at."""
    tokens = [int(token) if token.isdecimal() else token for token in place.split("/")[1:]]
    for token in tokens[:-1]:
        value = value[token]
    return value, tokens[-1]
