"""`loomark verify`: check proofs and reports offline. No network, no server library.

Exit status 0 only when everything in the file verifies.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from ledger.bundle import MAX_BUNDLE_BYTES, bundle_of
from ledger.canonical import parse_json
from ledger.errors import InvalidInput, VerificationError
from ledger.policy import Policy, parse_policy
from ledger.verify import STEPS, UNWITNESSED, VerifiedBundle, verify_all

from .output import REFUSED, out, print_json, print_lines
from .verdict_text import conclusions, counted, shown_lines

app = typer.Typer(add_completion=False)


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="A proof (prove) or a provenance report (report).")],
    policy: Annotated[Path, typer.Option(help="The trust policy: which log, which witnesses.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:
    """Verify FILE under the policy and print every step; what remains the operator's word is listed as such."""
    trusted = parse_policy(_read(policy).decode("utf-8", "replace"))
    try:
        value = _parsed(_read(file))
        verdict = _verdict(value, trusted)
    except VerificationError as error:
        _show_failure(error, as_json)
        raise SystemExit(REFUSED) from error
    if as_json:
        print_json(verdict)
    elif verdict["kind"] == "report":
        _show_report(verdict, value)
    else:
        _show(verdict)


def verdict_of(data: bytes, policy: Policy) -> dict[str, Any]:
    """The verdict on a proof or a report as a JSON value; raises VerificationError with step and place."""
    return _verdict(_parsed(data), policy)


def _parsed(data: bytes) -> Any:
    if len(data) > MAX_BUNDLE_BYTES * 4:
        raise VerificationError(f"expected a file of at most {MAX_BUNDLE_BYTES * 4} bytes", 1, "")
    try:
        return parse_json(data)
    except InvalidInput as error:
        raise VerificationError(error.message, 1, "") from error


def _verdict(value: Any, policy: Policy) -> dict[str, Any]:
    if isinstance(value, dict) and "report" in value:
        from fabric.report.verify import verify_report

        return verify_report(value, policy).as_json()
    bundles = verify_all(bundle_of(value), policy)
    return {"verified": True, "kind": "proof", "records": [_record(bundle) for bundle in bundles]}


def _record(bundle: VerifiedBundle) -> dict[str, Any]:
    return {
        "record": bundle.commitment.hex(),
        "log": bundle.statement.log,
        "index": bundle.index,
        "position": bundle.position,
        "size": bundle.tree_size,
        "member": bundle.member,
        "custody": bundle.custody,
        "full": bundle.opened.full,
        "notBefore": _time(bundle.not_before_s),
        "notAfter": _time(bundle.not_after_s),
        "issued": bundle.statement.issued,
        "sealTime": bundle.seal_time,
        "disputedFrom": bundle.disputed_from,
        "unwitnessed": bundle.unwitnessed,
        "steps": [{"number": s.number, "name": s.name, "ok": s.ok, "detail": s.detail} for s in bundle.steps],
        "shown": bundle.record,
        "operatorsWord": _operators_word(bundle),
    }


def _operators_word(bundle: VerifiedBundle) -> list[str]:
    words = []
    if bundle.unwitnessed:
        words.append(UNWITNESSED)
    if bundle.custody == "service":
        words.append("authenticated by API key, signed by the node")
    if bundle.not_before_s is None:
        words.append("no independent lower bound of time: issued is the signer's claim")
    return words


def _show(verdict: dict[str, Any]) -> None:
    for record in verdict["records"]:
        out.print(f"record {record['record']} by {record['member']}", markup=False)
        _show_steps(record["steps"])
        print_lines(shown_lines(record))
    for word in sorted({word for record in verdict["records"] for word in record["operatorsWord"]}):
        out.print(f"operator's word: {word}", markup=False)
    out.print(f"[green]verified[/green]: {counted(len(verdict['records']), 'record')}, every step holds")


def _show_report(verdict: dict[str, Any], value: Mapping[str, Any]) -> None:
    out.print(f"report on {verdict['thing']}, {verdict['direction']}", markup=False)
    out.print(f"of {verdict['log']} at size {verdict['size']}, sealed {verdict['time']}", markup=False)
    _show_steps(verdict["steps"])
    print_lines(conclusions(value))
    for word in verdict["operatorsWord"]:
        out.print(f"operator's word: {word}", markup=False)
    out.print(
        f"[green]verified[/green]: {counted(len(verdict['records']), 'record')};"
        f" {counted(verdict['affected'], 'affected thing')} computed again from them;"
        f" {counted(verdict['gaps'], 'gap')} in what the food traceability rule wants"
    )


def _show_steps(steps: list[dict[str, Any]]) -> None:
    for step in steps:
        out.print(f"  {step['number']:>2} {step['name']}: {step['detail']}", markup=False)


def _show_failure(error: VerificationError, as_json: bool) -> None:
    name = STEPS.get(error.step) or _report_steps()[error.step]
    if as_json:
        failure = {"step": error.step, "name": name, "place": error.place, "message": error.message}
        print_json({"verified": False, "failure": failure})
    else:
        out.print(f"[red]not verified[/red]: step {error.step} ({name})")
        out.print(f"  at {error.place or '/'}\n  {error.message}", markup=False)


def _report_steps() -> Mapping[int, str]:
    """The steps of a report; only a report fails at one beyond those of a proof."""
    from fabric.report import document

    return document.STEPS


def _time(seconds: int | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}", rule="bad-file") from error
