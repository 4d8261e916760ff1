"""`/epcis/` and its collections: what there is to ask about, its members, and the events below each.

A list has the standard's own words, which everybody has, and of everything else only what events that the caller
sees have. A member that only others' events have is unknown, as one that no event has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from api.problems import NotAcceptable
from api.routes.asking import Reading, Serving
from api.services import Services
from fabric.epcis.representation import CbvFormat, Translator, Untranslatable
from fabric.epcis.words import urns_of, words_of
from fabric.lineage.fact import short_word
from fabric.query import Query, from_pairs
from fabric.query.conditions import Condition, Dispositions, Place, Steps, Things, Types
from fabric.query.errors import QueryParameter, refused
from fabric.query.run import Events
from fabric.visibility.reader import Reader
from ledger.errors import Finding, NotFound

from .addresses import refuse_parameters, value_in
from .bodies import collection
from .events import answer_query, url_query
from .interface import COLLECTIONS
from .negotiation import Negotiated, Negotiating, answer
from .paging import PARAMETERS, PageAsked, Paging
from .working import answered

router = APIRouter(prefix="/epcis", tags=["epcis discovery"])

TOP_LEVEL: Final = (
    "queries",
    "capture",
    "events",
    "eventTypes",
    "epcs",
    "readPoints",
    "bizLocations",
    "dispositions",
    "bizSteps",
)
EVENT_TYPES: Final = (
    "AggregationEvent",
    "AssociationEvent",
    "ObjectEvent",
    "TransactionEvent",
    "TransformationEvent",
)


@dataclass(frozen=True, slots=True)
class Collection:
    """One kind of value that events have: `field` in the store, the query `parameter`, the words it always has."""

    name: str
    field: str
    parameter: str
    standard: tuple[str, ...] = ()
    is_identifier: bool = False


KINDS: Final = {
    one.name: one
    for one in (
        Collection("eventTypes", "eventType", "eventType", EVENT_TYPES),
        Collection("epcs", "epc", "MATCH_anyEPC", is_identifier=True),
        Collection("bizSteps", "bizStep", "EQ_bizStep", tuple(sorted(words_of("bizStep")))),
        Collection("bizLocations", "bizLocation", "EQ_bizLocation", is_identifier=True),
        Collection("readPoints", "readPoint", "EQ_readPoint", is_identifier=True),
        Collection("dispositions", "disposition", "EQ_disposition", tuple(sorted(words_of("disposition")))),
    )
}
"""The collections by their names."""


@router.get("/", summary="The resources of this interface", response_class=Response)
@router.get("", include_in_schema=False)
def top_level(request: Request, _reading: Reading, asked: Negotiating) -> Response:
    """A Collection of the names of everything that stands below."""
    refuse_parameters(request)
    return answer(asked, collection(TOP_LEVEL, xml=asked.is_xml))


def _route(kind: Collection) -> None:
    """The three addresses of one collection: its list, a member, the events of a member."""
    one = COLLECTIONS[kind.name]
    before = f"/epcis/{kind.name}/"

    async def members(
        request: Request, serving: Serving, reading: Reading, asked: Negotiating, page: Paging
    ) -> Response:
        refuse_parameters(request, *PARAMETERS)
        names, following = await answered(
            request, serving, lambda events: listed(events, reading, kind, page.per_page, page.state)
        )
        translator = serving.node.translator
        shown = [_shown(name, kind, asked, translator) for name in names]
        # A thing or a place keeps the form that its own header asks for.
        prefixes = None if kind.is_identifier else asked.extensions
        body = collection(shown, xml=asked.is_xml, prefixes=prefixes)
        return answer(asked, body, headers=page.next_page(following))

    async def member(
        request: Request, serving: Serving, reading: Reading, asked: Negotiating, page: Paging
    ) -> Response:
        value, is_below = value_in(request, before)
        if is_below:
            return await _events_below(request, serving, reading, asked, page, kind, value)
        refuse_parameters(request, *PARAMETERS)
        value = _whole(value, kind, asked)
        await answered(request, serving, lambda events: condition_of(events, reading, kind, value))
        return answer(asked, collection(("events",), xml=asked.is_xml))

    for path, handler, summary, told in (
        (f"/{kind.name}", members, f"The {kind.name} that there are", _LISTED),
        (f"/{kind.name}/{{{one}:path}}/events", member, f"Events of one of the {kind.name}", _BELOW),
        (f"/{kind.name}/{{{one}:path}}", member, f"What is below one of the {kind.name}", _MEMBER),
    ):
        router.add_api_route(
            path,
            handler,
            methods=["GET"],
            summary=summary,
            description=told,
            response_class=Response,
            name=path,
        )


_LISTED: Final = (
    "A Collection, in pages: the standard's own words, and what the events have that the caller sees."
)
_MEMBER: Final = (
    "A Collection of what stands below the member: `events`. 404 for one that the caller does not see."
)
_BELOW: Final = (
    "An EPCISQueryDocument of the events that have the member and match all parameters of the query language"
    " (docs/spec/query.md)."
)


async def _events_below(
    request: Request,
    serving: Services,
    reader: Reader,
    asked: Negotiated,
    page: PageAsked,
    kind: Collection,
    value: str,
) -> Response:
    value = _whole(value, kind, asked)

    def query(events: Events) -> Query:
        # First what is wrong with the question, which does not depend on what anybody sees.
        told = url_query(page, asked)
        own = condition_of(events, reader, kind, value)
        refuse_contradiction(kind, own, told)
        return replace(told, conditions=(own, *told.conditions))

    return await answer_query(request, serving, reader, asked, page, query)


def _whole(value: str, kind: Collection, asked: Negotiated) -> str:
    """A member as the list has it without prefixes: one that the request defines stands for its namespace."""
    prefix, colon, rest = value.partition(":")
    if kind.is_identifier or not colon or rest.startswith("//"):
        return value
    return asked.extensions.get(prefix, f"{prefix}:") + rest


def condition_of(events: Events, reader: Reader, kind: Collection, value: str) -> Condition:
    """What the events of one member have. Raises NotFound for a member that the reader sees no event of.

    QueryParameter says more where it is the check digit that is wrong, and no name is kept with it.
    """
    own = _condition(kind, value, keep_bad_check_digits=True)
    name = None if own is None else _name_of(own)
    if own is not None and name is not None and _is_known(events, reader, kind, name):
        return own
    try:
        _condition(kind, value, keep_bad_check_digits=False)
    except QueryParameter as error:
        finding = replace(error.findings[0], pointer=f"/path/{COLLECTIONS[kind.name]}")
        raise QueryParameter(
            f"expected {finding.expected}, got {finding.got}", (finding,), error.rule
        ) from None
    raise NotFound(f"there is no such member of {kind.name}", rule="unknown-member")


def _is_known(events: Events, reader: Reader, kind: Collection, name: str) -> bool:
    word = name if kind.is_identifier else short_word(name) or name
    return word in kind.standard or events.knows(reader, kind.field, word)


def _condition(kind: Collection, value: str, *, keep_bad_check_digits: bool) -> Condition | None:
    """The condition of a member's name; None for what can be no name of one. Raises QueryParameter: bad-check-digit."""
    if not value or "|" in value:
        return None
    try:
        (own,) = from_pairs(
            ((kind.parameter, value),), {}, keep_bad_check_digits=keep_bad_check_digits
        ).conditions
    except QueryParameter as error:
        if error.rule == "bad-check-digit":
            raise
        return None
    return own


