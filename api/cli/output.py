"""What commands print, and how they end.

Exit codes: 0 done, 1 refused or not verified, 2 wrong use, 3 the node cannot be reached or cannot answer now, 4 a log
misbehaved and a file proves it, 5 a log is suspected of something that nothing proves.
With ``--json`` standard output carries one JSON document and nothing else; people read standard error.
"""

from __future__ import annotations

import difflib
import errno
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NoReturn

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from ledger.errors import Finding, InvalidInput, LoomarkError, Unavailable

_OURS = frozenset({"api", "fabric", "ledger", "ontology"})
_WORD_FIELDS = frozenset({"bizStep", "disposition"})
_FINDINGS = 20

REFUSED = 1
WRONG_USE = 2
UNAVAILABLE = 3
MISBEHAVED = 4
SUSPECTED = 5

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)


def print_json(value: Any) -> None:
    """Print one JSON document on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def print_lines(lines: Iterable[str]) -> None:
    """Print lines as they are."""
    for line in lines:
        out.print(line, markup=False)


def fail(message: str, code: int) -> NoReturn:
    """Say why on standard error and end with `code`."""
    err.print(f"[red]loomark:[/red] {escape(message)}")
    raise SystemExit(code)


def progress() -> Progress:
    """A bar on standard error while a person looks on; nothing, not even an empty line, in a pipe."""
    return Progress(console=err, transient=True, disable=not err.is_terminal)


def status(text: str) -> AbstractContextManager[object]:
    """Say what goes on while a person looks on."""
    return err.status(text) if err.is_terminal else nullcontext()


@contextmanager
def reported() -> Iterator[None]:
    """Turn what can go wrong without a fault of Loomark's own into a message and an exit code."""
    try:
        yield
    except Unavailable as error:
        fail(str(error), UNAVAILABLE)
    except InvalidInput as error:
        for line in _findings(error):
            err.print(f"  {line}", markup=False)
        fail(f"{_without_repetition(error)} [{error.rule}]", REFUSED)
    except LoomarkError as error:
        fail(str(error), REFUSED)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in _OURS:
            raise
        fail(f"this command needs pip install 'loomark[node]' ({error.name} is missing)", REFUSED)
    except OSError as error:
        if error.errno == errno.EPIPE:
            # Nobody reads on; Python would complain once more when it flushes what is left.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(REFUSED) from error
        place = f"{error.filename}: " if error.filename is not None else ""
        fail(f"{place}{error.strerror or error}", REFUSED)


def _without_repetition(error: InvalidInput) -> str:
    """The message, less the finding in it that stands above it already."""
    if not error.findings or not error.findings[0].pointer:
        return error.message
    first = error.findings[0]
    said = f"{first.pointer}: expected {first.expected}, got {first.got}"
    return error.message.replace(said, "refused for what is told above")


def _findings(error: InvalidInput) -> Iterator[str]:
    """Each place that is at fault, told once: not again where it is the whole, and the message says it."""
    for finding in error.findings[:_FINDINGS]:
        if not finding.pointer and finding.expected in error.message:
            continue
        got = f", got {finding.got}" if finding.got else ""
        near = _nearest(finding)
        yield f"{finding.pointer or '/'}: {finding.rule}: expected {finding.expected}{got}{near}"
    if len(error.findings) > _FINDINGS:
        yield f"… and {len(error.findings) - _FINDINGS} more"


def _nearest(finding: Finding) -> str:
    """The known word that somebody who mistyped it most likely meant."""
    field = finding.pointer.rpartition("/")[2]
    if field not in _WORD_FIELDS or not finding.got:
        return ""
    from fabric.epcis.words import words_of

    found = difflib.get_close_matches(finding.got, words_of(field), 1)
    return f"; did you mean {found[0]}?" if found else ""
