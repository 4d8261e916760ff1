"""`loomark serve`: a node on one data folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def serve(
    data: Annotated[Path, typer.Option(help="Folder of the node; made when it is not there.")],
    host: Annotated[str | None, typer.Option(help="Address to listen on. [127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one. [8080]")] = None,
    origin: Annotated[str | None, typer.Option(help="Name of the log, fixed at first start.")] = None,
) -> None:
    """Start a node from nothing, or from whatever its last run left. LOOMARK_OPERATOR_KEY chooses the operator's key."""
    from api.serve import serve as run
    from api.settings import load_settings

    flags = {"host": host, "port": port, "origin": origin}
    run(load_settings(data, flags, os.environ), _say)


def _say(line: str) -> None:
    # Scripts wait for these lines, so they are neither wrapped nor buffered.
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
