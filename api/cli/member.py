"""`loomark member`: admit members, list them, rotate and revoke keys, grant roles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from ledger.ed25519 import admit_public_key, key_id
from ledger.errors import InvalidInput
from ledger.keyfile import read_key_file

from .client import DEFAULT_URL, ApiKeyFile, Node, Url, connect
from .output import out, print_json
from .seen import see
from .signing import signed_statement

app = typer.Typer(no_args_is_help=True, add_completion=False)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="The organisation's name; its member id is made from it.")],
    public_key: Annotated[str | None, typer.Option(help="The line that keygen printed.")] = None,
    party: Annotated[
        list[str] | None, typer.Option(help="GLN, company prefix or party IRI it holds.")
    ] = None,
    role: Annotated[list[str] | None, typer.Option(help="member, auditor or recall.")] = None,
    member_id: Annotated[str | None, typer.Option("--id", help="Member id, [a-z0-9-]{1,64}.")] = None,
    url: Url = DEFAULT_URL,
    api_key_file: ApiKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Admit a member. Prints its id and its API key, which is shown once and stored only as a hash."""
    if public_key is not None:
        admit_public_key(public_key)
    given = {"subject": member_id, "publicKey": public_key, "parties": party, "roles": role}
    statement = {"type": "member", "name": name, **{key: value for key, value in given.items() if value}}
    with connect(url, api_key_file) as node:
        answer = _post(node, statement)
    made = {"member": answer["member"], "apiKey": answer["apiKey"]}
    if as_json:
        print_json(made)
    else:
        out.print(f"member  {made['member']}\napi key {made['apiKey']}", markup=False)


@app.command("list")
def list_members(url: Url = DEFAULT_URL, api_key_file: ApiKeyFile = None, as_json: AsJson = False) -> None:
    """List members with their keys, identifiers and roles."""
    with connect(url, api_key_file) as node:
        answer = node.get_json("/api/members")
    if as_json:
        print_json(answer)
        return
    table = Table("member", "name", "roles", "parties", "keys")
    for member in answer["members"]:
        keys = (f"{key['keyid'][:12]}… {key['use']} {key['state']}" for key in member["keys"])
        parties = (party["value"] for party in member["parties"])
        table.add_row(
            member["id"], member["name"], " ".join(member["roles"]), "\n".join(parties), "\n".join(keys)
        )
    out.print(table)


@app.command("rotate")
def rotate(
    member_id: Annotated[str, typer.Argument(metavar="ID")],
    new: Annotated[str, typer.Option("--public-key", help="The new key's line from keygen.")],
    key: Annotated[Path, typer.Option("--key", help="File of the old key, which signs the change.")],
    url: Url = DEFAULT_URL,
    api_key_file: ApiKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Put a new key in the place of an old one; the old key signs, and signs nothing after it."""
    admit_public_key(new)
    with connect(url, api_key_file) as node:
        body = {"action": "rotate", "publicKey": new}
        envelope = signed_statement(see(node, key), "key", member_id, read_key_file(key), body)
        answer = node.post("/api/statements", envelope, "application/json").json()
    _report(answer, f"{member_id} signs with {key_id(admit_public_key(new))}", as_json)


@app.command("revoke")
def revoke(
    member_id: Annotated[str, typer.Argument(metavar="ID")],
    target: Annotated[str, typer.Argument(metavar="KEYID", help="SHA-256 of the key, hex.")],
    since: Annotated[int | None, typer.Option(help="Log index from which the key is disputed.")] = None,
    url: Url = DEFAULT_URL,
    api_key_file: ApiKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Revoke a member's key, with --since also disputing what it signed from that index on."""
    statement: dict[str, Any] = {"type": "key", "action": "revoke", "target": target}
    if since is not None:
        statement["since"] = since
    with connect(url, api_key_file) as node:
        _check_holder(node, member_id, target)
        answer = _post(node, statement)
    _report(answer, f"{target} of {member_id} is revoked", as_json)


@app.command("grant")
def grant(
    grantee: Annotated[str, typer.Argument(metavar="ID")],
    role: Annotated[str, typer.Option(help="member, auditor or recall.")],
    members: Annotated[list[str] | None, typer.Option("--for", help="Members it covers; none: all.")] = None,
    until: Annotated[str | None, typer.Option(help="UTC time, such as 2027-01-01T00:00:00.000Z.")] = None,
    url: Url = DEFAULT_URL,
    api_key_file: ApiKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Grant a member a role over the records of all or of listed members."""
    covered = sorted(set(members)) if members else "all"
    statement = {"type": "role", "grantee": grantee, "role": role, "for": covered, "until": until}
    with connect(url, api_key_file) as node:
        answer = _post(node, statement)
    _report(answer, f"{grantee} is granted {role}", as_json)


def _post(node: Node, statement: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = node.post(
        "/api/statements", json.dumps(statement).encode(), "application/json"
    ).json()
    return answer


def _report(answer: dict[str, Any], message: str, as_json: bool) -> None:
    if as_json:
        print_json(answer)
    else:
        out.print(f"{message} (log index {answer.get('index')})", markup=False)


def _check_holder(node: Node, member_id: str, keyid: str) -> None:
    members = {member["id"]: member for member in node.get_json("/api/members")["members"]}
    keys = {key["keyid"] for key in members.get(member_id, {"keys": []})["keys"]}
    if keyid not in keys:
        raise InvalidInput(f"{member_id} has no key {keyid}", rule="unknown-key")
