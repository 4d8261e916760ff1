"""What verified, in words: what a proof shows of its record, what a report concludes.

Pure, and without a server library; only what verified may be handed in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from api.pages.text import words
from fabric.visibility.holders import Holders
from ledger.identifier import Identifier
from ledger.shape import time_ms

from .columns import printable
from .trace_text import Names, balances, held, moving, nothing, off_balance

_SHOWN_SIGNS: Final = 400
_MAIN: Final = (
    "type",
    "eventID",
    "action",
    "eventTime",
    "eventTimeZoneOffset",
    "bizStep",
    "disposition",
    "readPoint",
    "bizLocation",
    "parentID",
    "epcList",
    "childEPCs",
    "quantityList",
    "childQuantityList",
    "inputEPCList",
    "inputQuantityList",
    "outputEPCList",
    "outputQuantityList",
    "bizTransactionList",
    "sourceList",
    "destinationList",
    "errorDeclaration",
)


def counted(number: int, noun: str) -> str:
    """A number with its noun, which takes an s unless there is one."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def shown_lines(record: dict[str, Any]) -> Iterator[str]:
    """What a proof shows of its record: the main fields of a whole one, every value of a part."""
    yield f"shows the {'whole' if record['full'] else 'following part of the'} record:"
    if record["full"]:
        units = [(f"/{name}", record["shown"].get(name)) for name in _MAIN]
    else:
        units = list(_leaves("", record["shown"]))
    for pointer, value in units:
        if value is not None:
            yield f"  {pointer}: {_plain(value)}"


def _leaves(pointer: str, value: Any) -> Iterator[tuple[str, Any]]:
    items = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    )
    if items is None or not value:
        yield pointer, value
        return
    for name, inner in items:
        if not (pointer == "" and name == "@context"):
            yield from _leaves(f"{pointer}/{_escaped(str(name))}", inner)


def _escaped(name: str) -> str:
    """A member name as one segment of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def _plain(value: Any) -> str:
    text = printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return text if len(text) <= _SHOWN_SIGNS else text[: _SHOWN_SIGNS - 1] + "…"


def conclusions(report: Mapping[str, Any]) -> list[str]:
    """What a verified report concludes: who holds what, what is missing, and the gaps in the food rule's records."""
    answer = report["answer"]
    identifiers = [
        Identifier(
            one["kind"], one["value"], one["member"], time_ms(one["from"], "from"), _ms(one["until"]), 0
        )
        for one in report["identifiers"]
    ]
    holders, at_us = Holders(identifiers), _us(answer["time"])
    names = Names(
        {},
        {one["member"]: one["name"] for one in report["members"]},
        lambda place: holders.member_of(place, at_us),
    )
    none = nothing(answer)
    lines = ["who holds it now:", *_under(held(answer, names) or [none])]
    lines += ["in transit, or sent and never received:", *_under(moving(answer, names) or [none])]
    lines += ["unaccounted:", *_under(off_balance(answer, names, "unaccounted") or [none])]
    lines += ["amounts:", *_under(balances(answer, names))] if answer["quantities"] else []
    gaps = [f"{names.thing(lot['lot'])}: {_gap(gap)}" for lot in report["fsma204"] for gap in lot["gaps"]]
    return [*lines, "gaps in what the food traceability rule wants:", *_under(gaps)] if gaps else lines


def _under(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _gap(gap: Mapping[str, Any]) -> str:
    return printable(f"{words(gap['cte'])}, {words(gap['kde'])} ({gap['section']}): {gap['why']}")


def _ms(time: str | None) -> int | None:
    return None if time is None else time_ms(time, "until")


def _us(time: str | None) -> int:
    return 0 if time is None else round(datetime.fromisoformat(time).timestamp() * 1_000_000)
