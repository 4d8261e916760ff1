"""`loomark trace`: what a thing became, or what it came from."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .asked import names_of, operator_told, thing_of
from .client import DEFAULT_URL, ApiKeyFile, Url, connect
from .output import out, print_json, print_lines
from .trace_text import Names, iris, text

app = typer.Typer(add_completion=False)


@app.command()
def trace(
    thing: Annotated[
        str,
        typer.Argument(help="A lot, serial, carrier or document: its IRI, element string or bare number."),
    ],
    direction: Annotated[str, typer.Option(help="forward, backward or both.")] = "forward",
    at: Annotated[
        str | None, typer.Option(help="For a carrier: the instant that chooses its filling.")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Answer as known at this tree size.")] = None,
    url: Url = DEFAULT_URL,
    api_key_file: ApiKeyFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole answer as JSON.")] = False,
) -> None:
    """Trace a thing: who holds it now, what moves, what is missing, what is affected.

    A bare number that means several things ends with status 2 and their list.
    """
    with connect(url, api_key_file) as node:
        meant = thing_of(node, thing)
        with operator_told(node):
            answer = node.get_json("/api/trace", thing=meant, direction=direction, at=at, size=size)
        if as_json:
            print_json(answer)
        else:
            show(answer, names_of(node, iris(answer), answer["time"]))


def show(answer: dict[str, Any], names: Names) -> None:
    """Print a trace answer for people."""
    print_lines(text(answer, names, out.width if out.is_terminal else None))
