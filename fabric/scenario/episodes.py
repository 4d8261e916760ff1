"""The chain that every cell runs through, and the constructs that happen to goods on their way.

An episode is a small story about a batch of cases at a place. It returns the batch that goes on (some of the
same lot, or what was made of it, perhaps elsewhere), so stories follow one another in any order.
`EPISODES` names them all.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import NamedTuple

from . import emit
from .cell import Cell, Shipment
from .names import Thing, element_string
from .world import Place


class Batch(NamedTuple):
    """So many portions of a lot, loose at a place."""

    lot: Thing
    place: Place
    portions: int

    def part(self, of: int) -> int:
        """One part in `of`, at least one portion."""
        return max(self.portions // of, 1)

    def less(self, portions: int) -> Batch:
        """What is left after some has gone."""
        return self._replace(portions=self.portions - portions)


Episode = Callable[[Cell, Batch], Batch]


def harvest(cell: Cell, farm: Place | None = None) -> Batch:
    """A field is cut into bins; the lot is weighed in half kilograms."""
    farm = farm or cell.place("farm")
    lot = cell.new_lot(farm.member, "farm")
    portions = cell.rng.randrange(600, 1200)
    day = emit.local_date(farm.member, cell.now)
    cell.make(farm, lot, portions, ilmd={"cbvmda:harvestStartDate": day, "cbvmda:harvestEndDate": day})
    return Batch(lot, farm, portions)


def to_packer(cell: Cell, batch: Batch, packer: Place | None = None) -> Batch:
    """Bins go to a packing house, loose, by weight."""
    packer = packer or cell.place("packer")
    cell.move(batch.place, packer, [(batch.lot, batch.portions)])
    return batch._replace(place=packer)


def initial_packing(cell: Cell, batch: Batch) -> Batch:
    """Bins become cases with a traceability lot code; cartons are known by their GTIN only."""
    place = batch.place
    lot = cell.new_lot(place.member, place.role)
    cases = batch.portions // 12
    cell.transform(
        place,
        [(batch.lot, batch.portions)],
        [(lot, cases)],
        packaging=cases,
        ilmd={"cbvmda:lotNumber": lot.code},
    )
    return Batch(lot, place, cases)


def fresh_cases(cell: Cell) -> Batch:
    """From the field to packed cases: how every cell begins."""
    return initial_packing(cell, to_packer(cell, harvest(cell)))


def retail(cell: Cell, batch: Batch) -> Batch:
    """The rest goes to a store on a pallet, is sold in part, thrown away in part, and counted."""
    batch = on_pallet(cell, batch, cell.place("retailer", other_than=batch.place))
    sold, spoiled = batch.part(2), batch.part(10)
    if batch.portions >= 3:
        cell.sell(batch.place, batch.lot, sold)
        cell.destroy(batch.place, batch.lot, spoiled)
        cell.count(batch.place, batch.lot)
    return batch


def on_pallet(cell: Cell, batch: Batch, dst: Place) -> Batch:
    """Packed, sent and received by SSCC only, and emptied by a record that names no child."""
    pallet = cell.new_pallet(batch.place.member)
    cell.pack(batch.place, pallet, [(batch.lot, batch.portions)])
    cell.move(batch.place, dst, [(pallet, None)])
    cell.unpack(dst, pallet)
    return batch._replace(place=dst)


def processing(cell: Cell, batch: Batch) -> Batch:
    """A kitchen cuts two packers' cases into one salad."""
    kitchen = cell.place("processor", other_than=batch.place)
    other = initial_packing(cell, to_packer(cell, harvest(cell)))
    cell.move(other.place, kitchen, [(other.lot, other.portions)])
    batch = on_pallet(cell, batch, kitchen)
    salad = cell.new_lot(kitchen.member, kitchen.role)
    made = 3 * batch.portions
    cell.transform(
        kitchen,
        [(batch.lot, batch.portions), (other.lot, other.portions)],
        [(salad, made)],
        packaging=made,
        ilmd={"cbvmda:lotNumber": salad.code},
    )
    return Batch(salad, kitchen, made)


def receipt_by_sscc_only(cell: Cell, batch: Batch) -> Batch:
    """The lot is never named at either end of the hand-over."""
    return on_pallet(cell, batch, cell.place("distributor", other_than=batch.place))


def one_lot_to_many(cell: Cell, batch: Batch) -> Batch:
    """The same lot leaves for several stores under several documents."""
    share = batch.part(6)
    for _ in range(min(4, batch.portions - 1)):
        store = cell.place("retailer", other_than=batch.place)
        cell.wait(days=1)
        cell.move(batch.place, store, [(batch.lot, share)])
        batch = batch.less(share)
    return batch


