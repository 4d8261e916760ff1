"""Our vocabulary, mappings, rule tables, shapes and contexts: data first, with a thin loader.

Everything here is a file that a person can read and correct; this module only finds and parses them.
Readers of a table check what they need from it, so an edited table fails where it is read, by name.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any


def read_text(name: str) -> str:
    """The text of one data file, by its path below this package with forward slashes."""
    place = files(__name__)
    for part in name.split("/"):
        place = place.joinpath(part)
    return place.read_text(encoding="utf-8")


@cache
def read_table(name: str) -> dict[str, Any]:
    """One TOML data file, parsed once. The value is shared: do not change it."""
    return tomllib.loads(read_text(name))


__all__ = ["read_table", "read_text"]
