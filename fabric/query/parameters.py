"""The EPCIS 2.0 query language: parameters of a URL or of a query object, to one `Query`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .conditions import Query


def from_pairs(
    pairs: Iterable[tuple[str, str]], extensions: Mapping[str, str], *, keep_bad_check_digits: bool = False
) -> Query:
    """The question of a URL's query string, decoded into pairs, without `perPage` and `nextPageToken`.

    `extensions` are the prefixes of the GS1-Extensions header and their namespaces. Raises QueryParameter.
    """
    raise NotImplementedError


def from_json(query: Any, extensions: Mapping[str, str], *, keep_bad_check_digits: bool = False) -> Query:
    """The question of a query object; its `@context` binds prefixes besides `extensions`.

    Raises QueryParameter, and QueryValidation where it is no object.
    """
    raise NotImplementedError
