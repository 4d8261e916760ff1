"""`loomark fsck`: what a node stores, checked against its log and derived again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .output import REFUSED, out, print_json, print_lines
from .output import progress as progress_bar

if TYPE_CHECKING:
    from api.settings import Settings
    from ledger.note import VerifierKey

app = typer.Typer(add_completion=False)


@app.command()
def fsck(
    data: Annotated[Path, typer.Option(help="Folder of a node, running or stopped.")],
    vkey: Annotated[
        str | None,
        typer.Option(
            help="The log's key as you know it, or a file that holds it; else the folder's own is believed."
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="List every place that is kept, not the first five.")
    ] = False,
    scratch: Annotated[
        Path | None, typer.Option(help="Folder for the copy: room for twice the database and the graph.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON (docs/spec/fsck.md).")] = False,
) -> None:
    """Check log, records, projections, graph and keys, changing nothing.

    Exit code 0: clean, 1: faults were found, 3: there is nothing to check.
    """
    from api.settings import load_settings
    from fabric.integrity import check_node

    from .fsck_text import SHOWN, report_lines

    settings = load_settings(data, {}, os.environ)
    with progress_bar() as shown:
        task = shown.add_task("log", total=None)
        report = check_node(
            data,
            node_database(settings),
            None if vkey is None else _vkey(vkey),
            scratch=scratch,
            high_water=settings.high_water_file,
            progress=lambda what, done, total: shown.update(
                task, description=what, completed=done, total=total
            ),
            elsewhere=_elsewhere(settings),
        )
    if as_json:
        print_json(report.as_json())
    else:
        kept = max([len(one.faults) for one in report.explained], default=0)
        print_lines(report_lines(report, shown=kept if every else SHOWN, width=out.width))
    if report.faults:
        raise SystemExit(REFUSED)


def node_database(settings: Settings) -> Path | str:
    """The node's database: its URL, or the file in the folder."""
    from fabric.capture.node import DATABASE
    from ledger.errors import Unavailable

    if settings.database is not None:
        return settings.database
    path = settings.data / DATABASE
    if not path.is_file():
        raise Unavailable(f"expected a node's folder, got {settings.data} without {path.name}")
    return path


def _vkey(text: str) -> VerifierKey:
    """A vkey line, or the one in a file."""
    from ledger.note import parse_vkey

    path = Path(text)
    if "+" not in text or path.is_file():
        text = path.read_text(encoding="ascii", errors="replace").strip()
    return parse_vkey(text)


def _elsewhere(settings: Settings) -> frozenset[str]:
    """Uses whose keys come from the environment, so that no file need hold them."""
    found = (("log", settings.log_key), ("operator", settings.operator_signing_key))
    return frozenset([name for name, value in found if value])
