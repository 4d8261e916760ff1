"""Evidence checked on this machine: proofs, receipts, reports and evidence of a log's misbehaviour, by one function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from ledger.bundle import bundle_of
from ledger.canonical import parse_json
from ledger.errors import InvalidInput, VerificationError
from ledger.misbehaviour import Misbehaviour, misbehaviour_of, verify_misbehaviour
from ledger.policy import Policy, parse_policy
from ledger.receipt import MAX_RECEIPT_BYTES, VerifiedReceipt, verify_receipt
from ledger.verify import VerifiedBundle, verify_all

if TYPE_CHECKING:
    from fabric.report.verify import VerifiedReport

Verified: TypeAlias = "tuple[VerifiedBundle, ...] | VerifiedReceipt | Misbehaviour | VerifiedReport"
"""What held: the records of a proof, a receipt, a report, or what a log did."""


def verify(evidence: bytes, policy: str | Policy) -> Verified:
    """Check a file that a node wrote, without network and clock, under a policy (C2SP tlog-policy text).

    Raises VerificationError with the step and the place that does not hold, InvalidInput for a policy that is none.
    """
    trusted = parse_policy(policy) if isinstance(policy, str) else policy
    if len(evidence) > MAX_RECEIPT_BYTES:
        raise VerificationError(f"expected a file of at most {MAX_RECEIPT_BYTES} bytes", 1, "")
    try:
        value = parse_json(evidence)
    except InvalidInput as error:
        raise VerificationError(error.message, 1, "") from error
    return verified(value, trusted)


def verified(value: Any, policy: Policy) -> Verified:
    """The same for evidence that was read as JSON."""
    if isinstance(value, dict) and "report" in value:
        from fabric.report.verify import verify_report

        return verify_report(value, policy)
    if isinstance(value, dict) and "misbehaviour" in value:
        return verify_misbehaviour(misbehaviour_of(value), policy)
    if isinstance(value, dict) and "receipt" in value:
        return verify_receipt(value, policy)
    return verify_all(bundle_of(value), policy)
