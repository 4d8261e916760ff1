"""`loomark prove`: the proof of one record, whole or in part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer

from api.pages.text import words
from ledger.errors import Conflict
from loomark.calls import segment

from .asked import operator_told
from .client import DEFAULT_URL, ApiKeyFile, Node, Url, connect
from .columns import columns
from .output import WRONG_USE, err, out, print_json

app = typer.Typer(add_completion=False)
AGAINST = {
    None: "",
    "anchored": ", against a checkpoint that the channel's organisations cosigned",
    "published": ", against a published checkpoint: the organisations have not cosigned one that covers it yet",
}
_SEVERAL = "several-records"


@app.command()
def prove(
    record: Annotated[str, typer.Argument(help="Record id (commitment), or an event ID.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write the proof to.")],
    show: Annotated[
        list[str] | None,
        typer.Option(help="JSON pointer of what the proof shows; repeat. None: everything."),
    ] = None,
    form: Annotated[
        Literal["bundle", "tlog"],
        typer.Option("--format", help="tlog: C2SP text that its statement is in the log, for other tools."),
    ] = "bundle",
    url: Url = DEFAULT_URL,
    api_key_file: ApiKeyFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Fetch the proof of one record. An event ID that several records carry ends with status 2 and their list."""
    with connect(url, api_key_file) as node:
        try:
            with operator_told(node):
                response = node.get(f"/api/records/{segment(record)}/proof", show=show or None, format=form)
        except Conflict as several:
            if several.rule != _SEVERAL:
                raise
            _list([_told(node, finding.got) for finding in several.findings], as_json)
    output.write_bytes(response.content)
    against = response.headers.get("Loomark-Checkpoint")
    if as_json:
        told = {} if against is None else {"checkpoint": against}
        print_json({"record": record, "proof": str(output), "bytes": len(response.content), **told})
    else:
        out.print(f"wrote {output} ({len(response.content)} bytes){AGAINST[against]}", markup=False)


def _told(node: Node, name: str) -> dict[str, Any]:
    """One record that carries an event ID, by what tells it from its namesakes."""
    found = node.get_json(f"/api/records/{segment(name)}")
    value = found["value"]
    shown = {field: value.get(field) for field in ("type", "eventTime", "bizStep")}
    declares = "errorDeclaration" in value
    place = {field: found[field] for field in ("record", "member", "index", "position")}
    return {**place, **shown, "declares": declares}


def _list(records: Sequence[dict[str, Any]], as_json: bool) -> NoReturn:
    """Offer the records that share an event ID, and end as a question with several meanings ends."""
    if as_json:
        print_json(records)
    err.print(f"{len(records)} records carry this event ID:", markup=False)
    rows = [
        (
            one["record"],
            one["member"],
            "waits" if one["index"] is None else str(one["index"]),
            str(one["eventTime"] or ""),
            "error declaration" if one["declares"] else words(one["bizStep"]) or str(one["type"]),
        )
        for one in records
    ]
    headings = ("record", "member", "at", "time", "what")
    for line in columns(headings, rows, err.width if err.is_terminal else None):
        err.print(line, markup=False)
    err.print("Ask again with one of these records.", markup=False)
    raise SystemExit(WRONG_USE)
