"""`loomark capture`: send EPCIS documents, signed with your own key or in the node's custody."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from ledger.errors import InvalidInput
from loomark.signing import Signing

from .client import DEFAULT_URL, ApiKeyFile, Node, Url, connect
from .columns import printable
from .key_source import PassphraseFile, public_key_of, signing_of_command, signing_of_file
from .output import REFUSED, WRONG_USE, fail, out, print_json, print_lines
from .verdict_text import counted

app = typer.Typer(add_completion=False)

_IN_THE_LOG = frozenset({"sequenced", "duplicate"})
_LISTED = 10
_WARNINGS = 20


@app.command()
def capture(
    files: Annotated[
        list[Path], typer.Argument(help="EPCIS documents or single events: JSON-LD, or XML of 2.0 or 1.x.")
    ],
    key: Annotated[
        Path | None, typer.Option(help="Your key file; without it the node signs in custody.")
    ] = None,
    signer: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND", help="Program that signs in the place of a key file; see key external."
        ),
    ] = None,
    public_key: Annotated[
        str | None, typer.Option(help="The public key of --signer; without it your only active one.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    keep_wrong_check_digits: Annotated[
        bool,
        typer.Option(
            "--keep-wrong-check-digits",
            help="Take GS1 keys with a wrong check digit as private names, warned about, instead of refusing.",
        ),
    ] = False,
    receipt: Annotated[
        Path | None,
        typer.Option(
            help="File for the receipt: the proofs of all records of one FILE, for `loomark verify`."
        ),
    ] = None,
    url: Url = DEFAULT_URL,
    api_key_file: ApiKeyFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the capture jobs as JSON.")] = False,
) -> None:
    """Capture documents and wait until each is in the log, or refused."""
    if receipt is not None and len(files) != 1:
        fail("a receipt is of one document: give --receipt with one FILE", WRONG_USE)
    jobs = []
    try:
        with connect(url, api_key_file) as node:
            signing = _signing(node, key, passphrase_file, signer, public_key)
            for file in files:
                with _named(file):
                    before, document = checkpoint_size(node), read_document_file(file)
                    job = capture_document(node, document, signing, keep_wrong_check_digits)
                jobs.append(job)
                if receipt is not None and job["receipt"] is not None:
                    receipt.write_bytes(node.get(job["receipt"]).content)
                if not as_json:
                    print_lines(told(file, document, job, before, _indices(node, job)))
    finally:
        # A refusal of one file does not undo the captures of those before it.
        if as_json and jobs:
            print_json(jobs)
    if receipt is not None and not as_json and jobs[0]["receipt"] is not None:
        out.print(f"  receipt: {receipt}; check it with loomark verify", markup=False)
    if not all(job["state"] in _IN_THE_LOG for job in jobs):
        raise SystemExit(REFUSED)


def _signing(
    node: Node, key: Path | None, passphrase_file: Path | None, signer: str | None, public_key: str | None
) -> Signing | None:
    """Who signs, None for the node in custody."""
    if signer is None:
        if public_key is not None:
            raise InvalidInput("--public-key goes with --signer: a key file has its own", rule="wrong-use")
        return None if key is None else signing_of_file(key, passphrase_file)
    if key is not None:
        raise InvalidInput("expected --key or --signer, got both", rule="wrong-use")
    return signing_of_command(signer, _active_key(node) if public_key is None else public_key_of(public_key))


def _active_key(node: Node) -> bytes:
    """The caller's only active key of its own; what the program signs is verified with it."""
    answer = node.get_json("/api/members")
    keys = [
        public_key_of(str(key["key"]))
        for member in answer["members"]
        if member["id"] == answer["self"]
        for key in member["keys"]
        if (key["use"], key["state"]) == ("member", "active")
    ]
    if len(keys) != 1:
        raise InvalidInput(
            f"expected --public-key with --signer: {answer['self']} has {len(keys)} active keys",
            rule="wrong-use",
        )
    return keys[0]


def _indices(node: Node, job: Mapping[str, Any]) -> dict[str, int]:
    """Where the first of the records that a job only repeats stand in the log, by record id."""
    repeated = [_record_id(one) for one in job.get("duplicates", [])[:_LISTED]]
    return {record: int(node.get_json(f"/api/records/{record}")["index"]) for record in repeated}


