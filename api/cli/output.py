"""What commands print, and how they end.

Exit codes: 0 done, 1 refused or not verified, 2 wrong use, 3 the node cannot be reached or cannot answer now.
With ``--json`` standard output carries one JSON document and nothing else; people read standard error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from rich.console import Console
from rich.markup import escape

from ledger.errors import InvalidInput, LoomarkError, Unavailable

REFUSED = 1
WRONG_USE = 2
UNAVAILABLE = 3

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)


def print_json(value: Any) -> None:
    """Print one JSON document on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def fail(message: str, code: int) -> NoReturn:
    """Say why on standard error and end with `code`."""
    err.print(f"[red]loomark:[/red] {escape(message)}")
    raise SystemExit(code)


@contextmanager
def reported() -> Iterator[None]:
    """Turn the errors that Loomark raises on purpose into a message and an exit code."""
    try:
        yield
    except Unavailable as error:
        fail(str(error), UNAVAILABLE)
    except InvalidInput as error:
        for finding in error.findings[:20]:
            place = finding.pointer or "/"
            err.print(escape(f"  {place}: {finding.rule}: expected {finding.expected}, got {finding.got}"))
        fail(f"{error.message} [{error.rule}]", REFUSED)
    except LoomarkError as error:
        fail(str(error), REFUSED)
