"""The demonstration: one field's irrigation water turns out to be bad, and five companies look for the salad.

Five members, four weeks up to `now`. The lot cut from North Field on the bad day is packed into two lots of
cases; a kitchen cuts one of them into Caesar salad, and works offcuts of that into Garden salad; a depot sends
salads to three stores, which make bowls of some of them. At `now` one pallet is on the road, one delivery came
short, one dispatch was never received, and a count at the depot found too little. Some records lack what the
food traceability rule wants; `truth.json` lists where.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, NamedTuple

from . import emit
from .cell import DAY_S, HOUR_S, Cell
from .defects import UNACCOUNTED, note
from .demo_world import demo_world
from .documents import Folders, Layout, dumps
from .emit import Event
from .episodes import Batch
from .names import Thing
from .truth import SCHEMA, answers, instant, numbered
from .world import END, Place, members_json


class Demo(NamedTuple):
    """What the demonstration wrote, and the lot to ask about."""

    events: int
    contaminated: str


class _Story:
    """The cell of the demonstration, its places, and what was left out of its records on purpose."""

    def __init__(self, now: int) -> None:
        self.world = demo_world()
        # Six in the morning in California; what is told of a day starts at an hour of that day.
        self.start = now - now % DAY_S
        self.cell = Cell(self.world, random.Random("loomark/demo/v1"), self.start)
        self.gaps: list[dict[str, str | None]] = []
        farm, packer, processor, distributor, retailer = self.world.members
        self.yard, *self.fields = farm.places
        (self.packer,), (self.kitchen,) = packer.places, processor.places
        self.east, self.west = distributor.places
        self.harbour, self.station, self.hillside = retailer.places
        self.sources: list[Thing] = []

    def day(self, before: int, hour: int = 6) -> None:
        """Go to a Californian hour of the day so many days before `now`; each lot's story runs forward."""
        self.cell.now = self.start - before * DAY_S + (hour + 7) * HOUR_S

    def code(self, word: str, place: Place) -> str:
        """A lot code that people can say: a word and the month and day at the place."""
        _, month, day = emit.local_date(place.member, self.cell.now).split("-")
        return f"{word.upper()}-{month}{day}"

    def gap(self, lot: Thing, cte: str, kde: str, event: Event | None) -> None:
        """Note that a part of a record, or a whole event (None), is missing on purpose."""
        if event is not None:
            event.pop("bizTransactionList")
        record = None if event is None else str(event["eventID"])
        self.gaps.append({"lot": lot.iri, "cte": cte, "kde": kde, "record": record})


def demo_scenario(out: Path, now: int = END) -> Demo:
    """Write the demonstration's documents, `members.json` and `truth.json` under `out`.

    `now` is seconds UTC; the same `now` gives the same bytes. What is on the road is on the road at `now`, so
    a node that runs by the real clock should be given the real time. `truth.json` also names the
    `contaminated` lot and the FSMA `gaps`.
    """
    story = _Story(now)
    romaine, clean, river = _harvests(story)
    hearts, mixed, plain = _packing(story, romaine, clean)
    late_hearts = _second_packing(story, river)
    caesar, garden, spring = _kitchen(story, hearts, mixed, late_hearts)
    _depot(story, caesar, garden, spring, plain)
    _another_week(story)
    return _write(story, out, now, romaine.lot)


def _harvests(story: _Story) -> tuple[Batch, Batch, Batch]:
    """Three fields are cut; the bins reach the packing house the same night."""
    story.day(26)
    romaine = _harvest(story, story.fields[0], 1_200)
    clean = _harvest(story, story.fields[1], 1_200)
    story.day(24)
    river = _harvest(story, story.fields[2], 960, cooled=False)
    story.gap(river.lot, "cooling", "event", None)
    return romaine, clean, river


def _harvest(story: _Story, field: Place, portions: int, *, cooled: bool = True) -> Batch:
    """Cut, cool, send and take in, with all that the rule wants told about it."""
    cell, yard = story.cell, story.yard
    farm, day = yard.member, emit.local_date(yard.member, cell.now)
    lot = cell.new_lot(farm, "farm", story.code(field.name.split()[0], yard))
    event = cell.make(
        yard,
        lot,
        portions,
        ilmd={
            "cbvmda:harvestStartDate": day,
            "cbvmda:harvestEndDate": day,
            "sim:commodity": "Lettuce, romaine",
            "sim:fieldName": field.name,
            "sim:harvesterName": farm.name,
            "sim:harvesterPhone": farm.details["gs1:telephone"],
        },
    )
    event["readPoint"] = {"id": farm.spell(field.key)}
    event |= emit.parties(farm, yard, story.packer)
    if cooled:
        # CBV has no step for cooling; the published examples of the rule use `other` with a reading.
        event = cell.observe(yard, [(lot, portions)], step="other")
        event["sensorElementList"] = [_cold(story, 12)]
        event |= emit.transactions(("testres", emit.document_name(farm, "cool", farm.next("cool"))))
    cell.move(yard, story.packer, [(lot, portions)])
    return Batch(lot, story.packer, portions)