def same_code_at_two_packers(cell: Cell, batch: Batch) -> Batch:
    """One code means two lots under two GTINs, and one lot where two packers fill a common brand."""
    other = cell.place("packer", other_than=batch.place)
    bins = to_packer(cell, harvest(cell), other)
    code, brand_code = batch.lot.code, f"BRAND-{batch.place.member.next('brand'):05d}"
    # Variant 7 keeps this lot apart from any other of that code, should both packers be one member.
    twin = cell.new_lot(other.member, other.role, code, variant=7)
    brand = cell.new_lot(batch.place.member, batch.place.role, brand_code, variant=9)
    third = bins.portions // 3
    cell.transform(other, [(bins.lot, third)], [(twin, third // 12)])
    cell.transform(other, [(bins.lot, third)], [(brand, third // 12)])
    used = batch.part(4)
    cell.transform(batch.place, [(batch.lot, used)], [(brand, used)])
    return batch.less(used)


def three_names(cell: Cell, batch: Batch) -> Batch:
    """A lot code that needs escaping, seen under a link, a URN and a bar-code text."""
    place = batch.place
    code = f"a/{place.member.next('odd'):05d}+b"
    lot = cell.new_lot(place.member, place.role, code, variant=5)
    cell.transform(
        place, [(batch.lot, batch.portions)], [(lot, batch.portions)], ilmd={"cbvmda:lotNumber": code}
    )
    event = cell.observe(place, [(lot, batch.portions)])
    event["quantityList"][0]["epcClass"] = lot.iri
    event = cell.observe(place, [(lot, batch.portions)])
    event["quantityList"][0]["epcClass"] = lot.urn
    # A bar-code text is no URI, so it may stand in an extension field but not where an identifier is due.
    event["sim:label"] = element_string(lot)
    return Batch(lot, place, batch.portions)


def serials_with_lot_in_ilmd(cell: Cell, batch: Batch) -> Batch:
    """Cases are labelled one by one; only the ilmd of the record that makes them names their lot."""
    place, count = batch.place, min(batch.part(3), 6)
    lot = cell.new_lot(place.member, place.role, variant=3)
    serials = cell.new_serials(place.member, lot.gtin, count, lot)
    cell.transform(
        place, [(batch.lot, count)], [(s, None) for s in serials], ilmd={"cbvmda:lotNumber": lot.code}
    )
    pallet = cell.new_pallet(place.member)
    goods = [(s, None) for s in serials]
    store = cell.place("retailer", other_than=place)
    cell.pack(place, pallet, goods)
    cell.move(place, store, [(pallet, None)])
    cell.unpack(store, pallet, goods)
    return batch.less(count)


def display_kit(cell: Cell, batch: Batch) -> Batch:
    """A serialised display holds serialised packs: it is material, and what it held is affected with it."""
    place = batch.place
    gtin = place.member.product(place.role, 4).gtin
    display, *packs = cell.new_serials(place.member, gtin, 4)
    cell.transform(place, [(batch.lot, 1)], [(display, None)])
    cell.commission(place, packs)
    cell.pack(place, display, [(p, None) for p in packs], step="assembling")
    return batch.less(1)


def mixed_pallet(cell: Cell, batch: Batch) -> Batch:
    """Two lots share a pallet; neither touches the other."""
    place, dst = batch.place, cell.place("distributor", other_than=batch.place)
    other = cell.new_lot(place.member, place.role, variant=1)
    cell.make(place, other, 20)
    pallet = cell.new_pallet(place.member)
    cell.pack(place, pallet, [(batch.lot, batch.portions), (other, 20)])
    cell.move(place, dst, [(pallet, None)])
    cell.unpack(dst, pallet)
    cell.sell(dst, other, 5)
    return batch._replace(place=dst)


def repack(cell: Cell, batch: Batch) -> Batch:
    """A pallet is broken and built again as two, one of which stays in stock."""
    place, half = batch.place, batch.part(2)
    first, second, third = (cell.new_pallet(place.member) for _ in range(3))
    cell.pack(place, first, [(batch.lot, batch.portions)])
    cell.unpack(place, first)
    cell.pack(place, second, [(batch.lot, half)], step="repackaging")
    rest = batch.portions - half
    if rest:
        cell.pack(place, third, [(batch.lot, rest)], step="repackaging")
        cell.unpack(place, third)
    cell.unpack(place, second)
    return batch


def rework_loop(cell: Cell, batch: Batch) -> Batch:
    """Offcuts of a product go into a second one, and what is left of that back into the first."""
    place = batch.place
    product = cell.new_lot(place.member, place.role, variant=1)
    offcut = cell.new_lot(place.member, place.role, variant=2)
    cell.transform(place, [(batch.lot, batch.portions)], [(product, batch.portions)])
    cell.transform(place, [(product, batch.part(4))], [(offcut, batch.part(4))])
    cell.transform(place, [(offcut, batch.part(8))], [(product, batch.part(8))])
    return Batch(product, place, batch.portions - batch.part(4) + batch.part(8))


def customer_return(cell: Cell, batch: Batch) -> Batch:
    """Part of a delivery comes back."""
    share, back = batch.part(3), batch.part(9)
    store = cell.place("retailer", other_than=batch.place)
    cell.move(batch.place, store, [(batch.lot, share)])
    cell.wait(days=2)
    cell.move(store, batch.place, [(batch.lot, back)], disposition="returned")
    return batch.less(share - back)


def partial_unpack(cell: Cell, batch: Batch) -> Batch:
    """A pallet gives up part of its load by quantity and travels on with the rest."""
    if batch.portions < 2:
        return batch
    pallet = cell.new_pallet(batch.place.member)
    stop, end = (
        cell.place("distributor", other_than=batch.place),
        cell.place("retailer", other_than=batch.place),
    )
    off = batch.part(3)
    cell.pack(batch.place, pallet, [(batch.lot, batch.portions)])
    cell.move(batch.place, stop, [(pallet, None)])
    cell.unpack(stop, pallet, [(batch.lot, off)])
    cell.move(stop, end, [(pallet, None)])
    cell.unpack(end, pallet, [(batch.lot, batch.portions - off)])
    return Batch(batch.lot, stop, off)


def totes_without_delete(cell: Cell, batch: Batch) -> Batch:
    """A tote is filled, sent, emptied without a word, and filled elsewhere with something else."""
    place, share = batch.place, batch.part(3)
    tote = cell.new_tote(place.member)
    dst = cell.place("processor", other_than=place)
    cell.pack(place, tote, [(batch.lot, share)])
    cell.move(place, dst, [(tote, None)])
    cell.empty_unrecorded(dst, tote)
    other = cell.new_lot(dst.member, dst.role, variant=1)
    cell.make(dst, other, 10)
    cell.pack(dst, tote, [(other, 10)])
    return batch.less(share)


def cross_dock(cell: Cell, batch: Batch) -> Batch:
    """A logistics firm holds the pallets for some hours; they stay the sender's until the store has them."""
    src, dock = batch.place, cell.place("logistics", other_than=batch.place)
    store = cell.place("retailer", other_than=src)
    pallet = cell.new_pallet(src.member)
    cell.pack(src, pallet, [(batch.lot, batch.portions)])
    cell.move(src, dock, [(pallet, None)], owner=src.member)
    cell.observe(dock, [(pallet, None)], step="staging_outbound")
    cell.move(dock, store, [(pallet, None)], owner=src.member)
    cell.unpack(store, pallet)
    return batch._replace(place=store)


def two_event_transformation(cell: Cell, batch: Batch) -> Batch:
    """The kettle is loaded in one record and emptied in another; a transformationID joins them."""
    place = batch.place
    lot = cell.new_lot(place.member, place.role, variant=6)
    cell.transform(
        place,
        [(batch.lot, batch.portions)],
        [(lot, batch.portions)],
        packaging=batch.portions,
        in_two_events=True,
    )
    return Batch(lot, place, batch.portions)


def pallet_as_input(cell: Cell, batch: Batch) -> Batch:
    """A whole pallet goes into the line by its SSCC; its contents are what was used."""
    place = batch.place
    lot = cell.new_lot(place.member, place.role, variant=8)
    pallet = cell.new_pallet(place.member)
    cell.pack(place, pallet, [(batch.lot, batch.portions)])
    cell.transform(place, [(pallet, None)], [(lot, batch.portions)])
    cell.unpack(place, pallet)
    return Batch(lot, place, batch.portions)


def pallet_put_out(cell: Cell, batch: Batch) -> Batch:
    """A line puts out a pallet; which packs are on it is told afterwards, and not of what they are made."""
    place = batch.place
    pallet = cell.new_pallet(place.member)
    packs = cell.new_serials(place.member, place.member.product(place.role, 2).gtin, 3)
    cell.transform(place, [(batch.lot, 1)], [(pallet, None)])
    goods = [(p, None) for p in packs]
    cell.commission(place, packs)
    cell.pack(place, pallet, goods)
    cell.unpack(place, pallet, goods)
    return batch.less(1)


def relayed_copies(cell: Cell, batch: Batch) -> Batch:
    """The sender's records arrive a second time from its customer, once without their eventIDs."""
    dst = cell.place("distributor", other_than=batch.place)
    shipment, received = cell.move(batch.place, dst, [(batch.lot, batch.portions)])
    if dst.member is not batch.place.member:
        cell.capture(dst.member, copy.deepcopy(shipment.event))
        unnamed = copy.deepcopy(received)
        del unnamed["eventID"]
        cell.capture(batch.place.member, unnamed)
    return batch._replace(place=dst)


def late_capture(cell: Cell, batch: Batch) -> Batch:
    """The sender's records arrive weeks after the receiver's."""
    seen = len(cell.captured)
    dst = cell.place("distributor", other_than=batch.place)
    moved = on_pallet(cell, batch, dst)
    for captured in cell.captured[seen:]:
        captured.late = captured.member is batch.place.member
    return moved


def declared_error(cell: Cell, batch: Batch) -> Batch:
    """A run is recorded with the wrong input, declared in error, and recorded again."""
    place = batch.place
    decoy = cell.new_lot(place.member, place.role, variant=1)
    cell.make(place, decoy, 30)
    lot = cell.new_lot(place.member, place.role, variant=2)
    (right,) = cell.transform(place, [(batch.lot, batch.portions)], [(lot, batch.portions)])
    wrong = copy.deepcopy(right)
    wrong["eventID"] = cell.event_id()
    wrong["inputQuantityList"][0]["epcClass"] = place.member.spell(decoy)
    declaration = copy.deepcopy(wrong)
    declaration["errorDeclaration"] = {
        "declarationTime": emit.time_text(place.member, cell.tick(place.member)),
        "reason": "incorrect_data",
        "correctiveEventIDs": [right["eventID"]],
    }
    if place.member.admitted:
        cell.captured.pop()
    # The voided record is still told of what it names, and counts for nothing.
    cell.books.told.append((wrong["eventID"], cell.now, [decoy, lot]))
    for event in (wrong, declaration, right):
        cell.capture(place.member, event)
    return Batch(lot, place, batch.portions)


def dates_only(cell: Cell, batch: Batch) -> Batch:
    """A depot that writes down days, not hours."""
    cell.date_only = True
    moved = on_pallet(cell, batch, cell.place("distributor", other_than=batch.place))
    cell.date_only = False
    cell.wait(days=2)
    return moved


def hop_outside(cell: Cell, batch: Batch) -> Batch:
    """Some goes to a neighbour who is no member: the trail ends there, by name."""
    share = batch.part(4)
    cell.ship(batch.place, cell.place("outside"), [(batch.lot, share)])
    return batch.less(share)


def voided_dispatch(cell: Cell, batch: Batch) -> Batch:
    """A lorry is loaded, announced, and called back; the goods leave the next day."""
    dst = cell.place("distributor", other_than=batch.place)
    shipment: Shipment = cell.ship(batch.place, dst, [(batch.lot, batch.portions)])
    cell.void(shipment)
    cell.wait(days=1)
    cell.move(batch.place, dst, [(batch.lot, batch.portions)])
    return batch._replace(place=dst)


def announced_twice(cell: Cell, batch: Batch) -> Batch:
    """Shipping and departing are two records of one dispatch; an order had reserved the goods before."""
    src, dst = batch.place, cell.place("distributor", other_than=batch.place)
    pallet = cell.new_pallet(src.member)
    cell.order(src, [(batch.lot, batch.portions)])
    cell.fix_logger(src)
    cell.pack(src, pallet, [(batch.lot, batch.portions)])
    cell.morning(src.member)
    shipment = cell.ship(src, dst, [(pallet, None)])
    cell.depart(shipment)
    cell.wait(hours=5)
    cell.receive(shipment)
    cell.unpack(dst, pallet)
    return batch._replace(place=dst)


def declared_in_full(cell: Cell, batch: Batch) -> Batch:
    """Both ends of a hand-over observe the pallet with everything in it."""
    src, dst = batch.place, cell.place("distributor", other_than=batch.place)
    pallet = cell.new_pallet(src.member)
    cell.pack(src, pallet, [(batch.lot, batch.portions)])
    cell.move(src, dst, [(pallet, None)], in_full=True)
    cell.unpack(dst, pallet)
    return batch._replace(place=dst)


EPISODES: dict[str, Episode] = {
    episode.__name__.replace("_", "-"): episode
    for episode in (
        processing,
        receipt_by_sscc_only,
        one_lot_to_many,
        same_code_at_two_packers,
        three_names,
        serials_with_lot_in_ilmd,
        display_kit,
        mixed_pallet,
        repack,
        rework_loop,
        customer_return,
        partial_unpack,
        totes_without_delete,
        cross_dock,
        two_event_transformation,
        pallet_as_input,
        pallet_put_out,
        relayed_copies,
        late_capture,
        declared_error,
        dates_only,
        hop_outside,
        voided_dispatch,
        announced_twice,
        declared_in_full,
    )
}
