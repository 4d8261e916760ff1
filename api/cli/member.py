"""`loomark member`: admit members, list them, rotate and revoke keys, grant roles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from ledger.ed25519 import admit_public_key, key_id
from ledger.errors import InvalidInput, NotFound
from ledger.shape import time_text
from loomark.calls import segment
from loomark.signing import signed_statement

from .client import DEFAULT_URL, ApiKeyFile, Node, Url, connect
from .columns import printable
from .key_source import PassphraseFile, signing_of_file
from .output import out, print_json, print_lines

app = typer.Typer(no_args_is_help=True, add_completion=False)

_STATED = {"publicKey": "a key", "parties": "the parties it holds", "roles": "its roles"}

_PREFIX_DIGITS = 8
_STATED = {"publicKey": "a key", "parties": "the parties it holds", "roles": "its roles"}

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="The organisation's name; its member id is made from it.")],
    public_key: Annotated[str | None, typer.Option(help="The line that keygen printed.")] = None,
    party: Annotated[
        list[str] | None, typer.Option(help="GLN, company prefix or party IRI it holds.")
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(help="member (the default), auditor or recall; repeat. Only a member captures."),
    ] = None,
    member_id: Annotated[
        str | None, typer.Option("--id", help="Member id: 1 to 64 of a-z, 0-9 and -.")
    ] = None,
    url: Url = DEFAULT_URL,
    api_key_file: ApiKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Admit a member. Prints its id and its API key, which is shown once and stored only as a hash.

    For a member that was admitted before, what is given here is stated beside what was; it keeps its API key.
    """
    if public_key is not None:
        admit_public_key(public_key)
    given = {"subject": member_id, "publicKey": public_key, "parties": party, "roles": role}
    statement = {"type": "member", "name": name, **{key: value for key, value in given.items() if value}}
    with connect(url, api_key_file) as node:
        answer = _post(node, statement)
    if as_json:
        print_json({name: answer[name] for name in ("member", "apiKey", "index") if name in answer})
    elif "apiKey" in answer:
        out.print(f"member  {answer['member']}\napi key {answer['apiKey']}", markup=False)
    else:
        _show_restated(answer, given)


def _show_restated(answer: dict[str, Any], given: dict[str, Any]) -> None:
    stated = [words for key, words in _STATED.items() if given[key]]
    told = ", ".join(["its name", *stated])
    out.print(
        f"{answer['member']} is already a member; stated again: {told} (log index {answer['index']}).\n"
        f"Its API key stays as it was; a fresh one: loomark member api-key {answer['member']}",
        markup=False,
    )