def _packing(story: _Story, romaine: Batch, clean: Batch) -> tuple[Batch, Batch, Batch]:
    """North Field alone, North and South Field together, and South Field alone."""
    story.day(23)
    hearts = _pack(story, "A", [(romaine.lot, 800)], 66)
    mixed = _pack(story, "B", [(romaine.lot, 400), (clean.lot, 560)], 80)
    plain = _pack(story, "C", [(clean.lot, 640)], 53)
    return hearts, mixed, plain


def _second_packing(story: _Story, river: Batch) -> Batch:
    story.day(22)
    late = _pack(story, "D", [(river.lot, river.portions)], 80)
    story.gap(late.lot, "initial_packing", "ref_doc", story.cell.captured[-1].event)
    return late


def _pack(story: _Story, run: str, inputs: list[tuple[Thing, int]], cases: int) -> Batch:
    lot = story.cell.new_lot(story.packer.member, "packer", story.code(f"hearts-{run}", story.packer))
    _run(story, story.packer, inputs, lot, cases)
    return Batch(lot, story.packer, cases)


def _run(story: _Story, place: Place, inputs: list[tuple[Thing, int]], lot: Thing, made: int) -> Event:
    """A run that gives its lot a traceability lot code, with the place that gave it as the code's source."""
    day = emit.local_date(place.member, story.cell.now)
    ilmd = {
        "cbvmda:lotNumber": lot.code,
        "sim:packingDate": day,
        "sim:traceabilityLotCodeSource": place.key.iri,
    }
    (event,) = story.cell.transform(place, inputs, [(lot, made)], packaging=made, ilmd=ilmd)
    return event


def _deliver(story: _Story, batch: Batch, dst: Place, portions: int) -> tuple[Event, Event]:
    """So much of a batch goes on a pallet of its own; returns the dispatch and the receipt.

    Lorries leave side by side: the clock goes back to an hour after this one was loaded.
    """
    cell = story.cell
    loading = cell.now
    pallet = cell.new_pallet(batch.place.member)
    cell.pack(batch.place, pallet, [(batch.lot, portions)])
    shipment = cell.ship(batch.place, dst, [(pallet, None)])
    cell.wait(hours=9)
    received = cell.receive(shipment)
    cell.unpack(dst, pallet)
    cell.now = loading + HOUR_S
    return shipment.event, received


def _another_week(story: _Story) -> None:
    """Clean greens follow the same road the week after; no question about North Field may find them."""
    story.day(16)
    field = _harvest(story, story.fields[1], 900)
    story.day(14)
    hearts = _pack(story, "E", [(field.lot, 900)], 75)
    story.day(13)
    _deliver(story, hearts, story.east, 75)
    for before, store in ((8, story.harbour), (8, story.station), (7, story.hillside)):
        story.day(before)
        _deliver(story, hearts._replace(place=story.east), store, 25)
    for before, store in ((6, story.harbour), (6, story.station), (5, story.hillside), (4, story.harbour)):
        story.day(before, hour=9)
        story.cell.sell(store, hearts.lot, 6)
    for store in (story.harbour, story.station, story.hillside):
        story.cell.count(store, hearts.lot)


def _kitchen(story: _Story, hearts: Batch, mixed: Batch, late: Batch) -> tuple[Batch, Batch, Batch]:
    """Caesar from North Field; Garden from River Field, carrots and Caesar offcuts; Spring from both fields."""
    cell, kitchen = story.cell, story.kitchen
    story.day(21)
    _deliver(story, hearts, kitchen, 40)
    sent, _ = _deliver(story, late, kitchen, 50)
    story.gap(late.lot, "shipping", "ref_doc", sent)
    story.day(19)
    _deliver(story, mixed, kitchen, 30)
    carrot = cell.new_lot(kitchen.member, "processor", story.code("carrot", kitchen), variant=1)
    cell.make(kitchen, carrot, 40)
    story.day(18)
    caesar, garden, spring = (
        cell.new_lot(kitchen.member, "processor", story.code(word, kitchen), variant=variant)
        for word, variant in (("caesar", 0), ("garden", 2), ("spring", 2))
    )
    _run(story, kitchen, [(hearts.lot, 40)], caesar, 160)
    _run(story, kitchen, [(late.lot, 50), (carrot, 20), (caesar, 10)], garden, 150)
    _run(story, kitchen, [(mixed.lot, 30), (carrot, 12)], spring, 90)
    story.sources += [hearts.lot, caesar, garden]
    return Batch(caesar, kitchen, 150), Batch(garden, kitchen, 150), Batch(spring, kitchen, 90)


