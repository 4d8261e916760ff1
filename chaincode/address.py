"""Where a chaincode server listens: ``host:port``."""

from __future__ import annotations

import re

from ledger.errors import InvalidInput

_ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:\[\]/]+):(0|[1-9][0-9]{0,4})\Z")


def require_address(text: str) -> str:
    """The address as it was given; raises :class:`InvalidInput` (rule ``bad-address``) for any other form.

    A port above 65,535 is refused here, because gRPC takes it for another one in silence.
    """
    match = _ADDRESS.match(text)
    if match is None or int(match[1]) > 65_535:
        raise InvalidInput("expected an address of the form host:port", rule="bad-address")
    return text
