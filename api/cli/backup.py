"""`loomark backup`: a copy of a node's data, taken beside the running node, and its verification."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .output import out, print_json

if TYPE_CHECKING:
    from fabric.capture.backup import Backup

app = typer.Typer(add_completion=False)


@app.command()
def backup(
    folder: Annotated[
        Path, typer.Argument(help="Folder of the backup; made when it is not there, else empty.")
    ],
    data: Annotated[Path | None, typer.Option(help="Folder of the node, running or stopped.")] = None,
    keys: Annotated[
        bool,
        typer.Option("--with-keys", help="Copy the private keys too; keep the copy as secret as they are."),
    ] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Check a backup instead of making one.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Copy a node's data while it runs, without its high-water file; or check such a copy, as a restore would."""
    from fabric.capture.backup import back_up, verify_backup
    from ledger.errors import InvalidInput

    if verify == (data is not None):
        raise InvalidInput("expected either --data or --verify", rule="bad-parameter")
    if data is None:
        made = verify_backup(folder)
    else:
        made = back_up(data, _database(data), folder, now_ms=time.time_ns() // 1_000_000, keys=keys)
    if as_json:
        print_json(made.as_json())
    else:
        _tell(made, folder, "verified" if verify else "made")


def _tell(made: Backup, folder: Path, done: str) -> None:
    keys = "with its private keys" if made.keys else "without private keys: keep them elsewhere"
    out.print(f"{done} {folder}: {made.head.origin} at tree size {made.head.size}, {made.time}, {keys}")
    out.print(f"root {made.head.root.hex()}")


def _database(data: Path) -> Path:
    """The node's database file. On a database server the server's own tools copy it."""
    from api.cli.fsck import node_database
    from api.settings import load_settings
    from ledger.errors import InvalidInput
    from ledger.log.engine import is_postgres

    database = node_database(load_settings(data, {}, os.environ))
    if is_postgres(database):
        raise InvalidInput(
            "expected a node with a database file, got one on PostgreSQL: use pg_dump or base backups, then copy log/",
            rule="database-elsewhere",
        )
    return Path(str(database).removeprefix("sqlite:///"))
