"""Nothing in the data folder holds what was erased: not a page, a log, a snapshot, a compressed document."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fabric.graph import GraphReader, Source, open_projection
from fabric.graph.comparison import compare
from fabric.graph.projection import Projection
from fabric.store.jobs import Job
from tests.simulator import Simulator

from .conftest import FARM, PACKER, Erasing, place
from .search import found


def word(seed: str) -> str:
    """A text that nothing else contains."""
    return "zq" + "".join(random.Random(f"word {seed}").choices("abcdefghkmnpqrstuvwxy", k=22))


def secrets(number: int) -> dict[str, str]:
    names = ("eventID", "serial", "class", "document", "place", "field", "nested", "party")
    return {name: word(f"{number} {name}") for name in names}


def telling(sim: Simulator, number: int, gln: str) -> dict[str, Any]:
    """An event that says something of its own in every field."""
    told = secrets(number)
    return sim.event(
        eventID=f"urn:example:{told['eventID']}",
        action="ADD",
        bizStep="shipping",
        epcList=[f"urn:example:item:{told['serial']}", f"urn:example:other:{number}"],
        quantityList=[{"epcClass": f"urn:example:class:{told['class']}", "quantity": 4}],
        readPoint={"id": f"urn:example:at:{told['place']}"},
        bizTransactionList=[{"type": "po", "bizTransaction": f"urn:example:doc:{told['document']}"}],
        sourceList=[{"type": "location", "source": place(gln)}],
        destinationList=[
            {"type": "owning_party", "destination": place(PACKER)},
            {"type": "location", "destination": f"urn:example:to:{told['party']}"},
        ],
        ilmd={"ex:field": told["field"], "ex:more": {"ex:deep": [told["nested"], 7, "é"]}},
    )


@contextmanager
def followed(sim: Simulator, folder: Path | None = None) -> Iterator[Projection]:
    projection = open_projection(folder or sim.folder / "graph", Source(sim.node.reading))
    try:
        catch_up(projection)
        yield projection
    finally:
        projection.close()


def catch_up(projection: Projection) -> None:
    while projection.advance():
        projection.publish()


def same_as_scratch(sim: Simulator, projection: Projection, folder: Path) -> bool:
    with followed(sim, folder) as fresh:
        return compare(fresh.store, projection.store).equal


def captured(sim: Simulator, count: int = 24) -> tuple[Job, list[str]]:
    """A document of many events between others, so that pages split and rows move."""
    for number in range(3):
        sim.capture("farm", [telling(sim, 1000 + 100 * number + one, FARM) for one in range(20)])
    job = sim.capture("farm", [telling(sim, number, FARM) for number in range(count)])
    for number in range(3, 6):
        sim.capture("farm", [telling(sim, 1000 + 100 * number + one, FARM) for one in range(20)])
    return job, sim.names(job)[1:]


def test_nothing_holds_an_erased_record_and_everything_held_it_before(
    erasing: Erasing, tmp_path: Path
) -> None:
    sim = erasing.sim
    job, names = captured(sim)
    with followed(sim) as projection:
        reader = GraphReader(sim.folder / "graph")
        assert reader.view().size == projection.covered
        gone, kept = range(5, 9), range(20, 22)
        wanted = [value for number in gone for value in secrets(number).values()]
        before = found(sim.folder, wanted)
        assert before.keys() == set(wanted)
        places = set().union(*before.values())
        assert places & {"loomark.db", "loomark.db-wal"}
        assert "loomark.db table document" in places
        assert any(one.startswith("graph/store") for one in places)
        assert any(one.startswith("graph/snap-") for one in places)
        for number in gone:
            erasing.erase("farm", names[number])
        catch_up(projection)
        assert reader.size == projection.covered
        erasing.settle()
        assert found(sim.folder, wanted) == {}
        still = [value for number in kept for value in secrets(number).values()]
        assert found(sim.folder, still).keys() == set(still)
        assert same_as_scratch(sim, projection, tmp_path / "scratch")
    sim.node.close()
    assert found(sim.folder, wanted) == {}
    sim.node = sim._open()
    assert job.document is not None


def test_nothing_holds_an_erased_unit_and_the_other_units_are_kept(erasing: Erasing, tmp_path: Path) -> None:
    sim = erasing.sim
    _, names = captured(sim, 12)
    units = {
        "/ilmd": ("field", "nested"),
        "/epcList/0": ("serial",),
        "/readPoint/id": ("place",),
        "/bizTransactionList": ("document",),
    }
    with followed(sim) as projection:
        for number in range(3, 9):
            erasing.erase("farm", names[number], units=list(units))
        catch_up(projection)
        erasing.settle()
        hidden = {name for names in units.values() for name in names}
        gone = [secrets(number)[name] for number in range(3, 9) for name in hidden]
        assert found(sim.folder, gone) == {}
        still = [
            value for number in range(3, 9) for name, value in secrets(number).items() if name not in hidden
        ]
        assert found(sim.folder, still).keys() == set(still)
        assert same_as_scratch(sim, projection, tmp_path / "scratch")


def test_the_salts_of_what_was_erased_are_gone(erasing: Erasing) -> None:
    sim = erasing.sim
    _, names = captured(sim, 4)
    salts = dict(sim.rows("SELECT lower(hex(commitment)), salt FROM record"))
    data = b"".join(path.read_bytes() for path in sim.folder.rglob("*") if path.is_file())
    assert salts[names[1]] in data
    erasing.erase("farm", names[1])
    erasing.erase("farm", names[2], units=["/readPoint"])
    erasing.settle()
    data = b"".join(path.read_bytes() for path in sim.folder.rglob("*") if path.is_file())
    assert salts[names[1]] not in data
    assert salts[names[2]] not in data
    assert salts[names[3]] in data


def test_a_repeated_submission_keeps_no_copy_either(erasing: Erasing) -> None:
    sim = erasing.sim
    event = telling(sim, 1, FARM)
    first = sim.capture("farm", [event])
    again = sim.capture("farm", [event, telling(sim, 2, FARM)])
    only = sim.capture("farm", [event], creationDate="2026-05-03T00:00:00Z")
    assert again.notes["duplicates"]
    assert only.state == "duplicate"
    erasing.erase("farm", *erasing.events(first))
    erasing.settle()
    assert found(sim.folder, secrets(1).values()) == {}
    assert found(sim.folder, secrets(2).values()).keys() == set(secrets(2).values())


def test_a_graph_says_up_to_which_erasure_it_has_forgotten(erasing: Erasing, tmp_path: Path) -> None:
    sim = erasing.sim
    names = sim.names(sim.capture("farm", [telling(sim, number, FARM) for number in range(3)]))[1:]
    reader = GraphReader(sim.folder / "graph")
    with followed(sim) as projection:
        assert reader.purged == -1
        first = erasing.erase("farm", names[0])[1].index
        assert reader.purged == -1
        catch_up(projection)
        assert reader.purged == first
        second = erasing.erase("farm", names[1])[1].index
        assert reader.purged == first
        catch_up(projection)
        assert reader.purged == second
    # A graph that is made after an erasure never held what was erased.
    with followed(sim, tmp_path / "later"):
        assert GraphReader(tmp_path / "later").purged == second
