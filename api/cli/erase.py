"""`loomark erase`: take a record, or units of it, out of a node; signed with your own key or in the node's custody."""

from __future__ import annotations

import json
import secrets
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from ledger.commitment import RECORD_SALT_SIZE_BYTES
from loomark.signing import Signing, signed_statement

from .client import DEFAULT_URL, ApiKeyFile, Node, Url, connect
from .key_source import PassphraseFile, signing_of_file
from .output import out, print_json

app = typer.Typer(add_completion=False)

LOOK_EVERY_S = 0.25


@app.command()
def erase(
    record: Annotated[list[str], typer.Argument(metavar="RECORD…", help="Commitment or IRI of your record.")],
    reason: Annotated[str, typer.Option(help="Why; kept beside the log, for its parties.")],
    unit: Annotated[
        list[str] | None, typer.Option(help="JSON pointer of a unit to erase instead of the whole; repeat.")
    ] = None,
    party: Annotated[list[str] | None, typer.Option(help="Member that may read the reason; repeat.")] = None,
    key: Annotated[
        Path | None, typer.Option(help="Your key file; without it the node signs in custody.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait until no file holds it any more.")] = 60.0,
    url: Url = DEFAULT_URL,
    api_key_file: ApiKeyFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Erase what you captured: value and salt go, the proof that something was there stays.

    What others hold already, and backups, this does not reach: docs/spec/erasure.md.
    """
    told: dict[str, Any] = {"records": record, "units": unit or [], "reason": reason, "parties": party or []}
    with connect(url, api_key_file) as node:
        body = told if key is None else _signed(node, signing_of_file(key, passphrase_file), told)
        answer = node.post("/api/erasures", json.dumps(body).encode(), "application/json").json()
        state = _settled(node, answer["statement"], wait)
    if as_json:
        print_json(state)
        return
    out.print(f"erased by statement {state['statement']} (log index {state['index']})", markup=False)
    if state["state"] == "gone":
        out.print("no file of the node holds it any more", markup=False)
    else:
        left = [name for name in ("database", "graph") if not state[name]]
        out.print(f"no answer shows it any more; still to be rewritten: {', '.join(left)}", markup=False)


def _settled(node: Node, statement: str, wait_s: float) -> dict[str, Any]:
    """What is done of an erasure, after waiting for the rest of it."""
    deadline = time.monotonic() + wait_s
    while True:
        found: dict[str, Any] = node.get_json(f"/api/erasures/{statement}")
        if found["state"] == "gone" or time.monotonic() >= deadline:
            return found
        time.sleep(LOOK_EVERY_S)


def _signed(node: Node, signing: Signing, told: dict[str, Any]) -> dict[str, Any]:
    from fabric.epcis.erasure import erasure_of

    made = erasure_of(told["records"], told["units"], told["reason"])
    member = str(node.get_json("/api/members")["self"])
    salt = secrets.token_bytes(RECORD_SALT_SIZE_BYTES)
    body = {"parties": sorted({member, *told["parties"]}), "commitment": made.commitment(salt).hex()}
    envelope = signed_statement(node.see(signing.memory), "erasure", member, signing.signer, body)
    return {"envelope": json.loads(envelope), "salt": salt.hex(), "body": made.as_json()}
