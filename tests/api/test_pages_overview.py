"""What a page lists adds up to what the answer says, and arrows are exactly the steps that the trace took."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from api.answers import View, view
from api.pages.flow import Marks, flow, signed_levels
from api.pages.labels import load_labels
from api.pages.overview import Overview, overview
from fabric.trace import Direction, Question, Trace, trace

from .consortium_pages import Site, demo_site

READERS = ("recall", "processor", "distributor", "retailer")
DIRECTIONS = tuple(Direction)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site, _ = demo_site(tmp_path_factory.mktemp("overview"))
    yield site
    site.close()


def lots(seen: View) -> list[str]:
    """Every lot that a reader sees."""
    iris = [row[0] for row in seen.connection.exec_driver_sql("SELECT iri FROM thing WHERE kind = 'lot'")]
    return sorted(entry.iri for entry in seen.catalogue.named(iris))


def answers(seen: View) -> Iterator[Trace]:
    for iri in lots(seen):
        for direction in DIRECTIONS:
            yield trace(Question(iri, direction), seen.source)


def sums(rows: Any) -> dict[tuple[str, str | None], Decimal]:
    found: dict[tuple[str, str | None], Decimal] = defaultdict(Decimal)
    for thing, unit, amount in rows:
        found[thing, unit] += Decimal(amount)
    return {key: total for key, total in found.items() if total}


@pytest.mark.parametrize("reader", READERS)
def test_lists_add_up_to_the_amounts_of_the_answer(site: Site, reader: str) -> None:
    with view(site.sim.node, site.reader(reader)) as seen:
        checked = 0
        for answer in answers(seen):
            told = overview(answer)
            quantities: Any = answer.as_json()["quantities"]

            def stated(field: str, rows: Any = quantities) -> dict[tuple[str, str | None], Decimal]:
                return sums((row["thing"], row["unit"], row[field]) for row in rows)

            assert stated("unaccounted") == sums((row.thing, row.unit, row.amount) for row in told.missing)
            assert stated("surplus") == sums((row.thing, row.unit, row.amount) for row in told.surplus)
            assert stated("on_hand") == sums(_held(told))
            moving = [row for row in told.moving if row.amount is not None]
            for field, states in (("in_transit", ("in_transit", "ambiguous")), ("outside", ("outside",))):
                listed = sums((row.thing, row.unit, row.amount) for row in moving if row.state in states)
                assert stated(field) == listed
            checked += bool(quantities)
        assert checked > 10


def _held(told: Overview) -> Iterator[tuple[str, str | None, str]]:
    for holder in told.held.values():
        for row in holder.rows:
            if row.kind == "lot" and row.amount is not None:
                yield row.thing, row.unit, row.amount


@pytest.mark.parametrize("reader", READERS)
def test_every_box_but_the_source_is_led_to_and_arrows_lead_right(site: Site, reader: str) -> None:
    with view(site.sim.node, site.reader(reader)) as seen:
        for answer in answers(seen):
            drawn = flow(answer, {}, Marks({}, {}))
            levels = signed_levels(answer)
            columns = {node.id: node.level for node in drawn.nodes}
            assert len(drawn.nodes) == len(answer)
            assert all(columns[arrow.source] < columns[arrow.target] for arrow in drawn.arrows)
            reached = {arrow.target for arrow in drawn.arrows} | {arrow.source for arrow in drawn.arrows}
            lonely = [node for node in drawn.nodes if node.id not in reached]
            assert len(lonely) == (1 if len(answer) == 1 else 0)
            assert min(map(abs, levels.values())) == 0


def test_of_conflicting_claims_the_identifiers_own_member_wins_then_the_newest(site: Site) -> None:
    place, product = "https://id.gs1.org/414/9525004000012", "https://id.gs1.org/01/09525001000107"

    def claim(by: str, iri: str, kind: str, key: str, name: str) -> None:
        element = {"id": iri, "attributes": [{"id": key, "attribute": name}]}
        vocabulary = {"type": f"urn:epcglobal:epcis:vtype:{kind}", "vocabularyElementList": [element]}
        site.sim.capture(by, [], epcisHeader={"epcisMasterData": {"vocabularyList": [vocabulary]}})

    claim("retailer", place, "Location", "cbvmda:name", "Somebody else's idea")
    claim("retailer", product, "EPCClass", "cbvmda:descriptionShort", "Old idea")
    claim("packer", "https://id.gs1.org/01/09525009999991", "EPCClass", "cbvmda:descriptionShort", "First")
    claim("farm", "https://id.gs1.org/01/09525009999991", "EPCClass", "cbvmda:descriptionShort", "Newest")
    with view(site.sim.node, site.reader("recall")) as seen:
        wanted = [place, product + "/10/X", "https://id.gs1.org/01/09525009999991", None, "urn:x:unknown"]
        labels = load_labels(
            seen.connection, wanted, seen.holder_of, seen.coverage.time_us or 0, seen.classes
        )
    assert labels.names[place] == "Northgate depot East"
    assert labels.names["https://id.gs1.org/01/09525009999991"] == "Newest"
    assert product in labels.names
    assert {one.member for one in labels.attributes[place]} == {"distributor", "retailer"}
    assert labels.phones[place] == "+1 303 555 0140"
