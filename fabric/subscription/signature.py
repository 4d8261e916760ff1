"""The `GS1-Signature` of a delivery, by which a receiver knows who sent it, when, and that nothing was changed.

    GS1-Signature: t=1790000000,v1=<64 hex digits>

`v1` is HMAC-SHA-256, keyed with the UTF-8 bytes of the subscription's token, over `<t>.<Loomark-Delivery>.<body>`.
"""

from __future__ import annotations

import hmac
import re
from typing import Final

HEADER: Final = "GS1-Signature"
DELIVERY_HEADER: Final = "Loomark-Delivery"
TOLERANCE_S: Final = 300

_FORM: Final = re.compile(r"t=(\d{1,12}),v1=([0-9a-f]{64})\Z", re.ASCII)


def signature(token: str, delivery: str, body: bytes, time_s: int) -> str:
    """The header's value for a delivery that is sent at a time (seconds since 1970)."""
    return f"t={time_s},v1={_mac(token, delivery, body, time_s)}"


def is_signed(
    value: str, token: str, delivery: str, body: bytes, now_s: int, tolerance_s: int = TOLERANCE_S
) -> bool:
    """Whether a header's value is that of whoever has the token, made at most `tolerance_s` before or after now."""
    matched = _FORM.match(value)
    if matched is None:
        return False
    time_s = int(matched[1])
    expected = _mac(token, delivery, body, time_s)
    return hmac.compare_digest(expected, matched[2]) and abs(now_s - time_s) <= tolerance_s


def _mac(token: str, delivery: str, body: bytes, time_s: int) -> str:
    signed = b"%d.%s.%s" % (time_s, delivery.encode(), body)
    return hmac.digest(token.encode(), signed, "sha256").hex()
