"""Changes of a channel that runs: an organisation removed, or a certificate of one revoked.

A change is the difference of two configurations: what was read, with its versions, and what is written, with the version of
each changed element one higher. The orderers accept it when those whose elements change have signed. Needs the packages of
the extra ``hyperledger``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509
from fabric_protos.common import common_pb2, configtx_pb2
from fabric_protos.msp import msp_config_pb2

from . import layout as names
from .certificates import Authority
from .errors import CommandFailed
from .layout import Layout
from .programs import Programs

_APPLICATION: Final = "Application"


def fetch_config(programs: Programs) -> tuple[int, Any]:
    """The channel's configuration, with the number of the block that holds it, as the first orderer tells its own admin."""
    path = programs.layout.folder / "config.block"
    channel = programs.layout.topology.channel
    fetch = ("channel", "fetch", "config", path, "--channelID", channel)
    programs.as_orderer_admin(1, *fetch, *programs.orderer_flags())
    block = common_pb2.Block.FromString(path.read_bytes())
    path.unlink()
    payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(block.data.data[0]).payload)
    return block.header.number, configtx_pb2.ConfigEnvelope.FromString(payload.data).config


def without_organisation(config: Any, number: int) -> Any:
    """The configuration without an organisation. Majorities are counted anew among those that stay."""
    changed = _copy(config)
    groups = changed.channel_group.groups[_APPLICATION].groups
    if names.msp(number) not in groups:
        raise CommandFailed(f"{names.msp(number)} does not belong to the channel")
    del groups[names.msp(number)]
    return changed


def with_revoked(config: Any, number: int, listed: bytes) -> Any:
    """The configuration with one more list of revoked certificates (PEM) in an organisation's MSP."""
    changed = _copy(config)
    value = changed.channel_group.groups[_APPLICATION].groups[names.msp(number)].values["MSP"]
    outer = msp_config_pb2.MSPConfig.FromString(value.value)
    inner = msp_config_pb2.FabricMSPConfig.FromString(outer.config)
    inner.revocation_list.append(listed)
    outer.config = inner.SerializeToString()
    value.value = outer.SerializeToString()
    return changed


def revocation_of(layout: Layout, number: int, *, admin: bool) -> bytes:
    """A list, PEM, that revokes the certificate of an organisation's client or admin."""
    [path] = (layout.user(number, admin=admin) / "msp" / "signcerts").iterdir()
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return Authority(layout.org(number) / "ca").revoke(certificate, datetime.now(UTC).replace(microsecond=0))


def change(programs: Programs, config: Any, changed: Any, signers: Sequence[int]) -> None:
    """Make ``changed`` the channel's configuration, signed by the admins of ``signers``; the first one sends it."""
    layout = programs.layout
    path = layout.folder / "update.pb"
    path.write_bytes(update_envelope(layout.topology.channel, config, changed))
    for number in signers[1:]:
        programs.peer(number, "channel", "signconfigtx", "--file", path)
    update = ("channel", "update", "--file", path, "--channelID", layout.topology.channel)
    programs.peer(signers[0], *update, *programs.orderer_flags())
    path.unlink()


def update_envelope(channel: str, config: Any, changed: Any) -> bytes:
    """The difference of two configurations, still without signatures, as the command-line client reads it."""
    update = configtx_pb2.ConfigUpdate(channel_id=channel)
    if not _difference(config.channel_group, changed.channel_group, update.read_set, update.write_set):
        raise CommandFailed("expected a changed configuration, got the one in force")
    header = common_pb2.ChannelHeader(type=common_pb2.CONFIG_UPDATE, channel_id=channel)
    payload = common_pb2.Payload(
        header=common_pb2.Header(channel_header=header.SerializeToString()),
        data=configtx_pb2.ConfigUpdateEnvelope(config_update=update.SerializeToString()).SerializeToString(),
    )
    envelope: bytes = common_pb2.Envelope(payload=payload.SerializeToString()).SerializeToString()
    return envelope


def _copy(config: Any) -> Any:
    return configtx_pb2.Config.FromString(config.SerializeToString())


def _difference(old: Any, new: Any, read: Any, written: Any) -> bool:
    """Fill the read and the write set of one group; whether it differs at all.

    A group whose members stay the same keeps its version and names only what changes below it. One that gains or loses
    members has the next version, and names all that stay.
    """
    read.version = written.version = old.version
    members = any(
        set(getattr(old, kind)) != set(getattr(new, kind)) for kind in ("groups", "values", "policies")
    )
    changes = [
        *(
            _element(old.values, new.values, name, members, read.values, written.values)
            for name in new.values
        ),
        *(
            _element(old.policies, new.policies, name, members, read.policies, written.policies)
            for name in new.policies
        ),
        *(_subgroup(old, new, name, members, read, written) for name in new.groups),
    ]
    if members:
        written.version = old.version + 1
        written.mod_policy = new.mod_policy
    return members or any(changes)


def _element(old: Any, new: Any, name: str, members: bool, read: Any, written: Any) -> bool:
    """A value or a policy: changed, new, or named as unchanged because its group has other members."""
    if name in old and old[name] == new[name]:
        if members:
            read[name].version = written[name].version = old[name].version
        return False
    written[name].CopyFrom(new[name])
    written[name].version = old[name].version + 1 if name in old else 0
    return True


def _subgroup(old: Any, new: Any, name: str, members: bool, read: Any, written: Any) -> bool:
    if name not in old.groups:
        written.groups[name].CopyFrom(new.groups[name])
        return True
    if old.groups[name] == new.groups[name]:
        if members:
            read.groups[name].version = written.groups[name].version = old.groups[name].version
        return False
    return _difference(old.groups[name], new.groups[name], read.groups[name], written.groups[name])
