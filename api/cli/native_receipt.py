"""`loomark hyperledger receipt` and `roots`: evidence that is native to the channel, and what a verifier pins for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.errors import InvalidInput
from ledger.hyperledger.config_block import roots_of_config
from ledger.hyperledger.connection import Profile, load_profile
from ledger.hyperledger.receipt import fetch_receipt
from ledger.hyperledger.roots import roots_text

from .output import out

if TYPE_CHECKING:
    from ledger.hyperledger.gateway import Gateway

ProfileFile = Annotated[
    Path,
    typer.Option("--profile", help="Profile of the channel: peer, identity, channel, chaincode."),
]


def receipt(
    origin: Annotated[str, typer.Argument(help="The log's origin.")],
    size: Annotated[int, typer.Argument(help="The size of an anchored checkpoint of it.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File for the receipt.")],
    profile: ProfileFile,
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MSP",
            help="Organisation whose peer is to sign; again for more. Else as many as the channel asks.",
        ),
    ] = None,
) -> None:
    """Have organisations' peers sign what they hold of an anchored checkpoint: evidence for verify, native to the channel."""
    settings = load_profile(profile)
    gateway = _gateway(settings, settings.chaincode)
    try:
        data = fetch_receipt(gateway, origin, size, by or ())
    finally:
        gateway.close()
    output.write_bytes(data)
    out.print(f"wrote {output}", markup=False)


def roots(
    output: Annotated[Path, typer.Option("-o", "--output", help="File for the pinned roots.")],
    profile: ProfileFile,
    quorum: Annotated[
        int | None, typer.Option(help="How many organisations have to agree; else more than half.")
    ] = None,
) -> None:
    """Write who issues certificates for each organisation, as your own peer says. Compare it before you trust it."""
    settings = load_profile(profile)
    gateway = _gateway(settings, "cscc")
    try:
        block = gateway.evaluate("GetConfigBlock", [settings.channel.encode()])
    finally:
        gateway.close()
    pinned = roots_of_config(block, settings.chaincode, quorum)
    output.write_text(roots_text(pinned), "utf-8")
    named = ", ".join(sorted(pinned.issuers))
    out.print(f"wrote {output}: {pinned.quorum} of {named}", markup=False)


def _gateway(profile: Profile, chaincode: str) -> Gateway:
    """The gateway of the profile's own peer, to one chaincode."""
    try:
        from ledger.hyperledger.gateway import Gateway
    except ModuleNotFoundError as missing:
        raise InvalidInput(
            f"this command needs pip install 'loomark[hyperledger]' ({missing.name} is missing)",
            rule="no-extra",
        ) from missing
    return Gateway(profile.peer, profile.load_identity(), profile.channel, chaincode)
