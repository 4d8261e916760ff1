"""FSMA 204 (21 CFR part 1, subpart S): which key data elements the records of a lot state, and which are missing."""

from __future__ import annotations

from typing import Any


def completeness_of_all(found: Any, dossier: Any, holder_of: Any) -> list[dict[str, Any]]:
    """The completeness of each affected lot."""
    return []
