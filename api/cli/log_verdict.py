"""Verdicts on what concerns a log itself, not a record: one of its entries, or its misbehaviour."""

from __future__ import annotations

from typing import Any

from ledger.entry import parse_entry
from ledger.errors import InvalidInput, VerificationError
from ledger.policy import Policy
from ledger.seal import Seal
from ledger.shape import second_text
from ledger.tlog_proof import parse_tlog_proof, verify_tlog_proof
from ledger.verify import UNWITNESSED, Verifier

from .columns import printable
from .output import out

NOT_PROVED = "a tlog-proof says that the entry is in the log: neither what it commits to, nor that its key was in force"


def entry_verdict(data: bytes, entry: bytes | None, policy: Policy) -> dict[str, Any]:
    """The verdict on a tlog-proof of `entry`, or of the one in its extra line; raises VerificationError."""
    proof = parse_tlog_proof(data)
    shown = entry if entry is not None else proof.extra
    if shown is None:
        raise VerificationError("expected the entry with --entry: the proof carries none", 1, "/extra")
    found = verify_tlog_proof(proof, shown, Verifier(policy))
    words = [NOT_PROVED, *([UNWITNESSED] if found.unwitnessed else [])]
    return {
        "verified": True,
        "kind": "entry",
        "log": found.origin,
        "index": found.index,
        "size": found.size,
        "entry": _described(shown),
        "notAfter": utc_text(found.not_after_s),
        "unwitnessed": found.unwitnessed,
        "cosigners": {one.name: second_text(one.time_s) for one in found.cosigners},
        "operatorsWord": words,
    }


def _described(entry: bytes) -> dict[str, Any]:
    try:
        found = parse_entry(entry)
    except InvalidInput:
        return {"type": None, "bytes": len(entry)}
    if isinstance(found, Seal):
        return {"type": "seal", "time": found.time}
    statement = found.statement
    described = {"type": statement.type, "member": statement.member, "id": statement.id}
    return described | {name: statement.body[name] for name in ("commitment",) if name in statement.body}


def show_entry(verdict: dict[str, Any], _: Any) -> None:
    """Print the verdict on an entry."""
    entry = verdict["entry"]
    out.print(f"entry {verdict['index']} of {verdict['log']} at size {verdict['size']}", markup=False)
    out.print(f"  {entry['type'] or 'no entry of a Loomark log'}", markup=False)
    for name, value in entry.items():
        if name != "type":
            out.print(f"  {name}: {printable(str(value))}", markup=False)
    if verdict["notAfter"] is not None:
        names = ", ".join([f"{name} at {time}" for name, time in verdict["cosigners"].items()])
        out.print(f"not after {verdict['notAfter']}: cosigned by {names}", markup=False)
    for word in verdict["operatorsWord"]:
        out.print(f"operator's word: {word}", markup=False)
    out.print("[green]verified[/green]: the entry is in the log")


def show_misbehaviour(verdict: dict[str, Any], _: Any) -> None:
    """Print what evidence proves: plainly, because a file that verifies is good news everywhere else."""
    found = verdict["misbehaviour"]
    out.print(
        f"evidence against the log {printable(found['log'])}: {found['kind']} [{found['rule']}]", markup=False
    )
    out.print(f"  it proves: {printable(found['proves'])}", markup=False)
    out.print(f"  it means: {found['means']}", markup=False)
    for size, names in zip(found["sizes"], found["cosigners"], strict=True):
        who = ", ".join(names) or "no witness of the policy"
        out.print(
            f"  the checkpoint of size {size} was signed by the log and cosigned by {who}", markup=False
        )
    out.print("[red]the evidence holds: the log misbehaved[/red]")


def utc_text(seconds: int | None) -> str | None:
    """A POSIX time as UTC text, None for none."""
    return None if seconds is None else second_text(seconds)
