"""Every answer to every member of the demonstration holds what section 4 gives that member, and nothing else.

What each may see is worked out from the documents by `sight_oracle`; everything is asked over HTTP.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from fabric.graph.projection import rebuild
from fabric.graph.source import Source
from fabric.scenario import demo_scenario
from tests.simulator import CONTEXT, START_MS, Simulator

from .sight_oracle import Oracle, read_folder

MEMBERS = ("farm", "packer", "processor", "distributor", "retailer")
TRACED = re.compile(r"https://id\.gs1\.org/(00/|01/[0-9]{14}/(10|21)/)")
VARYING = re.compile(r'"(?:asked|issued|now|time)":\s*"[^"]*"')


class Scene:
    """The demonstration behind HTTP, and the oracle of its documents."""

    def __init__(self, folder: Path) -> None:
        told = folder / "told"
        demo_scenario(told, START_MS // 1000)
        members = json.loads((told / "members.json").read_bytes())["members"]
        packer, processor = (
            next(one for one in members if one["id"] == id_) for id_ in ("packer", "processor")
        )
        (told / packer["folder"] / "00002.jsonld").write_bytes(_more(packer, processor))
        self.oracle: Oracle = read_folder(told, members)
        self.sim = Simulator(folder / "node")
        keys = {one["id"]: self.sim.admit(one["id"], parties=one["parties"]).api_key for one in members}
        self._headers = {name: {"Authorization": f"Bearer {key}"} for name, key in keys.items()}
        for one in members:
            for path in sorted((told / one["folder"]).iterdir()):
                self.sim.post(one["id"], path.read_bytes())
        rebuild(self.sim.node.folder / "graph", Source(self.sim.node.reading))
        app = create_app(self.sim.node, Settings(folder / "node"), bytes(32))
        self.http = TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)
        rows = self.sim.rows("SELECT event_id, lower(hex(commitment)) FROM record WHERE kind = 2")
        self.records: dict[str, str] = dict(map(tuple, rows))

    def claims(self) -> list[tuple[str, str, str]]:
        """Author, thing and record of every master-data element."""
        query = (
            "SELECT m.member, t.iri, lower(hex(r.commitment)) FROM master m JOIN thing t ON t.id = m.thing"
            " JOIN record r ON r.id = m.record"
        )
        return [(row[0], row[1], row[2]) for row in self.sim.rows(query)]

    def get(self, member: str, path: str) -> Any:
        return self.http.get(path, headers=self._headers[member])

    def secrets(self, member: str) -> list[str]:
        """What no answer to a member may hold: hidden things in any spelling, hidden eventIDs and records."""
        seen, every = self.oracle.sees(member), self.oracle.names()
        open_iris = set(seen.values())
        found = {word for text, iri in every.items() if iri not in open_iris for word in (text, iri)}
        for one in self.oracle.told:
            sight = one.sight.get(member)
            if sight != "whole":
                found.add(one.id)
            if sight is None:
                found.add(self.records[one.id])
        return sorted(found)


def _more(packer: dict[str, Any], processor: dict[str, Any]) -> bytes:
    """Serials with their lot in ilmd, made of nothing and sent on a pallet; a run of two events, sent as it is."""
    product, number = "https://id.gs1.org/01/19525002000103", iter(range(1, 100))
    serials = [f"{product}/21/S{one}" for one in range(3)]
    pallet, crate = "https://id.gs1.org/00/095250020000099995", "urn:epc:id:grai:9525002.00099.1"
    run, fruit, mash = "urn:epcglobal:cbv:bt:packer:run-77", f"{product}/10/FRUIT-X", f"{product}/10/MASH-X"
    party, place = packer["parties"][0], packer["places"][0]["iri"]

    def event(kind: str, step: str, **fields: Any) -> dict[str, Any]:
        each = next(number)
        head = {"type": kind, "eventID": f"urn:uuid:00000000-0000-4000-8000-77{each:010d}", "bizStep": step}
        when = {"eventTime": f"2026-09-01T10:{each:02d}:00Z", "eventTimeZoneOffset": "+00:00"}
        return head | when | {"readPoint": {"id": place}} | fields

    def sent(*things: str, lots: tuple[str, ...] = ()) -> dict[str, Any]:
        to = [{"type": "possessing_party", "destination": processor["parties"][0]}]
        asked = [{"epcClass": lot, "quantity": 5} for lot in lots]
        named = {"epcList": list(things)} if things else {"quantityList": asked}
        return event("ObjectEvent", "shipping", action="OBSERVE", destinationList=to, **named)

    order = [{"type": "prodorder", "bizTransaction": "urn:epcglobal:cbv:bt:packer:secret-order"}]
    owner = [{"type": "owning_party", "source": party}]
    made = {"action": "ADD", "epcList": serials, "ilmd": {"cbvmda:lotNumber": "FRUIT-S"}, "sim:note": "kept"}
    events = [
        event("ObjectEvent", "commissioning", bizTransactionList=order, sourceList=owner, **made),
        event("AggregationEvent", "packing", action="ADD", parentID=pallet, childEPCs=serials),
        event("AggregationEvent", "packing", action="ADD", parentID=crate, childEPCs=[f"{product}/21/OTHER"]),
        sent(pallet),
        event(
            "TransformationEvent",
            "commissioning",
            transformationID=run,
            inputQuantityList=[{"epcClass": fruit}],
        ),
        event(
            "TransformationEvent",
            "commissioning",
            transformationID=run,
            inputEPCList=[crate],
            outputQuantityList=[{"epcClass": mash, "quantity": 5}],
            ilmd={"cbvmda:lotNumber": "MASH-X"},
        ),
        sent(lots=(mash,)),
    ]
    head = {"type": "EPCISDocument", "schemaVersion": "2.0", "creationDate": "2026-09-20T00:00:00Z"}
    context = [CONTEXT, {"sim": "https://ns.example.org/scenario/"}]
    return json.dumps({"@context": context, **head, "epcisBody": {"eventList": events}}).encode()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    found = Scene(tmp_path_factory.mktemp("sight"))
    with found.http:
        yield found
    found.sim.node.close()


def leaks(text: str, secrets: list[str]) -> list[str]:
    """The secrets that a text holds as whole words: one lot's name may begin another's."""
    return [one for one in secrets if one in text and re.search(re.escape(one) + r"(?![\w.~-])", text)]


def things(scene: Scene) -> list[str]:
    """Every lot, serial and carrier of the demonstration."""
    return sorted({iri for iri in scene.oracle.names().values() if TRACED.match(iri)})


def unknown(iri: str) -> str:
    """A name of the same form that nobody ever used."""
    return iri[:-4] + "ZZZZ" if "/10/" in iri else re.sub(r"/00/[0-9]{18}", "/00/095999990000000006", iri)


def same(scene: Scene, member: str, path: str, iri: str) -> tuple[int, str]:
    """The answers about a hidden thing and an unknown one, which must be one answer.

    Only where visible names are near to either text do the suggestions depend on the text: then the hidden name must
    be suggested nothing but what is seen.
    """
    answers = []
    near = [suggested(scene, member, name) for name in (iri, unknown(iri))]
    assert near[0] <= set(scene.oracle.sees(member).values())
    for name in (iri, unknown(iri)):
        answer = scene.get(member, path.format(quote(name, safe="")))
        text = answer.text
        for spelling in (name, quote(name, safe=""), name.rpartition("/")[2]):
            text = text.replace(spelling, "THING")
        answers.append((answer.status_code, VARYING.sub("", text)))
    if (path.startswith("/api/") and "search" not in path) or not (near[0] or near[1]):
        assert answers[0] == answers[1]
    return answers[0]


def suggested(scene: Scene, member: str, name: str) -> set[str]:
    """What a search for a name suggests; it must mean nothing."""
    found = scene.get(member, f"/api/search?q={quote(name, safe='')}").json()
    assert (found["thing"], found["candidates"]) == (None, [])
    return {one["thing"] for one in found["near"]}


def test_the_oracle_has_every_kind_of_sight(scene: Scene) -> None:
    counts = {
        member: [one.sight.get(member) for one in scene.oracle.told].count("part") for member in MEMBERS
    }
    assert counts["processor"] > 4, counts
    assert counts["distributor"], counts
    assert all(set(things(scene)) - set(scene.oracle.sees(member).values()) for member in MEMBERS)


@pytest.mark.parametrize("member", MEMBERS)
def test_each_record_shows_what_section_4_gives(scene: Scene, member: str) -> None:
    for one in scene.oracle.told:
        sight = one.sight.get(member)
        answer = scene.get(member, f"/api/records/{scene.records[one.id]}")
        by_id = scene.get(member, f"/api/records/{one.id}")
        assert answer.status_code == (200 if sight else 404), one.id
        assert by_id.status_code == (200 if sight == "whole" else 404), one.id
        if sight is None:
            continue
        expected = one.event.keys() if sight == "whole" else one.shown() | {"type"}
        value = answer.json()["value"]
        assert value.keys() - {"@context"} == set(expected), one.id
        assert answer.json()["sight"] == sight
        assert not leaks(answer.text, scene.secrets(member))


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize(
    "path",
    ["/api/search?q={}", "/api/trace?thing={}", "/api/trace?thing={}&direction=both", "/api/things/{}"],
)
def test_a_thing_is_found_exactly_where_a_shown_unit_names_it(scene: Scene, member: str, path: str) -> None:
    seen, secrets = set(scene.oracle.sees(member).values()), scene.secrets(member)
    for iri in things(scene):
        if iri in seen:
            answer = scene.get(member, path.format(quote(iri, safe="")))
            assert answer.status_code == 200, (iri, answer.text)
            assert not leaks(answer.text, secrets), iri
            if "search" in path:
                assert answer.json()["thing"] == iri
        else:
            status, text = same(scene, member, path, iri)
            assert status == (200 if "search" in path else 404), iri
            assert not leaks(text, secrets), iri


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("path", ["/things/{}", "/trace?thing={}", "/search?q={}"])
def test_pages_tell_no_more_than_that(scene: Scene, member: str, path: str) -> None:
    seen, secrets = set(scene.oracle.sees(member).values()), scene.secrets(member)
    for iri in things(scene)[::2]:
        if iri in seen:
            answer = scene.get(member, path.format(quote(iri, safe="")))
            assert answer.status_code in (200, 303), iri
            assert not leaks(answer.text, secrets), iri
        else:
            assert not leaks(same(scene, member, path, iri)[1], secrets), iri


@pytest.mark.parametrize("member", MEMBERS)
def test_an_earlier_size_shows_no_more(scene: Scene, member: str) -> None:
    seen, secrets = set(scene.oracle.sees(member).values()), scene.secrets(member)
    size = scene.sim.node.state()["size"]
    for iri in things(scene)[::3]:
        answer = scene.get(member, f"/api/trace?thing={quote(iri, safe='')}&direction=both&size={size}")
        assert answer.status_code == (200 if iri in seen else 404)
        assert not leaks(answer.text, [one for one in secrets if one != iri]), iri


@pytest.mark.parametrize("member", MEMBERS)
def test_a_trace_lists_each_visible_event_of_a_lot_and_no_other(scene: Scene, member: str) -> None:
    for iri in things(scene):
        if "/10/" not in iri or iri not in scene.oracle.sees(member).values():
            continue
        listed = scene.get(member, f"/api/trace?thing={quote(iri, safe='')}").json()["events"]
        records = {row["record"] for row in listed} | {copy for row in listed for copy in row["copies"]}
        for one in scene.oracle.told:
            sight = one.sight.get(member)
            shown = one.mentioned() if sight == "whole" else one.spelled(*one.shown() & NAMED)
            if sight is not None and iri in shown.values():
                assert scene.records[one.id] in records, (iri, one.id)
        ids = {scene.records[one.id]: (one.id, one.sight.get(member)) for one in scene.oracle.told}
        for row in listed:
            name, sight = ids[row["record"]]
            assert row["event_id"] == (name if sight == "whole" else None)


NAMED = {"readPoint", "bizLocation", "epcList", "quantityList", "outputEPCList", "outputQuantityList"}


@pytest.mark.parametrize("member", MEMBERS)
def test_a_report_discloses_what_its_reader_sees_and_answers_as_the_trace_does(
    scene: Scene, member: str
) -> None:
    seen, secrets = set(scene.oracle.sees(member).values()), scene.secrets(member)
    lots = [iri for iri in things(scene) if "/00/" not in iri]
    for iri in lots:
        path = "/api/reports/provenance?thing={}"
        if iri not in seen:
            assert same(scene, member, path, iri)[0] == 404
            continue
        report = scene.get(member, path.format(quote(iri, safe="")))
        assert report.status_code == 200, report.text
        value = report.json()
        # Proofs hold salted commitments of neighbours as hashes on their paths; they say nothing of them.
        records = set(scene.records.values())
        assert not leaks(report.text, [one for one in secrets if one not in records]), iri
        assert not leaks(json.dumps(value | {"evidence": None}), secrets), iri
        trace = scene.get(member, f"/api/trace?thing={quote(iri, safe='')}&direction=both").json()
        assert value["answer"] == trace


@pytest.mark.parametrize("member", MEMBERS)
def test_master_data_is_seen_with_whatever_a_shown_unit_names(scene: Scene, member: str) -> None:
    """By record, in the graph and on the page alike; a lot names its product."""
    seen = set(scene.oracle.sees(member).values())
    for author, iri, record in scene.claims():
        visible = scene.oracle.sees_claim(member, author, iri)
        assert scene.get(member, f"/api/records/{record}").status_code == (200 if visible else 404), iri
        graph = scene.get(member, f"/api/things/{quote(iri, safe='')}")
        page = scene.get(member, f"/things/{quote(iri, safe='')}")
        assert graph.status_code == page.status_code == (200 if visible or iri in seen else 404), iri
        assert (record in graph.text) == visible, iri


def test_products_are_described_to_members_who_see_only_their_lots(scene: Scene) -> None:
    told = [
        (member, iri)
        for author, iri, _ in scene.claims()
        for member in MEMBERS
        if member != author
        and iri not in scene.oracle.sees(member).values()
        and scene.oracle.sees_claim(member, author, iri)
    ]
    assert len(told) > 5, "the demonstration has to try it"


@pytest.mark.parametrize("member", MEMBERS)
def test_a_report_describes_what_its_reader_may_know(scene: Scene, member: str) -> None:
    seen = set(scene.oracle.sees(member).values())
    claims = scene.claims()
    for iri in [one for one in things(scene) if "/10/" in one and one in seen]:
        report = scene.get(member, f"/api/reports/provenance?thing={quote(iri, safe='')}").json()
        shown = {row["commitment"] for row in report["evidence"]["records"]}
        for author, about, record in claims:
            if record in shown:
                assert scene.oracle.sees_claim(member, author, about), (iri, about)
            if about == iri.partition("/10/")[0]:
                assert record in shown, (iri, about)


def test_the_proof_of_a_part_opens_no_more_than_the_part(scene: Scene) -> None:
    checked = 0
    for one in scene.oracle.told:
        for member in [name for name, sight in one.sight.items() if sight == "part"]:
            path = f"/api/records/{scene.records[one.id]}/proof"
            whole = scene.get(member, path)
            assert whole.status_code == 200
            secrets = [word for word in scene.secrets(member) if word not in scene.records.values()]
            assert not leaks(whole.text, secrets)
            shown = sorted(one.shown())[0]
            assert scene.get(member, f"{path}?show=/{shown}").status_code == 200
            refused = [
                scene.get(member, f"{path}?show={quote(pointer, safe='')}")
                for pointer in ("/eventID", "/inputQuantityList/0", "/neverAField", "x", "")
            ]
            assert [answer.status_code for answer in refused[:3]] == [403] * 3
            assert all(answer.status_code in (400, 403) for answer in refused[3:])
            assert not leaks("".join(answer.text for answer in refused), secrets)
            checked += 1
    assert checked > 5
