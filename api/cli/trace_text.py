"""A trace as people in a recall read it: who holds it now, what moves, what is missing, then everything affected.

Pure: an answer (`loomark/trace/v1`) and names go in, lines of text come out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from api.pages.text import amount, minute, name, unit, when, words

from .columns import columns, printable

SHOWN: Final = 40
"""So many rows a list are printed; the JSON has all of them."""

_OVERDUE: Final = timedelta(days=14)
_AMOUNTS: Final = ("made", "on_hand", "in_transit", "used", "sold", "destroyed", "outside")
_STOCK: Final = ("made", "received", "dispatched", "used", "sold", "destroyed")

Answer = Mapping[str, Any]


def _nobody(_place: str) -> str | None:
    return None


@dataclass(frozen=True)
class Names:
    """Names of things and places by IRI, of members by id, and which member holds a place."""

    labels: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, str] = field(default_factory=dict)
    member_at: Callable[[str], str | None] = _nobody

    def thing(self, iri: str | None) -> str:
        """A thing, product or place, in printable signs."""
        return printable(name(iri, self.labels))

    def member(self, identifier: str | None) -> str:
        """A member by the name it was admitted under."""
        return printable(self.members.get(identifier, identifier)) if identifier else "unknown member"

    def place(self, iri: str | None, member: str | None = None) -> str:
        """A place and whose it is."""
        if not iri:
            return self.member(member) if member else "not stated"
        holder = member or self.member_at(iri)
        return f"{self.thing(iri)} ({self.member(holder)})" if holder else self.thing(iri)


def text(answer: Answer, names: Names, width: int | None = None) -> list[str]:
    """The lines of a whole answer, no table wider than `width` cells (None: as wide as it gets).

    What went into a thing comes first where that was asked; else who holds what it became.
    """
    is_backward = answer["direction"] == "backward"
    count = len(answer["affected"])
    told = f"{max(count - 1, 0)} went into it" if is_backward else f"{count} affected"
    lines = [
        f"{answer['direction']} trace of {names.thing(answer['thing'])}: {told};"
        f" covers tree size {answer['size']}, sealed {when(answer['time'])}"
    ]
    if is_backward:
        lines += ["", "What went into it", *origins(answer, names, width)]
    seen = "" if answer["hidden"] == "none" else ", by the records you may see"
    lines += _section(f"Who holds it now{seen}", held(answer, names), nothing(answer, "nobody"))
    lines += _section("In transit, or sent and never received", moving(answer, names), nothing(answer))
    lines += _section("Unaccounted", off_balance(answer, names, "unaccounted"), nothing(answer))
    if any(row["surplus"] != "0" for row in answer["quantities"]):
        lines += _section("Surplus", off_balance(answer, names, "surplus"), "")
    if not is_backward:
        lines += ["", f"Affected ({count})", *affected(answer, names, width)]
    if answer["quantities"]:
        lines += _section("Amounts", balances(answer, names), "")
    if found := [*contradictions(answer, names), *stops(answer, names)]:
        lines += _section("Contradictions, and where the trace stopped", found, "")
    if "erased" in answer:
        count = answer["erased"]["records"]
        lines += [
            "",
            f"erased: {count} records that named what is shown; what they said is unknown, amounts too",
        ]
    if answer["hidden"] != "none":
        lines += ["", f"hidden from you: {answer['hidden']} records that touch what is shown"]
    return lines


def nothing(answer: Answer, word: str = "nothing") -> str:
    """How an empty list is said: where records are hidden, only of those that the reader may see."""
    return word if answer["hidden"] == "none" else f"{word} in the records you may see"


def held(answer: Answer, names: Names) -> list[str]:
    """Per place and member what is on hand there: stock of lots by the book, and what was last held there."""
    places: dict[str, list[str]] = {}
    for place, member, what in _stock(answer, names):
        places.setdefault(names.place(place, member), []).append(f"  {what}")
    return _cut([line for place in sorted(places) for line in (place, *sorted(places[place]))])


def _stock(answer: Answer, names: Names) -> Iterator[tuple[str | None, str | None, str]]:
    stated = set()
    for row in answer["quantities"]:
        for place in row["places"]:
            if any(place[amount_of] != "0" for amount_of in _STOCK):
                stated.add(row["thing"])
            if place["on_hand"] != "0":
                what = f"{amount(place['on_hand'], row['unit'])} of {names.thing(row['thing'])}"
                yield place["place"], None, what
    for item in answer["affected"]:
        holder = item["holder"] or {}
        if holder.get("state") == "held" and item["thing"] not in stated:
            unknown = ", amount not stated" if item["kind"] == "lot" else ""
            place = holder["place"] or holder["party"]
            yield place, holder["member"], names.thing(item["thing"]) + unknown


def moving(answer: Answer, names: Names) -> list[str]:
    """Hand-overs that nobody received, the longest on the way first."""
    legs = [leg for leg in answer["handovers"] if leg["received"] is None and leg["dispatched"]]
    legs = [leg for leg in legs if leg["state"] in ("open", "outside", "ambiguous")]
    legs.sort(key=lambda leg: (leg["dispatched"], leg["things"]))
    return _cut([line for leg in legs for line in _leg(leg, answer, names)])


def _leg(leg: Mapping[str, Any], answer: Answer, names: Names) -> Iterator[str]:
    origin, target = names.place(leg["from"]), names.place(leg["to"]) if leg["to"] else "a place not stated"
    yield f"{_leg_state(leg, answer['time'])}: sent {when(leg['dispatched'])} from {origin} to {target}"
    quantities = {row["thing"]: row for row in answer["quantities"] if row["open_handovers"] == 1}
    for thing in leg["things"][:SHOWN]:
        row = quantities.get(thing, {})
        on_way = next((row[key] for key in ("in_transit", "outside") if row.get(key, "0") != "0"), None)
        yield f"  {amount(on_way, row['unit']) + ' of ' if on_way else ''}{names.thing(thing)}"
    by = [names.thing(one) for one in (leg["carrier"], *leg["documents"]) if one]
    if by:
        yield f"  with {', '.join(by)}"


def _leg_state(leg: Mapping[str, Any], now: str | None) -> str:
    if leg["state"] != "open":
        return {"outside": "left the ledger"}.get(leg["state"], words(leg["state"]))
    if now is not None and _instant(leg["dispatched"]) < _instant(now) - _OVERDUE:
        return "never received"
    return "in transit"


def off_balance(answer: Answer, names: Names, what: str) -> list[str]:
    """Lots whose amount of `what` (unaccounted, surplus) is not zero."""
    rows = [row for row in answer["quantities"] if row[what] != "0"]
    return _cut([f"{amount(row[what], row['unit'])} of {names.thing(row['thing'])}" for row in rows])


def affected(answer: Answer, names: Names, width: int | None) -> list[str]:
    """A row for each affected thing: how many steps from the one asked about, and where its last event was."""
    headings = ("thing", "steps", "state", "last event at", "time (UTC)")
    shown = answer["affected"][:SHOWN]
    lines = columns(headings, [_affected_row(item, names) for item in shown], width)
    left = len(answer["affected"]) - len(shown)
    return [*lines, f"  … and {left} more; --json gives all of them"] if left else lines


def origins(answer: Answer, names: Names, width: int | None) -> list[str]:
    """A row for each thing that went into the one asked about, that one first: steps back, how much was made, where."""
    rows = sorted(answer["affected"], key=lambda item: int(item["level"]))
    shown = rows[:SHOWN]
    lines = columns(
        ("thing", "steps back", "made", "made at"), [_origin_row(i, answer, names) for i in shown], width
    )
    left = len(rows) - len(shown)
    return [*lines, f"  … and {left} more; --json gives all of them"] if left else lines


def _origin_row(item: Mapping[str, Any], answer: Answer, names: Names) -> tuple[str, ...]:
    stated = [row for row in answer["quantities"] if row["thing"] == item["thing"] and row["made"] != "0"]
    places = [place["place"] for row in stated for place in row["places"] if place["made"] != "0"]
    possible = " (possible)" if item["strength"] == "possible" else ""
    return (
        names.thing(item["thing"]) + possible,
        str(item["level"]),
        ", ".join(amount(row["made"], row["unit"]) for row in stated),
        "; ".join(names.place(place) for place in dict.fromkeys(places)),
    )


def _affected_row(item: Mapping[str, Any], names: Names) -> tuple[str, ...]:
    holder = item["holder"] or {}
    possible = " (possible)" if item["strength"] == "possible" else ""
    place = names.place(holder.get("place") or holder.get("party"), holder.get("member")) if holder else ""
    return (
        names.thing(item["thing"]) + possible,
        str(item["level"]),
        words(holder.get("state")) or "unknown",
        place,
        minute(holder.get("time")),
    )


def balances(answer: Answer, names: Names) -> list[str]:
    """For each lot and unit what became of it, amounts of zero left out."""
    lines = []
    for row in answer["quantities"]:
        parts = [
            f"{words(key)} {row[key]}" for key in (*_AMOUNTS, "unaccounted", "surplus") if row[key] != "0"
        ]
        if row["without_quantity"]:
            parts.append(f"{row['without_quantity']} without an amount")
        told = ", ".join(parts) or "no amount stated"
        lines.append(f"{names.thing(row['thing'])}, in {unit(row['unit'])}: {told}")
    return _cut(lines)


def contradictions(answer: Answer, names: Names) -> list[str]:
    """What the records contradict each other in, and who handled what it never received."""
    found = [
        f"contradiction: {words(item['kind'])}: {', '.join(map(names.thing, item['things']))}:"
        f" {printable(item['detail'])}"
        for item in answer["contradictions"]
    ]
    found += [
        f"handled without having made or received it: {names.thing(item['thing'])}, by"
        f" {', '.join(map(names.member, item['never_received']))}"
        for item in answer["affected"]
        if item["never_received"]
    ]
    return _cut(found)


def stops(answer: Answer, names: Names) -> list[str]:
    """Where and why the trace did not go on."""
    return _cut(
        [
            f"stopped at {names.thing(item['thing'])}: {words(item['reason'])}"
            + (f": {names.thing(item['detail'])}" if item["detail"] else "")
            for item in answer["stops"]
        ]
    )


def missing(answer: Answer, names: Names) -> str:
    """What is unaccounted, in one line."""
    sums: dict[tuple[str, str | None], Decimal] = {}
    for row in answer["quantities"]:
        key = (row["thing"], row["unit"])
        sums[key] = sums.get(key, Decimal(0)) + Decimal(row["unaccounted"])
    told = [f"{total:f} {unit(of)} of {names.thing(thing)}" for (thing, of), total in sums.items() if total]
    return f"unaccounted: {', '.join(told)}" if told else f"{nothing(answer)} unaccounted"


def iris(answer: Answer) -> list[str]:
    """Everything that `text` would like to call by a name; the shown rows alone."""
    found: list[Any] = [answer["thing"]]
    for item in answer["affected"][:SHOWN]:
        holder = item["holder"] or {}
        found += [item["thing"], holder.get("place"), holder.get("party")]
    for row in answer["quantities"]:
        places = [one for one in row["places"] if one["on_hand"] != "0" or one["made"] != "0"]
        found += [row["thing"], *(place["place"] for place in places)]
    for leg in answer["handovers"]:
        if leg["received"] is None:
            found += [*leg["things"][:SHOWN], leg["from"], leg["to"]]
    for item in (*answer["contradictions"][:SHOWN], *answer["stops"][:SHOWN]):
        found += item["things"] if "things" in item else [item["thing"]]
    return list(dict.fromkeys(iri for iri in found if iri))


def _section(title: str, lines: Iterable[str], empty: str) -> list[str]:
    shown = [f"  {line}" for line in lines] or [f"  {empty}"]
    return ["", title, *shown]


def _cut(lines: list[str]) -> list[str]:
    """At most three screens of a list."""
    most = 3 * SHOWN
    left = len(lines) - most
    return [*lines[:most], f"… and {left} more lines; --json gives everything"] if left > 0 else lines


def _instant(time: str) -> datetime:
    return datetime.fromisoformat(time)
