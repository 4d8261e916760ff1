"""`loomark fsck`: what a node stores, checked against its log and derived again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from .output import REFUSED, out, print_json
from .output import progress as progress_bar

if TYPE_CHECKING:
    from api.settings import Settings
    from ledger.note import VerifierKey

app = typer.Typer(add_completion=False)


@app.command()
def fsck(
    data: Annotated[Path, typer.Option(help="Folder of a node, running or stopped.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check log, documents, records and projections, changing nothing. Exit code 0: clean, 1: faults were found."""
    from api.settings import load_settings
    from fabric.integrity import check_node

    settings = load_settings(data, {}, os.environ)
    with progress_bar() as shown:
        task = shown.add_task("log", total=None)
        report = check_node(
            data,
            _database(settings),
            _log_key(settings),
            progress=lambda what, done, total: shown.update(
                task, description=what, completed=done, total=total
            ),
            elsewhere=_elsewhere(settings),
        )
    if as_json:
        print_json(report.as_json())
    else:
        for fault in report.faults:
            out.print(f"[red]{escape(fault.rule)}[/red] {escape(fault.place)}: {escape(fault.message)}")
        verdict = "clean" if not report.faults else f"{len(report.faults)} faults"
        out.print(
            f"{verdict}: tree size {report.size}, {report.documents} documents, {report.captures} captures,"
            f" {report.records} records, {report.projections} rows derived again"
        )
    if report.faults:
        raise SystemExit(REFUSED)


def _database(settings: Settings) -> Path:
    from sqlalchemy.engine import make_url

    from fabric.capture.node import DATABASE
    from ledger.errors import InvalidInput

    if settings.database is None:
        return settings.data / DATABASE
    if "://" not in settings.database:
        return Path(settings.database)
    url = make_url(settings.database)
    if url.get_backend_name() != "sqlite" or not url.database:
        raise InvalidInput("expected a database in a SQLite file, got another kind", rule="bad-setting")
    return Path(url.database)


def _elsewhere(settings: Settings) -> frozenset[str]:
    """Which of the node's keys its environment gives, so that no file holds them."""
    given = {"log": settings.log_key, "operator": settings.operator_signing_key}
    return frozenset([name for name, text in given.items() if text])


def _log_key(settings: Settings) -> VerifierKey:
    """A key that the node in this folder signed its log with, under the origin that the log was given."""
    from fabric.capture.keyring import LOG, public_key_given
    from fabric.store.engine import reader_engine
    from ledger.errors import Unavailable
    from ledger.keyfile import read_public_key
    from ledger.log.database import read_head
    from ledger.note import ED25519, VerifierKey

    database = _database(settings)
    if not database.is_file():
        raise Unavailable(f"expected a node's folder, got {settings.data} without {database.name}")
    engine = reader_engine(database)
    try:
        with engine.connect() as connection:
            origin = read_head(connection).origin
    finally:
        engine.dispose()
    given = public_key_given("LOOMARK_LOG_KEY", settings.log_key)
    return VerifierKey(origin, ED25519, given or read_public_key(settings.data / "keys" / f"{LOG}.key"))
