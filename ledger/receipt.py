"""Receipts (``loomark/receipt/v1``): every record of one capture, proved against one checkpoint; docs/spec/receipt.md.

A receipt is proof bundles side by side, because one bundle has a limit of size, and the positions of the records
that were erased since::

    verified = verify_receipt(parse_json(data), parse_policy(policy_text))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from . import shape
from .bundle import Step, UnverifiedBundle, bundle_of
from .canonical import JSON, canonical
from .capture import MAX_RECORDS
from .errors import InvalidInput, VerificationError
from .policy import Policy
from .verify import VerifiedBundle, Verifier

RECEIPT = "loomark/receipt/v1"
MAX_RECEIPT_BYTES = 64 * 1024 * 1024
MAX_BUNDLES = 64

_MEMBERS = frozenset({"receipt", "bundles", "erased"})
_NAMED_MISSING = 3


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """The records of a whole capture but for the `erased` positions; only :func:`verify_receipt` makes it."""

    records: tuple[VerifiedBundle, ...]
    erased: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many records the capture has, erased ones included."""
        return self.records[0].count


def receipt_bytes(bundles: Sequence[JSON], erased: Sequence[int]) -> bytes:
    """The canonical bytes of a receipt made of bundles of one capture against one checkpoint."""
    return canonical({"receipt": RECEIPT, "bundles": list(bundles), "erased": list(erased)})


def verify_receipt(value: JSON, policy: Policy) -> VerifiedReceipt:
    """Verify a receipt that was parsed by :func:`ledger.canonical.parse_json`, every record of it.

    The steps are those of :mod:`ledger.verify`; step 1 also holds that all is of one capture and one checkpoint, and
    step 3 that no record of the capture is left out. Raises :class:`VerificationError`.
    """
    with Step(1, ""):
        obj = shape.members(value, "receipt", _MEMBERS)
        if obj["receipt"] != RECEIPT:
            raise InvalidInput(f"expected {RECEIPT}, got another format", rule="bad-version")
    with Step(1, "/bundles"):
        items = shape.array(obj["bundles"], "bundles", 1, MAX_BUNDLES)
    bundles = [bundle_of(item, f"/bundles/{number}") for number, item in enumerate(items)]
    for bundle in bundles:
        _check_same(bundle, bundles[0])
    with Step(1, "/erased"):
        erased = _positions(obj["erased"])
    verifier = Verifier(policy)
    records = tuple([one for bundle in bundles for one in verifier.verify_all(bundle)])
    _check_complete([one.position for one in records], erased, records[0].count)
    return VerifiedReceipt(records, erased)


def _check_same(bundle: UnverifiedBundle, first: UnverifiedBundle) -> None:
    with Step(1, f"{bundle.place}/entries"):
        if len(bundle.entries) != 1 or bundle.entries[0].index != first.entries[0].index:
            raise InvalidInput("expected one capture in all of the receipt, got several", rule="bad-receipt")
    with Step(1, f"{bundle.place}/checkpoint"):
        if bundle.note != first.note:
            raise InvalidInput("expected one checkpoint in all of the receipt", rule="bad-receipt")


def _positions(value: JSON) -> tuple[int, ...]:
    items = shape.array(value, "erased", 0, MAX_RECORDS)
    positions = [shape.count(item, "erased", 0, MAX_RECORDS - 1) for item in items]
    if sorted(set(positions)) != positions:
        raise InvalidInput("expected positions in order, each once", rule="bad-shape")
    return tuple(positions)


def _check_complete(proved: Sequence[int], erased: Sequence[int], count: int) -> None:
    """Every position of the capture is proved or said to be erased, and none twice."""
    told = sorted([*proved, *erased])
    if told == list(range(count)):
        return
    missing = sorted(set(range(count)) - set(told))
    if missing:
        some = ", ".join(map(str, missing[:_NAMED_MISSING])) + (
            ", …" if len(missing) > _NAMED_MISSING else ""
        )
        raise VerificationError(f"expected all {count} records of the capture, got none for {some}", 3, "")
    raise VerificationError(f"expected each of {count} records once, got one twice", 3, "")
