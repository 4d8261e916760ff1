"""Pinned roots out of a channel's configuration block: which authorities its organisations have.

A block is one peer's word. Whoever pins what comes out of it compares the certificates with what the organisations
themselves publish, as with every key that is trusted from then on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cryptography import x509

from ..errors import InvalidInput
from .protobuf import Field, Message, parse_message
from .roots import PEER, ChannelRoots, issuers_of

_NUMBER, _BYTES, _MESSAGE, _REPEATED = Field.NUMBER, Field.BYTES, Field.MESSAGE, Field.REPEATED
_GROUP: Final = {1: _NUMBER, 2: _REPEATED, 3: _REPEATED, 4: _REPEATED, 5: _BYTES}
_MSP_CONFIG: Final = {
    1: _BYTES,
    2: _REPEATED,
    3: _REPEATED,
    4: _REPEATED,
    5: _REPEATED,
    6: _MESSAGE,
    7: _REPEATED,
    8: _MESSAGE,
    9: _REPEATED,
    10: _REPEATED,
    11: _MESSAGE,
}
_NODE_OUS: Final = {1: _NUMBER, 2: _MESSAGE, 3: _MESSAGE, 4: _MESSAGE, 5: _MESSAGE}


def roots_of_config(block: bytes, chaincode: str, quorum: int | None = None) -> ChannelRoots:
    """The authorities of every organisation of the channel that a configuration block (common.Block) describes.

    ``quorum`` is how many of them are to agree, None for more than half. Raises :class:`InvalidInput`.
    """
    channel, config = _config(block)
    root = parse_message(config.data(2), "common.ConfigGroup", _GROUP)
    application = _entries(root, 2).get("Application")
    if application is None:
        raise InvalidInput("expected the configuration of a channel with organisations", rule="bad-config")
    organisations = _entries(parse_message(application, "common.ConfigGroup", _GROUP), 2)
    issuers = dict([_issuers(group) for group in organisations.values()])
    return ChannelRoots(channel, chaincode, len(issuers) // 2 + 1 if quorum is None else quorum, issuers)


def _config(block: bytes) -> tuple[str, Message]:
    """The name of a channel, and its configuration (common.Config)."""
    outer = parse_message(block, "common.Block", {1: _MESSAGE, 2: _MESSAGE, 3: _MESSAGE})
    envelopes = parse_message(outer.data(2), "common.BlockData", {1: _REPEATED}).each(1)
    if len(envelopes) != 1:
        raise InvalidInput("expected a block with the configuration alone, got another", rule="bad-config")
    envelope = parse_message(envelopes[0], "common.Envelope", {1: _BYTES, 2: _BYTES})
    payload = parse_message(envelope.data(1), "common.Payload", {1: _MESSAGE, 2: _BYTES})
    header = parse_message(payload.data(1), "common.Header", {1: _BYTES, 2: _BYTES})
    named = parse_message(
        header.data(1),
        "common.ChannelHeader",
        {1: _NUMBER, 2: _NUMBER, 3: _MESSAGE, 4: _BYTES, 5: _BYTES, 6: _NUMBER, 7: _BYTES, 8: _BYTES},
    )
    config = parse_message(payload.data(2), "common.ConfigEnvelope", {1: _MESSAGE, 2: _MESSAGE})
    return named.text(4), parse_message(config.data(1), "common.Config", {1: _NUMBER, 2: _MESSAGE})


def _issuers(group: bytes) -> tuple[str, tuple[x509.Certificate, ...]]:
    """MSP id and authorities of an organisation that tells its peers by the organisational unit ``peer``."""
    values = _entries(parse_message(group, "common.ConfigGroup", _GROUP), 3)
    value = parse_message(values.get("MSP", b""), "common.ConfigValue", {1: _NUMBER, 2: _BYTES, 3: _BYTES})
    typed = parse_message(value.data(2), "msp.MSPConfig", {1: _NUMBER, 2: _BYTES})
    if typed.number(1):
        raise InvalidInput(
            "expected organisations with X.509 certificates, got another kind", rule="bad-config"
        )
    msp = parse_message(typed.data(2), "msp.FabricMSPConfig", _MSP_CONFIG)
    units = parse_message(msp.data(11), "msp.FabricNodeOUs", _NODE_OUS)
    peer = parse_message(units.data(3), "msp.FabricOUIdentifier", {1: _BYTES, 2: _BYTES})
    if not units.number(1) or peer.text(2) != PEER:
        raise InvalidInput(
            f"expected {msp.text(1)} to tell its peers by the organisational unit {PEER}, got none or another",
            rule="no-node-ous",
        )
    return msp.text(1), issuers_of(msp.text(1), b"\n".join([*msp.each(2), *msp.each(3)]))


def _entries(message: Message, field: int) -> Mapping[str, bytes]:
    """A map from names to messages."""
    read = [
        parse_message(each, f"{message.name} entry", {1: _BYTES, 2: _MESSAGE}) for each in message.each(field)
    ]
    return {each.text(1): each.data(2) for each in read}
