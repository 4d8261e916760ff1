"""`loomark hyperledger confirm`: what several organisations' peers say became of one transaction."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ledger.errors import InvalidInput
from ledger.hyperledger.channel import Confirmation
from ledger.hyperledger.channel import confirm as ask_peers
from ledger.hyperledger.connection import load_profile

from .output import REFUSED, SUSPECTED, UNAVAILABLE, out, print_json


def confirm(
    tx_id: Annotated[str, typer.Argument(help="The transaction's id.")],
    profile: Annotated[
        Path, typer.Option(help="Profile of the channel: its peer and the others' are asked.")
    ],
    wait_s: Annotated[float, typer.Option(help="How long a peer is waited for that does not know it.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask each peer of the profile whether a transaction is valid: no peer's word is signed, so one alone could lie.

    Exit code 0: valid, says everyone who answers; 1: void, says everyone who answers; 3: nobody answers; 5: they
    contradict each other, so one of them lies or is on another channel.
    """
    said = _asked(tx_id, profile, wait_s)
    if as_json:
        print_json(_as_json(said))
    else:
        _print(said)
    raise SystemExit(_status(said))


def _asked(tx_id: str, profile: Path, wait_s: float) -> Confirmation:
    try:
        from ledger.hyperledger.gateway import Patience, open_peers
    except ImportError as error:
        raise InvalidInput(
            "asking a channel needs the extra: pip install 'loomark[hyperledger]'", rule="no-extra"
        ) from error
    peers = open_peers(load_profile(profile), patience=Patience(commit_s=wait_s))
    try:
        return ask_peers(tx_id, peers)
    finally:
        for channel in peers.values():
            channel.close()


def _status(said: Confirmation) -> int:
    if not said.answers:
        return UNAVAILABLE
    if said.is_disputed:
        return SUSPECTED
    return 0 if said.agreeing() else REFUSED


def _print(said: Confirmation) -> None:
    for name, answer in said.answers.items():
        out.print(f"{name}: {answer.code} in block {answer.block}", markup=False)
    for name, why in said.silent.items():
        out.print(f"{name}: no answer: {why}", markup=False)
    if said.is_disputed:
        out.print("the peers contradict each other: one of them lies, or is on another channel", markup=False)


def _as_json(said: Confirmation) -> dict[str, object]:
    return {
        "transaction": said.tx_id,
        "disputed": said.is_disputed,
        "answers": {
            name: {"code": answer.code, "block": answer.block} for name, answer in said.answers.items()
        },
        "silent": dict(said.silent),
    }
