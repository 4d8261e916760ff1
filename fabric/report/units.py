"""Units of measure as people write them."""

from __future__ import annotations

from typing import Final

_SIGNS: Final = {
    "KGM": "kg",
    "GRM": "g",
    "TNE": "t",
    "LBR": "lb",
    "ONZ": "oz",
    "LTR": "l",
    "MLT": "ml",
    "GLL": "gal",
    "EA": "each",
    "H87": "pieces",
    "C62": "units",
    "CT": "cartons",
}


def name(code: str | None) -> str:
    """The usual sign of a UN/ECE Recommendation 20 code, else the code; no unit means items."""
    return _SIGNS.get(code, code) if code else "items"


__all__ = ["name"]
