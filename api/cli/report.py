"""`loomark report`: a provenance report of a thing, as JSON evidence and as a page to print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .client import DEFAULT_URL, ApiKeyFile, Url, connect
from .output import out, print_json

app = typer.Typer(add_completion=False)


@app.command()
def report(
    thing: Annotated[str, typer.Argument(help="IRI of the thing.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File for the JSON evidence.")],
    html: Annotated[Path | None, typer.Option(help="File for the printable page.")] = None,
    direction: Annotated[str, typer.Option(help="forward, backward or both.")] = "both",
    url: Url = DEFAULT_URL,
    api_key_file: ApiKeyFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a provenance report; `loomark verify` checks it on another machine, offline."""
    written = {"thing": thing, "report": str(output)}
    with connect(url, api_key_file) as node:
        output.write_bytes(node.get("/api/reports/provenance", thing=thing, direction=direction).content)
        if html is not None:
            page = node.get("/api/reports/provenance", thing=thing, direction=direction, format="html")
            html.write_bytes(page.content)
            written["html"] = str(html)
    if as_json:
        print_json(written)
    else:
        out.print(
            "wrote " + " and ".join(value for name, value in written.items() if name != "thing"), markup=False
        )
