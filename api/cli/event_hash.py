"""`loomark event-hash`: the CBV 2.0 event hash ID of every event in a file, offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .columns import printable
from .output import REFUSED, err, out, print_json

if TYPE_CHECKING:
    from fabric.epcis.event_hash import Hashed

app = typer.Typer(add_completion=False)


@app.command()
def event_hash(
    file: Annotated[
        Path, typer.Argument(help="An EPCIS document, a query's answer or one event, in JSON or XML.")
    ],
    pre_image: Annotated[
        bool, typer.Option("--pre-image", help="Show the text that is hashed as well.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print index, eventID and hash of each event.

    A hash is a name to look events up by and to find duplicates with, not evidence: different events can share
    it, and a correction has the hash of its original. An event that cannot be hashed is told as such, and the
    status is 1.
    """
    from fabric.epcis.event_hash_file import hash_file

    found = hash_file(file.read_bytes())
    if as_json:
        print_json({"events": [_as_json(one, pre_image) for one in found]})
    else:
        for one in found:
            _show(one, pre_image)
    if any(one.problem for one in found):
        raise SystemExit(REFUSED)


def _as_json(one: Hashed, pre_image: bool) -> dict[str, Any]:
    told: dict[str, Any] = {
        "index": one.position,
        "eventID": one.event_id,
        "errorDeclaration": one.declares,
        "hash": one.hash_id,
    }
    if pre_image:
        told["preImage"] = one.pre_image
    if one.problem is not None:
        told["findings"] = [
            {name: value for name, value in finding.as_json().items() if name != "record"}
            for finding in one.problem.findings
        ]
    return told


def _show(one: Hashed, pre_image: bool) -> None:
    event_id = printable(one.event_id or "-")
    if one.problem is not None:
        out.print(f"{one.position}  {event_id}  no hash", markup=False)
        err.print(f"  {printable(one.problem.message)} [{one.problem.rule}]", markup=False)
        return
    declares = "  error declaration" if one.declares else ""
    out.print(f"{one.position}  {event_id}  {one.hash_id}{declares}", markup=False)
    if pre_image:
        out.print(f"   {printable(one.pre_image or '')}", markup=False)
