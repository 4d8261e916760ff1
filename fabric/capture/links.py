"""`same` links at the door (docs/spec/link.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fabric.epcis.link import Link, link_of, parse_link
from fabric.store.bodies import LINKS
from ledger import shape

from .bodies import BesideLog, parties_told

_TOLD: Final = frozenset({"same"})
_OPTIONAL: Final = frozenset({"reason", "parties"})


def _tell(value: Mapping[str, Any]) -> tuple[Link, Sequence[str]]:
    """The link of `{same, reason?, parties?}`."""
    told = shape.members(value, "link", _TOLD, _OPTIONAL)
    return link_of(told["same"], told.get("reason")), parties_told(told.get("parties", []))


LINK: Final = BesideLog("link", LINKS, parse_link, _tell)
