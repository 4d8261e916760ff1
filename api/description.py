"""The OpenAPI description: what FastAPI derives from the routes, with bodies, refusals and authentication as they are."""

from __future__ import annotations

import re
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from ledger.submission import MEDIA_TYPE as SUBMISSION

from .auth import COOKIE
from .epcis.description import complete as complete_epcis
from .problems import MEDIA_TYPE as PROBLEM

_PUBLIC: Final = (
    "/healthz",
    "/readyz",
    "/metrics",
    "/log/checkpoint",
    "/log/vkey",
    "/log/key-changes",
    "/log/tile/",
    "/api/policy",
    "/.well-known/gs1resolver",
)
_JSON_OBJECT: Final = {"schema": {"type": "object"}}
_XML: Final = {"schema": {"type": "string", "description": "EPCIS 2.0 or 1.x in XML; docs/spec/xml.md."}}
_BODIES: Final[dict[tuple[str, str], dict[str, Any]]] = {
    ("/epcis/capture", "post"): {
        "application/ld+json": _JSON_OBJECT,
        "application/json": _JSON_OBJECT,
        "application/xml": _XML,
        "text/xml": _XML,
        SUBMISSION: {"schema": {"$ref": "#/components/schemas/Submission"}},
    },
    ("/epcis/events", "post"): {
        "application/ld+json": _JSON_OBJECT,
        "application/json": _JSON_OBJECT,
        "application/xml": _XML,
        "text/xml": _XML,
    },
    ("/epcis/queries", "post"): {
        "application/json": {"schema": {"$ref": "#/components/schemas/NamedQuery"}},
        "application/ld+json": {"schema": {"$ref": "#/components/schemas/NamedQuery"}},
    },
    ("/epcis/queries/{queryName}/subscriptions", "post"): {
        "application/json": {"schema": {"$ref": "#/components/schemas/Subscription"}},
        "application/ld+json": {"schema": {"$ref": "#/components/schemas/Subscription"}},
    },
    ("/api/links", "post"): {"application/json": {"schema": {"$ref": "#/components/schemas/Link"}}},
    ("/api/erasures", "post"): {"application/json": {"schema": {"$ref": "#/components/schemas/Erasure"}}},
    ("/api/members/{member_id}/retention", "put"): {
        "application/json": {"schema": {"$ref": "#/components/schemas/Retention"}}
    },
    ("/api/statements", "post"): {"application/json": {"schema": {"$ref": "#/components/schemas/Statement"}}},
}
_TEXT: Final = {"type": "string"}
_SCHEMAS: Final[dict[str, Any]] = {
    "Finding": {
        "type": "object",
        "required": ["record", "pointer", "rule", "expected", "got"],
        "properties": {
            "record": {
                "type": ["integer", "null"],
                "description": "Position in the capture; 0 is the header record.",
            },
            "pointer": {
                **_TEXT,
                "description": "RFC 6901 pointer into what was sent; in XML the path of an element or attribute.",
            },
            "line": {"type": "integer", "description": "Line of the element; in XML only."},
            "rule": {**_TEXT, "description": "Stable name of the rule."},
            "expected": _TEXT,
            "got": _TEXT,
        },
    },
    "Problem": {
        "type": "object",
        "description": "RFC 9457. Nothing of a refused request is stored.",
        "required": ["type", "title", "status", "detail", "rule"],
        "properties": {
            "type": {
                **_TEXT,
                "description": "urn:loomark:problem:<rule>; below /epcis an exception of the standard.",
            },
            "rule": {
                **_TEXT,
                "description": "Stable name of the rule; finer than an exception of the standard.",
            },
            "title": _TEXT,
            "status": {"type": "integer"},
            "detail": _TEXT,
            "findings": {"type": "array", "maxItems": 100, "items": {"$ref": "#/components/schemas/Finding"}},
            "findingCount": {"type": "integer"},
        },
    },
    "NamedQuery": {
        "type": "object",
        "required": ["name", "query"],
        "properties": {
            "name": _TEXT,
            "query": {"type": "object", "description": "EPCIS query language: docs/spec/query.md."},
        },
    },
    "Subscription": {
        "type": "object",
        "description": "With `stream` or `schedule`: docs/spec/subscriptions.md.",
        "required": ["dest"],
        "properties": {
            "dest": {**_TEXT, "description": "Where deliveries are sent."},
            "signatureToken": {**_TEXT, "description": "What deliveries are signed with."},
            "stream": {"type": "boolean"},
            "schedule": {"type": "object"},
            "reportIfEmpty": {"type": "boolean"},
            "initialRecordTime": {**_TEXT, "description": "RFC 3339."},
        },
    },
    "Submission": {
        "type": "object",
        "description": "A member-signed capture: docs/spec/statement.md.",
        "required": ["envelope", "captureSalt", "recordSalts", "contexts", "document"],
        "properties": {
            "envelope": {"type": "object", "description": "DSSE envelope of the capture statement."},
            "captureSalt": {**_TEXT, "description": "32 bytes, hex."},
            "recordSalts": {
                "type": "array",
                "items": _TEXT,
                "description": "32 bytes each, hex, one a record.",
            },
            "contexts": {"type": "array", "items": {"type": "object"}},
            "document": {**_TEXT, "description": "The source bytes, base64."},
        },
    },
    "Link": {
        "type": "object",
        "description": "Two names of one thing, told or signed by the caller: docs/spec/link.md.",
        "properties": {
            "same": {"type": "array", "items": _TEXT, "minItems": 2, "maxItems": 2},
            "reason": {"type": ["string", "null"], "maxLength": 1000},
            "parties": {"type": "array", "items": _TEXT, "description": "Members that may see it, too."},
            "envelope": {"type": "object", "description": "DSSE envelope of a signed link statement."},
            "salt": {**_TEXT, "description": "32 bytes, hex: of what was signed."},
            "body": {"type": "object", "description": "loomark/link/v1: what was signed."},
        },
    },
    "Erasure": {
        "type": "object",
        "description": "Records of the caller, or units of one, told or signed: docs/spec/erasure.md.",
        "properties": {
            "records": {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": 4096},
            "units": {"type": "array", "items": _TEXT, "description": "JSON pointers; none: all of it."},
            "reason": {**_TEXT, "maxLength": 1000},
            "parties": {"type": "array", "items": _TEXT, "description": "Members that may read the reason."},
            "envelope": {"type": "object", "description": "DSSE envelope of a signed erasure statement."},
            "salt": {**_TEXT, "description": "32 bytes, hex: of what was signed."},
            "body": {"type": "object", "description": "loomark/erasure/v1: what was signed."},
        },
    },
    "Retention": {
        "type": "object",
        "description": "How long a member's records are kept; {}: without end.",
        "properties": {
            "days": {"type": ["integer", "null"], "minimum": 1, "maximum": 36525},
            "until": {"type": ["string", "null"], "description": "YYYY-MM-DDThh:mm:ss.sssZ"},
        },
    },
    "Statement": {
        "type": "object",
        "description": "A DSSE envelope, or from the operator {type, …}: docs/spec/statement.md.",
    },
}
_REFUSALS: Final = {
    "400": "The request cannot be accepted",
    "401": "No API key, or one that is not known",
    "403": "Not the caller's to do",
    "404": "Nothing of that name is visible to the caller",
    "414": "A URI longer than the node reads",
    "503": "The node cannot serve this now; try again",
}
# What a public operation refuses besides what is not there: bundles of entries are for readers the node knows.
_TILE_REFUSALS: Final = {
    **{status: _REFUSALS[status] for status in ("400", "401", "403")},
    "410": "A bundle that this log does not keep any more",
}
_BODY_REFUSALS: Final = {
    "409": "It contradicts something accepted before",
    "413": "Larger than a stated limit",
    "415": "Another content type",
}


def describe(app: FastAPI) -> dict[str, Any]:
    """The description of `app`, made once and kept."""
    if app.openapi_schema is None:
        found = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        components = found.setdefault("components", {})
        schemas = components.get("schemas", {})
        components["schemas"] = {one: schemas[one] for one in schemas if "Validation" not in one} | _SCHEMAS
        components["securitySchemes"] = {
            "apiKey": {"type": "http", "scheme": "bearer"},
            "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
        }
        found["security"] = [{"apiKey": []}, {"session": []}]
        for path, methods in found["paths"].items():
            for method, operation in methods.items():
                _complete(operation, path, method)
        app.openapi_schema = found
    return app.openapi_schema


def _complete(operation: dict[str, Any], path: str, method: str) -> None:
    body = _BODIES.get((path, method))
    if body is not None:
        operation["requestBody"] = {"required": True, "content": body}
    _name_path_parameters(operation, path)
    responses = operation["responses"]
    responses.pop("422", None)
    if path.startswith("/epcis/"):
        complete_epcis(operation, path, method)
        return
    refusals = dict(_REFUSALS)
    if path.startswith(_PUBLIC):
        operation["security"] = []
        refusals = {"404": _REFUSALS["404"]} | (_TILE_REFUSALS if path.startswith("/log/tile/") else {})
    if body is not None:
        refusals |= _BODY_REFUSALS
    for status, text in refusals.items():
        content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        responses.setdefault(status, {"description": text, "content": content})


def _name_path_parameters(operation: dict[str, Any], path: str) -> None:
    """Declare the parts of a path that the route reads by itself, as OpenAPI asks for every one of them."""
    parameters = operation.get("parameters", [])
    declared = {one["name"] for one in parameters if one["in"] == "path"}
    missing = [name for name in re.findall(r"{(\w+)}", path) if name not in declared]
    if missing:
        added = [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in missing]
        operation["parameters"] = [*parameters, *added]
