"""`loomark policy`: the trust policy of a node's log, for a verifier to pin."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .client import DEFAULT_URL, ApiKeyFile, Url, connect
from .output import out, print_json

app = typer.Typer(add_completion=False)


@app.command()
def policy(
    output: Annotated[Path, typer.Option("-o", "--output", help="File for the policy.")],
    url: Url = DEFAULT_URL,
    api_key_file: ApiKeyFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write the log's key and witnesses as a C2SP tlog-policy. Compare it with one from another source before you trust it."""
    with connect(url, api_key_file) as node:
        text = node.get("/api/policy").content
    output.write_bytes(text)
    if as_json:
        print_json({"policy": str(output)})
    else:
        out.print(f"wrote {output}", markup=False)
