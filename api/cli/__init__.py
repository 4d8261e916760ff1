"""The `loomark` command. Each command is a module of this package, imported only when it is used.

So `loomark verify` starts fast and needs no server library; `COMMANDS` is the one list of what there is.
"""

from __future__ import annotations

import importlib
import sys
from importlib import metadata
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from . import guard

COMMANDS = {
    "serve": "Start a node on one data folder",
    "demo": "Play the main job from capture to offline verification",
    "keygen": "Make a signing key and print its public line",
    "key": "Encrypt key files, name programs that sign, go over to new keys",
    "member": "Admit members, rotate and revoke keys, grant roles",
    "capture": "Send EPCIS documents, signed with your own key or in custody",
    "link": "Say that two names are one lot or serial",
    "erase": "Erase records that you captured, or units of one",
    "retention": "Say how long the records of a member are kept",
    "retain": "List and erase what is due under the retention policies",
    "trace": "Ask what a thing became, or what it came from",
    "prove": "Fetch the proof of one record, whole or in part",
    "report": "Write a provenance report of a thing",
    "event-hash": "Print the CBV 2.0 hash ID of every event in a file",
    "policy": "Write the trust policy that a verifier pins",
    "verify": "Check a proof or a report offline",
    "witness": "Cosign checkpoints of logs, your own or others'",
    "hyperledger": "Anchor a node's log on a Hyperledger Fabric channel",
    "monitor": "Follow a log, and write down what proves that it misbehaved",
    "fsck": "Check a node's stored data against its log",
    "backup": "Copy a node's data while it runs, or check such a copy",
    "migrate": "Bring the database to this version",
    "rebuild": "Derive every projection again from the log",
    "generate": "Write a seeded supply-chain scenario with its truth",
}


class _OnUse(TyperGroup):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name; help for all of them names each without importing it."""
        if cmd_name not in COMMANDS:
            return None
        if cmd_name not in sys.argv[1:]:
            return typer.core.TyperCommand(cmd_name, help=COMMANDS[cmd_name])
        command = typer.main.get_command(
            importlib.import_module(f".{cmd_name.replace('-', '_')}", __package__).app
        )
        command.name = cmd_name
        return command


app = typer.Typer(
    cls=_OnUse,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Loomark: a provenance ledger and data fabric for supply chains.",
)


def _version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"loomark {metadata.version('loomark')}\n")
        raise typer.Exit


@app.callback()
def _loomark(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Commands that talk to a node take --url or LOOMARK_URL, and --api-key-file or LOOMARK_API_KEY."""


def main() -> None:
    """Run the command line; the entry point of the distribution."""
    guard.check()
    from .output import reported

    with reported():
        app()
