"""`loomark link`: say that two names are one lot or serial, signed with your own key or in the node's custody."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Annotated, Any

import typer

from ledger.commitment import RECORD_SALT_SIZE_BYTES
from loomark.signing import Signing, signed_statement

from .client import DEFAULT_URL, ApiKeyFile, Node, Url, connect
from .key_source import PassphraseFile, signing_of_file
from .output import out, print_json

app = typer.Typer(add_completion=False)


@app.command()
def link(
    one: Annotated[str, typer.Argument(metavar="A", help="Any name of a lot or serial.")],
    other: Annotated[str, typer.Argument(metavar="B", help="Another name of the same lot or serial.")],
    reason: Annotated[str | None, typer.Option(help="Why, for people.")] = None,
    party: Annotated[list[str] | None, typer.Option(help="Member that may see the link; repeat.")] = None,
    key: Annotated[
        Path | None, typer.Option(help="Your key file; without it the node signs in custody.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    url: Url = DEFAULT_URL,
    api_key_file: ApiKeyFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """State that two names are one thing; traces of you and of the parties follow it both ways."""
    parties = sorted(set(party or []))
    with connect(url, api_key_file) as node:
        if key is None:
            body: dict[str, Any] = {"same": [one, other], "reason": reason, "parties": parties}
        else:
            body = _signed(node, signing_of_file(key, passphrase_file), [one, other], reason, parties)
        answer = node.post("/api/links", json.dumps(body).encode(), "application/json").json()
    if as_json:
        print_json(answer)
    else:
        out.print(f"linked by statement {answer['statement']} (log index {answer['index']})", markup=False)


def _signed(
    node: Node, signing: Signing, names: list[str], reason: str | None, parties: list[str]
) -> dict[str, Any]:
    from fabric.epcis.link import link_of

    made = link_of(names, reason)
    member = str(node.get_json("/api/members")["self"])
    salt = secrets.token_bytes(RECORD_SALT_SIZE_BYTES)
    told = {"parties": sorted({member, *parties}), "commitment": made.commitment(salt).hex()}
    envelope = signed_statement(node.see(signing.memory), "link", member, signing.signer, told)
    return {"envelope": json.loads(envelope), "salt": salt.hex(), "body": made.as_json()}
