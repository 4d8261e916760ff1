"""The trace as a JSON document, schema `loomark/trace/v1` (docs/spec/trace.md).

Every list is sorted by its members in the order in which they are written, so equal answers are equal bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, Final, TypeAlias, TypeVar

from fabric.lineage.quantity import exact_text

from .answer import FILLING, SCHEMA, Hit, Holder, Trace, leaves
from .balance import Balance, Weights
from .events import Occurrence
from .exposure import exposures
from .reach import Node
from .source import StockRow

Object: TypeAlias = dict[str, object]
Row = TypeVar("Row")

# Without an offset, because the text of one that has it would have to be changed each time.
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001
_ROWS_AT_ONCE: Final = 500
_BUCKETS: Final = ((0, "none"), (9, "1-9"), (99, "10-99"))


def document(trace: Trace) -> Object:
    """The whole answer; an answer with many members is large, and `chunks` has it without these objects."""
    return {name: list(value) if isinstance(value, Iterator) else value for name, value in _members(trace)}


def chunks(trace: Trace, dump: Callable[[object], bytes]) -> Iterator[bytes]:
    """The bytes of `document` in pieces, made row by row, so that a large answer is never held as objects.

    `dump` writes one JSON value, without white space for the same bytes as that of the whole.
    """
    opening = b"{"
    for name, value in _members(trace):
        head = opening + dump(name) + b":"
        opening = b","
        if isinstance(value, Iterator):
            yield from _list_chunks(head, value, dump)
        else:
            yield head + dump(value)
    yield b"}"


def _list_chunks(head: bytes, rows: Iterator[object], dump: Callable[[object], bytes]) -> Iterator[bytes]:
    opening = head + b"["
    while batch := list(islice(rows, _ROWS_AT_ONCE)):
        # A list of rows is written as one value, which is faster, and loses its own brackets.
        yield opening + dump(batch)[1:-1]
        opening = b","
    yield b"]" if opening == b"," else opening + b"]"


def _members(trace: Trace) -> Iterator[tuple[str, object]]:
    """The members of the document in their order; what has a row for each thing comes as an iterator."""
    question, coverage = trace.question, trace.coverage
    yield "schema", SCHEMA
    yield "thing", question.thing
    yield "direction", question.direction.value
    yield "at", time_text(question.at_us)
    yield "size", coverage.size
    yield "time", time_text(coverage.time_us)
    yield "options", question.options.as_json()
    yield "affected", affected(trace)
    if question.options.exposed_h is not None:
        yield "exposed", exposed(trace, question.options.exposed_h)
    yield "carriers", carriers(trace)
    yield "events", events(trace)
    yield "quantities", quantities(trace)
    yield "handovers", handovers(trace)
    yield "contradictions", contradictions(trace)
    yield "stops", stops(trace)
    yield "hidden", bucket(trace.hidden[0])
    if trace.erased:
        yield "erased", erased(trace)
    inferred = len(trace.possible)
    yield "coverage", {"size": coverage.size, "graph_size": coverage.graph_size, "inferred": inferred}


def affected(trace: Trace) -> Iterator[Object]:
    """One object for each member of A."""
    links: dict[Node, list[str]] = {}
    for node, link in trace.source.links(trace.things):
        links.setdefault(node, []).append(link)
    beyond = trace.hidden[1]
    limited = trace.source.limited
    acted = {course[0]: sorted(course[4]) for course in trace.courses() if course[4]}
    names = trace.source.records({state[0] for state in trace.states.values()})
    for hit in trace.hits():
        yield {
            **_named(hit),
            "direction": list(hit.directions),
            "level": hit.level,
            "strength": "possible" if hit.possible else "stated",
            "links": sorted(links.get(hit.node, ())),
            "never_received": acted.get(hit.node, []),
            "continues": trace.things[hit.node][1] in beyond if limited else None,
            "holder": _holder(trace.holder(hit.node), names),
        }


def exposed(trace: Trace, hours: int) -> Iterator[Object]:
    """What shared a carrier or a place with a member and is not affected."""
    found = exposures(trace, hours)
    names = trace.source.iris({one.thing for one in found})
    return _sorted(
        {"thing": names[one.thing], "with": trace.things[one.node][2], "how": one.how, "where": one.where}
        for one in found
    )


def carriers(trace: Trace) -> Iterator[Object]:
    """The carriers that held a member and are not, in that use, members themselves."""
    # A parent that is material has no fillings: it is no carrier, and if it follows from X it is in A itself.
    outside = [one for one in trace.held if one.filling is not None and one.filling not in trace.things]
    names = trace.source.iris({one.carrier for one in outside})
    return _sorted(
        {
            "carrier": names[one.carrier],
            "thing": trace.things[one.node][2],
            "from": time_text(one.from_us),
            "until": time_text(one.until_us),
            "inferred": one.inferred_at(trace.coverage.time_us),
        }
        for one in outside
    )


def events(trace: Trace) -> Iterator[Object]:
    """The events on the way, each occurrence once, voided records among them."""
    found: list[tuple[Occurrence, str | None]] = [(one, None) for one in trace.occurrences]
    found += trace.voided
    return _in_order(found, lambda row: row[0].facts[0].commitment, lambda row: _event(trace, *row))


def quantities(trace: Trace) -> Iterator[Object]:
    """The balance of each lot in each unit."""
    lots = {node for node, _ in trace.balances}
    stock = {course[0]: course[2] for course in trace.courses() if course[0] in lots}

    def row_of(key: tuple[Node, str | None]) -> Object:
        node, unit = key
        return {
            "thing": trace.things[node][2],
            "unit": unit,
            **_balance(trace.balances[key]),
            "places": list(_sorted(_place(row) for row in stock[node] if row[1] == unit)),
        }

    return _in_order(trace.balances, lambda key: trace.things[key[0]][2], row_of)


def handovers(trace: Trace) -> Iterator[Object]:
    """One object for each leg, with the members that went on it."""
    legs: dict[tuple[Any, ...], set[str]] = {}
    for node, _, _, own, _ in trace.courses():
        for leg in own:
            went = (
                *leg[:5],
                "outside" if leaves(trace.source, leg) else leg[8],
                leg[9],
                *map(tuple, leg[11:14]),
            )
            legs.setdefault(went, set()).add(trace.things[node][2])
    names = trace.source.records({record for leg in legs for record in (*leg[8], *leg[9])})
    carriers = trace.source.iris({leg[0] for leg in legs if leg[0] is not None})
    return _in_order(
        [(sorted(things), leg) for leg, things in legs.items()],
        itemgetter(0),
        lambda row: _handover((carriers.get(row[1][0]), *row[1][1:]), row[0], names),
    )


def contradictions(trace: Trace) -> Iterator[Object]:
    """What does not fit together about the members."""
    names = trace.source.records({record for row in trace.contradictions for record in row[2]})
    return _sorted(
        {
            "kind": kind,
            "things": sorted(things),
            "records": sorted(names[one] for one in records),
            "detail": detail,
        }
        for kind, things, records, detail in trace.contradictions
    )


def stops(trace: Trace) -> Iterator[Object]:
    """Where and why the trace did not go on."""
    return _sorted(_stop(*one) for one in set(_stops(trace)))


def erased(trace: Trace) -> Object:
    """How many records that named members were erased, wholly or in units, and how many named each."""
    names = trace.source.iris(trace.erased)
    return {
        "records": len(frozenset().union(*trace.erased.values())),
        "things": list(
            _sorted(
                {"thing": names[thing], "records": len(records)} for thing, records in trace.erased.items()
            )
        ),
    }


def bucket(count: int) -> str:
    """The one thing that is told about how much is hidden."""
    return next((name for limit, name in _BUCKETS if count <= limit), "100+")


def time_text(time_us: object) -> str | None:
    """Microseconds since 1970 as `YYYY-MM-DDTHH:MM:SS[.ffffff]Z`; None stays None."""
    if not isinstance(time_us, int):
        return None
    return (_EPOCH + timedelta(microseconds=time_us)).isoformat() + "Z"


def offset_text(minutes: int) -> str:
    """An offset as EPCIS writes it: `+02:00`."""
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"


def _named(hit: Hit) -> Object:
    named: Object = {"thing": hit.thing, "kind": hit.kind}
    if hit.kind == FILLING:
        named["filling"] = {
            "carrier": hit.thing,
            "from": time_text(hit.from_us),
            "until": time_text(hit.until_us),
        }
    return named


def _holder(holder: Holder, names: Mapping[int, str]) -> Object:
    return {
        "party": holder.party,
        "member": holder.member,
        "place": holder.place,
        "time": time_text(holder.time_us),
        "record": None if holder.record is None else names[holder.record],
        "state": holder.state,
    }


def _handover(leg: tuple[Any, ...], things: list[str], names: Mapping[int, str]) -> Object:
    carrier, start, end, sent_us, got_us, state, stated, documents, dispatches, receipts = leg
    return {
        "things": things,
        "carrier": carrier,
        "from": start,
        "to": end,
        "dispatched": time_text(sent_us),
        "received": time_text(got_us),
        "state": state,
        "strength": "stated" if stated else "possible",
        "documents": sorted(documents),
        "records": sorted(names[one] for one in dispatches) + sorted(names[one] for one in receipts),
    }


def _event(trace: Trace, one: Occurrence, voided_by: str | None) -> Object:
    fact = one.facts[0]
    return {
        "record": fact.commitment.hex(),
        "event_id": fact.event_id,
        "member": fact.member,
        "type": fact.type,
        "action": fact.action,
        "step": fact.step,
        "time": time_text(fact.time_us),
        "offset": offset_text(fact.offset_min),
        "place": fact.read_point or fact.biz_location,
        "things": sorted({trace.things[node][2] for node in one.nodes}),
        "strength": "stated" if one.sure else "possible",
        "copies": sorted(copy.commitment.hex() for copy in one.facts[1:]),
        "voided": voided_by,
    }


def _balance(weights: Weights) -> Object:
    pairs = zip(Balance._fields, weights, strict=True)
    return {name: exact_text(value) if isinstance(value, Decimal) else value for name, value in pairs}


def _place(row: StockRow) -> Object:
    place, _, made, received, dispatched, used, sold, destroyed, counted, on_hand = row[:10]
    return {
        "place": place,
        "made": made,
        "received": received,
        "dispatched": dispatched,
        "used": used,
        "sold": sold,
        "destroyed": destroyed,
        "counted": counted,
        "on_hand": on_hand,
    }


def _stops(trace: Trace) -> Iterator[tuple[str, str, str]]:
    for iri, level in trace.ends:
        yield iri, "class-without-lot", f"met at level {level}"
    for one, _ in trace.voided:
        for node in one.nodes:
            yield trace.things[node][2], "voided-record", one.facts[0].commitment.hex()
    for node, record in trace.killed.items():
        yield trace.things[node][2], "kill-step", record
    for iri in trace.source.iris(trace.hidden[1]).values():
        yield iri, "hidden", "records that this reader may not see name it"
    for node, _, _, legs, _ in trace.courses():
        for leg in legs:
            if leaves(trace.source, leg):
                yield trace.things[node][2], "outside", str(leg[2])
    for direction, walk in trace.walks.items():
        if walk.exhausted is not None:
            left = f"{len(walk.frontier)} members of the last level were not followed {direction.value}"
            yield trace.question.thing, "budget", f"{walk.exhausted}: {left}"


def _stop(thing: str, reason: str, detail: str) -> Object:
    return {"thing": thing, "reason": reason, "detail": detail}


def _sorted(objects: Iterable[Object]) -> Iterator[Object]:
    """Objects of one shape in their order; their first member is text, or a list of text, and seldom equal."""
    return _in_order(objects, _first, lambda one: one)


def _first(value: Object) -> Any:
    first = next(iter(value.values()))
    return (first is not None, first)


def _in_order(
    rows: Iterable[Row], first: Callable[[Row], Any], make: Callable[[Row], Object]
) -> Iterator[Object]:
    """The objects of rows in the order of the document, made one after the other.

    `first` gives what an object's first member is ordered by: comparing whole objects costs more than making
    them, and is only needed where these are equal.
    """
    ordered = sorted(rows, key=first)
    if len(ordered) < 2:
        yield from map(make, ordered)
        return
    for _, same in groupby(ordered, first):
        group = [make(row) for row in same]
        yield from group if len(group) == 1 else sorted(group, key=_order)


def _order(value: object) -> Any:
    """A sort key for JSON values of one shape: null first, objects and lists by their members in turn."""
    if value is None:
        return (0,)
    if isinstance(value, dict):
        return (1, *map(_order, value.values()))
    if isinstance(value, list | tuple):
        return (1, *map(_order, value))
    return (1, value)


__all__ = ["bucket", "chunks", "document", "offset_text", "time_text"]
