"""`loomark demo`: the main job from capture to offline verification, on a node of its own.

With `--hyperledger` on two nodes of two organisations and a Hyperledger Fabric network (`demo_hyperledger`). Running it
again starts from nothing again.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ledger.errors import Unavailable
from loomark.calls import segment

from .child import ChildNode
from .client import Node
from .demo_folder import begun_anew
from .main_job import MARKER, NODE, MainJob, Telling, main_story, tamper, verify_offline
from .output import WRONG_USE, fail, out

app = typer.Typer(add_completion=False)

DEFAULT_DATA = Path("var/demo")
DEFAULT_CONSORTIUM = Path("var/demo-hyperledger")


@app.command()
def demo(
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the demonstration; an earlier one there is replaced."
            f" ({DEFAULT_DATA}, or {DEFAULT_CONSORTIUM})"
        ),
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Serve the data afterwards; keep it if it is there.")
    ] = False,
    port: Annotated[int, typer.Option(help="Port to serve on; 0 picks a free one.")] = 8080,
    hyperledger: Annotated[
        bool,
        typer.Option(
            "--hyperledger",
            help="Play it on two nodes whose organisations share a Hyperledger Fabric channel.",
        ),
    ] = False,
) -> None:
    """Play the main job; with --serve leave a node running and print a fresh key for each of three users.

    --hyperledger starts a network of two organisations on this machine, from a checkout of Loomark and the programs of
    Hyperledger Fabric (LOOMARK_HYPERLEDGER_BINARIES, or PATH); exit code 2 where one of these is missing.
    """
    if hyperledger:
        from .demo_hyperledger import play_consortium
        from .demo_network import require_network

        if serve:
            fail("--serve goes without --hyperledger: its nodes end with the demonstration", WRONG_USE)
        require_network()
        with ended_in_order():
            play_consortium(begun_anew(data or DEFAULT_CONSORTIUM))
        return
    data = data or DEFAULT_DATA
    if not serve or not (data / MARKER).exists():
        with ended_in_order():
            play(data)
    if serve:
        keep_serving(data, port)


def play(data: Path) -> None:
    """The whole main job, told step by step."""
    started, say = time.monotonic(), Telling()
    begun_anew(data)
    story, lot, partner = main_story(data)
    with ChildNode(data / NODE) as child:
        say(f"A node serves on {child.url}; its log starts with a charter")
        job = MainJob(child, data, story, say)
        job.answer(lot, partner, job.fill(lot, partner))
    say("The node is stopped. On any machine, offline: loomark verify report.json --policy policy.txt")
    verify_offline(data)
    tamper(data, say)
    out.print(
        f"\n[green]Done[/green] in {time.monotonic() - started:.0f} s. Files are in {data}; `make run` serves them."
    )


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Whoever ends the demonstration, by SIGTERM or by closing its terminal, ends what it started as well."""

    def interrupt(number: int, _frame: object) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def keep_serving(data: Path, port: int) -> None:
    """Serve the demonstration's data until Ctrl-C, with a fresh API key for each of the three users."""
    known = json.loads((data / MARKER).read_text())
    with ChildNode(data / NODE, port=port) as child, Node(child.url, known["operatorKey"]) as node:
        out.print(
            f"\nLoomark serves the demonstration at [bold]{child.url}[/bold]. Log in with one of these keys:"
        )
        for user, subject in (
            ("partner", known["partner"]),
            ("auditor", "auditor"),
            ("recall lead", "recall"),
        ):
            answer = node.post(f"/api/members/{segment(subject)}/api-key", b"", "application/json").json()
            out.print(f"  {user:<12} {subject:<22} {answer['apiKey']}", markup=False)
        out.print(f"Contaminated lot:           {known['lot']}", markup=False)
        if "own" in known:
            out.print(f"A lot the partner made:     {known['own']}", markup=False)
        # The members of the story sign for themselves, so that a document sent with curl is refused until they delegate.
        key = data / "keys" / f"{known['partner']}.key"
        out.print(f"The partner's signing key:  {key} (loomark capture --key)", markup=False)
        out.print("Ctrl-C stops the node.", markup=False)
        _wait_for_signal(child)


def _wait_for_signal(child: ChildNode) -> None:
    told = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told.set())
    while not told.wait(0.5):
        if child.process.poll() is not None:
            raise Unavailable("the node ended; serve.log in its folder says why")
