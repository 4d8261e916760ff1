"""What the OpenAPI description says of the operations below `/epcis`: parameters, forms, headers and refusals."""

from __future__ import annotations

import re
from typing import Any, Final

from api.problems import MEDIA_TYPE as PROBLEM
from fabric.epcis.representation import CbvFormat, EpcFormat
from fabric.query.grammar import FIXED

from .interface import COLLECTIONS
from .negotiation import JSON, JSON_LD, TEXT_XML, XML
from .problems import XML_MEDIA_TYPE as PROBLEM_XML

_TEXT: Final = {"type": "string"}
_VERSION: Final = {"type": "string", "pattern": r"^\d{1,9}(\.\d{1,9})*$", "example": "2.0.0"}
_REFUSALS: Final = {
    "400": "Something of the request is wrong: ValidationException, QueryParameterException and their like",
    "401": "No API key, or one that is not known: SecurityException",
    "403": "Not the caller's to do: SecurityException",
    "404": "Nothing of that name is visible to the caller: NoSuchResourceException, NoSuchNameException",
    "406": "No answer in the form or version that is asked for: NotAcceptableException",
    "409": "It contradicts what is there: ResourceAlreadyExistsException",
    "410": "It was there and was erased: NoSuchResourceException",
    "413": "Too much: CaptureLimitExceededException, QueryTooLargeException, QueryTooComplexException",
    "414": "The address is too long: URITooLongException",
    "415": "Another content type: UnsupportedMediaTypeException",
    "503": "The node cannot serve this now; try again: ImplementationException",
    "507": "The node has no room: ImplementationException",
}
_ALWAYS: Final = ("400", "401", "403", "404", "406", "414", "503")
_REFUSED: Final = {
    "OPTIONS": (*_ALWAYS, "413"),
    "GET": (*_ALWAYS, "413"),
    "DELETE": _ALWAYS,
    "POST": (*_ALWAYS, "409", "413", "415", "507"),
}
_OF_RECORDS: Final = ("409", "410")
"""What else is said of the receipt and the document of a capture."""
_ANSWERED: Final = {
    "GS1-EPCIS-Version": "Version of EPCIS of the answer.",
    "GS1-CBV-Version": "Version of the vocabulary of the answer.",
    "GS1-Extensions": "Prefixes of extensions and their namespaces.",
    "GS1-Vendor-Version": "Version of this software.",
}
_PAGED: Final = {
    "Link": 'The next page, with rel="next"; absent on the last.',
    "GS1-Next-Page-Token-Expires": "When that link ends.",
}
_FORMS: Final = (JSON, JSON_LD, XML, TEXT_XML)
_NO_XML: Final = frozenset({"/epcis/capture", "/epcis/queries", "/epcis/queries/{queryName}"})
_SUBSCRIPTIONS: Final = "/subscriptions"
_OWN_FORMS: Final = ("/receipt", "/document")


def complete(operation: dict[str, Any], path: str, method: str) -> None:
    """Complete the description of one operation below `/epcis`; `path` is its template."""
    method = method.upper()
    parameters = operation.setdefault("parameters", [])
    known = {(one["in"], one["name"]) for one in parameters}
    parameters += [one for one in _parameters(path, method) if (one["in"], one["name"]) not in known]
    responses = operation["responses"]
    responses.pop("422", None)
    for status, answered in responses.items():
        answered.setdefault("headers", {}).update(_headers(_ANSWERED))
        if method == "GET" and _is_list(path):
            answered["headers"].update(_headers(_PAGED))
        if status == "200" and not path.endswith(_OWN_FORMS):
            answered["content"] = {form: {} for form in _forms(path)}
    refused = _REFUSED[method] + (_OF_RECORDS if path.endswith(_OWN_FORMS) else ())
    for status in refused:
        responses.setdefault(status, _refusal(_REFUSALS[status]))
    if method == "OPTIONS":
        # It tells of the interface only; whoever says who they are is told whether the name is known.
        operation["security"] = [{}, {"apiKey": []}, {"session": []}]


def _parameters(path: str, method: str) -> list[dict[str, Any]]:
    found = [_parameter(name, "path", _TEXT, "", True) for name in re.findall(r"{(\w+)}", path)]
    found += [
        _parameter(f"GS1-{kind}-{end}", "header", _VERSION, "Which versions the answer may have.")
        for kind in ("EPCIS", "CBV")
        for end in ("Min", "Max")
    ]
    found.append(
        _parameter(
            "GS1-Extensions", "header", _TEXT, "Prefixes and namespaces: ex=https://example.com/, ex2=…"
        )
    )
    if method == "GET" or (method == "POST" and path.endswith(_SUBSCRIPTIONS)):
        found.append(_parameter("GS1-EPC-Format", "header", _enum(EpcFormat), "How identifiers are written."))
        found.append(
            _parameter("GS1-CBV-XML-Format", "header", _enum(CbvFormat), "How words are written in XML.")
        )
        if path.endswith("/events") and not path.startswith("/epcis/queries"):
            told = "docs/spec/query.md"
            found += [_parameter(name, "query", _TEXT, told) for name in FIXED]
    return found


def _parameter(
    name: str, place: str, schema: dict[str, Any], text: str, required: bool = False
) -> dict[str, Any]:
    told = {"description": text} if text else {}
    return {"name": name, "in": place, "required": required, "schema": schema, **told}


def _enum(kind: type[EpcFormat] | type[CbvFormat]) -> dict[str, Any]:
    return {"type": "string", "enum": [one.value for one in kind]}


def _headers(texts: dict[str, str]) -> dict[str, Any]:
    return {name: {"description": text, "schema": _TEXT} for name, text in texts.items()}


def _is_list(path: str) -> bool:
    last = path.rpartition("/")[2]
    return last in COLLECTIONS or last in ("events", "capture", "queries", "subscriptions")


def _forms(path: str) -> tuple[str, ...]:
    return _FORMS[:2] if path in _NO_XML or _SUBSCRIPTIONS in path else _FORMS


def _refusal(text: str) -> dict[str, Any]:
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {"description": text, "content": {PROBLEM: schema, PROBLEM_XML: {"schema": _TEXT}}}
