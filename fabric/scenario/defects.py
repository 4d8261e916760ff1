"""Faults of the real world, one episode each, with the finding that a trace must show for it.

Every defect stands alone in its cell, touches one lot, and is noted in `truth.json` with the records that
show it. `SHOWN` says where in `loomark/trace/v1` the finding stands.
"""

from __future__ import annotations

import copy

from . import emit
from .cell import HOUR_S, Cell
from .episodes import Batch, Episode
from .names import Thing

CONTRADICTIONS, UNACCOUNTED, SURPLUS = "contradictions", "unaccounted", "surplus"


def note(cell: Cell, kind: str, lot: Thing, shown: str, *events: emit.Event) -> None:
    """Write a defect down: what must be found about which lot, where, and the records that show it."""
    records = [str(event["eventID"]) for event in events]
    cell.defects.append(
        {"kind": kind, "thing": lot.iri, "records": sorted(set(records)), "expected": kind, "shown": shown}
    )


def shortfall(cell: Cell, batch: Batch) -> Batch:
    """Less arrives than was sent."""
    share = batch.part(2)
    shipment = cell.ship(batch.place, cell.place("distributor", batch.place), [(batch.lot, share)])
    received = cell.receive(shipment, got={batch.lot: share - 3})
    note(cell, "shortfall", batch.lot, UNACCOUNTED, shipment.event, received)
    return batch.less(share)


def surplus_on_receipt(cell: Cell, batch: Batch) -> Batch:
    """More arrives than was sent."""
    share = batch.part(2)
    shipment = cell.ship(batch.place, cell.place("distributor", batch.place), [(batch.lot, share)])
    received = cell.receive(shipment, got={batch.lot: share + 2})
    note(cell, "received-above-dispatched", batch.lot, SURPLUS, shipment.event, received)
    return batch.less(share)


def overdue_dispatch(cell: Cell, batch: Batch) -> Batch:
    """A lorry leaves and nobody says it arrived."""
    share = batch.part(3)
    shipment = cell.ship(batch.place, cell.place("distributor", batch.place), [(batch.lot, share)])
    note(cell, "overdue-dispatch", batch.lot, UNACCOUNTED, shipment.event)
    return batch.less(share)


def count_below_book(cell: Cell, batch: Batch) -> Batch:
    """Stock-taking finds less than the records leave."""
    share, depot = batch.part(3), cell.place("distributor", batch.place)
    cell.move(batch.place, depot, [(batch.lot, share)])
    counted = cell.count(depot, batch.lot, share - 2)
    note(cell, "count-below-book", batch.lot, UNACCOUNTED, counted)
    return batch.less(share)


def count_above_book(cell: Cell, batch: Batch) -> Batch:
    """Stock-taking finds more than the records leave."""
    share, depot = batch.part(3), cell.place("distributor", batch.place)
    cell.move(batch.place, depot, [(batch.lot, share)])
    counted = cell.count(depot, batch.lot, share + 2)
    note(cell, "count-above-book", batch.lot, SURPLUS, counted)
    return batch.less(share)


def out_above_in(cell: Cell, batch: Batch) -> Batch:
    """A store sells more than it ever received, unless so much of the lot comes later."""
    share, store = batch.part(3), cell.place("retailer", batch.place)
    cell.move(batch.place, store, [(batch.lot, share)])
    sold = cell.sell(store, batch.lot, share + 4)
    note(cell, "out-above-in", batch.lot, CONTRADICTIONS, sold)
    cell.oversold.append((cell.defects[-1], cell.books.account(batch.lot, store.key.iri)))
    return batch.less(share)


def use_before_receipt(cell: Cell, batch: Batch) -> Batch:
    """A kitchen's clock says that it used what it had not yet received."""
    share, kitchen = batch.part(3), cell.place("processor", batch.place)
    _, received = cell.move(batch.place, kitchen, [(batch.lot, share)])
    before = cell.now - HOUR_S
    lot = cell.new_lot(kitchen.member, kitchen.role)
    (used,) = cell.transform(kitchen, [(batch.lot, share)], [(lot, share)])
    used["eventTime"] = emit.time_text(kitchen.member, before)
    note(cell, "use-before-receipt", batch.lot, CONTRADICTIONS, used, received)
    return batch.less(share)


