"""Templates, with the filters that say things as people do. HTML is escaped everywhere but in our own drawing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from . import text


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("api.pages", "templates"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        when=text.when, words=text.words, thing_url=text.thing_url, trace_url=text.trace_url
    )
    return environment


def page(template: str, values: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    """One page as HTML; `labels` gives names of things from master data."""
    environment = _environment().overlay()
    environment.filters = {**environment.filters, "name": partial(text.name, labels=labels)}
    return environment.get_template(template).render(values)