def _name_of(own: Condition) -> str | None:
    """The one canonical name that a condition asks for; None where it asks for a pattern."""
    match own:
        case Types(names=names):
            found: Sequence[str | None] = tuple(names)
        case Steps(words=names) | Dispositions(words=names) | Place(iris=names):
            found = tuple(names)
        case Things(patterns=patterns):
            found = [one.iri for one in patterns]
        case _:
            found = ()
    return found[0] if len(found) == 1 else None


def refuse_contradiction(kind: Collection, own: Condition, told: Query) -> None:
    """Refuse a question below a member that asks for another member of the same field. Raises QueryParameter."""
    for one in told.conditions:
        match own, one:
            case (Types(names=mine), Types(names=theirs)) | (Steps(words=mine), Steps(words=theirs)):
                pass
            case Dispositions(words=mine), Dispositions(words=theirs):
                pass
            case Place(field=field, iris=mine), Place(field=other, iris=theirs, descendants=False) if (
                field == other
            ):
                pass
            case _:
                continue
        if not mine <= theirs:
            expected = f"the {COLLECTIONS[kind.name]} of the address, or no such parameter"
            raise refused(one.parameter or kind.parameter, "contradicts-address", expected, "another")


def listed(
    events: Events, reader: Reader, kind: Collection, per_page: int, state: Any
) -> tuple[list[str], Any]:
    """A page of a list and where the next one begins: the standard's words first, then what else there is, in order.

    `state` is [how many of the standard's words were given, the last other name or None].
    """
    given, after = state if state is not None else (0, None)
    words = list(kind.standard[given : given + per_page + 1])
    others: list[str] = []
    # One more than the page has, so that a page that is followed by none says so.
    begin: str | None = after
    while len(words) + len(others) <= per_page:
        wanted = per_page + 1 - len(words) - len(others)
        more, begin = events.values(reader, kind.field, per_page=wanted, after=begin)
        others += [one for one in more if one not in kind.standard]
        if begin is None:
            break
    if len(words) + len(others) <= per_page:
        return words + others, None
    others = others[: max(0, per_page - len(words))]
    words = words[:per_page]
    return words + others, [given + len(words), others[-1] if others else after]


def _word(name: str, kind: Collection, asked: Negotiated) -> str:
    """A word as JSON has it, bare; in XML as the URI that was asked for, which there is a URN unless said otherwise."""
    if not asked.is_xml or kind.field not in ("bizStep", "disposition"):
        return name
    iri = words_of(kind.field).get(name, name)
    return iri if asked.cbv_format is CbvFormat.WEB_URI else urns_of(kind.field).get(iri, iri)


def _shown(name: str, kind: Collection, asked: Negotiated, translator: Translator) -> str:
    """A name in the form that was asked for. Raises NotAcceptable."""
    if not kind.is_identifier:
        return _word(name, kind, asked)
    try:
        return translator.name(name, asked.epc_format)
    except Untranslatable as error:
        finding = Finding(None, "/member", error.rule, error.expected, error.got)
        message = f"header GS1-EPC-Format: expected {error.expected}, got {error.got}"
        raise NotAcceptable(message, (finding,), error.rule) from None


for _kind in KINDS.values():
    _route(_kind)
