"""Gaps: what a store no longer holds must be stated in the log as erased; any other gap is a fault."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .run import Run


def record(run: Run, row: Any, place: str, more: Mapping[str, Any]) -> None:
    """A record without body or salt is one that the log says was erased."""
    if row.body is not None or row.salt is not None:
        run.faults.note("record-half", place, "expected body and salt, or neither, got one of them", **more)
        return
    run.faults.note(
        "record-gap", place, "expected its content, or a statement that it was erased, got none", **more
    )


def document(run: Run, row: Any) -> None:
    """A document without its bytes is one whose records were erased."""
    run.faults.note(
        "document", f"document {row.id}", "expected packed bytes, got none", member=str(row.member)
    )


def link(run: Run, row: Any, place: str) -> None:
    """A link without body or salt is one that the log says was erased."""
    run.faults.note("link-body", place, "expected its body, got none", member=str(row.member))
