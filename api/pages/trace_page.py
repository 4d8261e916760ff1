"""What the page of a trace shows, as values for its template."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from api.answers import View
from fabric.trace import Trace
from fabric.trace import document as answers
from fabric.trace.balance import Balance
from fabric.trace.reach import Node

from . import text
from .drawing import draw
from .flow import MAX_BOXES, Marks, flow, signed_levels
from .labels import load_labels
from .overview import MAX_ROWS, Overview, Sold, dated, overview
from .things import roles_of, steps_of

Values: TypeAlias = dict[str, Any]

MAX_TOLD: Final = 2_000
"""Past this many things a page leaves their events and carriers to the JSON."""

_SALES: Final = frozenset({"retail_selling", "dispensing"})
_AMOUNTS: Final = (
    "made",
    "on_hand",
    "in_transit",
    "used",
    "sold",
    "destroyed",
    "outside",
    "unaccounted",
    "surplus",
)


def trace_values(trace: Trace, seen: View) -> tuple[Values, Mapping[str, str]]:
    """The values of `trace.html`, and the names of things in them. Used within the life of the trace's source."""
    told = overview(trace)
    affected = list(_affected(trace, told))
    happened, contradictions = _events(trace, seen), list(answers.contradictions(trace))
    known = happened["events"] or ()
    rows: Values = {
        "affected": affected,
        "quantities": list(_quantities(trace)),
        "holders": told.holders(),
        "moving": told.moving[:MAX_ROWS],
        "missing": dated(told.missing[:MAX_ROWS], contradictions, known),
        "surplus": dated(told.surplus[:MAX_ROWS], contradictions, known),
        "sold": [*told.sold, *_sold_serials(trace, seen)],
        "contradictions": contradictions[:MAX_ROWS],
        "stops": list(answers.stops(trace))[:MAX_ROWS],
        **happened,
    }
    labels = load_labels(
        seen.connection, _iris(rows, trace), seen.holder_of, seen.coverage.time_us or 0, seen.classes
    )
    drawn = flow(trace, labels.names, Marks(_missing_words(told), _steps(trace, seen)))
    title = f"Flow of {text.name(trace.question.thing, labels.names)}"
    values = rows | {
        "thing": trace.question.thing,
        "direction": trace.question.direction.value,
        "size": trace.coverage.size,
        "time": answers.time_text(trace.coverage.time_us),
        "hidden": answers.bucket(trace.hidden[0]),
        "erased": answers.erased(trace)["records"],
        "budget": [row["detail"] for row in rows["stops"] if row["reason"] == "budget"],
        "told": told,
        "totals": _totals(trace, told),
        "sales": _sales(rows["sold"]),
        "phones": defaultdict(str, labels.phones),
        "drawing": draw(drawn.nodes, drawn.arrows, title),
        "grouped": drawn.grouped,
        "is_carrier": any(
            row[2] == trace.question.thing and row[3] == "filling" for row in trace.things.values()
        ),
        "limit": MAX_ROWS,
    }
    return values, labels.names


def _affected(trace: Trace, told: Overview) -> Iterator[Values]:
    """The members nearest to the thing asked about, at most `MAX_ROWS`."""
    levels, beyond = signed_levels(trace), trace.hidden[1]
    nearest = sorted(trace.order, key=lambda node: (abs(levels[node]), levels[node] < 0))[:MAX_ROWS]
    for node in nearest:
        _, thing_key, iri, kind, start, _ = trace.things[node]
        holder = trace.holder(node)
        yield {
            "thing": iri,
            "kind": kind,
            "from": answers.time_text(start),
            "level": levels[node],
            "possible": node in trace.possible,
            "continues": thing_key in beyond,
            "never_received": told.never_received.get(iri, ()),
            "member": holder.member,
            "party": holder.party,
            "place": holder.place,
            "state": holder.state,
            "time": answers.time_text(holder.time_us),
        }


def _quantities(trace: Trace) -> Iterator[Values]:
    ordered = sorted(trace.balances.items(), key=lambda item: (trace.things[item[0][0]][2], item[0][1] or ""))
    for (node, unit), weights in ordered[:MAX_ROWS]:
        balance = Balance._make(weights)
        amounts = {name: f"{getattr(balance, name):f}" for name in _AMOUNTS}
        yield {"thing": trace.things[node][2], "unit": unit, "without": balance.without_quantity, **amounts}


