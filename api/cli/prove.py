"""`loomark prove`: the proof of one record, whole or in part."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ledger.errors import Conflict

from .asked import operator_told
from .client import DEFAULT_URL, ApiKeyFile, Url, connect, segment
from .output import WRONG_USE, err, out, print_json

app = typer.Typer(add_completion=False)


@app.command()
def prove(
    record: Annotated[str, typer.Argument(help="Record id (commitment), or an event ID.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write the proof to.")],
    show: Annotated[
        list[str] | None,
        typer.Option(help="JSON pointer of what the proof shows; repeat. None: everything."),
    ] = None,
    url: Url = DEFAULT_URL,
    api_key_file: ApiKeyFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Fetch the proof of one record. An event ID that several records carry ends with status 2 and their list."""
    with connect(url, api_key_file) as node:
        try:
            with operator_told(node):
                response = node.get(f"/api/records/{segment(record)}/proof", show=show or None)
        except Conflict as several:
            for finding in several.findings:
                err.print(finding.got, markup=False)
            err.print(several.message, markup=False)
            raise SystemExit(WRONG_USE) from several
    output.write_bytes(response.content)
    if as_json:
        print_json({"record": record, "proof": str(output), "bytes": len(response.content)})
    else:
        out.print(f"wrote {output} ({len(response.content)} bytes)", markup=False)
