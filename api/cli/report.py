"""`loomark report`: a provenance report of a thing, as JSON evidence and as a page to print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ledger.canonical import parse_json
from ledger.policy import parse_policy

from .asked import operator_told, thing_of
from .client import DEFAULT_URL, ApiKeyFile, Url, connect
from .output import REFUSED, fail, out, print_json
from .prove import AGAINST

app = typer.Typer(add_completion=False)


@app.command()
def report(
    thing: Annotated[
        str,
        typer.Argument(help="A lot, serial, carrier or document: its IRI, element string or bare number."),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="File for the JSON evidence.")],
    html: Annotated[Path | None, typer.Option(help="File for the printable page.")] = None,
    direction: Annotated[str, typer.Option(help="forward, backward or both.")] = "both",
    url: Url = DEFAULT_URL,
    api_key_file: ApiKeyFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a provenance report; `loomark verify` checks it on another machine, offline.

    A bare number that means several things ends with status 2 and their list. The page is made here, of what
    verified of the JSON under the node's policy. Where too few witnesses cosigned, or a key is disputed, both files
    are written, the page says so at its top, and the exit code is 1.
    """
    with connect(url, api_key_file) as node:
        meant = thing_of(node, thing)
        written = {"thing": meant, "report": str(output)}
        asked = {"thing": meant, "direction": direction}
        with operator_told(node):
            response = node.get("/api/reports/provenance", **asked)
        evidence, against = response.content, response.headers.get("Loomark-Checkpoint")
        page, refusal = (None, None) if html is None else page_of(evidence, node.get("/api/policy").text)
    output.write_bytes(evidence)
    if html is not None and page is not None:
        html.write_bytes(page)
        written["html"] = str(html)
    files = " and ".join(value for name, value in written.items() if name != "thing")
    if as_json:
        print_json(written if against is None else {**written, "checkpoint": against})
    else:
        out.print(f"wrote {files}{AGAINST[against]}", markup=False)
    if refusal is not None:
        fail(refusal, REFUSED)


def page_of(evidence: bytes, policy: str) -> tuple[bytes, str | None]:
    """The printable page of a report, made here of what verifies under the policy: it cannot say anything else.

    Beside it why the report is not verified, where it is one to be shown nevertheless. Raises VerificationError for any
    other that does not verify.
    """
    from api.pages.report_file import report_file
    from fabric.report import verify_report

    verified = verify_report(parse_json(evidence), parse_policy(policy), shows_unwitnessed=True)
    failed = [
        f"the report is not verified at step {step['number']}: {step['detail']}"
        for step in verified.as_json()["steps"]
        if not step["ok"]
    ]
    return report_file(verified, policy).encode(), "; ".join(failed) or None
