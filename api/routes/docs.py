"""`/docs`: the OpenAPI description as one page of our own, with nothing loaded from elsewhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse

from .asking import Serving
from .shown import html

router = APIRouter(include_in_schema=False)

_OPEN = frozenset({"/api/policy", "/api/health"})
_NAMING = frozenset({"thing", "lot"})
_METHODS = ("get", "post", "put", "delete")


@router.get("/docs")
def docs(request: Request, serving: Serving) -> HTMLResponse:
    """Every call, with its parameters and answers, by concern."""
    app = request.app
    assert isinstance(app, FastAPI)
    schema = app.openapi()
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for operation in _operations(schema):
        groups[operation["tag"]].append(operation)
    values = {"groups": list(groups.items()), "description": app.description.strip().split("\n\n")}
    return html(request, serving, "docs.html", values)


def _statuses(path: str, item: Mapping[str, Any]) -> set[str]:
    """What a call is answered with: as described, and what every call that asks who calls or names a thing gives."""
    found = set(item["responses"])
    if path.startswith(("/api/", "/epcis/")) and path not in _OPEN:
        found |= {"401"}
    if "{" in path or any(one["name"] in _NAMING for one in item.get("parameters", [])):
        found |= {"404"}
    return found


def _operations(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for path, methods in schema["paths"].items():
        for method in _METHODS:
            if method in methods:
                item = methods[method]
                yield {
                    "tag": (item.get("tags") or ["other"])[0],
                    "method": method.upper(),
                    "path": path,
                    "summary": item.get("summary", ""),
                    "description": item.get("description", ""),
                    "parameters": item.get("parameters", []),
                    "statuses": sorted(_statuses(path, item)),
                }
