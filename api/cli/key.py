"""`loomark key`: key files, keys that a program holds, and going over to new keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ledger.ed25519 import key_id, possession_line
from ledger.errors import InvalidInput
from ledger.key_change import parse_evidence
from ledger.keyfile import (
    FORMAT,
    parse_key_text,
    read_key_file,
    read_secret,
    replace_key_file,
    write_signer_file,
)
from ledger.shape import base64_text
from ledger.signer import DEFAULT_TIMEOUT_S, CommandSigner
from loomark.calls import segment
from loomark.signing import signed_statement

from .client import DEFAULT_URL, ApiKeyFile, Url, connect
from .key_source import PassphraseFile, public_key_of, signing_of_file, wanted_passphrase
from .output import out, print_json, print_lines

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Look at key files, encrypt them, name a program that signs, and go over to new keys.",
)
rotate = typer.Typer(no_args_is_help=True, help="Go over to a new key, without a gap.")
app.add_typer(rotate, name="rotate")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
KeyFile = Annotated[Path, typer.Argument(metavar="FILE", help="A key file.")]
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_HELD = {FORMAT: "in this file", "loomark/encrypted-key/v1": "in this file, encrypted"}


@app.command("show")
def show(file: KeyFile, as_json: AsJson = False) -> None:
    """Say what a key file holds: the keyid, the public key, and where the key itself is. Needs no passphrase."""
    found = parse_key_text(read_secret(file, "key file").decode("ascii", "replace"), str(file))
    held = _HELD.get(found.format, "with another program")
    shown = {"keyid": found.keyid, "key": base64_text(found.public), "format": found.format, "held": held}
    if as_json:
        print_json(shown)
    else:
        print_lines(f"{name:<7} {value}" for name, value in shown.items())


@app.command("encrypt")
def encrypt(file: KeyFile, passphrase_file: PassphraseFile = None, as_json: AsJson = False) -> None:
    """Encrypt a key file where it lies, with a passphrase; encrypt it again with another one after `decrypt`."""
    key, chosen = read_key_file(file), wanted_passphrase(passphrase_file)
    replace_key_file(file, key, chosen)
    _told(file, key_id(key.public_bytes), "is encrypted", as_json)


@app.command("decrypt")
def decrypt(file: KeyFile, passphrase_file: PassphraseFile = None, as_json: AsJson = False) -> None:
    """Take the passphrase off a key file; it stays readable by you alone."""
    key = read_key_file(file, wanted_passphrase(passphrase_file))
    replace_key_file(file, key, None)
    _told(file, key_id(key.public_bytes), "is not encrypted", as_json)


@app.command("external")
def external(
    command: Annotated[
        list[str], typer.Argument(metavar="COMMAND...", help="Program and arguments, after --.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Key file to write; it must not exist.")],
    public_key: Annotated[str, typer.Option(help="The public key: base64 of its 32 raw bytes.")],
    timeout: Annotated[float, typer.Option(help="Seconds that one signature may take.")] = DEFAULT_TIMEOUT_S,
    as_json: AsJson = False,
) -> None:
    """Write a key file that names a program that signs, and print the public line that admission takes.

    The program reads the message from standard input and writes the Ed25519 signature, raw or in base64. It is
    tried at once: the line is its proof that it holds the key.
    """
    if not 0 < timeout <= 300:
        raise InvalidInput(
            f"--timeout: expected more than 0 and at most 300 s, got {timeout:g}", rule="bad-timeout"
        )
    public = public_key_of(public_key)
    line = possession_line(CommandSigner(command, public, timeout))
    write_signer_file(output, public, command, timeout)
    if as_json:
        print_json({"publicKey": line, "keyFile": str(output)})
    else:
        out.print(line, markup=False)


@app.command("changes")
def changes(
    output: Annotated[Path, typer.Option("-o", "--output", help="File for the evidence.")],
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Write the evidence of each change of the log's key: policy --update OLD --from it works offline."""
    with connect(url, None) as node:
        evidence = node.get("/log/key-changes").content
    count = len(parse_evidence(evidence))
    output.write_bytes(evidence)
    if as_json:
        print_json({"evidence": str(output), "changes": count})
    else:
        out.print(f"wrote {output}: {count} changes of the log's key", markup=False)


