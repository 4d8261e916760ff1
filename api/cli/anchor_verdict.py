"""The verdict on a native receipt of Hyperledger Fabric, alone or beside the proof whose checkpoint it is of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ledger.bundle import bundle_of
from ledger.errors import InvalidInput
from ledger.hyperledger.receipt import STEP, VerifiedReceipt, parse_receipt, verify_receipt
from ledger.hyperledger.roots import ChannelRoots, parse_roots
from ledger.policy import Policy
from ledger.shape import time_text

from .output import out

KIND: Final = "hyperledger-receipt"
NOT_PROVED: Final = "when the channel accepted it, and after what: block and transaction are what these peers hold, and no time"


def native_verdict(data: bytes, policy: Policy, roots: bytes | None) -> dict[str, Any]:
    """The verdict on a receipt by itself under pinned roots (TOML); raises VerificationError of step 10."""
    read = verify_receipt(parse_receipt(data), _pinned(roots), policy.logs)
    step = {"number": STEP, "name": "anchors", "ok": True, "detail": _detail(read)}
    return {"verified": True, "kind": KIND, **_anchor(read), "steps": [step], "notProved": [NOT_PROVED]}


def add_anchor(
    verdict: dict[str, Any], value: Any, receipt: bytes, policy: Policy, roots: bytes | None
) -> None:
    """Put into the verdict on a proof that a receipt is one of its checkpoint; raises VerificationError of step 10."""
    if verdict["kind"] != "proof":
        raise InvalidInput("--hyperledger-receipt goes with a proof, got another file", rule="wrong-use")
    pinned = _pinned(roots)
    read = verify_receipt(parse_receipt(receipt), pinned, policy.logs, bundle_of(value).checkpoint)
    for record in verdict["records"]:
        record["anchor"] = _anchor(read)
        next(step for step in record["steps"] if step["number"] == STEP)["detail"] = _detail(read)


def show_native(verdict: Mapping[str, Any]) -> None:
    """Print the verdict on a receipt by itself."""
    out.print(
        f"receipt of {verdict['origin']} at size {verdict['size']}, root {verdict['root']}", markup=False
    )
    out.print(f"on channel {verdict['channel']}, submitted by {verdict['msp']}", markup=False)
    for step in verdict["steps"]:
        out.print(f"  {step['number']:>2} {step['name']}: {step['detail']}", markup=False)
    for word in verdict["notProved"]:
        out.print(f"not proved: {word}", markup=False)
    names = ", ".join(verdict["organisations"])
    out.print(f"[green]verified[/green]: peers of {names} each signed that they hold this checkpoint")


def _pinned(roots: bytes | None) -> ChannelRoots:
    if roots is None:
        raise InvalidInput(
            "a receipt of Hyperledger Fabric is verified under pinned roots: give --hyperledger-roots FILE",
            rule="no-roots",
        )
    return parse_roots(roots.decode("utf-8", "replace"))


def _anchor(read: VerifiedReceipt) -> dict[str, Any]:
    anchored = read.anchored
    return {
        "origin": anchored.origin,
        "size": anchored.size,
        "root": anchored.root.hex(),
        "msp": anchored.msp,
        "channel": read.channel,
        "chaincode": read.chaincode,
        "version": read.version,
        "block": read.block,
        "transaction": read.transaction,
        "organisations": list(read.organisations),
        "asked": time_text(read.asked_ms),
    }


def _detail(read: VerifiedReceipt) -> str:
    return (
        f"peers of {', '.join(read.organisations)} read it on channel {read.channel}, "
        f"written by transaction {read.transaction} of block {read.block}"
    )
