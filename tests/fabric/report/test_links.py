"""A report whose answer rests on `same` links: they are in it, the verifier follows them, the operator answers for them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fabric.epcis.link import parse_link
from fabric.report import verify_report
from fabric.report.provenance import Reporter
from fabric.trace import Direction, Question
from fabric.visibility.reader import EVERYBODY, Reader
from ledger.canonical import canonical, parse_json
from ledger.errors import VerificationError
from ledger.policy import Policy, parse_policy
from ledger.statement import parse_envelope
from tests.simulator import Simulator

A, B, C = (f"https://id.gs1.org/01/09506000134352/10/{name}" for name in "ABC")
CODE = "urn:example:partner:4711"


class Consortium:
    """Lot A of the farm was relabelled as B by the packer, who made C of it; the farm has a code for A."""

    def __init__(self, folder: Path) -> None:
        self.sim = Simulator(folder)
        for name in ("farm", "packer", "auditor"):
            self.sim.admit(name)
        self.sim.state({"type": "role", "grantee": "auditor", "role": "auditor", "for": "all", "until": None})
        self.sim.capture("farm", [self.made(A)])
        self.sim.capture("packer", [self.made(A), self.made(B), self.turned(B, C)])
        self.link = self.sim.link("packer", A, B, reason="relabelled")[0].statement_id
        self.code = self.sim.link("farm", A, CODE)[0].statement_id

    def made(self, lot: str) -> dict[str, Any]:
        amount = [{"epcClass": lot, "quantity": 5}]
        return self.sim.event(action="ADD", bizStep="commissioning", quantityList=amount)

    def turned(self, one: str, other: str) -> dict[str, Any]:
        ends = {"inputQuantityList": [{"epcClass": one}], "outputQuantityList": [{"epcClass": other}]}
        return self.sim.event("TransformationEvent", **ends)

    @property
    def policy(self) -> Policy:
        return parse_policy(f"log {self.sim.node.vkey}\nquorum none\n")

    def report(self, thing: str, direction: str, reader: Reader = EVERYBODY) -> Any:
        node = self.sim.node
        reporter = Reporter(node.reading, node.log, node.operator)
        question = Question(thing, Direction(direction))
        return parse_json(canonical(reporter.provenance(question, reader, asked="2026-11-22T10:00:00.000Z")))


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    found = Consortium(tmp_path_factory.mktemp("linked") / "node")
    yield found
    found.sim.node.close()


def reached(report: Any) -> dict[str, list[str]]:
    return {hit["thing"]: hit["links"] for hit in report["answer"]["affected"]}


@pytest.mark.parametrize(("thing", "direction"), [(A, "forward"), (C, "backward"), (B, "both")])
def test_a_report_over_links_verifies_and_says_whose_word_they_are(
    consortium: Consortium, thing: str, direction: str
) -> None:
    report = consortium.report(thing, direction)
    verified = verify_report(report, consortium.policy)
    assert set(reached(report)) >= {A, B, CODE}
    assert reached(report)[A] == sorted([consortium.link, consortium.code])
    assert any(word.startswith("links: ") for word in verified.words)


def test_a_links_row_leads_to_the_statement_in_the_log_that_commits_to_it(consortium: Consortium) -> None:
    report = consortium.report(A, "forward")
    assert [row["statement"] for row in report["links"]] == [consortium.link, consortium.code]
    for row in report["links"]:
        statement = parse_envelope(consortium.sim.node.log.entry(row["index"])).statement
        assert (statement.member, statement.id) == (row["member"], row["statement"])
        committed = parse_link(row["body"]).commitment(bytes.fromhex(row["salt"])).hex()
        assert committed == statement.body["commitment"]


def test_a_limited_readers_report_has_the_links_it_may_see_and_no_others(consortium: Consortium) -> None:
    report = consortium.report(A, "forward", consortium.sim.node.reader("packer"))
    verify_report(report, consortium.policy)
    assert [row["statement"] for row in report["links"]] == [consortium.link]
    assert reached(report) == {A: [consortium.link], B: [consortium.link], C: []}
    report = consortium.report(A, "forward", consortium.sim.node.reader("farm"))
    words = verify_report(report, consortium.policy).words
    assert (report["links"], reached(report)) == ([], {A: []})
    assert not any(word.startswith("links: ") for word in words)


def test_a_link_left_out_or_put_in_or_changed_is_detected(consortium: Consortium) -> None:
    report = consortium.report(A, "forward")

    def failure(change: Any) -> tuple[int, str]:
        changed = copy.deepcopy(report)
        change(changed["links"])
        with pytest.raises(VerificationError) as caught:
            verify_report(changed, consortium.policy)
        return caught.value.step, caught.value.place

    assert failure(lambda rows: rows.pop()) == (11, "/links")
    assert failure(lambda rows: rows.append(rows[0])) == (11, "/links")
    assert failure(lambda rows: rows[0].update(index=1)) == (11, "/links")
    assert failure(lambda rows: rows[1]["body"].update(same=[A, C])) == (11, "/links")
    assert failure(lambda rows: rows[1]["body"].update(same=[C, A])) == (1, "/links/1")
    assert failure(lambda rows: rows[1].pop("salt")) == (1, "/links/1")