def _record_id(duplicate: dict[str, Any]) -> str:
    return str(duplicate["duplicateOf"]).rpartition(":")[2]


def checkpoint_size(node: Node) -> int:
    """The tree size of the node's newest checkpoint, unverified."""
    return int(node.get("/log/checkpoint").text.splitlines()[1])


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """Let a refusal within the block say which file it is about."""
    try:
        yield
    except InvalidInput as error:
        if str(file) not in error.message and error.rule != "unauthenticated":
            error.message = f"{file}: {error.message}"
        raise


def read_document_file(file: Path) -> bytes:
    """The bytes of a document, read once: the file may be a pipe. Raises InvalidInput."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidInput(f"cannot read {file}: {error.strerror}", rule="bad-file") from error


def capture_document(
    node: Node, document: bytes, signing: Signing | None, keep_wrong_check_digits: bool = False
) -> Mapping[str, Any]:
    """Post one document, signed locally when somebody signs, and give its job once it is settled."""
    job = node.capture(document, signing=signing, keep_wrong_check_digits=keep_wrong_check_digits)
    return node.wait(job).answer


def told(
    file: Path, document: bytes, job: Mapping[str, Any], before: int, indices: dict[str, int]
) -> Iterator[str]:
    """What became of a file with a document, its events, and what to do next.

    `before` is the size of the log before the file was sent, `indices` says where repeated records stand.
    """
    if job["state"] not in _IN_THE_LOG:
        yield f"{file}: {job['state']} {printable(job.get('reason') or '')}".rstrip()
        return
    repeats = {int(one["record"]): _record_id(one) for one in job.get("duplicates", [])}
    events, repeated = _events(document, job, repeats)
    yield f"{file}: {_outcome(job, len(events), before)}"
    lines = [
        f"{one['record']}  {printable(one['eventID'] or '(no event ID)')}" + _repeating(one, job, repeats)
        for one in events
    ]
    lines += [
        f"{record}  already in the log" + (f" at {indices[record]}" if record in indices else "")
        for record in repeated
    ]
    yield from (f"  {line}" for line in lines[:_LISTED])
    if len(lines) > _LISTED:
        yield f"  … and {len(lines) - _LISTED} more; --json lists all of them"
    for warning in job.get("warnings", [])[:_WARNINGS]:
        line = f" (line {warning['line']})" if "line" in warning else ""
        yield f"  warning: {printable(str(warning.get('pointer')))}{line}: {warning.get('rule')}"
    known = [*(one["record"] for one in events), *repeated]
    if known:
        yield f"  next: loomark prove {known[0]} -o proof.json"


def _events(
    document: bytes, job: Mapping[str, Any], repeats: dict[int, str]
) -> tuple[list[dict[str, Any]], list[str]]:
    """The events of a job without header and master data, and the events that it repeats, by record id.

    In custody only what is new is committed; a signature covers the whole document, what it repeats included.
    """
    count = _count(document)
    signed = job["custody"] == "member"
    first = len(job["records"]) + (0 if signed else len(repeats)) - count
    repeated = [record for position, record in repeats.items() if position >= first]
    new = count if signed else count - len(repeated)
    events = job["records"][-new:] if new > 0 else []
    return events, repeated


def _count(document: bytes) -> int:
    """How many events a document has that the node has taken; a single event is one."""
    from fabric.epcis.document import EVENT_LISTS
    from fabric.epcis.xml_document import read_xml
    from fabric.epcis.xml_parser import looks_like_xml

    if looks_like_xml(document):
        return len(read_xml(document).events) or 1
    place = json.loads(document)
    for name in EVENT_LISTS.get(place["type"], "").split("/")[1:]:
        place = place.get(name, {})
    return len(place) or 1 if isinstance(place, list) else 1


def _repeating(one: dict[str, Any], job: Mapping[str, Any], repeats: dict[int, str]) -> str:
    same = repeats.get(one["position"]) if job["custody"] == "member" else None
    return f"  says again what {same[:12]}… says" if same else ""


def _outcome(job: Mapping[str, Any], events: int, before: int) -> str:
    if job["state"] == "duplicate":
        return "every record is already in the log, nothing was added"
    if job["index"] < before:
        return f"{counted(events, 'event')}, already in the log at {job['index']}"
    return f"{counted(events, 'event')} in the log at {job['index']}"
