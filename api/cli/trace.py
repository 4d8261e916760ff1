"""`loomark trace`: what a thing became, or what it came from."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

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


def show(answer: dict[str, Any]) -> None:
    """Print a trace answer for people: affected things, quantities, what stopped it, what contradicts."""
    affected = answer["affected"]
    out.print(
        f"{answer['direction']} trace of {answer['thing']}: {len(affected)} affected, "
        f"{len(answer['carriers'])} carryings, tree size {answer['size']}, as of {answer['time']}",
        markup=False,
    )
    out.print(_affected_table(affected[:_SHOWN]))
    if len(affected) > _SHOWN:
        out.print(f"… and {len(affected) - _SHOWN} more; --json gives all of them")
    if answer["quantities"]:
        out.print(_quantity_table(answer["quantities"][:_SHOWN]))
    for title in ("contradictions", "stops"):
        for item in answer[title][:_SHOWN]:
            what = item.get("kind") or item.get("reason")
            where = ", ".join(item.get("things", [])) or item.get("thing", "")
            out.print(f"{title[:-1]}: {what}: {where} {item.get('detail') or ''}", markup=False)
    if answer["hidden"] != "none":
        out.print(f"hidden from you: {answer['hidden']} records that touch what is shown")


def _affected_table(affected: list[dict[str, Any]]) -> Table:
    table = Table("level", "thing", "kind", "strength", "holder", "place", "state")
    for item in affected:
        holder = item["holder"] or {}
        who = holder.get("member") or holder.get("party") or "unknown"
        place = holder.get("place") or ""
        row = (
            item["level"],
            item["thing"],
            item["kind"],
            item["strength"],
            who,
            place,
            holder.get("state", ""),
        )
        table.add_row(*(str(cell) for cell in row))
    return table


def _quantity_table(quantities: list[dict[str, Any]]) -> Table:
    columns = ("made", "on_hand", "in_transit", "used", "sold", "destroyed", "unaccounted", "surplus")
    table = Table("lot", "unit", *columns)
    for item in quantities:
        table.add_row(item["thing"], item["unit"] or "items", *(item[column] for column in columns))
    return table
