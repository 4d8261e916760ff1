"""`same` links from the door to the index: who states them, what is refused, who sees them, that nothing is a guess."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from api.answers import view
from fabric.integrity import check_node
from fabric.lineage.sql import dump, rebuild
from fabric.trace import Direction, Question, trace
from fabric.visibility.reader import EVERYBODY, Reader
from ledger.canonical import canonical, parse_json
from ledger.commitment import record_commitment
from ledger.errors import Conflict, Forbidden, InvalidInput, NotFound
from ledger.note import parse_vkey
from tests.simulator import Simulator, Step

A, B, C = (f"https://id.gs1.org/01/09506000134352/10/{name}" for name in "ABC")
URN_A = "urn:epc:class:lgtin:9506000.013435.A"
CODE = "urn:example:partner:4711"
SSCC = "https://id.gs1.org/00/095060000000000015"


def make(sim: Simulator, by: str, lot: str) -> None:
    sim.capture(by, [made(sim, lot)])


def made(sim: Simulator, lot: str) -> dict[str, Any]:
    return sim.event(action="ADD", bizStep="commissioning", quantityList=[{"epcClass": lot, "quantity": 5}])


def reached(
    sim: Simulator,
    thing: str,
    reader: Reader | str = EVERYBODY,
    size: int | None = None,
    way: str = "forward",
) -> dict[str, list[str]]:
    """The affected things with the links on them, as a reader sees them."""
    seen_by = sim.node.reader(reader) if isinstance(reader, str) else reader
    with view(sim.node, seen_by, size) as seen:
        found: Any = trace(Question(thing, Direction(way)), seen.source).as_json()["affected"]
    return {hit["thing"]: hit["links"] for hit in found}


@contextmanager
def unchanged(sim: Simulator) -> Iterator[None]:
    before = sim.counts()
    yield
    assert sim.counts() == before


def faults(sim: Simulator) -> list[tuple[str, str]]:
    folder = sim.folder
    report = check_node(folder, sim.where, parse_vkey(sim.node.vkey))
    return [(one.rule, one.message) for one in report.faults]


def test_a_member_says_in_any_spelling_that_two_names_are_one_thing(sim: Simulator) -> None:
    make(sim, "farm", A)
    posted, outcome = sim.link("farm", CODE, URN_A, reason="our code for it")
    assert (posted.type, posted.member, outcome.state) == ("link", "farm", "sequenced")
    assert reached(sim, A) == {A: [posted.statement_id], CODE: [posted.statement_id]}
    assert reached(sim, CODE, way="backward").keys() == {A, CODE}


def test_the_log_commits_to_the_body_and_names_the_parties_alone(sim: Simulator) -> None:
    posted, outcome = sim.link("farm", A, B, reason="relabelled", parties=["packer"])
    envelope = sim.node.log.entry(outcome.index or 0)
    assert b"relabelled" not in envelope
    body, salt, stated, parties = sim.rows("SELECT body, salt, commitment, parties FROM link")[0]
    value = parse_json(body)
    assert value == {"link": "loomark/link/v1", "same": [A, B], "reason": "relabelled"}
    assert canonical(value) == body
    assert record_commitment(value, salt) == stated
    assert parties == "farm packer"
    assert sim.rows("SELECT idx FROM link") == [(outcome.index,)]
    assert posted.statement_id == sim.rows("SELECT statement_id FROM link")[0][0]


def test_a_member_signs_its_own_link_and_posting_it_again_changes_nothing(sim: Simulator) -> None:
    value = sim.link_signed("packer", A, B, "farm")
    first = sim.post_link("packer", value)
    assert first[1].state == "sequenced"
    with unchanged(sim):
        assert sim.post_link("packer", value) == first


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ({"same": [A]}, "bad-shape"),
        ({"same": [A, B, C]}, "bad-shape"),
        ({"same": [A, 5]}, "bad-shape"),
        ({"same": [A, B], "more": 1}, "bad-shape"),
        ({"same": [A, B], "reason": ""}, "bad-shape"),
        ({"same": [A, B], "reason": "x" * 1001}, "bad-shape"),
        ({"same": [A, URN_A]}, "same-name"),
        ({"same": [A, "https://id.gs1.org/01/09506000134352"]}, "not-material"),
        ({"same": [A, SSCC]}, "not-material"),
        ({"same": [A, "https://id.gs1.org/414/9506000134352"]}, "not-material"),
        ({"same": [A, "no uri"]}, "not-a-uri"),
        ({"same": [A, "https://id.gs1.org/01/09506000134353/10/B"]}, "bad-check-digit"),
        ({"same": [A, B], "parties": ["stranger"]}, "unknown-member"),
        ({"same": [A, B], "parties": "packer"}, "bad-shape"),
        ({"same": [A, B], "envelope": {}}, "bad-shape"),
    ],
)
def test_what_is_no_link_is_refused_and_leaves_nothing(
    sim: Simulator, value: dict[str, Any], rule: str
) -> None:
    with unchanged(sim), pytest.raises(InvalidInput) as caught:
        sim.post_link("farm", value)
    assert caught.value.rule == rule


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"salt": "00" * 32}, "wrong-commitment"),
        ({"body": {"link": "loomark/link/v1", "same": [A, C], "reason": None}}, "wrong-commitment"),
        ({"body": {"link": "loomark/link/v1", "same": [B, A], "reason": None}}, "not-canonical"),
        ({"body": {"link": "loomark/link/v1", "same": [URN_A, B], "reason": None}}, "not-canonical"),
        ({"body": {"link": "loomark/link/v2", "same": [A, B], "reason": None}}, "bad-version"),
        ({"body": {"same": [A, B]}}, "bad-shape"),
        ({"salt": "00"}, "bad-hex"),
    ],
)
def test_a_signed_link_with_another_body_is_refused_and_leaves_nothing(
    sim: Simulator, change: dict[str, Any], rule: str
) -> None:
    value = sim.link_signed("packer", A, B, **change)
    with unchanged(sim), pytest.raises(InvalidInput) as caught:
        sim.post_link("packer", value)
    assert caught.value.rule == rule


def test_nobody_posts_a_link_in_anothers_name_or_without_authority(sim: Simulator) -> None:
    value = sim.link_signed("packer", A, B)
    with unchanged(sim), pytest.raises(Forbidden) as caught:
        sim.post_link("farm", value)
    assert caught.value.rule == "wrong-member"
    with unchanged(sim), pytest.raises(Forbidden) as caught:
        sim.link("packer", A, B)
    assert caught.value.rule == "no-delegation"
    value["envelope"] = parse_json(sim.sign("packer", "capture", {"commitment": "ab" * 32}))
    with unchanged(sim), pytest.raises(InvalidInput) as refused:
        sim.post_link("packer", value)
    assert refused.value.rule == "wrong-kind"


def test_a_second_link_under_one_statement_id_is_a_conflict(sim: Simulator) -> None:
    value = sim.link_signed("packer", A, B)
    sim.post_link("packer", value)
    name = sim.rows("SELECT statement_id FROM link")[0][0]
    other = sim.link_signed("packer", A, C)
    commitment = parse_json(_payload(other["envelope"]))["commitment"]
    other["envelope"] = parse_json(
        sim.sign("packer", "link", {"parties": ["packer"], "commitment": commitment}, statement_id=name)
    )
    with unchanged(sim), pytest.raises(Conflict) as caught:
        sim.post_link("packer", other)
    assert caught.value.rule == "statement-id-reused"


def test_only_its_author_its_parties_and_who_is_granted_their_sight_follow_a_link(sim: Simulator) -> None:
    for name in ("shop", "auditor", "helper"):
        sim.admit(name)
    for by in ("farm", "packer", "shop"):
        for lot in (A, B):
            sim.capture_signed(by, [made(sim, lot)]) if by == "packer" else make(sim, by, lot)
    sim.state({"type": "role", "grantee": "auditor", "role": "auditor", "for": "all", "until": None})
    sim.state({"type": "role", "grantee": "helper", "role": "auditor", "for": ["farm"], "until": None})
    posted, _ = sim.link("farm", A, B, parties=["packer"])
    joined = {A: [posted.statement_id], B: [posted.statement_id]}
    for reader in ("farm", "packer", "auditor", "helper"):
        assert reached(sim, A, reader) == joined, reader
        assert reached(sim, B, reader, way="backward") == joined, reader
    assert reached(sim, A, "shop") == {A: []}
    assert reached(sim, B, "shop", way="backward") == {B: []}


def test_a_link_makes_no_hidden_thing_known(sim: Simulator) -> None:
    make(sim, "farm", A)
    sim.capture_signed("packer", [made(sim, B)])
    sim.link("farm", A, B)
    assert reached(sim, A, "farm") == {A: []}
    for unknown in (B, C):
        with pytest.raises(NotFound):
            reached(sim, unknown, "farm")


def test_an_earlier_tree_size_knows_no_later_link(sim: Simulator) -> None:
    make(sim, "farm", A)
    make(sim, "farm", B)
    before = int(sim.node.state()["size"])
    posted, outcome = sim.link("farm", A, B)
    after = int(sim.node.state()["size"])
    joined = {A: [posted.statement_id], B: [posted.statement_id]}
    for reader in (EVERYBODY, "farm"):
        assert reached(sim, A, reader, before) == {A: []}
        assert reached(sim, A, reader, after) == joined
        assert reached(sim, A, reader) == joined
    assert before <= (outcome.index or 0) < after


def test_links_and_events_in_any_order_give_one_index(tmp_path: Path) -> None:
    found = []
    for seed in range(4):
        with Simulator(tmp_path / str(seed)) as sim:
            sim.admit("farm")
            size = int(sim.node.state()["size"])
            steps: list[Step] = [
                *(partial(sim.capture, "farm", [made(sim, thing)]) for thing in (A, CODE, B)),
                partial(sim.link, "farm", A, CODE),
                partial(sim.link, "farm", CODE, B),
            ]
            random.Random(seed).shuffle(steps)
            for step in steps:
                step()
            kinds = sim.rows("SELECT iri, kind FROM thing ORDER BY iri")
            edges = sim.rows(
                "SELECT s.iri, d.iri, e.kind, e.inferred FROM lineage_edge e JOIN thing s ON s.id = e.src"
                " JOIN thing d ON d.id = e.dst ORDER BY s.iri, d.iri"
            )
            found.append((kinds, edges, {thing: reached(sim, thing).keys() for thing in (A, B, CODE)}))
            assert int(sim.node.state()["size"]) > size
    assert all(one == found[0] for one in found)
    assert found[0][2] == {thing: {A, B, CODE} for thing in (A, B, CODE)}


def test_a_rebuild_and_a_crash_give_the_same_links_again(sim: Simulator) -> None:
    make(sim, "farm", A)
    posted, _ = sim.link("farm", A, CODE)
    sim.post_link("packer", sim.link_signed("packer", CODE, B, "farm"))
    before, joined = sim.projections(), reached(sim, A)
    assert joined.keys() == {A, B, CODE}
    assert before["same"]
    sim.rebuild()
    assert sim.projections() == before
    assert reached(sim, A) == joined
    sim.crash()
    assert sim.projections() == before
    sim.link("farm", B, C)
    assert reached(sim, A).keys() == {A, B, C, CODE}
    assert posted.statement_id in joined[A]


def test_lineage_derived_again_keeps_the_edges_of_links(sim: Simulator) -> None:
    make(sim, "farm", A)
    sim.link("farm", A, B)
    with sim.node._engine.begin() as connection:
        before = dump(connection)
        rebuild(connection, lambda _iri, _time: None)
        assert dump(connection) == before
    assert [row for row in before["edges"] if row[2] == "same"]


def test_a_link_that_was_staged_before_a_crash_is_followed_after_it(sim: Simulator) -> None:
    make(sim, "farm", A)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sim.node._writer, "sequence", lambda: None)
        posted, outcome = sim.link("farm", A, B)
    assert outcome.state == "staged"
    assert reached(sim, A) == {A: []}
    sim.crash()
    assert sim.node.capture.outcome(posted.row).state == "sequenced"
    assert reached(sim, A).keys() == {A, B}


def test_a_link_that_sequencing_refuses_has_no_effect(sim: Simulator) -> None:
    make(sim, "farm", A)
    value = sim.link_signed("packer", A, B)
    key = parse_json(_payload(value["envelope"]))["key"]
    with pytest.MonkeyPatch.context() as patch:
        # Revoked in the same round, before the link has its index.
        patch.setattr(sim.node._writer, "sequence", lambda: None)
        sim.state({"type": "key", "action": "revoke", "target": key})
        posted, _ = sim.post_link("packer", value)
    sim.crash()
    assert sim.node.capture.outcome(posted.row).state == "refused"
    assert reached(sim, A) == {A: []}
    assert sim.rows("SELECT idx FROM link") == [(None,)]
    assert sim.rows("SELECT count(*) FROM same") == [(0,)]
    assert faults(sim) == []


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        ("UPDATE link SET body = replace(body, 'loomark', 'loomarc')", "link-body"),
        ("UPDATE link SET salt = zeroblob(32)", "link-commitment"),
        ("UPDATE link SET parties = 'farm packer'", "link-parties"),
        ("UPDATE link SET idx = 0", "link-index"),
        ("DELETE FROM link", "link-missing"),
        ("DELETE FROM same WHERE thing = (SELECT max(thing) FROM same)", "projection-same"),
        ("DELETE FROM lineage_edge WHERE kind = 5 AND src < dst", "projection-lineage_edge"),
        ("UPDATE same SET statement = 'ab'", "projection-same"),
    ],
)
def test_fsck_names_what_was_done_to_a_link(sim: Simulator, damage: str, rule: str) -> None:
    make(sim, "farm", A)
    sim.link("farm", A, B)
    assert faults(sim) == []
    with sim.node._engine.begin() as connection:
        connection.exec_driver_sql(damage)
    assert rule in {found for found, _ in faults(sim)}


def _payload(envelope: Any) -> bytes:
    from ledger.statement import envelope_of

    return envelope_of(envelope).payload
