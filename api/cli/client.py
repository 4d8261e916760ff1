"""A node as commands see it: the Python client, with what a person at a terminal is to set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ledger.errors import InvalidInput, Unavailable
from loomark.calls import Flow, NoAnswer, T
from loomark.client import TIMEOUT_S, Client

_KEY_WANTED = "this needs an API key; set LOOMARK_API_KEY, or name a file that holds it with --api-key-file"
_KEY_UNKNOWN = (
    "the node does not know this API key; check LOOMARK_API_KEY or --api-key-file. A key from `member api-key` or"
    " `make run` takes the place of earlier ones"
)

Url = Annotated[str, typer.Option("--url", envvar="LOOMARK_URL", help="Address of the node.")]
ApiKeyFile = Annotated[
    Path | None,
    typer.Option("--api-key-file", help="File that holds your API key; or set LOOMARK_API_KEY."),
]
DEFAULT_URL = "http://127.0.0.1:8080"


class Node(Client):
    """One node, for a command: what a refusal means comes with what to set for it."""

    def __init__(self, url: str, api_key: str | None, timeout_s: float = TIMEOUT_S) -> None:
        super().__init__(url, api_key, timeout_s)
        self._has_key = bool(api_key)

    def run(self, flow: Flow[T]) -> T:
        """Hold one conversation to its end."""
        try:
            return super().run(flow)
        except InvalidInput as error:
            if error.rule != "unauthenticated":
                raise
            told = _KEY_UNKNOWN if self._has_key else _KEY_WANTED
            raise InvalidInput(told, rule="unauthenticated") from error
        except NoAnswer as error:
            raise Unavailable(f"{error} LOOMARK_URL or --url says where it is") from error


def api_key(file: Path | None) -> str | None:
    """The API key from `file`, else from LOOMARK_API_KEY, else None."""
    if file is None:
        return _checked(os.environ.get("LOOMARK_API_KEY", "").strip(), "LOOMARK_API_KEY") or None
    try:
        text = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InvalidInput(
            f"cannot read the API key file {file}: {error.strerror}", rule="bad-file"
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"expected an API key in {file}, got something else", rule="bad-api-key"
        ) from error
    if not text:
        raise InvalidInput(f"expected an API key in {file}, got an empty file", rule="bad-api-key")
    return _checked(text, str(file))


def _checked(key: str, source: str) -> str:
    if not all("!" <= sign <= "~" for sign in key):
        raise InvalidInput(
            f"the API key in {source} has signs that no key has; copy it again as it was printed",
            rule="bad-api-key",
        )
    return key


def connect(url: str, key_file: Path | None) -> Node:
    """A client for the node at `url` with the caller's API key."""
    return Node(url, api_key(key_file))
