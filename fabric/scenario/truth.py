"""`truth.json`: the answers of section 3, read off the simulator's books.

Each source is one question (`thing`, `direction`) with its answer in the names of `loomark/trace/v1`. Lists
are sorted by their first keys. Rows are told for lots; a serial's movements are not summed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from .books import COLUMNS, OVERDUE_S, Account, Books, Filling, Leg, Node
from .names import Thing

SCHEMA = "loomark/truth/v1"


def instant(seconds: int | None) -> str | None:
    """A time of the simulation as truth writes it: UTC, whole seconds, Z."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def decimal(portions: int, lot: Thing) -> str:
    """An amount in the lot's unit as an exact decimal string."""
    value = Decimal(portions) / lot.steps
    return str(value.quantize(Decimal(1)) if value == value.to_integral() else value.normalize())


def answers(books: Books, thing: Thing, time: int) -> list[dict[str, Any]]:
    """The forward and the backward answer for one thing."""
    return [_answer(books, thing, direction, time) for direction in ("forward", "backward")]


def _answer(books: Books, thing: Thing, direction: str, time: int) -> dict[str, Any]:
    start = books.start_of(thing)
    reached = books.reach(start, forward=direction == "forward")
    material = {n for n in reached if isinstance(n, Thing)}
    return {
        "thing": thing.iri,
        "direction": direction,
        "at": None,
        "affected": sorted(
            (_affected(n, level, direction) for n, level in reached.items()), key=lambda row: _key(row)
        ),
        "carriers": carriers(books, set(reached)),
        "events": [{"event_id": name} for name in books.events_of(reached)],
        "quantities": [
            quantities(books, lot, time)
            for lot in sorted(material, key=lambda t: t.iri)
            if lot.kind == "lot" and lot in books.accounts
        ],
        "physical": physical(books, thing) if direction == "forward" and thing.kind == "lot" else None,
    }


def _affected(node: Node, level: int, direction: str) -> dict[str, Any]:
    # Nothing inferred lies on the way to anything: what is inferred here only ends stays in carriers.
    row: dict[str, Any] = {"direction": [direction], "level": level, "strength": "stated"}
    if isinstance(node, Filling):
        span = {"carrier": node.carrier.iri, "from": instant(node.start), "until": instant(node.until)}
        return {"thing": node.carrier.iri, "kind": "filling", "filling": span, **row}
    return {"thing": node.iri, "kind": node.kind, **row}


def _key(row: dict[str, Any]) -> tuple[str, str]:
    return row["thing"], str(row.get("filling", {}).get("from", ""))


def carriers(books: Books, reached: set[Node]) -> list[dict[str, Any]]:
    """Which carrier held which affected thing, and when; a filling that is affected itself is not repeated."""
    rows = [
        {
            "carrier": p.filling.carrier.iri,
            "thing": p.child.iri,
            "from": instant(p.start),
            "until": instant(p.until),
            "inferred": p.inferred,
        }
        for p in books.packings
        if p.child in reached and p.filling not in reached and p.filling.carrier not in reached
    ]
    return sorted(rows, key=lambda row: (row["carrier"], row["thing"], str(row["from"])))


def physical(books: Books, source: Thing) -> list[str]:
    """The lots, and the serials, in which at least one portion holds something of the source lot."""
    return sorted(lot for lot, sources in books.provenance.items() if source.iri in sources)


def quantities(books: Books, lot: Thing, time: int) -> dict[str, Any]:
    """The balance of one lot at `time`, by place, in its own unit."""
    accounts = books.accounts[lot]
    legs = [leg for leg in books.legs if leg.lot == lot]
    waiting = [leg for leg in legs if leg.state == "open" and leg.sent]
    late = [leg for leg in waiting if time - leg.at > OVERDUE_S]
    total = {name: sum(getattr(a, name) for a in accounts.values()) for name in (*COLUMNS, "on_hand")}
    lost = sum(max(_gap(leg), 0) for leg in legs) + sum(leg.sent for leg in late)
    extra = sum(max(-_gap(leg), 0) for leg in legs)
    amounts = {
        **{name: total[name] for name in ("made", "on_hand", "used", "sold", "destroyed")},
        "in_transit": sum(leg.sent for leg in waiting if leg not in late),
        "outside": sum(leg.sent for leg in legs if leg.state == "outside"),
        "unaccounted": lost + sum(max(_above_count(a), 0) for a in accounts.values()),
        "surplus": extra + sum(max(-_above_count(a), 0) + _overdrawn(a) for a in accounts.values()),
    }
    return {
        "thing": lot.iri,
        "unit": lot.unit,
        **{name: decimal(amount, lot) for name, amount in amounts.items()},
        "without_quantity": 0,
        "open_handovers": len(waiting),
        "places": [_place_row(place, account, lot) for place, account in sorted(accounts.items())],
    }


def _gap(leg: Leg) -> int:
    return leg.sent - leg.got if leg.state == "received" and leg.got is not None else 0


def _above_count(account: Account) -> int:
    """Book stock above (positive) or below (negative) a later count."""
    return 0 if account.counted is None else account.booked - account.counted


def _overdrawn(account: Account) -> int:
    return max(-account.book, 0)


def _place_row(place: str, account: Account, lot: Thing) -> dict[str, Any]:
    row: dict[str, Any] = {"place": place}
    row |= {name: decimal(getattr(account, name), lot) for name in COLUMNS}
    row["counted"] = None if account.counted is None else decimal(account.counted, lot)
    row["on_hand"] = decimal(account.on_hand, lot)
    return row


def numbered(defects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Defects with ids, in the order in which they happened."""
    return [{"id": f"D{number:05d}", **defect} for number, defect in enumerate(defects, start=1)]
