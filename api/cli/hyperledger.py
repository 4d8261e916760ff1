"""`loomark hyperledger`: an organisation's part in a Hyperledger Fabric channel.

Nothing here imports gRPC unless the channel is asked; `status` reads what the node's anchor wrote.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.errors import InvalidInput, NotFound
from ledger.hyperledger.anchor.cosigner import log_keys
from ledger.hyperledger.anchor.cosigner_key import COSIGNER_FILE, cosigner_key, cosigner_vkey
from ledger.hyperledger.anchor.quorum import joined_policy, organisations_policy
from ledger.hyperledger.anchor.status import FOLDER, health, read_status
from ledger.hyperledger.connection import Anchoring, load_profile
from ledger.key_uses import require_distinct
from ledger.keyfile import read_public_key
from ledger.note import ED25519, VerifierKey

from .columns import printable
from .commit_status import confirm
from .key_source import PassphraseFile, passphrase
from .native_receipt import receipt, roots
from .output import out, print_json

if TYPE_CHECKING:
    from ledger.hyperledger.channel import Channel

app = typer.Typer(no_args_is_help=True, add_completion=False)
app.command("confirm")(confirm)
app.command("receipt")(receipt)
app.command("roots")(roots)

Data = Annotated[Path, typer.Option(help="Folder of the node.")]
ProfileFile = Annotated[
    Path, typer.Option("--profile", help="Profile of the channel: peer, identity, channel, chaincode.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def hyperledger() -> None:
    """Register on a channel, and see what was anchored there. A node anchors by `loomark serve --hyperledger FILE`."""


@app.command("register")
def register(
    data: Data,
    profile: Annotated[
        Path,
        typer.Option(help="Profile of the channel with an identity of the organisation's administrator."),
    ],
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Register the organisation with this node's log and cosigner key; again after the log changed its key.

    What it registered before stays: other logs of the organisation, and earlier keys of this one.
    """
    origin, vkeys = log_of_folder(data)
    known = load_profile(profile)
    key = cosigner_key(data / "keys", passphrase(passphrase_file))
    require_distinct([("cosigner", key.public_bytes), *_other_keys(data / "keys")])
    with _channel(profile) as channel:
        registered = next((one for one in channel.organisations() if one.msp == known.msp), None)
        origins = {} if registered is None else dict(registered.origins)
        origins[origin] = tuple(dict.fromkeys([*origins.get(origin, ()), *vkeys]))
        done = channel.register(origins, cosigner_vkey(known.msp, key))
    told = {"msp": known.msp, "origins": origins, "cosigner": cosigner_vkey(known.msp, key)}
    if as_json:
        print_json({**told, "transaction": done.tx_id, "block": done.block})
        return
    out.print(f"registered {known.msp} with {origin} in block {done.block}", markup=False)
    out.print(f"cosigner {told['cosigner']}", markup=False)