@rotate.command("log")
def rotate_log(
    overlap: Annotated[
        str, typer.Option(help="How long the old key signs beside the new one: 90s, 30m, 12h, 7d.")
    ] = "7d",
    url: Url = DEFAULT_URL,
    api_key_file: ApiKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Go over to a new key of the log, as its operator. The old key announces it; both sign until the overlap ends.

    Verifiers take the new key into their policy meanwhile: loomark policy --update OLD -o NEW.
    """
    answer = _post("/api/keys/log", {"overlapSeconds": _seconds(overlap)}, url, api_key_file)
    if as_json:
        print_json(answer)
        return
    out.print(
        f"the log goes over to {answer['new']} (log index {answer['index']})\n"
        f"both keys sign until {answer['until']}, then the new one alone\n"
        "verifiers extend their policy: loomark policy --update OLD -o NEW",
        markup=False,
    )


@rotate.command("operator")
def rotate_operator(url: Url = DEFAULT_URL, api_key_file: ApiKeyFile = None, as_json: AsJson = False) -> None:
    """Go over to a new key of the operator; the old one signs the change, and nothing after it."""
    answer = _post("/api/keys/operator", {}, url, api_key_file)
    if as_json:
        print_json(answer)
    else:
        out.print(f"the operator signs with {answer['keyid']} (log index {answer['index']})", markup=False)


@rotate.command("custody")
def rotate_custody(
    members: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Members; none: all it captures for.")
    ] = None,
    overlap: Annotated[str, typer.Option(help="When the old keys end: 90s, 30m, 12h, 7d from now.")] = "1h",
    url: Url = DEFAULT_URL,
    api_key_file: ApiKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Go over to new keys that capture for members, as the operator. Captures under way keep their place.

    A member with a key of its own delegates the new key itself: loomark key delegate.
    """
    told: dict[str, Any] = {"overlapSeconds": _seconds(overlap)} | ({"members": members} if members else {})
    answer = _post("/api/keys/custody", told, url, api_key_file)
    if as_json:
        print_json(answer)
    else:
        print_lines(_custody_line(one) for one in answer["changes"])


@app.command("delegate")
def delegate(
    key: Annotated[Path, typer.Option("--key", help="Your key file; it signs the delegation.")],
    overlap: Annotated[str, typer.Option(help="When the node's old keys for you end.")] = "1h",
    passphrase_file: PassphraseFile = None,
    url: Url = DEFAULT_URL,
    api_key_file: ApiKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Let the node capture for you with a new key of its own, and end the keys that it had for that before."""
    signing = signing_of_file(key, passphrase_file)
    with connect(url, api_key_file) as node:
        member = str(node.get_json("/api/members")["self"])
        asked = node.get_json(f"/api/members/{segment(member)}/delegation", overlap_s=_seconds(overlap))
        answers = []
        for body in asked["delegate"]:
            envelope = signed_statement(node.see(signing.memory), "delegation", member, signing.signer, body)
            answers.append(node.post("/api/statements", envelope, "application/json").json())
    if as_json:
        print_json({"keyid": asked["keyid"], "ended": asked["ended"], "statements": answers})
    else:
        out.print(
            f"the node captures for {member} with {asked['keyid']} (log index {answers[0]['index']})",
            markup=False,
        )


def _custody_line(change: dict[str, Any]) -> str:
    if change["index"] is None:
        return f"{change['member']}: has a key of its own and delegates the new key itself (loomark key delegate)"
    ended = f"; {len(change['ended'])} before it end" if change["ended"] else ""
    return f"{change['member']}: captured for with {change['keyid']} (log index {change['index']}){ended}"


def _post(path: str, told: dict[str, Any], url: str, api_key_file: Path | None) -> dict[str, Any]:
    with connect(url, api_key_file) as node:
        answer: dict[str, Any] = node.post(path, json.dumps(told).encode(), "application/json").json()
    return answer


def _seconds(text: str) -> int:
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdigit() and unit in _UNITS) or len(number) > 9:
        raise InvalidInput(
            f"expected a time such as 90s, 30m, 12h or 7d, got {text[:40]}", rule="bad-overlap"
        )
    return int(number) * _UNITS[unit]


def _told(file: Path, keyid: str, what: str, as_json: bool) -> None:
    if as_json:
        print_json({"keyFile": str(file), "keyid": keyid, "encrypted": what == "is encrypted"})
    else:
        out.print(f"{file} {what} (keyid {keyid})", markup=False)
