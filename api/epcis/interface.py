"""The addresses below `/epcis` and the methods of each: one table that `OPTIONS`, refusals and the description share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from api.settings import Settings
from fabric.epcis.representation import CbvFormat, EpcFormat

from .negotiation import CBV_VERSION, EPCIS_VERSION, OLDEST_CAPTURED, base_headers

ERROR_BEHAVIOURS: Final = "all"
"""What a capture does with an error: `rollback` and `proceed`, as each asks."""

COLLECTIONS: Final = {
    "eventTypes": "eventType",
    "epcs": "epc",
    "bizSteps": "bizStep",
    "bizLocations": "bizLocation",
    "readPoints": "readPoint",
    "dispositions": "disposition",
}
"""The collections of discovery, and what one of their members is called."""

_READ: Final = ("OPTIONS", "GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Address:
    """One address of the interface, the methods that it has, and whether documents of older versions are sent to it."""

    path: str
    methods: tuple[str, ...] = _READ
    captures: bool = False

    def headers(self, settings: Settings) -> dict[str, str]:
        """What `OPTIONS` says of it: all headers that the standard names there."""
        oldest = (
            OLDEST_CAPTURED if self.captures else {"GS1-EPCIS-Min": EPCIS_VERSION, "GS1-CBV-Min": CBV_VERSION}
        )
        found = {
            **base_headers(),
            **oldest,
            "GS1-EPCIS-Max": EPCIS_VERSION,
            "GS1-CBV-Max": CBV_VERSION,
            "GS1-EPC-Format": EpcFormat.NO_PREFERENCE.value,
            "GS1-CBV-XML-Format": CbvFormat.NO_PREFERENCE.value,
            "Allow": ", ".join(self.methods),
        }
        return found | (capture_limits(settings) if self.captures else {})


def _addresses() -> tuple[Address, ...]:
    lists = [Address(f"/{one}") for one in COLLECTIONS]
    members = [Address(f"/{one}/{{{name}}}") for one, name in COLLECTIONS.items()]
    below = [Address(f"/{one}/{{{name}}}/events") for one, name in COLLECTIONS.items()]
    return (
        Address("/"),
        Address("/capture", ("OPTIONS", "GET", "HEAD", "POST"), captures=True),
        Address("/capture/{captureID}"),
        Address("/events", ("OPTIONS", "GET", "HEAD", "POST")),
        Address("/events/{eventID}"),
        *lists,
        *members,
        *below,
        Address("/queries", ("OPTIONS", "GET", "HEAD", "POST")),
        Address("/queries/{queryName}", ("OPTIONS", "GET", "HEAD", "DELETE")),
        Address("/queries/{queryName}/events"),
        Address("/queries/{queryName}/subscriptions", ("OPTIONS", "GET", "HEAD", "POST")),
        Address("/queries/{queryName}/subscriptions/{subscriptionID}", ("OPTIONS", "GET", "HEAD", "DELETE")),
        Address("/nextPageToken/{token}", ("OPTIONS", "DELETE")),
    )


ADDRESSES: Final = _addresses()
"""The addresses of the standard."""

_OURS: Final = (
    Address("/capture/{captureID}/receipt"),
    Address("/capture/{captureID}/document"),
    Address("/queries/{queryName}/subscriptions/{subscriptionID}/resume", ("OPTIONS", "POST")),
)
LONG: Final = frozenset({"eventID", *COLLECTIONS.values()})
"""Names in addresses of what may have slashes in it."""


def capture_limits(settings: Settings) -> dict[str, str]:
    """The headers that announce how much one capture may have, and what it does with errors."""
    return {
        "GS1-EPCIS-Capture-Limit": str(settings.capture_limit_events),
        "GS1-EPCIS-Capture-File-Size-Limit": str(settings.capture_limit_bytes),
        "GS1-Capture-Error-Behaviour": ERROR_BEHAVIOURS,
    }


def allowed(path: str) -> tuple[str, ...]:
    """The methods of an address below `/epcis`, none of an unknown one. The most exact address has them."""
    inside = path.removeprefix("/epcis") or "/"
    for pattern, address in _PATTERNS:
        if pattern.fullmatch(inside):
            return address.methods
    return ()


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile("/".join(map(_segment, path.split("/"))), re.DOTALL)


def _segment(text: str) -> str:
    if not text.startswith("{"):
        return re.escape(text)
    return ".+" if text.strip("{}") in LONG else "[^/]+"


# What stands below a member goes before the member, whose name may have slashes.
_PATTERNS: Final = tuple(
    (_pattern(one.path), one)
    for one in sorted((*ADDRESSES, *_OURS), key=lambda one: (-one.path.count("/"), one.path))
)
