"""`loomark capture`: send EPCIS documents, signed with your own key or in the node's custody."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from ledger.capture import CAPTURE_SALT_SIZE_BYTES
from ledger.commitment import RECORD_SALT_SIZE_BYTES
from ledger.ed25519 import SigningKey
from ledger.errors import InvalidInput
from ledger.keyfile import read_key_file
from ledger.submission import MEDIA_TYPE as SUBMISSION
from ledger.submission import build_submission

from .client import DEFAULT_URL, ApiKeyFile, Node, Url, connect
from .output import REFUSED, out, print_json
from .seen import Pinned, see
from .signing import now_text

app = typer.Typer(add_completion=False)

EPCIS_JSON = "application/ld+json"


@app.command()
def capture(
    files: Annotated[list[Path], typer.Argument(help="EPCIS 2.0 JSON-LD documents or single events.")],
    key: Annotated[
        Path | None, typer.Option(help="Your key file; without it the node signs in custody.")
    ] = None,
    url: Url = DEFAULT_URL,
    api_key_file: ApiKeyFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the capture jobs as JSON.")] = False,
) -> None:
    """Capture documents and wait until each is in the log, or refused."""
    jobs = []
    with connect(url, api_key_file) as node:
        for file in files:
            job = capture_file(node, file, key)
            jobs.append(job)
            if not as_json:
                _show(file, job)
    if as_json:
        print_json(jobs)
    if any(job["state"] != "sequenced" for job in jobs):
        raise SystemExit(REFUSED)


def capture_file(node: Node, file: Path, key_file: Path | None) -> dict[str, Any]:
    """Post one document, signed locally when a key file is given, and give its job once it is settled."""
    try:
        document = file.read_bytes()
    except OSError as error:
        raise InvalidInput(f"cannot read {file}: {error.strerror}", rule="bad-file") from error
    if key_file is None:
        response = node.post("/epcis/capture", document, EPCIS_JSON)
    else:
        member = str(node.get_json("/api/members")["self"])
        body = signed_submission(document, member, read_key_file(key_file), see(node, key_file))
        response = node.post("/epcis/capture", body, SUBMISSION)
    return node.wait_for_capture(response.headers["location"])


def signed_submission(document: bytes, member: str, key: SigningKey, pinned: Pinned) -> bytes:
    """Commit to a document's records and sign them on this machine: the body of a member-signed capture."""
    from fabric.epcis import read_document

    read = read_document(document, EPCIS_JSON)
    records = [record.committed for record in read.records]
    return build_submission(
        document,
        records,
        _contexts(records),
        key=key,
        log=pinned.origin,
        member=member,
        seen=(pinned.size, pinned.root),
        issued=now_text(),
        capture_salt=secrets.token_bytes(CAPTURE_SALT_SIZE_BYTES),
        record_salts=[secrets.token_bytes(RECORD_SALT_SIZE_BYTES) for _ in records],
        statement_id=secrets.token_hex(16),
    )


def _contexts(records: list[dict[str, Any]]) -> dict[str, str | None]:
    bound = (entry for record in records for entry in record["@context"] if isinstance(entry, dict))
    return {entry["url"]: entry["sha256"] for entry in bound if entry.keys() == {"url", "sha256"}}


def _show(file: Path, job: dict[str, Any]) -> None:
    records = job.get("records", [])
    state = job["state"]
    where = f"log index {job['index']}" if state == "sequenced" else job.get("reason") or ""
    out.print(f"{escape(str(file))}: [bold]{state}[/bold], {len(records)} records {escape(str(where))}")
    for warning in job.get("warnings", [])[:20]:
        out.print(f"  warning: {warning.get('pointer')}: {warning.get('rule')}", markup=False)
