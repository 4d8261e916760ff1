"""`loomark trace`: what a thing became, or what it came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from api.pages.text import name, when, words

from .client import DEFAULT_URL, ApiKeyFile, Url, connect
from .output import out, print_json

app = typer.Typer(add_completion=False)

_SHOWN = 40


@app.command()
def trace(
    thing: Annotated[str, typer.Argument(help="IRI of a lot, serial, carrier or document.")],
    direction: Annotated[str, typer.Option(help="forward, backward or both.")] = "forward",
    at: Annotated[
        str | None, typer.Option(help="For a carrier: the instant that chooses its filling.")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Answer as known at this tree size.")] = None,
    url: Url = DEFAULT_URL,
    api_key_file: ApiKeyFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole answer as JSON.")] = False,
) -> None:
    """Trace a thing: what is affected, who holds it, how much is unaccounted for."""
    with connect(url, api_key_file) as node:
        answer = node.get_json("/api/trace", thing=thing, direction=direction, at=at, size=size)
    if as_json:
        print_json(answer)
    else:
        show(answer)


def show(answer: dict[str, Any], labels: Mapping[str, str] | None = None) -> None:
    """Print a trace answer for people: affected things, quantities, what stopped it, what contradicts.

    `labels` gives names of products and places where the caller has them.
    """
    named = partial(name, labels=labels or {})
    affected = answer["affected"]
    out.print(
        f"{answer['direction']} trace of {named(answer['thing'])}: {len(affected)} affected; covers tree size "
        f"{answer['size']}, sealed {when(answer['time'])}",
        markup=False,
    )
    out.print(_affected_table(affected[:_SHOWN], named))
    if len(affected) > _SHOWN:
        out.print(f"… and {len(affected) - _SHOWN} more; --json gives all of them")
    if answer["quantities"]:
        out.print(_quantity_table(answer["quantities"][:_SHOWN], named))
    for item in answer["contradictions"][:_SHOWN]:
        things = ", ".join(map(named, item["things"]))
        out.print(f"contradiction: {words(item['kind'])}: {things}: {item['detail']}", markup=False)
    for item in answer["stops"][:_SHOWN]:
        detail = f": {named(item['detail'])}" if item["detail"] else ""
        out.print(f"stopped at {named(item['thing'])}: {words(item['reason'])}{detail}", markup=False)
    if answer["hidden"] != "none":
        out.print(f"hidden from you: {answer['hidden']} records that touch what is shown")


def _affected_table(affected: list[dict[str, Any]], named: Callable[[str | None], str]) -> Table:
    table = Table("thing", "holder", "place", "state", box=SIMPLE_HEAD)
    for item in affected:
        holder = item["holder"] or {}
        who = holder.get("member") or named(holder.get("party")) or "unknown"
        possible = " (possible)" if item["strength"] == "possible" else ""
        thing = "  " * item["level"] + named(item["thing"]) + possible
        table.add_row(*map(escape, (thing, who, named(holder.get("place")), words(holder.get("state")))))
    return table


def _quantity_table(quantities: list[dict[str, Any]], named: Callable[[str | None], str]) -> Table:
    columns = ("made", "on_hand", "in_transit", "used", "sold", "destroyed", "unaccounted", "surplus")
    table = Table("lot", "unit", box=SIMPLE_HEAD)
    for column in columns:
        table.add_column(words(column), justify="right")
    for item in quantities:
        # The table above names the product; here the lot alone leaves room for the numbers.
        lot = escape(named(item["thing"]).rpartition(", ")[2])
        table.add_row(lot, item["unit"] or "items", *(item[column] for column in columns))
    return table
