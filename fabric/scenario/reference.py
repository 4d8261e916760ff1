"""The reference event: what benchmarks capture.

Nine hundred bytes as compact JSON, fifteen units when committed, three thing references, at most twenty
quads. Ten events make a round: cases are labelled, a run is made, two pallets are built, and three pallets
cross three hops. Rounds of different seeds name different things.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice
from typing import Any

from . import emit
from .documents import dumps
from .emit import CONTEXT, Event
from .names import Thing, gtin14, lot_of_product, pallet, serial_item
from .world import END, Member, Place, World, build_world

EVENT_BYTES = 900
MEMBERS = 5
_REMARK = (
    "Unit loads checked at the dock door: seals intact, labels legible, temperature log attached to papers. "
)
_HOPS = (("packer", "processor"), ("processor", "distributor"), ("distributor", "retailer"))


def reference_world() -> World:
    """The five members whose events the reference events are; admit them by `members_json`."""
    return build_world(MEMBERS)


def reference_events(n: int, seed: int) -> Iterator[Event]:
    """`n` reference events. Seeds below 1,000 give disjoint things for runs of up to 10,000,000 events."""
    rng = random.Random(f"loomark/reference/v1/{seed}")
    return islice(_rounds(reference_world(), rng, seed), n)


def reference_documents(n: int, seed: int, per: int = 1_000) -> Iterator[bytes]:
    """The same events in EPCIS documents of `per` events (the last may hold fewer)."""
    head = dumps(
        {
            "@context": CONTEXT,
            "type": "EPCISDocument",
            "schemaVersion": "2.0",
            "creationDate": "2026-07-01T00:00:00Z",
            "epcisBody": {"eventList": []},
        }
    )[:-3]
    events = reference_events(n, seed)
    while batch := list(islice(events, per)):
        yield head + b",".join(dumps(event) for event in batch) + b"]}}"


def _rounds(world: World, rng: random.Random, seed: int) -> Iterator[Event]:
    number = seed % 1_000 * 1_000_000
    at = END - 200 * 86_400
    while True:
        number += 1
        at += rng.randrange(60, 600)
        for step, (member, event) in enumerate(_round(world, number)):
            yield _finish(member, event, rng, at + 900 * step)


def _round(world: World, number: int) -> Iterator[tuple[Member, Event]]:
    packer = world.by_role["packer"][0]
    member = packer.member
    gtin = gtin14(member.prefix, 100, 1)
    lot = lot_of_product(gtin, f"R{number:010d}")
    cases = [serial_item(gtin, f"{number:010d}{i}", lot) for i in range(3)]
    pallets = [pallet(member.prefix, 3 * number + i) for i in range(3)]
    yield member, _labelled(packer, cases, lot)
    yield member, _run(packer, lot, number)
    yield member, _built(packer, pallets[0], cases[:2], None)
    yield member, _built(packer, pallets[1], cases[2:], lot)
    for src, dst in _HOPS:
        for seen in (src, dst):
            here = world.by_role[seen][0]
            yield here.member, _hop(here, world.by_role[dst][0], pallets, seen == dst, number)


def _labelled(place: Place, cases: list[Thing], lot: Thing) -> Event:
    event = _opened(place.member, "ObjectEvent")
    event |= {"epcList": [place.member.spell(c) for c in cases], "action": "ADD", "bizStep": "commissioning"}
    event |= {"disposition": "active", "bizLocation": {"id": place.member.spell(place.key)}}
    return event | {"ilmd": {"cbvmda:lotNumber": lot.code}}


def _run(place: Place, lot: Thing, number: int) -> Event:
    member = place.member
    bins = [lot_of_product(gtin14("9520001", i, 0), f"B{number:010d}", "KGM", 2) for i in range(2)]
    event = _opened(member, "TransformationEvent")
    event["inputQuantityList"] = [emit.quantity_element(member, b, 241) for b in bins]
    event["outputQuantityList"] = [emit.quantity_element(member, lot, 40)]
    event |= {"bizStep": "commissioning", "disposition": "active"}
    return event | {"bizLocation": {"id": member.spell(place.key)}}


def _built(place: Place, carrier: Thing, cases: list[Thing], lot: Thing | None) -> Event:
    goods = [*((c, None) for c in cases), *([(lot, 12)] if lot is not None else [])]
    event = _opened(place.member, "AggregationEvent") | {"parentID": place.member.spell(carrier)}
    event |= emit.goods_fields(place.member, goods, "childEPCs", "childQuantityList")
    event |= {"action": "ADD", "bizStep": "packing", "disposition": "in_progress"}
    return event | {"bizLocation": {"id": place.member.spell(place.key)}}


def _hop(seen: Place, dst: Place, pallets: list[Thing], arrived: bool, number: int) -> Event:
    member = seen.member
    event = _opened(member, "ObjectEvent") | {
        "epcList": [member.spell(p) for p in pallets],
        "action": "OBSERVE",
    }
    event |= {"bizStep": "receiving" if arrived else "shipping"}
    event |= {"disposition": "in_progress" if arrived else "in_transit"}
    event |= emit.where(member, seen, resting=False)
    event |= emit.transactions(("desadv", emit.document_name(seen.member, dst.role, number)))
    return event | {"destinationList": [{"type": "location", "destination": member.spell(dst.key)}]}


def _opened(member: Member, kind: str) -> Event:
    # The identifier and the time are set by `_finish`; their places in the event are taken here.
    return emit.start(kind, "", member, END)


def _finish(member: Member, event: Event, rng: random.Random, at: int) -> Event:
    """Give an event its name and time, and a remark that brings it to the reference size."""
    h = f"{rng.getrandbits(128):032x}"
    event["eventID"] = f"urn:uuid:{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:]}"
    event["eventTime"] = emit.time_text(member, at)
    remark: dict[str, Any] = {"sim:remark": ""}
    missing = EVENT_BYTES - len(dumps(event | remark))
    return event | {"sim:remark": (_REMARK * 9)[: max(missing, 1)]}
