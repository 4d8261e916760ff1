"""`/api/names`: what things, products and places are called, for callers that print an answer for people."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query

from api.answers import view
from api.pages.labels import load_labels
from ledger.errors import TooLarge

from .asking import Reading, Serving
from .trace import MAX_TEXT

router = APIRouter(prefix="/api", tags=["things"])

MAX_IRIS: Final = 200
"""So many identifiers are named in one answer; a caller with more asks again."""

Iris = Annotated[list[Annotated[str, Query(max_length=MAX_TEXT)]], Query(alias="iri")]


@router.get("/names", summary="Names of things and places")
def names(serving: Serving, reading: Reading, iris: Iris) -> dict[str, str]:
    """The name by identifier, as master data gives it to the caller, for each `iri` and for the product of a lot.

    What has no name, or none that the caller may see, is left out. Raises TooLarge beyond `MAX_IRIS` identifiers.
    """
    if len(iris) > MAX_IRIS:
        raise TooLarge(f"expected at most {MAX_IRIS} identifiers, got {len(iris)}", rule="too-many")
    with view(serving.node, reading) as seen:
        found = load_labels(
            seen.connection, iris, seen.holder_of, seen.coverage.time_us or 0, seen.classes, reading
        )
    return dict(found.names)
