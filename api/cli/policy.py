"""`loomark policy`: the trust policy of a node's log, for a verifier to pin."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ledger.errors import InvalidInput
from ledger.key_change import extended_policy, parse_evidence

from .client import DEFAULT_URL, ApiKeyFile, Url, connect
from .output import out, print_json

app = typer.Typer(add_completion=False)


@app.command()
def policy(
    output: Annotated[Path, typer.Option("-o", "--output", help="File for the policy.")],
    update: Annotated[
        Path | None,
        typer.Option(metavar="OLD", help="A policy to extend by the keys that its log went over to."),
    ] = None,
    evidence: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="What key changes wrote; without it the node is asked."),
    ] = None,
    url: Url = DEFAULT_URL,
    api_key_file: ApiKeyFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write the log's keys and witnesses as a C2SP tlog-policy. Compare it with one from another source before you trust it.

    With --update, extend a policy that you trust: each new log key must have been announced by one that the policy
    has, in a checkpoint that the policy accepts. That needs no network with --from.
    """
    if evidence is not None and update is None:
        raise InvalidInput("--from goes with --update: it extends a policy that you have", rule="wrong-use")
    added: list[str] = []
    if update is None:
        with connect(url, api_key_file) as node:
            text = node.get("/api/policy").text
    else:
        text, added = _extended(_read(update), _evidence(evidence, url, api_key_file))
    output.write_bytes(text.encode())
    if as_json:
        print_json({"policy": str(output), "added": added})
    else:
        out.print(f"wrote {output}" + _news(update, added), markup=False)


def _extended(old: bytes, evidence: bytes) -> tuple[str, list[str]]:
    text, changes = extended_policy(old.decode("utf-8", "replace"), parse_evidence(evidence))
    return text, [one.new.text() for one in changes]


def _evidence(file: Path | None, url: str, api_key_file: Path | None) -> bytes:
    if file is not None:
        return _read(file)
    with connect(url, api_key_file) as node:
        return node.get("/log/key-changes").content


def _news(update: Path | None, added: list[str]) -> str:
    if update is None:
        return ""
    return "".join([f"\nadded log {vkey}" for vkey in added]) or ", nothing to add"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}", rule="bad-file") from error