@app.command("api-key")
def fresh_api_key(
    member_id: Annotated[str, typer.Argument(metavar="ID")],
    url: Url = DEFAULT_URL,
    api_key_file: ApiKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Print a fresh API key of a member, shown this once; its earlier ones are revoked."""
    with connect(url, api_key_file) as node:
        answer = node.post(f"/api/members/{segment(member_id)}/api-key", b"", "application/json").json()
    if as_json:
        print_json(answer)
    else:
        out.print(f"member  {answer['member']}\napi key {answer['apiKey']}", markup=False)


@app.command("list")
def list_members(url: Url = DEFAULT_URL, api_key_file: ApiKeyFile = None, as_json: AsJson = False) -> None:
    """List members with their keys, identifiers and roles."""
    with connect(url, api_key_file) as node:
        answer = node.get_json("/api/members")
    if as_json:
        print_json(answer)
        return
    for member in answer["members"]:
        print_lines(_member_lines(member))


def _member_lines(member: dict[str, Any]) -> Iterator[str]:
    yield f"{member['id']}  {printable(member['name'])}"
    yield f"  roles    {' '.join(member['roles'])}"
    for granted in member["grants"]:
        covered = "all members" if granted["for"] == "all" else ", ".join(granted["for"])
        until = f", until {granted['until']}" if granted.get("until") else ""
        yield f"  granted  {granted['role']} for {covered}{until}"
    for party in member["parties"]:
        yield f"  holds    {printable(party['value'])}"
    for key in member["keys"]:
        yield f"  key      {key['keyid']} {key['use']} {key['state']}{_disputed(key)}"


def _disputed(key: dict[str, Any]) -> str:
    return "" if key["disputedFrom"] is None else f", disputed from {key['disputedFrom']}"


@app.command("show")
def show(
    member_id: Annotated[str, typer.Argument(metavar="ID")],
    url: Url = DEFAULT_URL,
    api_key_file: ApiKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Show a member: each of its keys, the range of the log it signed, and what is disputed of that."""
    with connect(url, api_key_file) as node:
        answer = node.get_json(f"/api/members/{segment(member_id)}")
    if as_json:
        print_json(answer)
        return
    rest = {**answer, "keys": []}
    print_lines([*_member_lines(rest), *[line for key in answer["keys"] for line in _key_lines(key)]])


def _key_lines(key: dict[str, Any]) -> Iterator[str]:
    yield f"  key      {key['keyid']} {key['use']} {key['state']}"
    last = "now" if key["signedTo"] is None else f"index {key['signedTo']}"
    until = f", until {key['until']}" if key["until"] else ""
    yield f"    signs    from index {key['since']} to {last}{until}"
    if key["disputedFrom"] is not None:
        yield f"    DISPUTED from index {key['disputedFrom']} on: whoever had the key may have signed what lies there"


@app.command("rotate")
def rotate(
    member_id: Annotated[str, typer.Argument(metavar="ID")],
    new: Annotated[str, typer.Option("--public-key", help="The new key's line from keygen.")],
    key: Annotated[Path, typer.Option("--key", help="File of the old key, which signs the change.")],
    passphrase_file: PassphraseFile = None,
    url: Url = DEFAULT_URL,
    api_key_file: ApiKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Put a new key in the place of an old one; the old key signs, and signs nothing after it."""
    admit_public_key(new)
    with connect(url, api_key_file) as node:
        body = {"action": "rotate", "publicKey": new}
        signing = signing_of_file(key, passphrase_file)
        envelope = signed_statement(node.see(signing.memory), "key", member_id, signing.signer, body)
        answer = node.post("/api/statements", envelope, "application/json").json()
    _report(answer, f"{member_id} signs with {key_id(admit_public_key(new))}", as_json)


@app.command("revoke")
def revoke(
    member_id: Annotated[str, typer.Argument(metavar="ID")],
    target: Annotated[
        str, typer.Argument(metavar="KEYID", help="SHA-256 of the key, hex, or its first 8 or more digits.")
    ],
    since: Annotated[int | None, typer.Option(help="Log index from which the key is disputed.")] = None,
    url: Url = DEFAULT_URL,
    api_key_file: ApiKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Revoke a member's key, with --since also disputing what it signed from that index on."""
    with connect(url, api_key_file) as node:
        keyid = _key_of(node, member_id, target)
        statement: dict[str, Any] = {"type": "key", "action": "revoke", "target": keyid}
        if since is not None:
            statement["since"] = since
        answer = _post(node, statement)
    _report(answer, f"{keyid} of {member_id} is revoked", as_json)


@app.command("grant")
def grant(
    grantee: Annotated[str, typer.Argument(metavar="ID")],
    role: Annotated[str, typer.Option(help="member, auditor or recall.")],
    members: Annotated[list[str] | None, typer.Option("--for", help="Members it covers; none: all.")] = None,
    until: Annotated[
        str | None, typer.Option(help="UTC time, such as 2027-01-01 or 2027-01-01T06:30:00Z.")
    ] = None,
    url: Url = DEFAULT_URL,
    api_key_file: ApiKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Grant a member a role over the records of all or of listed members."""
    covered = sorted(set(members)) if members else "all"
    statement = {"type": "role", "grantee": grantee, "role": role, "for": covered, "until": _until(until)}
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


def _key_of(node: Node, member_id: str, given: str) -> str:
    """The one key of a member whose keyid is, or starts with, what was given."""
    members = {member["id"]: member for member in node.get_json("/api/members")["members"]}
    if member_id not in members:
        raise NotFound(f"expected a member, got {member_id}", rule="unknown-member")
    keys = [str(key["keyid"]) for key in members[member_id]["keys"]]
    start = given.lower()
    found = [keyid for keyid in keys if keyid.startswith(start)] if len(start) >= _PREFIX_DIGITS else []
    if len(found) > 1:
        raise InvalidInput(f"{member_id} has {len(found)} keys that start with {given}", rule="unknown-key")
    if not found:
        raise InvalidInput(
            f"expected a key of {member_id} by {_PREFIX_DIGITS} or more digits of its keyid, got {given}; it has"
            f" {', '.join(keys) or 'none'}",
            rule="unknown-key",
        )
    return found[0]


def _until(text: str | None) -> str | None:
    """A time as people type it, as statements write it; without an offset it is UTC."""
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(
            f"--until: expected a time such as 2027-01-01T00:00:00Z, got {text}", rule="bad-time"
        ) from error
    aware = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    return time_text(round(aware.timestamp() * 1000))
