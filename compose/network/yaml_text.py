"""Trees of plain values as YAML text: mappings and sequences in block style, every string in double quotes.

Quoted strings leave nothing to a reader's guess (``no``, ``1e3``, ``100ms``); JSON's escapes are YAML's as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

Tree = Mapping[str, "Tree"] | Sequence["Tree"] | str | int | bool | None


def yaml_text(tree: Tree) -> str:
    """``tree`` as one YAML document ending in a line feed. Mappings keep their order."""
    return "\n".join(_lines(tree)) + "\n"


def _is_block(tree: Tree) -> bool:
    return isinstance(tree, (Mapping, list, tuple)) and len(tree) > 0


def _scalar(tree: Tree) -> str:
    if isinstance(tree, Mapping):
        return "{}"
    return json.dumps(
        tree if tree is None or isinstance(tree, (str, int)) else list(tree), ensure_ascii=False
    )


def _lines(tree: Tree) -> list[str]:
    if isinstance(tree, Mapping) and tree:
        return [line for key, value in tree.items() for line in _entry(f"{key}:", value)]
    if isinstance(tree, (list, tuple)) and tree:
        return [line for value in tree for line in _item(value)]
    return [_scalar(tree)]


def _entry(head: str, value: Tree) -> list[str]:
    if not _is_block(value):
        return [f"{head} {_scalar(value)}"]
    return [head, *("  " + line for line in _lines(value))]


def _item(value: Tree) -> list[str]:
    first, *rest = _lines(value)
    return [f"- {first}", *("  " + line for line in rest)]
