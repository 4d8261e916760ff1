"""What somebody typed for a thing, as the one thing that it means; and what the shown things are called."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

from api.pages.text import minute, name
from ledger.errors import InvalidInput, NotFound
from ledger.identifier import Identifier
from ledger.shape import time_ms

from .client import Node
from .columns import columns, printable
from .output import WRONG_USE, err
from .trace_text import Names

_NAMES_AT_ONCE = 40
_THINGS = 2
_DOCUMENT = re.compile(r"urn:epcglobal:cbv:bt:([0-9]{13}):")
_SPELLINGS = (
    "a GS1 Digital Link or EPC URN, an element string such as (01)09506000134352(10)LOT7, an SSCC, a lot or serial"
    " number, or a document number"
)
_OPERATOR_SEES_NOTHING = (
    "the operator's key sees no records; ask with the API key of a member, an auditor or a recall team"
)


def thing_of(node: Node, text: str) -> str:
    """The identifier of the one thing that a typed text names.

    A text with several meanings, or with near ones only, is answered with their list and exit status 2; one that
    means nothing raises NotFound.
    """
    with operator_told(node):
        found = node.get_json("/api/search", q=text)
        if found["thing"] is not None:
            return str(found["thing"])
        if found["candidates"] or found["near"]:
            _offer(node, text, found)
        raise NotFound(
            f"no record that you may see names {printable(text)!r}; accepted are {_SPELLINGS}",
            rule="unknown-thing",
        )


@contextmanager
def operator_told(node: Node) -> Iterator[None]:
    """Within the block, say to whoever finds nothing with the operator's key that this key sees no records."""
    try:
        yield
    except NotFound as error:
        if _is_operator(node):
            raise NotFound(_OPERATOR_SEES_NOTHING, rule="operator-key") from error
        raise


def labels_of(node: Node, iris: list[str]) -> dict[str, str]:
    """Names by identifier, as far as the caller may see them."""
    found: dict[str, str] = {}
    for start in range(0, len(iris), _NAMES_AT_ONCE):
        found |= node.get_json("/api/names", iri=iris[start : start + _NAMES_AT_ONCE])
    return found


def names_of(node: Node, iris: list[str], time: str | None) -> Names:
    """What to call things, places and members in an answer that is as of `time`."""
    from fabric.visibility.holders import Holders

    members = node.get_json("/api/members")["members"]
    holders = Holders(_identifier(member["id"], held) for member in members for held in member["parties"])
    now_us = 0 if time is None else time_ms(_in_milliseconds(time), "time") * 1000
    return Names(
        labels_of(node, iris),
        {member["id"]: member["name"] for member in members},
        lambda place: holders.member_of(place, now_us),
    )


def _identifier(member: str, held: Mapping[str, Any]) -> Identifier:
    until = held["until"]
    return Identifier(
        held["kind"],
        held["value"],
        member,
        time_ms(held["from"], "from"),
        None if until is None else time_ms(until, "until"),
        0,
    )


def _in_milliseconds(time: str) -> str:
    """A time of an answer (`loomark/trace/v1`) as statements write it."""
    whole, _, fraction = time.removesuffix("Z").partition(".")
    return f"{whole}.{fraction[:3]:0<3}Z"


def _offer(node: Node, text: str, found: Mapping[str, list[dict[str, Any]]]) -> NoReturn:
    meant = found["candidates"] or found["near"]
    labels = labels_of(node, [iri for one in meant for iri in _named_in(one) if iri])
    said = "means several things" if found["candidates"] else "names nothing exactly; near it are"
    err.print(f"{printable(text)!r} {said}:", markup=False)
    rows = [(one["thing"], one["kind"], *_described(one, labels)) for one in meant]
    for line in columns(("thing", "kind", "product", "place"), rows, err.width if err.is_terminal else None):
        err.print(line, markup=False)
    err.print("Ask again with one of these.", markup=False)
    raise SystemExit(WRONG_USE)


def _described(one: Mapping[str, Any], labels: Mapping[str, str]) -> tuple[str, str]:
    """Product and place of a candidate; of a document what went with it, and when from where to where."""
    about = one.get("about")
    if not about:
        place = one["place"] or _party(one["thing"])
        return name(one["product"], labels), name(place, labels)
    things = [name(iri, labels) for iri in about["things"][:_THINGS]]
    more = [f"and {len(about['things']) - _THINGS} more"] if len(about["things"]) > _THINGS else []
    way = " to ".join(name(iri, labels) for iri in (about["from"], about["to"]) if iri)
    party = name(_party(one["thing"]), labels)
    return "; ".join([*things, *more]), ", ".join(
        told for told in (way or party, minute(about["time"])) if told
    )


def _named_in(one: Mapping[str, Any]) -> list[str | None]:
    about = one.get("about") or {"from": None, "to": None, "things": []}
    parties = [one["place"], _party(one["thing"]), about["from"], about["to"]]
    return [one["product"], *parties, *about["things"][:_THINGS]]


def _party(document: str) -> str | None:
    """The party whose number a document has (CBV 8.5.2), where that is a GLN."""
    found = _DOCUMENT.match(document)
    return f"https://id.gs1.org/417/{found[1]}" if found else None


def _is_operator(node: Node) -> bool:
    try:
        return bool(node.get_json("/api/members")["role"] == "operator")
    except InvalidInput:
        return False
