"""One cell of the simulation: a closed piece of supply chain, moved by verbs.

Each verb does three things in this order: it moves portions, it writes the books, and it emits the records
that the people involved would have captured. Episodes are made of verbs; they never write an event or a book
by themselves, so that what is told and what is true part only where a verb is asked to let them.

No lot, serial or carrier ever leaves its cell: a cell's books are complete, and memory does not grow with the run.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from . import emit
from .books import Account, Books, Filling, Leg, Packing
from .emit import Event, Goods
from .names import Thing, asset, lot_of_product, pallet, serial_item, tote
from .portion import Pile, Provenance, Run, mix
from .world import Member, Place, World

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400


@dataclass(slots=True)
class Captured:
    """An event and who captures it; `late` ones reach the ledger after everything else of that member."""

    member: Member
    event: Event
    late: bool = False


@dataclass(slots=True)
class Load:
    """What a carrier holds now."""

    filling: Filling
    packings: dict[Thing, Packing] = field(default_factory=dict)
    amounts: dict[Thing, int] = field(default_factory=dict)
    piles: dict[Thing, Pile] = field(default_factory=dict)


@dataclass(slots=True)
class Shipment:
    """Goods under way, the document they travel with, and the legs they are in the books.

    `in_full`: the records name the carrier and all that is in it, as an aggregation that is observed.
    """

    src: Place
    dst: Place
    goods: Goods
    document: str
    owner: Member | None = None
    in_full: bool = False
    legs: list[Leg] = field(default_factory=list)
    loose: dict[Thing, list[Run]] = field(default_factory=dict)
    event: Event = field(default_factory=dict)


class Cell:
    """State of one cell; `captured` is what came of it, in the order it happened."""

    def __init__(self, world: World, rng: random.Random, now: int) -> None:
        self.world = world
        self.rng = rng
        self.now = now
        self.date_only = False
        self.books = Books()
        self.captured: list[Captured] = []
        self.defects: list[dict[str, Any]] = []
        self.oversold: list[tuple[dict[str, Any], Account]] = []
        self._stock: dict[tuple[Thing, Place], Pile] = {}
        self._loads: dict[Thing, Load] = {}
        self._made_of: dict[Thing, Provenance] = {}

    # Clock and names

    def wait(self, *, days: int = 0, hours: int = 0) -> None:
        """Let time pass."""
        self.now += days * DAY_S + hours * HOUR_S

    def tick(self, member: Member) -> int:
        """The instant of the next event; no two events of a cell share one.

        A cell that records dates only steps over two midnights, so that no zone brings days out of order.
        """
        if self.date_only:
            local = self.now + member.offset_min * MINUTE_S
            self.now = local - local % DAY_S + 2 * DAY_S - member.offset_min * MINUTE_S
        else:
            self.now += self.rng.randrange(5 * MINUTE_S, 50 * MINUTE_S)
        return self.now

    def morning(self, member: Member) -> None:
        """Wait for ten o'clock of the member's next day."""
        local = self.now + member.offset_min * MINUTE_S
        self.now += DAY_S - local % DAY_S + 10 * HOUR_S

    def place(self, role: str, other_than: Place | None = None) -> Place:
        """A place for a role."""
        return self.world.place(role, self.rng, other_than=other_than)

    def new_lot(self, member: Member, role: str, code: str | None = None, variant: int = 0) -> Thing:
        """A lot of the member's product for a role, with a fresh code unless one is given."""
        product = member.product(role, variant)
        code = code or f"{role[:2].upper()}{member.prefix[3:]}-{member.next('lot'):05d}"
        lot = lot_of_product(product.gtin, code, product.unit, product.steps)
        self.books.lots.append(lot)
        return lot

    def new_pallet(self, member: Member) -> Thing:
        """A pallet with a fresh SSCC."""
        return pallet(member.prefix, member.next("sscc"))

    def new_tote(self, member: Member) -> Thing:
        """A returnable tote of the member's pool."""
        return tote(member.prefix, member.next("grai"))

    def event_id(self) -> str:
        """A random UUID (version 4) drawn from the seed."""
        h = f"{self.rng.getrandbits(128):032x}"
        return f"urn:uuid:{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:]}"

    def close(self) -> None:
        """The end of the story: more left a place than came in only if no later delivery made it up."""
        healed = [defect for defect, account in self.oversold if account.book >= 0]
        self.defects = [defect for defect in self.defects if defect not in healed]

    def capture(self, member: Member, event: Event) -> Event:
        """Hand an event to its member; neighbours outside the ledger capture nothing."""
        if member.admitted:
            self.captured.append(Captured(member, event))
        return event

    def _tell(
        self, member: Member, event: Event, at: int, goods: Iterable[tuple[Thing, int | None]]
    ) -> Event:
        """Capture an event, and remember which things it is an event of."""
        if member.admitted:
            self.books.told.append((event["eventID"], at, [thing for thing, _ in goods]))
        return self.capture(member, event)

    def stock(self, thing: Thing, place: Place) -> Pile:
        """The loose portions of a lot at a place."""
        return self._stock.setdefault((thing, place), Pile())

    def held(self, carrier: Thing) -> dict[Thing, int]:
        """How much of each lot a carrier holds."""
        load = self._loads.get(carrier)
        return {lot: n for lot, n in load.amounts.items() if n} if load else {}

    # Making

    def make(
        self,
        place: Place,
        lot: Thing,
        portions: int,
        *,
        step: str = "commissioning",
        ilmd: Event | None = None,
    ) -> Event:
        """A lot comes into being where nothing of it was recorded before: harvest, catch, opening stock."""
        member, at = place.member, self.tick(place.member)
        runs = [(portions, frozenset((lot.iri,)))]
        self._made(place, lot, runs)
        event = emit.start("ObjectEvent", self.event_id(), member, at)
        event |= {"action": "ADD", "bizStep": step, "disposition": "active"} | emit.where(member, place)
        event |= emit.goods_fields(member, [(lot, portions)], "epcList", "quantityList")
        event |= emit.transactions(("prodorder", emit.document_name(member, "wo", member.next("wo"))))
        event["ilmd"] = {"cbvmda:lotNumber": lot.code, **(ilmd or {})}
        return self._tell(member, event, at, [(lot, portions)])

    def new_serials(self, member: Member, gtin: str, count: int, lot: Thing | None = None) -> list[Thing]:
        """Serialised items, of a lot where one is given; the record that makes them must say so."""
        serials = [serial_item(gtin, str(10_000 + member.next("serial")), lot) for _ in range(count)]
        for serial in serials:
            self._made_of[serial] = frozenset((serial.iri, *((lot.iri,) if lot else ())))
        if lot is not None:
            self.books.serials.setdefault(lot, []).extend(serials)
            self.books.note(lot, ())
        return serials

    def commission(self, place: Place, serials: list[Thing]) -> Event:
        """Serialised items come into being; no record ties them to a lot unless the caller adds its number."""
        member, at = place.member, self.tick(place.member)
        event = emit.start("ObjectEvent", self.event_id(), member, at)
        event |= {"action": "ADD", "bizStep": "commissioning", "disposition": "active"}
        event |= emit.where(member, place) | {"epcList": [member.spell(s) for s in serials]}
        return self._tell(member, event, at, [(s, None) for s in serials])

    def _made(self, place: Place, lot: Thing, runs: list[Run]) -> None:
        portions = sum(count for count, _ in runs)
        self.stock(lot, place).add(runs)
        self.books.account(lot, place.key.iri).made += portions
        self.books.note(lot, (of for _, of in runs))

    # Transforming

    def transform(
        self,
        place: Place,
        inputs: Goods,
        outputs: Goods,
        *,
        packaging: int = 0,
        in_two_events: bool = False,
        ilmd: Event | None = None,
    ) -> list[Event]:
        """Turn inputs into outputs. Inputs may be lots, serials or whole carriers; outputs likewise.

        `packaging` adds that many cartons known by GTIN only. `in_two_events` records the inputs at the
        start and the outputs at the end of the run, joined by a transformationID.
        """
        member, at = place.member, self.tick(place.member)
        drawn = [self._use(place, thing, portions, at) for thing, portions in inputs]
        sources = [node for thing, _ in inputs for node in self._stands_for(thing)]
        if packaging:
            inputs = [*inputs, (member.packaging(), packaging)]
        ended = self.tick(member) if in_two_events else at
        made = [self._put_out(place, thing, portions, drawn, ended) for thing, portions in outputs]
        self.books.processes.append((sources, made))
        if in_two_events:
            run = emit.document_name(member, "run", member.next("run"))
            return [
                self._transformation(place, inputs, (), at, run, None),
                self._transformation(place, (), outputs, ended, run, ilmd),
            ]
        return [self._transformation(place, inputs, outputs, at, None, ilmd)]

    def _transformation(
        self, place: Place, inputs: Goods, outputs: Goods, at: int, run: str | None, ilmd: Event | None
    ) -> Event:
        member = place.member
        event = emit.start("TransformationEvent", self.event_id(), member, at)
        event |= emit.goods_fields(member, inputs, "inputEPCList", "inputQuantityList")
        event |= emit.goods_fields(member, outputs, "outputEPCList", "outputQuantityList")
        if run is not None:
            event["transformationID"] = run
        event |= {"bizStep": "commissioning", "disposition": "active"} | emit.where(member, place)
        event |= emit.transactions(("prodorder", emit.document_name(member, "wo", member.next("wo"))))
        if ilmd is not None:
            event["ilmd"] = ilmd
        return self._tell(member, event, at, [*inputs, *outputs])

    def _stands_for(self, thing: Thing) -> list[Thing | Filling]:
        """A carrier as an input stands for its filling and what that then holds."""
        load = self._loads.get(thing)
        return [thing] if load is None or load.filling.material else [load.filling, *load.packings]

    def _use(self, place: Place, thing: Thing, portions: int | None, at: int) -> list[Run]:
        if thing.kind == "lot":
            self.books.account(thing, place.key.iri).used += portions or 0
            return self.stock(thing, place).take(portions or 0)
        if thing.kind == "serial":
            self._leave(thing, at)
            return [(1, self._made_of.get(thing, frozenset()))]
        runs: list[Run] = []
        load = self._loads[thing]
        for lot, n in load.amounts.items():
            self.books.account(lot, place.key.iri).used += n
            runs += load.piles.pop(lot).take(n)
        return runs

    def _put_out(
        self, place: Place, thing: Thing, portions: int | None, drawn: list[list[Run]], at: int
    ) -> Thing | Filling:
        copies = [list(runs) for runs in drawn]
        if thing.kind == "lot":
            self._made(place, thing, mix(copies, portions or 0, thing.iri))
            return thing
        if thing.kind == "serial":
            self._made_of[thing] = self._made_of[thing] | mix(copies, 1, thing.iri)[0][1]
            self.books.note(thing, (self._made_of[thing],))
            return thing
        filling = Filling(thing, at, put_out=True)
        self._loads[thing] = Load(filling)
        return filling

    def _leave(self, serial: Thing, at: int) -> None:
        """A serial that is used or packed elsewhere is no longer where it was, though nobody said so."""
        for carrier, load in list(self._loads.items()):
            packing = load.packings.pop(serial, None)
            if packing is not None:
                packing.until, packing.inferred = at, True
                self._close_if_empty(carrier, load, at)

    # Packing

    def pack(self, place: Place, carrier: Thing, goods: Goods, *, step: str = "packing") -> Event:
        """Put goods into a carrier, or serials into a serial that stays material."""
        at = self.tick(place.member)
        load = self._loads.get(carrier)
        if load is None:
            load = self._loads[carrier] = Load(Filling(carrier, at, material=carrier.kind == "serial"))
        for thing, portions in goods:
            self._put_in(place, load, thing, portions, at)
        return self._aggregation(place, carrier, goods, "ADD", step, at)

    def _put_in(self, place: Place, load: Load, thing: Thing, portions: int | None, at: int) -> None:
        if portions is None:
            self._leave(thing, at)
        else:
            load.amounts[thing] = load.amounts.get(thing, 0) + portions
            load.piles.setdefault(thing, Pile()).add(self.stock(thing, place).take(portions))
        if thing not in load.packings:
            packing = load.packings[thing] = Packing(thing, load.filling, at)
            self.books.packings.append(packing)

    def unpack(self, place: Place, carrier: Thing, goods: Goods = (), *, step: str = "unpacking") -> Event:
        """Take goods out of a carrier; without goods, everything, in one record that names no child."""
        at = self.tick(place.member)
        load = self._loads[carrier]
        everything = [(t, load.amounts.get(t)) for t in load.packings]
        for thing, portions in goods or everything:
            self._take_out(place, load, thing, portions, at)
        self._close_if_empty(carrier, load, at)
        return self._aggregation(place, carrier, goods, "DELETE", step, at)

    def _take_out(self, place: Place, load: Load, thing: Thing, portions: int | None, at: int) -> None:
        if portions is not None and thing in load.piles:
            self.stock(thing, place).add(load.piles[thing].take(portions))
        left = load.amounts.pop(thing, 0) - (portions or 0)
        if left < 0:
            # More came out than was stated to be in: the stay has no stated end.
            load.packings[thing].inferred = True
        elif left > 0:
            load.amounts[thing] = left
        else:
            load.packings.pop(thing).until = at

    def _close_if_empty(self, carrier: Thing, load: Load, at: int) -> None:
        if not load.packings:
            load.filling.until = at
            del self._loads[carrier]

    def _aggregation(
        self, place: Place, carrier: Thing, goods: Goods, action: str, step: str, at: int
    ) -> Event:
        member = place.member
        event = emit.start("AggregationEvent", self.event_id(), member, at)
        event |= {"parentID": member.spell(carrier)}
        event |= emit.goods_fields(member, goods, "childEPCs", "childQuantityList")
        event |= {"action": action, "bizStep": step, "disposition": "in_progress"}
        return self._tell(member, event | emit.where(member, place), at, [(carrier, None), *goods])

    def empty_unrecorded(self, place: Place, carrier: Thing) -> None:
        """Take everything out of a returnable carrier and tell nobody; its next packing is at another place.

        From that packing on its contents go on as inferred only, without an end; `pack` starts a new filling.
        """
        load = self._loads.pop(carrier)
        for thing, packing in load.packings.items():
            packing.inferred = True
            self.stock(thing, place).add(load.piles[thing].take(load.amounts[thing]))

    # Moving

    def ship(
        self,
        src: Place,
        dst: Place,
        goods: Goods,
        *,
        step: str = "shipping",
        owner: Member | None = None,
        disposition: str = "in_transit",
        in_full: bool = False,
    ) -> Shipment:
        """Send goods off; the despatch advice is the document that the receipt will name."""
        member, at = src.member, self.tick(src.member)
        document = emit.document_name(member, "asn", member.next("asn"))
        shipment = Shipment(src, dst, goods, document, owner, in_full)
        state = "open" if dst.member.admitted else "outside"
        for thing, portions in goods:
            for lot, n in [(thing, portions)] if portions is not None else self.held(thing).items():
                shipment.legs.append(Leg(lot, src.key.iri, dst.key.iri, n, at, state=state))
                self.books.account(lot, src.key.iri).dispatched += n
            if portions is not None:
                shipment.loose[thing] = self.stock(thing, src).take(portions)
        self.books.legs += shipment.legs
        shipment.event = self._movement(shipment, src, goods, step, disposition, at)
        return shipment

    def depart(self, shipment: Shipment) -> Event:
        """The lorry leaves the yard: a second record of a dispatch that was already told."""
        at = self.tick(shipment.src.member)
        return self._movement(shipment, shipment.src, shipment.goods, "departing", "in_transit", at)

    def receive(self, shipment: Shipment, *, got: dict[Thing, int] | None = None) -> Event:
        """Take goods in at their destination; `got` is what arrived of a loose lot where that differs."""
        dst, at = shipment.dst, self.tick(shipment.dst.member)
        got = got or {}
        for leg in shipment.legs:
            leg.got, leg.state = got.get(leg.lot, leg.sent), "received"
            self.books.account(leg.lot, dst.key.iri).received += leg.got
        for lot, runs in shipment.loose.items():
            self.stock(lot, dst).add(Pile(runs).take(got.get(lot, sum(n for n, _ in runs))))
        goods = [(t, got.get(t, n) if n is not None else None) for t, n in shipment.goods]
        return self._movement(shipment, dst, goods, "receiving", "in_progress", at)

    def _movement(
        self, shipment: Shipment, seen: Place, goods: Goods, step: str, disposition: str, at: int
    ) -> Event:
        member, dst = seen.member, shipment.dst
        event = emit.start("ObjectEvent", self.event_id(), member, at)
        if shipment.in_full:
            carrier = goods[0][0]
            event |= {"type": "AggregationEvent", "parentID": member.spell(carrier)}
            inside = list(self.held(carrier).items())
            event |= emit.goods_fields(member, inside, "childEPCs", "childQuantityList")
        else:
            event |= emit.goods_fields(member, goods, "epcList", "quantityList")
        event |= {"action": "OBSERVE", "bizStep": step, "disposition": disposition}
        event |= emit.where(member, seen, resting=seen is dst)
        event |= emit.transactions(("desadv", shipment.document))
        event |= emit.parties(member, shipment.src, dst, shipment.owner)
        return self._tell(member, event, at, goods)

    def move(self, src: Place, dst: Place, goods: Goods, **told: Any) -> tuple[Shipment, Event]:
        """Send and, after some hours on the road, take in."""
        shipment = self.ship(src, dst, goods, **told)
        self.wait(hours=self.rng.randrange(3, 30))
        return shipment, self.receive(shipment)

    def void(self, shipment: Shipment) -> Event:
        """Take a dispatch back before it left the yard."""
        src, at = shipment.src, self.tick(shipment.src.member)
        for leg in shipment.legs:
            leg.state = "voided"
            self.books.account(leg.lot, src.key.iri).dispatched -= leg.sent
        for lot, runs in shipment.loose.items():
            self.stock(lot, src).add(runs)
        return self._movement(shipment, src, shipment.goods, "void_shipping", "in_progress", at)

    # What is only mentioned

    def order(self, place: Place, goods: Goods) -> Event:
        """Goods are tied to an order: a TransactionEvent, which moves and makes nothing."""
        member, at = place.member, self.tick(place.member)
        event = emit.start("TransactionEvent", self.event_id(), member, at)
        event |= emit.transactions(("po", emit.document_name(member, "po", member.next("po"))))
        event |= emit.goods_fields(member, goods, "epcList", "quantityList")
        event |= {"action": "ADD", "bizStep": "reserving", "disposition": "reserved"}
        return self._tell(member, event | emit.where(member, place), at, goods)

    def fix_logger(self, place: Place) -> Event:
        """A temperature logger is fixed to a lorry: an AssociationEvent between two assets."""
        member, at = place.member, self.tick(place.member)
        lorry, logger = (asset(member.prefix, f"{kind}{member.next(kind)}") for kind in ("LORRY", "LOG"))
        event = emit.start("AssociationEvent", self.event_id(), member, at)
        event |= {"parentID": member.spell(lorry), "childEPCs": [member.spell(logger)]}
        event |= {"action": "ADD", "bizStep": "installing", "disposition": "active"}
        return self._tell(member, event | emit.where(member, place), at, [(lorry, None), (logger, None)])

    # Ending and looking

    def sell(self, place: Place, lot: Thing, portions: int) -> Event:
        """Over the counter."""
        self.stock(lot, place).take(portions)
        self.books.account(lot, place.key.iri).sold += portions
        return self._seen(place, [(lot, portions)], "OBSERVE", "retail_selling", "retail_sold")

    def destroy(self, place: Place, lot: Thing, portions: int) -> Event:
        """Into the bin."""
        self.stock(lot, place).take(portions)
        self.books.account(lot, place.key.iri).destroyed += portions
        return self._seen(place, [(lot, portions)], "DELETE", "destroying", "destroyed")

    def count(self, place: Place, lot: Thing, counted: int | None = None) -> Event:
        """Take stock; `counted` is what was found where that is not what is there."""
        account = self.books.account(lot, place.key.iri)
        account.booked = account.book
        account.counted = account.book if counted is None else counted
        return self._seen(place, [(lot, account.counted)], "OBSERVE", "cycle_counting", "sellable_accessible")

    def observe(self, place: Place, goods: Goods, step: str = "storing") -> Event:
        """See goods where they are; nothing changes."""
        return self._seen(place, goods, "OBSERVE", step, "in_progress")

    def _seen(self, place: Place, goods: Goods, action: str, step: str, disposition: str) -> Event:
        member, at = place.member, self.tick(place.member)
        event = emit.start("ObjectEvent", self.event_id(), member, at)
        event |= emit.goods_fields(member, goods, "epcList", "quantityList")
        event |= {"action": action, "bizStep": step, "disposition": disposition}
        return self._tell(member, event | emit.where(member, place), at, goods)