def receipt_before_dispatch(cell: Cell, batch: Batch) -> Batch:
    """Goods arrive thirty hours before they leave: no pair of bad clocks, so dispatch and receipt stand apart."""
    share, depot = batch.part(3), cell.place("distributor", batch.place)
    shipment = cell.ship(batch.place, depot, [(batch.lot, share)])
    before = cell.now - 30 * HOUR_S
    received = cell.receive(shipment)
    received["eventTime"] = emit.time_text(depot.member, before)
    for leg in shipment.legs:
        leg.got, leg.state = None, "open"
    note(cell, "receipt-before-dispatch", batch.lot, CONTRADICTIONS, shipment.event, received)
    return batch.less(share)


def event_id_conflict(cell: Cell, batch: Batch) -> Batch:
    """A customer passes on the sender's dispatch with another quantity; the place is the sender's."""
    share, depot = batch.part(3), cell.place("distributor", batch.place)
    shipment, _ = cell.move(batch.place, depot, [(batch.lot, share)])
    if depot.member is not batch.place.member:
        altered = copy.deepcopy(shipment.event)
        altered["quantityList"][0]["quantity"] += 7
        cell.capture(depot.member, altered)
        note(cell, "event-id-conflict", batch.lot, CONTRADICTIONS, shipment.event)
    return batch.less(share)


def negative_contents(cell: Cell, batch: Batch) -> Batch:
    """More comes off a pallet than was put on it."""
    share, pallet = batch.part(3), cell.new_pallet(batch.place.member)
    cell.pack(batch.place, pallet, [(batch.lot, share)])
    removed = cell.unpack(batch.place, pallet, [(batch.lot, share + 5)])
    note(cell, "negative-contents", batch.lot, CONTRADICTIONS, removed)
    return batch.less(share)


def unit_mismatch(cell: Cell, batch: Batch) -> Batch:
    """Cases go onto a pallet, kilograms come off it."""
    share, pallet = batch.part(3), cell.new_pallet(batch.place.member)
    cell.pack(batch.place, pallet, [(batch.lot, share)])
    packing = cell.books.packings[-1]
    removed = cell.unpack(batch.place, pallet, [(batch.lot, share)])
    removed["childQuantityList"][0]["uom"] = "KGM"
    packing.until, packing.inferred, packing.filling.until = None, True, None
    note(cell, "unit-mismatch", batch.lot, CONTRADICTIONS, removed)
    return batch.less(share)


def voided_by_author_only(cell: Cell, batch: Batch) -> Batch:
    """A run is relayed by a customer and then declared in error by its author: the copy keeps counting."""
    place, relay = batch.place, cell.place("distributor", batch.place)
    lot, share = cell.new_lot(place.member, place.role), batch.part(3)
    (made,) = cell.transform(place, [(batch.lot, share)], [(lot, share)])
    if relay.member is not place.member:
        cell.capture(relay.member, copy.deepcopy(made))
        declaration = copy.deepcopy(made)
        at = cell.tick(place.member)
        declaration["errorDeclaration"] = {
            "declarationTime": emit.time_text(place.member, at),
            "reason": "did_not_occur",
        }
        cell.capture(place.member, declaration)
        note(cell, "voided-by-author-only", batch.lot, CONTRADICTIONS, made)
    return batch.less(share)


DEFECTS: tuple[Episode, ...] = (
    shortfall,
    overdue_dispatch,
    count_below_book,
    use_before_receipt,
    receipt_before_dispatch,
    event_id_conflict,
    out_above_in,
    negative_contents,
    unit_mismatch,
    surplus_on_receipt,
    count_above_book,
    voided_by_author_only,
)
