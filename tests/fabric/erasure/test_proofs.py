"""Every proof of what stays holds: those handed out before, those of neighbours, seals, reports, and of units that stay."""

from __future__ import annotations

from typing import Any

import pytest

from fabric.capture.tombstone import ErasedRecord
from fabric.integrity import check_node
from fabric.report.provenance import Reporter
from fabric.report.verify import verify_report
from fabric.trace import Direction, Question
from fabric.visibility.reader import EVERYBODY
from fabric.visibility.sight import Sight
from ledger.canonical import canonical, parse_json
from ledger.errors import Erased, Forbidden, InvalidInput, NotFound
from ledger.note import parse_vkey
from ledger.policy import parse_policy
from tests.simulator import Simulator

from .conftest import Erasing
from .test_projections import LOTS, story


def faults(sim: Simulator) -> list[tuple[str, str, str]]:
    """What a check of the folder finds."""
    report = check_node(sim.folder, sim.database or sim.folder / "loomark.db", parse_vkey(sim.node.vkey))
    return [(one.rule, one.place, one.message) for one in report.faults]


def full(sim: Simulator, member: str, name: str) -> bytes:
    return sim.node.prover.bundle_for(name, sim.node.reader(member))


def unknown(sim: Simulator, member: str, name: str) -> tuple[str, str]:
    """How a record that a member may not see answers it."""
    with pytest.raises(NotFound) as caught:
        sim.node.prover.record(name, sim.node.reader(member))
    return caught.value.rule, str(caught.value)


def events_of(erasing: Erasing) -> list[tuple[str, str]]:
    return [(job.member, name) for job in story(erasing.sim) for name in erasing.events(job)]


def test_proofs_handed_out_before_hold_after(erasing: Erasing) -> None:
    names = events_of(erasing)
    before = {name: full(erasing.sim, member, name) for member, name in names}
    erasing.erase("farm", names[0][1])
    erasing.erase("farm", names[1][1], units=["/bizTransactionList"])
    erasing.sim.capture("farm", [erasing.sim.event(epcList=["urn:example:later"])])
    for data in before.values():
        verified = erasing.sim.verify(data)
        assert verified.opened.full


def test_every_other_record_is_proved_in_full_and_the_log_is_clean(erasing: Erasing) -> None:
    names = events_of(erasing)
    farm = [name for member, name in names if member == "farm"]
    erasing.erase("farm", farm[0], farm[3])
    erasing.erase("farm", farm[2], units=["/ilmd"])
    for member, name in names:
        if name not in (farm[0], farm[3], farm[2]):
            assert erasing.sim.verify(full(erasing.sim, member, name)).opened.full
    assert faults(erasing.sim) == []


def test_an_erased_record_answers_with_its_tombstone_to_those_who_saw_it(erasing: Erasing) -> None:
    sim = erasing.sim
    names = events_of(erasing)
    shipped = names[1][1]
    assert sim.seers(shipped) == {"farm": "whole", "packer": "whole"}
    before = unknown(sim, "shop", shipped)
    posted, outcome = erasing.erase("farm", shipped)
    assert sim.seers(shipped) == {"farm": "whole", "packer": "whole"}
    for member in ("farm", "packer"):
        with pytest.raises(ErasedRecord) as caught:
            full(sim, member, shipped)
        stone = caught.value.tombstone
        assert (stone["state"], stone["member"], stone["record"]) == ("erased", "farm", shipped)
        (done,) = stone["erasures"]
        assert (done["index"], done["statement"]) == (outcome.index, posted.statement_id)
        assert ("reason" in done) == (member == "farm")
    assert unknown(sim, "shop", shipped) == before == unknown(sim, "shop", "ab" * 32)


def test_the_place_in_the_log_of_an_erased_record_can_still_be_proved(erasing: Erasing) -> None:
    sim = erasing.sim
    _, name = events_of(erasing)[0]
    erasing.erase("farm", name)
    text = sim.node.prover.tlog_proof_for(name, sim.node.reader("farm"))
    assert text.startswith(b"c2sp.org/tlog-proof@v1")