@app.command("status")
def status(data: Data, as_json: AsJson = False) -> None:
    """How the anchor of the node in this folder stands. Exit code 1 where it has trouble."""
    folder = data / FOLDER
    found = read_status(folder)
    if found is None:
        raise NotFound(f"expected an anchor's status in {folder}, got none", rule="not-anchored")
    told = health(folder, found["published"], time.time_ns() // 1_000_000)
    if as_json:
        print_json({"origin": found["origin"], "published": found["published"], **told})
    else:
        out.print(f"{found['origin']} of {found['msp'] or 'an unknown organisation'}", markup=False)
        out.print(
            f"published {found['published']}, on the channel {told['onChannel']}, cosigned {told['cosigned']},"
            f" waiting {told['backlog']}, unsent {told['unsent']}",
            markup=False,
        )
        for origin, look in sorted(found["followed"].items()):
            out.print(f"follows {origin}: anchored {look['anchored']}, shown {look['shown']}", markup=False)
            for suspicion in look["suspicions"]:
                out.print(f"  suspicion, which proves nothing: {printable(suspicion)}", markup=False)
        for reason in told["reasons"]:
            out.print(f"trouble: {printable(reason)}", markup=False)
    if not told["healthy"]:
        raise SystemExit(1)


@app.command("history")
def history(
    origin: Annotated[str, typer.Argument(help="Origin of a log.")],
    profile: ProfileFile,
    after: Annotated[int, typer.Option(min=0, help="Only checkpoints larger than this.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most so many.")] = 100,
    as_json: AsJson = False,
) -> None:
    """The checkpoints of a log that the channel accepted, with the organisations that cosigned each."""
    with _channel(profile) as channel:
        found = [
            (one, sorted(channel.cosignatures(origin, one.size)))
            for one in channel.history(origin, after, limit)
        ]
    if as_json:
        print_json(
            [
                {
                    "size": one.size,
                    "root": one.root.hex(),
                    "from": one.start,
                    "msp": one.msp,
                    "cosigned": names,
                }
                for one, names in found
            ]
        )
        return
    for one, names in found:
        out.print(f"{one.size:>12}  {one.root.hex()}  {', '.join(names) or 'not cosigned'}", markup=False)


@app.command("policy")
def policy(
    origin: Annotated[str, typer.Argument(help="Origin of a log.")],
    profile: ProfileFile,
    output: Annotated[Path, typer.Option("-o", "--output", help="File for the policy.")],
    quorum: Annotated[
        int | None,
        typer.Option(min=1, help="How many organisations must have cosigned; more than half by default."),
    ] = None,
) -> None:
    """Write the trust policy of any log of the channel, as your own peer knows it, without asking the log's node."""
    with _channel(profile) as channel:
        found = channel.organisations()
    keys = log_keys(found).get(origin)
    if not keys:
        raise NotFound(f"expected the log {origin} on the channel, got none", rule="unknown-log")
    organisations = organisations_policy(found, "", Anchoring(quorum=quorum))
    if organisations is None:
        raise InvalidInput(f"expected {quorum} organisations or more, got {len(found)}", rule="bad-policy")
    output.write_text(joined_policy(keys, organisations, None), encoding="utf-8")
    out.print(f"wrote {output}", markup=False)


@app.command("organisations")
def organisations(profile: ProfileFile, as_json: AsJson = False) -> None:
    """Who is registered on the channel, with which logs and cosigner key."""
    with _channel(profile) as channel:
        found = channel.organisations()
    if as_json:
        print_json(
            [
                {
                    "msp": one.msp,
                    "origins": {k: list(v) for k, v in one.origins.items()},
                    "cosigner": one.cosigner,
                }
                for one in found
            ]
        )
        return
    for one in found:
        out.print(f"{one.msp}  cosigner {one.cosigner}", markup=False)
        for origin, vkeys in sorted(one.origins.items()):
            for vkey in vkeys:
                out.print(f"  {origin}  {vkey}", markup=False)


def log_of_folder(data: Path) -> tuple[str, list[str]]:
    """The origin and vkeys of the node's log, by its settings and key files. Raises NotFound before its first start."""
    from api.settings import load_settings
    from fabric.capture.keyring import LOG, public_key_given

    settings = load_settings(data, {}, os.environ)
    given = [
        public_key_given("LOOMARK_LOG_KEY", settings.log_key),
        public_key_given("LOOMARK_NEXT_LOG_KEY", settings.next_log_key),
    ]
    files = [data / "keys" / f"{LOG}.key", *sorted((data / "keys").glob(f"{LOG}.*.key"))]
    held = [read_public_key(path) for path in files if path.exists()]
    keys = list(dict.fromkeys([*held, *[one for one in given if one is not None]]))
    if not keys:
        raise NotFound(
            f"expected the log's key in {data / 'keys'}, got none: start the node once first",
            rule="no-key-file",
        )
    return settings.origin, [VerifierKey(settings.origin, ED25519, public).text() for public in keys]


def _other_keys(keys: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(keys.rglob("*.key")):
        # The session's secret is no signing key; it has no public half to compare.
        if path.name not in (COSIGNER_FILE, "session.key"):
            yield str(path.relative_to(keys)), read_public_key(path)


@contextmanager
def _channel(profile: Path) -> Iterator[Channel]:
    try:
        from ledger.hyperledger.gateway import open_channel
    except ImportError as error:
        raise InvalidInput(
            "asking a channel needs the extra: pip install 'loomark[hyperledger]'", rule="no-extra"
        ) from error
    channel = open_channel(load_profile(profile))
    try:
        yield channel
    finally:
        channel.close()
