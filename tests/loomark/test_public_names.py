"""What callers may rely on: these names and parameters change with a new major version only."""

from __future__ import annotations

import inspect
import subprocess
import sys

import loomark
from loomark import AsyncClient, Client

NAMES = {
    "AsyncClient",
    "CapturedRecord",
    "Client",
    "Conflict",
    "Erased",
    "FileMemory",
    "Finding",
    "Forbidden",
    "InvalidInput",
    "Job",
    "LoomarkError",
    "Memory",
    "NotFound",
    "Page",
    "Pinned",
    "Signing",
    "TooLarge",
    "Unavailable",
    "VerificationError",
    "Verified",
    "verify",
}
METHODS = {
    "capture": ["document", "signing", "behaviour", "keep_wrong_check_digits"],
    "close": [],
    "delete": ["address"],
    "event": ["event_id", "headers"],
    "events": ["headers", "query"],
    "get": ["path", "parameters"],
    "get_json": ["path", "parameters"],
    "job": ["job"],
    "name_query": ["name", "query"],
    "page": ["page", "headers", "query"],
    "post": ["path", "body", "media_type", "headers"],
    "proof": ["record", "show"],
    "put": ["path", "body"],
    "receipt": ["job"],
    "run": ["flow"],
    "see": ["memory"],
    "subscribe": ["name", "subscription"],
    "trace": ["thing", "direction", "at", "size"],
    "wait": ["job", "timeout_s"],
}


def methods(kind: type) -> dict[str, list[str]]:
    found = inspect.getmembers(kind, inspect.isfunction)
    return {
        name: [one for one in inspect.signature(function).parameters if one != "self"]
        for name, function in found
        if not name.startswith("_")
    }


def test_the_public_names_are_these() -> None:
    assert set(loomark.__all__) == NAMES
    assert all(getattr(loomark, name).__doc__ or name == "Verified" for name in NAMES)


def test_both_clients_have_these_methods_with_these_parameters_and_defaults() -> None:
    assert methods(Client) == METHODS
    assert methods(AsyncClient) == METHODS
    for name in METHODS:
        one, other = (inspect.signature(getattr(kind, name)).parameters for kind in (Client, AsyncClient))
        assert [(p.name, p.kind, p.default) for p in one.values()] == [
            (p.name, p.kind, p.default) for p in other.values()
        ]
        assert inspect.getdoc(getattr(Client, name)) == inspect.getdoc(getattr(AsyncClient, name))


def test_importing_it_loads_no_server_and_no_command_line() -> None:
    code = (
        "import sys, loomark; loaded = {name.partition('.')[0] for name in sys.modules};"
        "print(sorted(loaded & {'api', 'fastapi', 'pydantic', 'pyoxigraph', 'sqlalchemy', 'starlette', 'typer'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True)
    assert done.stdout.strip() == "[]"
