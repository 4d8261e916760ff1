"""`loomark monitor`: follow a log, keep what it signed, and write down what proves that it misbehaved."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from ledger.errors import InvalidInput
from ledger.monitor import Monitor, Report, open_monitor
from ledger.note import parse_vkey
from ledger.policy import Policy, parse_policy, policy_text

from .client import ApiKeyFile, api_key
from .columns import printable
from .log_http import HttpLog, HttpWitness, log_prefix
from .output import MISBEHAVED, SUSPECTED, out

app = typer.Typer(add_completion=False)


@app.command()
def monitor(
    url: Annotated[
        str, typer.Argument(help="Address of the node, or of a log: what its /checkpoint is under.")
    ],
    data: Annotated[Path, typer.Option(help="Folder for what was seen, and for evidence.")],
    policy: Annotated[Path | None, typer.Option(help="The trust policy: log keys and witnesses.")] = None,
    vkey: Annotated[str | None, typer.Option(help="The log's vkey, in place of a policy.")] = None,
    log: Annotated[str | None, typer.Option(help="The log's origin, where the policy names several.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Look once and end.")] = False,
    interval_s: Annotated[float, typer.Option("--interval", min=0.1, help="Seconds between looks.")] = 60.0,
    api_key_file: ApiKeyFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one line a look.")] = False,
) -> None:
    """Follow the log at URL: its growth, its registry, every statement, and what its witnesses were shown.

    Exit code 0: sound, 4: it misbehaved and files in DATA/evidence prove it (`loomark verify` reads them),
    5: something is suspicious and proves nothing. Without --once it ends when it is interrupted.
    """
    trusted = _policy(policy, vkey)
    found = open_monitor(data, trusted, _origin(trusted, log), lambda: time.time_ns() // 1_000_000)
    report: Report | None = None
    try:
        with HttpLog(log_prefix(url), api_key(api_key_file)) as source:
            report = _look(found, source, trusted, as_json)
            while not once:
                time.sleep(interval_s)
                report = _look(found, source, trusted, as_json)
    except KeyboardInterrupt:
        pass
    finally:
        found.close()
    if report is not None and (report.evidence or report.suspicions):
        raise SystemExit(MISBEHAVED if report.evidence else SUSPECTED)


def _look(found: Monitor, source: HttpLog, policy: Policy, as_json: bool) -> Report:
    witnesses = {name: HttpWitness(address) for name, address in policy.urls.items()}
    try:
        report = found.look(source, witnesses)
    finally:
        for witness in witnesses.values():
            witness.close()
    if as_json:
        sys.stdout.write(json.dumps(report.as_json(), ensure_ascii=False) + "\n")
        sys.stdout.flush()
    else:
        _show(report)
    return report


def _show(report: Report) -> None:
    for _, one in report.evidence:
        out.print(f"[red]the log misbehaved[/red]: {one.kind}")
    for path, one in report.evidence:
        out.print(f"  {path}: {printable(one.proves)}", markup=False)
    for suspicion in report.suspicions:
        out.print(
            f"suspicion, which proves nothing: {suspicion.source}: {printable(suspicion.message)} [{suspicion.rule}]",
            markup=False,
        )
    for limit in report.limits:
        out.print(f"not checked: {printable(limit)}", markup=False)
    verdict = "misbehaved" if report.evidence else "suspicious" if report.suspicions else "sound"
    out.print(
        f"{verdict}: {report.origin} at size {report.size}, {report.entries} entries replayed,"
        f" {report.heads} checkpoints kept",
        markup=False,
    )


def _policy(file: Path | None, vkey: str | None) -> Policy:
    if (file is None) == (vkey is None):
        raise InvalidInput("expected either --policy or --vkey", rule="bad-policy")
    if file is None:
        return parse_policy(policy_text(parse_vkey(vkey or "")))
    try:
        return parse_policy(file.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise InvalidInput(f"cannot read {file}: {error.strerror}", rule="bad-file") from error


def _origin(policy: Policy, named: str | None) -> str:
    origins = sorted({key.name for key in policy.logs})
    if named is None and len(origins) == 1:
        return origins[0]
    if named is None:
        raise InvalidInput(f"expected --log with one of {', '.join(origins)}", rule="bad-policy")
    return named
