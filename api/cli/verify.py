"""`loomark verify`: check proofs, receipts, reports and evidence of misbehaviour offline. No network, no server library.

Exit status 0 only when everything in the file verifies; 4 when what verifies is that the log misbehaved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ledger import misbehaviour
from ledger.bundle import bundle_of
from ledger.canonical import parse_json
from ledger.errors import InvalidInput, VerificationError
from ledger.misbehaviour import misbehaviour_of, verify_misbehaviour
from ledger.policy import Policy, parse_policy
from ledger.receipt import MAX_RECEIPT_BYTES, verify_receipt
from ledger.tlog_proof import is_tlog_proof
from ledger.verify import STEPS, UNWITNESSED, VerifiedBundle, verify_all

from .columns import printable
from .log_verdict import entry_verdict, show_entry, show_misbehaviour, utc_text
from .output import MISBEHAVED, REFUSED, out, print_json, print_lines
from .verdict_text import conclusions, counted, shown_lines

app = typer.Typer(add_completion=False)


@app.command()
def verify(
    file: Annotated[
        Path,
        typer.Argument(
            help="A proof (prove), a receipt (capture --receipt, hyperledger receipt), a report (report)"
            " or evidence (monitor)."
        ),
    ],
    policy: Annotated[Path, typer.Option(help="The trust policy: which log, which witnesses.")],
    entry: Annotated[
        Path | None, typer.Option(help="The log entry that a tlog-proof is of; else the one it carries.")
    ] = None,
    hyperledger_roots: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Pinned roots of a Hyperledger Fabric channel, for a native receipt."
        ),
    ] = None,
    hyperledger_receipt: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A native receipt of the proof's checkpoint (hyperledger receipt)."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:
    """Verify FILE under the policy and print every step; what remains the operator's word is listed as such.

    Exit code 0: it verifies, 1: it does not, 4: it is evidence of a log's misbehaviour, and it holds.
    """
    trusted = parse_policy(_read(policy).decode("utf-8", "replace"))
    roots = None if hyperledger_roots is None else _read(hyperledger_roots)
    data, value = _read(file), None
    try:
        if is_tlog_proof(data):
            verdict = entry_verdict(data, None if entry is None else _read(entry), trusted)
        elif entry is not None:
            raise InvalidInput(
                "expected a tlog-proof beside --entry, got another file", rule="not-a-tlog-proof"
            )
        else:
            value = _parsed(data)
            verdict = _native(data, trusted, roots) if _is_native(value) else _verdict(value, trusted)
        if hyperledger_receipt is not None:
            _add_anchor(verdict, value, _read(hyperledger_receipt), trusted, roots)
    except VerificationError as error:
        _show_failure(error, as_json, _step_names(value))
        raise SystemExit(REFUSED) from error
    if as_json:
        print_json(verdict)
    else:
        _SHOW[verdict["kind"]](verdict, value)
    if verdict["kind"] == "misbehaviour":
        raise SystemExit(MISBEHAVED)
    if not verdict["verified"]:
        raise SystemExit(REFUSED)


def verdict_of(data: bytes, policy: Policy) -> dict[str, Any]:
    """The verdict on a file as a JSON value; raises VerificationError with step and place."""
    if is_tlog_proof(data):
        return entry_verdict(data, None, policy)
    return _verdict(_parsed(data), policy)


def _parsed(data: bytes) -> Any:
    if len(data) > MAX_RECEIPT_BYTES:
        raise VerificationError(f"expected a file of at most {MAX_RECEIPT_BYTES} bytes", 1, "")
    try:
        return parse_json(data)
    except InvalidInput as error:
        raise VerificationError(error.message, 1, "") from error


def _verdict(value: Any, policy: Policy) -> dict[str, Any]:
    if isinstance(value, dict) and "report" in value:
        from fabric.report.verify import verify_report

        return verify_report(value, policy).as_json()
    if isinstance(value, dict) and "misbehaviour" in value:
        found = verify_misbehaviour(misbehaviour_of(value), policy)
        return {"verified": True, "kind": "misbehaviour", "misbehaviour": found.as_json()}
    if isinstance(value, dict) and "receipt" in value:
        receipt = verify_receipt(value, policy)
        told = {"count": receipt.count, "erased": list(receipt.erased)}
        return {"verified": True, "kind": "receipt", **told, "records": list(map(_record, receipt.records))}
    bundles = verify_all(bundle_of(value), policy)
    return {"verified": True, "kind": "proof", "records": [_record(bundle) for bundle in bundles]}


def _is_native(value: Any) -> bool:
    return isinstance(value, dict) and "hyperledgerReceipt" in value


def _native(data: bytes, policy: Policy, roots: bytes | None) -> dict[str, Any]:
    # Imported here, as nothing else needs certificates.
    from .anchor_verdict import native_verdict

    return native_verdict(data, policy, roots)


def _add_anchor(
    verdict: dict[str, Any], value: Any, receipt: bytes, policy: Policy, roots: bytes | None
) -> None:
    from .anchor_verdict import add_anchor

    add_anchor(verdict, value, receipt, policy, roots)


def _show_native(verdict: dict[str, Any], _: Any) -> None:
    from .anchor_verdict import show_native

    show_native(verdict)


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
        "notBefore": utc_text(bundle.not_before_s),
        "notAfter": utc_text(bundle.not_after_s),
        "issued": bundle.statement.issued,
        "sealTime": bundle.seal_time,
        "disputedFrom": bundle.disputed_from,
        "unwitnessed": bundle.unwitnessed,
        "cosigners": {one.name: utc_text(one.time_s) for one in bundle.cosigners},
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


def _show(verdict: dict[str, Any], _: Any) -> None:
    for record in verdict["records"]:
        out.print(f"record {record['record']} by {record['member']}", markup=False)
        _show_steps(record["steps"])
        print_lines(shown_lines(record))
    for word in sorted({word for record in verdict["records"] for word in record["operatorsWord"]}):
        out.print(f"operator's word: {word}", markup=False)
    out.print(f"[green]verified[/green]: {counted(len(verdict['records']), 'record')}, every step holds")


def _show_receipt(verdict: dict[str, Any], _: Any) -> None:
    """The shared steps once, and a line a record: its submitter knows what is in them."""
    first = verdict["records"][0]
    out.print(f"receipt of capture {first['index']} of {first['log']} by {first['member']}", markup=False)
    _show_steps(first["steps"])
    for record in verdict["records"]:
        name = record["shown"].get("eventID") or record["shown"].get("type") or ""
        out.print(f"  {record['position']:>5}  {record['record']}  {printable(str(name))}", markup=False)
    for position in verdict["erased"]:
        out.print(f"  {position:>5}  erased since", markup=False)
    for word in sorted({word for record in verdict["records"] for word in record["operatorsWord"]}):
        out.print(f"operator's word: {word}", markup=False)
    out.print(
        f"[green]verified[/green]: the whole capture of {counted(verdict['count'], 'record')}, every step holds"
    )


def _show_report(verdict: dict[str, Any], value: Mapping[str, Any]) -> None:
    out.print(f"report on {verdict['thing']}, {verdict['direction']}", markup=False)
    out.print(f"of {verdict['log']} at size {verdict['size']}, sealed {verdict['time']}", markup=False)
    _show_steps(verdict["steps"])
    print_lines(conclusions(value))
    for word in verdict["operatorsWord"]:
        out.print(f"operator's word: {word}", markup=False)
    held = "[green]verified[/green]"
    if verdict["disputed"]:
        held = f"[red]not verified[/red]: {counted(verdict['disputed'], 'record')} by a disputed key; else it holds"
    out.print(
        f"{held}: {counted(len(verdict['records']), 'record')};"
        f" {counted(verdict['affected'], 'affected thing')} computed again from them;"
        f" {counted(verdict['gaps'], 'gap')} in what the food traceability rule wants"
    )


_SHOW: Mapping[str, Callable[[dict[str, Any], Any], None]] = {
    "proof": _show,
    "receipt": _show_receipt,
    "report": _show_report,
    "entry": show_entry,
    "misbehaviour": show_misbehaviour,
    "hyperledger-receipt": _show_native,
}


def _show_steps(steps: list[dict[str, Any]]) -> None:
    for step in steps:
        out.print(f"  {step['number']:>2} {step['name']}: {step['detail']}", markup=False)


def _show_failure(error: VerificationError, as_json: bool, names: Mapping[int, str]) -> None:
    name = names.get(error.step) or _report_steps()[error.step]
    if as_json:
        failure = {"step": error.step, "name": name, "place": error.place, "message": error.message}
        print_json({"verified": False, "failure": failure})
    else:
        out.print(f"[red]not verified[/red]: step {error.step} ({name})")
        out.print(f"  at {error.place or '/'}\n  {error.message}", markup=False)


def _step_names(value: Any) -> Mapping[int, str]:
    return misbehaviour.STEPS if isinstance(value, dict) and "misbehaviour" in value else STEPS


def _report_steps() -> Mapping[int, str]:
    """The steps of a report; only a report fails at one beyond those of a proof."""
    from fabric.report import document

    return document.STEPS


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}", rule="bad-file") from error