def _depot(story: _Story, caesar: Batch, garden: Batch, spring: Batch, plain: Batch) -> None:
    """Everything passes the depot; things go wrong there as they do."""
    cell, east = story.cell, story.east
    hearts = Batch(story.sources[0], story.packer, 26)
    story.day(17)
    for batch, portions in ((hearts, 26), (plain, 53), (caesar, 150), (garden, 120), (spring, 90)):
        _deliver(story, batch, east, portions)
    # Dispatched more than fourteen days ago, and never seen again.
    story.day(15)
    lost = cell.ship(east, story.west, [(hearts.lot, 8)])
    note(cell, "overdue-dispatch", hearts.lot, UNACCOUNTED, lost.event)
    at_depot = [b._replace(place=east) for b in (hearts, plain, caesar, garden, spring)]
    _stores(story, *at_depot)
    story.day(4)
    note(cell, "count-below-book", garden.lot, UNACCOUNTED, cell.count(east, garden.lot, 24))
    story.day(1)
    pallet = cell.new_pallet(east.member)
    cell.pack(east, pallet, [(caesar.lot, 30)])
    cell.ship(east, story.hillside, [(pallet, None)])
    story.sources.append(pallet)


def _stores(story: _Story, hearts: Batch, plain: Batch, caesar: Batch, garden: Batch, spring: Batch) -> None:
    """Three stores are supplied, make bowls, sell, throw away, and send a little back."""
    cell = story.cell
    story.day(13)
    _deliver(story, caesar, story.harbour, 40)
    _deliver(story, garden, story.harbour, 40)
    _deliver(story, hearts, story.harbour, 12)
    story.day(12)
    short = cell.ship(story.east, story.station, [(caesar.lot, 40)])
    cell.wait(hours=4)
    received = cell.receive(short, got={caesar.lot: 36})
    note(cell, "shortfall", caesar.lot, UNACCOUNTED, short.event, received)
    _deliver(story, plain, story.station, 30)
    _, received = _deliver(story, spring, story.station, 45)
    story.gap(spring.lot, "receiving", "ref_doc", received)
    story.day(11)
    _deliver(story, caesar, story.hillside, 40)
    _deliver(story, garden, story.hillside, 54)
    _bowls(story, caesar, garden)
    offers = {
        story.harbour: [(caesar, 3), (garden, 4), (hearts, 1)],
        story.station: [(caesar, 3), (plain, 2), (spring, 5)],
        story.hillside: [(caesar, 4), (garden, 5)],
    }
    for before in range(9, 3, -1):
        story.day(before, hour=7)
        for store, sold in offers.items():
            _trading_day(story, store, sold)
    story.day(3)
    cell.move(story.station, story.east, [(caesar.lot, 2)], disposition="returned")


def _bowls(story: _Story, caesar: Batch, garden: Batch) -> None:
    """Each store makes bowls of what it has: lots of its own, sold over the counter."""
    story.day(10)
    for store, salad, cases in (
        (story.harbour, caesar, 12),
        (story.station, caesar, 10),
        (story.hillside, garden, 15),
    ):
        bowls = story.cell.new_lot(store.member, "retailer", story.code(store.name.split()[1], store))
        _run(story, store, [(salad.lot, cases)], bowls, 12 * cases)
        story.cell.sell(store, bowls, 7 * cases)
        story.cell.destroy(store, bowls, 2 * cases)
        story.sources.append(bowls)


def _trading_day(story: _Story, store: Place, sold: list[tuple[Batch, int]]) -> None:
    """A store opens, reads its cold room, and sells so much of each batch."""
    event = story.cell.observe(store, [(batch.lot, None) for batch, _ in sold], step="storing")
    event["sensorElementList"] = [_cold(story, 20)]
    for batch, cases in sold:
        story.cell.sell(store, batch.lot, cases)


def _cold(story: _Story, lowest: int) -> Event:
    """A cold-room reading in tenths of a degree from `lowest` up."""
    low, spread = lowest + story.cell.rng.randrange(8), story.cell.rng.randrange(4, 14)
    report = {"type": "Temperature", "minValue": low / 10, "maxValue": (low + spread) / 10, "uom": "CEL"}
    return {"sensorReport": [report]}


def _write(story: _Story, out: Path, now: int, contaminated: Thing) -> Demo:
    out.mkdir(parents=True, exist_ok=True)
    folders = Folders(out, story.world, Layout(created=str(instant(now))))
    for captured in story.cell.captured:
        folders.add(captured.member, captured.event, late=captured.late)
    folders.close()
    sources = [contaminated, *story.sources]
    told: list[dict[str, Any]] = [a for s in sources for a in answers(story.cell.books, s, now)]
    truth = {
        "schema": SCHEMA,
        "seed": None,
        "time": instant(now),
        "members": len(story.world.members),
        "contaminated": contaminated.iri,
        "sources": sorted(told, key=lambda a: (a["thing"], a["direction"])),
        "defects": numbered(story.cell.defects),
        "gaps": story.gaps,
    }
    (out / "truth.json").write_bytes(dumps(truth) + b"\n")
    (out / "members.json").write_bytes(dumps(members_json(story.world)) + b"\n")
    return Demo(folders.events, contaminated.iri)
