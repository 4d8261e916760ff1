"""`loomark migrate`: a node's database brought to this version, said out loud and once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from .output import out, print_json

app = typer.Typer(add_completion=False)


@app.command()
def migrate(
    data: Annotated[
        Path, typer.Option(help="Folder of a stopped node; the database is the one it is set to.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Bring the database to this version. On PostgreSQL run it once, with all nodes stopped; SQLite needs none of it."""
    from api.serve import node_settings
    from api.settings import load_settings
    from fabric.capture.node import migrate_database

    before, after = migrate_database(node_settings(load_settings(data, {}, os.environ)))
    if as_json:
        print_json({"from": before, "to": after})
    elif before == after:
        out.print(f"the database is of revision {after} already")
    else:
        out.print(f"migrated from {'an empty database' if before is None else before} to revision {after}")
