"""Templates, with the filters that say things as people do. HTML is escaped everywhere but in our own drawing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context, select_autoescape
from jinja2.runtime import Context
from markupsafe import Markup

from . import text

_PLAIN = (text.when, text.minute, text.words, text.spaced, text.unit, text.amount, text.code, text.kind)


def page(template: str, values: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    """One page as HTML; `labels` gives names of things and members."""
    return _environment().get_template(template).render({**values, "labels": labels})


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("api.pages", "templates"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({each.__name__: each for each in _PLAIN})
    environment.filters.update(
        thing_url=text.thing_url,
        trace_url=text.trace_url,
        name=_name,
        key=lambda iri: text.name(iri, {}),
        member=_member,
        link=_link,
        prose=_prose,
        breakable=_breakable,
    )
    return environment


def _prose(text_of: str | None) -> str:
    """Text of our own with `code` between grave accents."""
    parts = (text_of or "").split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else Markup("{}").format(part)
        for number, part in enumerate(parts)
    )


def _breakable(path: str) -> str:
    """A path that breaks after its slashes and nowhere else."""
    return Markup("<wbr>").join(
        Markup('<span class="nowrap">{}</span>').format(part) for part in re.findall("/?[^/]*", path) if part
    )


@pass_context
def _name(context: Context, iri: str | None) -> str:
    return text.name(iri, context["labels"])


@pass_context
def _member(context: Context, identifier: str | None) -> str:
    return text.member(identifier, context["labels"])


@pass_context
def _link(context: Context, iri: str | None) -> str:
    """A link to the page of a thing: first what tells it from others, in one piece, then what it is one of."""
    if not iri:
        return ""
    product = text.product_of(iri)
    if product is None:
        link = Markup('<a href="{}">{}</a>')
        return link.format(text.thing_url(iri), text.name(iri, context["labels"]))
    link = Markup('<a href="{}"><b class="code">{}</b> {}</a>')
    return link.format(text.thing_url(iri), text.code(iri), text.name(product, context["labels"]))
