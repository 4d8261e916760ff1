"""What a receiver gets: an EPCISQueryDocument of some events, or the problem that ends the subscription."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from fabric.epcis.query_document import Shown, json_query_document
from fabric.epcis.representation import EpcFormat, Translator, Untranslatable, as_sent
from fabric.query.errors import QueryTooComplex
from fabric.query.run import Found
from ledger.errors import InvalidInput
from ledger.shape import time_text

MEDIA_TYPE: Final = "application/json"
PROBLEM: Final = "application/problem+json"
VERSIONS: Final = {"GS1-EPCIS-Version": "2.0.0", "GS1-CBV-Version": "2.0.0"}


def report(
    events: Sequence[Found],
    *,
    query_name: str,
    subscription_id: str | None,
    epc_format: EpcFormat,
    names: Translator,
    now_ms: int,
) -> bytes:
    """The document of events, none included, as a subscriber asked for its identifiers, which `names` translates."""
    shown = [shown_event(one, epc_format, names) for one in events]
    return json_query_document(
        shown, created=time_text(now_ms), query_name=query_name, subscription_id=subscription_id
    )


def shown_event(found: Found, epc_format: EpcFormat, names: Translator) -> Shown:
    """One event with its record time. With a name that has no URN it stays as it was captured: there is nobody to refuse."""
    event, context = as_sent(found.value)
    try:
        event = names.event(event, epc_format)
    except Untranslatable:
        event, context = as_sent(found.value)
    return Shown({**event, "recordTime": time_text(found.record_time_us // 1000)}, context)


def problem(error: InvalidInput, *, query_name: str, subscription_id: str) -> bytes:
    """The problem document that says why a query cannot be answered any more (RFC 9457)."""
    kind = "QueryTooComplexException" if isinstance(error, QueryTooComplex) else "ImplementationException"
    members = {
        "type": f"epcisException:{kind}",
        "title": error.rule.replace("-", " ").capitalize(),
        "status": 413 if isinstance(error, QueryTooComplex) else 500,
        "detail": error.message,
        "rule": error.rule,
        "queryName": query_name,
        "subscriptionID": subscription_id,
    }
    return json.dumps(members).encode()