def _sold_serials(trace: Trace, seen: View) -> Iterator[Sold]:
    """Serials whose last event sold or dispensed them; what was sold of lots stands in their stock."""
    ended = {
        node: state
        for node, state in trace.states.items()
        if state[4] == "ended" and trace.things[node][3] == "serial"
    }
    steps = steps_of(seen.connection, {state[0] for state in ended.values()}) if ended else {}
    for node, state in sorted(ended.items(), key=lambda item: trace.things[item[0]][2]):
        if steps.get(state[0]) in _SALES:
            yield Sold(trace.things[node][2], state[2], trace.holder(node).member, "1", None)


def _sales(sold: Sequence[Sold]) -> Values:
    """What a tile says of sales: how many lots and serials, and where."""
    return {"things": len({row.thing for row in sold}), "places": sorted({row.place or "" for row in sold})}


def _events(trace: Trace, seen: View) -> Values:
    if len(trace) > MAX_TOLD:
        return {"events": None, "carriers": None, "event_count": 0, "carrier_count": 0, "roles": {}}
    events = sorted(answers.events(trace), key=lambda event: (str(event["time"]), str(event["record"])))
    carriers = list(answers.carriers(trace))
    processes = [str(event["record"]) for event in events if event["type"] == "TransformationEvent"]
    return {
        "events": events[:MAX_ROWS],
        "event_count": len(events),
        "roles": roles_of(seen.connection, processes[:MAX_ROWS]),
        "carriers": carriers[:MAX_ROWS],
        "carrier_count": len(carriers),
    }


def _totals(trace: Trace, told: Overview) -> Values:
    kinds: dict[str, int] = {}
    for row in trace.things.values():
        kinds[row[3]] = kinds.get(row[3], 0) + 1
    return {
        "kinds": sorted(kinds.items()),
        "in_transit": sum(row.state in ("in_transit", "ambiguous") for row in told.moving),
        "overdue": sum(row.state == "overdue" for row in told.moving),
        "outside": sum(row.state == "outside" for row in told.moving),
        "holdings": told.holdings,
        "places": len({one.place for one in told.held.values()}),
        "members": len({one.member for one in told.held.values()} - {None}),
        "moving": len(told.moving),
        "missing": len(told.missing),
        "surplus": len(told.surplus),
        "contradictions": len(trace.contradictions),
        "quantities": len(trace.balances),
    }


def _missing_words(told: Overview) -> dict[str, str]:
    return {thing: f"{amount} unaccounted" for thing, amount in told.of_missing().items()}


def _steps(trace: Trace, seen: View) -> dict[int, str]:
    """The last step of each member; only groups are named by it."""
    if len(trace) <= MAX_BOXES:
        return {}
    return steps_of(seen.connection, {state[0] for state in trace.states.values()})


def _iris(rows: Values, trace: Trace) -> set[str]:
    """Everything that the rows and the drawing name."""
    found = {trace.question.thing}
    nodes: Iterable[Node] = trace.things if len(trace) <= MAX_BOXES else ()
    found.update(trace.things[node][2] for node in nodes)
    found.update({state[2] for state in trace.states.values() if state[2] is not None})
    for row in (*rows["affected"], *rows["quantities"]):
        found.update(row[key] for key in ("thing", "place", "party") if row.get(key))
    for holder in rows["holders"]:
        found.update(iri for iri in (holder.place, holder.party) if iri)
        found.update(row.thing for row in holder.rows)
    for leg in rows["moving"]:
        found.update(iri for iri in (leg.thing, leg.source, leg.target, leg.carrier) if iri)
    for sale in rows["sold"]:
        found.update(iri for iri in (sale.thing, sale.place) if iri)
    for lost in (*rows["missing"], *rows["surplus"]):
        found.update(iri for iri in (lost.thing, lost.place, lost.other) if iri)
    for row in (*rows["contradictions"], *(rows["events"] or ()), *(rows["carriers"] or ())):
        found.update(row.get("things", ()))
        found.update(row[key] for key in ("place", "carrier", "thing") if row.get(key))
    for stop in rows["stops"]:
        found.update((stop["thing"], stop["detail"]))
    return found


__all__ = ["trace_values"]