def test_what_stays_of_a_record_is_proved_and_what_is_gone_is_not(erasing: Erasing) -> None:
    sim = erasing.sim
    _, name = events_of(erasing)[1]
    before = sim.verify(full(sim, "farm", name))
    erasing.erase("farm", name, units=["/readPoint/id", "/bizTransactionList"])
    verified = sim.verify(full(sim, "farm", name))
    assert not verified.opened.full
    assert set(verified.opened.hidden) == {"/readPoint", "/bizTransactionList"}
    gone = {"readPoint", "bizTransactionList"}
    assert verified.record == {key: one for key, one in before.record.items() if key not in gone}
    for pointer in ("/readPoint", "/readPoint/id", "/bizTransactionList", ""):
        with pytest.raises(Erased):
            sim.node.prover.bundle_for(name, sim.node.reader("farm"), [pointer])
    part = sim.node.prover.bundle_for(name, sim.node.reader("farm"), ["/eventTime"])
    assert set(sim.verify(part).record) == {"@context", "type", "eventTime"}
    stone = sim.node.prover.tombstone(name, sim.node.reader("farm"))
    assert stone is not None
    assert (stone["state"], stone["units"]) == ("erased-in-part", ["/bizTransactionList", "/readPoint"])


def test_a_reader_who_sees_a_part_is_shown_what_stays_of_it(erasing: Erasing) -> None:
    sim = erasing.sim
    names = events_of(erasing)
    made = names[0][1]
    assert sim.sight("packer", made) is Sight.PART
    erasing.erase("farm", made, units=["/ilmd"])
    assert sim.sight("packer", made) is Sight.PART
    verified = sim.verify(full(sim, "packer", made))
    assert "ilmd" not in verified.record
    assert "quantityList" in verified.record
    erasing.erase("farm", made)
    assert sim.sight("packer", made) is Sight.PART
    with pytest.raises(ErasedRecord) as caught:
        full(sim, "packer", made)
    assert caught.value.tombstone["units"] == []
    assert "reason" not in caught.value.tombstone["erasures"][0]


def reported(sim: Simulator, thing: str) -> bytes:
    reporter = Reporter(sim.node.reading, sim.node.log, sim.node.operator)
    question = Question(thing, Direction.FORWARD)
    return canonical(reporter.provenance(question, EVERYBODY, asked="2026-11-22T10:00:00.000Z"))


def checked(sim: Simulator, report: bytes) -> Any:
    return verify_report(parse_json(report), parse_policy(f"log {sim.node.vkey}\nquorum none\n"))


def test_reports_hold_before_and_after_and_say_how_many_records_are_erased(erasing: Erasing) -> None:
    sim = erasing.sim
    names = events_of(erasing)
    before = reported(sim, LOTS[0])
    assert "erased" not in checked(sim, before).answer
    erasing.erase("farm", names[1][1])
    run = next(
        name
        for member, name in names
        if member == "packer"
        and "TransformationEvent" in str(sim.node.prover.value(name, sim.node.reader(member))["type"])
    )
    erasing.post("packer", erasing.signed("packer", run, units=("/bizLocation",)))
    old, new = checked(sim, before), checked(sim, reported(sim, LOTS[0]))
    assert "erased" not in old.answer
    assert new.report.value["answer"]["erased"]["records"] == 1
    assert any("erased records: 1" in one for one in new.words)
    reached = {hit["thing"] for hit in new.answer["affected"]}
    # The inputs of a record that is erased in part are followed as far as they stay.
    assert reached == {hit["thing"] for hit in old.answer["affected"]}


@pytest.mark.parametrize(
    "change",
    [
        {"records": 1},
        {"records": "1", "things": []},
        {"records": 1, "things": [{"thing": 1, "records": 1}]},
        None,
    ],
)
def test_a_report_that_counts_erased_records_in_another_form_is_refused(
    erasing: Erasing, change: Any
) -> None:
    from fabric.report.answer import without_operators_word

    events_of(erasing)
    document = {"hidden": "none", "erased": change}
    assert without_operators_word(document) == document


def test_erasing_is_the_members_own_and_nobody_elses(erasing: Erasing) -> None:
    sim = erasing.sim
    names = events_of(erasing)
    shipped, packed = names[1][1], names[-1][1]
    before = erasing.state(), sim.counts()
    with pytest.raises(Forbidden) as seen:
        erasing.post("packer", erasing.signed("packer", shipped))
    assert seen.value.rule == "not-yours"
    with pytest.raises(NotFound) as hidden:
        erasing.erase("shop", names[0][1])
    with pytest.raises(NotFound) as unknown:
        erasing.erase("shop", "ab" * 32)
    assert (hidden.value.rule, str(hidden.value)) == (unknown.value.rule, str(unknown.value))
    with pytest.raises(InvalidInput):
        erasing.erase("operator", packed)
    assert (erasing.state(), sim.counts()) == before
    assert faults(sim) == []
