"""`loomark generate`: a seeded supply-chain scenario with its truth."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from .earlier_run import clear
from .output import out, print_json, status

app = typer.Typer(add_completion=False)


@app.command()
def generate(
    events: Annotated[int, typer.Option(min=0, help="Number of events.")],
    output: Annotated[
        Path,
        typer.Option(
            "--out",
            help="Folder for one folder a member, members.json and truth.json. New, empty, or of an earlier run,"
            " which is replaced.",
        ),
    ],
    members: Annotated[int, typer.Option(min=1, help="Number of members.")] = 8,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
    defects: Annotated[bool, typer.Option(help="Put known defects into the records.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Simulate physical portions through a supply chain and write what each member would capture."""
    from fabric.scenario import generate as write

    clear(output)
    with status(f"writing {events} events"):
        made = write(events, members, seed, output, defects)
    if as_json:
        print_json({"out": str(output), **asdict(made)})
    else:
        out.print(
            f"{made.events} events in {output}, {made.defects} defects, truth in {output / 'truth.json'}"
        )
