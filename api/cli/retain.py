"""`loomark retain`: list what is due under the retention policies, and erase it. Run it once a day."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .client import DEFAULT_URL, ApiKeyFile, Url, connect
from .output import out, print_json
from .retention import said

app = typer.Typer(add_completion=False)


@app.command()
def retain(
    apply: Annotated[
        bool, typer.Option("--apply/--dry-run", help="Erase what is due, or only list it (the default).")
    ] = False,
    url: Url = DEFAULT_URL,
    api_key_file: ApiKeyFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the records that are due, with the operator's API key those of all members; --apply erases them.

    Every erasure is stated in the log, in the name of the member and with the key that it delegated to the node.
    """
    with connect(url, api_key_file) as node:
        path = f"/api/retention/pass?apply={'true' if apply else 'false'}"
        while True:
            answer = node.post(path, b"", "application/json").json()
            if as_json:
                print_json(answer)
            for one in () if as_json else answer["due"]:
                _print(one, applied=apply)
            # One pass takes a few thousand records of each member.
            if not any(one["left"] for one in answer["due"]):
                break
    if not answer["due"] and not as_json:
        out.print("no retention is set", markup=False)


def _print(one: dict[str, Any], *, applied: bool) -> None:
    done = ""
    if one["cannot"]:
        done = (
            f"; the node has no key that {one['member']} delegated to it: {one['member']} has to erase them"
        )
    elif applied and one["count"]:
        done = f", erased by log indices {', '.join(map(str, one['indices']))}"
    out.print(f"{one['member']} ({said(one)}): {one['count']} records due{done}", markup=False)
    if not applied:
        for record in one["records"]:
            out.print(f"  {record}", markup=False)
        if one["count"] > len(one["records"]):
            out.print(f"  and {one['count'] - len(one['records'])} more", markup=False)
