"""`loomark retention`: how long the records of a member are kept. Nothing is erased before `loomark retain --apply`."""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.parse import quote

import typer

from .client import DEFAULT_URL, ApiKeyFile, Url, connect
from .output import out, print_json

app = typer.Typer(add_completion=False, no_args_is_help=True)

Member = Annotated[str, typer.Argument(help="Id of the member.")]


@app.command("set")
def set_(
    member: Member,
    days: Annotated[int | None, typer.Option(help="Days after capture that a record is kept.")] = None,
    until: Annotated[
        str | None,
        typer.Option(help="Until when all captured before is kept: YYYY-MM-DDThh:mm:ss.sssZ."),
    ] = None,
    url: Url = DEFAULT_URL,
    api_key_file: ApiKeyFile = None,
) -> None:
    """Set how long records are kept: by the member, or by the operator for one without a key of its own."""
    if (days is None) == (until is None):
        raise typer.BadParameter("expected --days or --until")
    value = {"days": days} if days is not None else {"until": until}
    with connect(url, api_key_file) as node:
        answer = node.put(
            f"/api/members/{quote(member, safe='')}/retention", json.dumps(value).encode()
        ).json()
    out.print(f"{member}: {said(answer['policy'])}", markup=False)


@app.command()
def clear(member: Member, url: Url = DEFAULT_URL, api_key_file: ApiKeyFile = None) -> None:
    """Keep the records of a member without end."""
    with connect(url, api_key_file) as node:
        node.put(f"/api/members/{quote(member, safe='')}/retention", b"{}")
    out.print(f"{member}: kept without end", markup=False)


@app.command()
def show(
    url: Url = DEFAULT_URL,
    api_key_file: ApiKeyFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what is set: your own, or all for the operator."""
    with connect(url, api_key_file) as node:
        found = node.get_json("/api/retention")["policies"]
    if as_json:
        print_json({"policies": found})
        return
    for one in found:
        out.print(f"{one['member']}: {said(one)}, set by {one['setBy']} at {one['setAt']}", markup=False)
    if not found:
        out.print("no retention is set: records are kept without end", markup=False)


def said(policy: dict[str, Any]) -> str:
    """A policy in words."""
    if policy["days"] is not None:
        return f"kept {policy['days']} days after capture"
    return f"kept until {policy['until']}"
