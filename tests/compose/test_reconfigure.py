"""A change of a channel names what was read, with its versions, and only what changes, one version higher."""

from __future__ import annotations

from typing import Any

import pytest
from fabric_protos.common import common_pb2, configtx_pb2
from fabric_protos.msp import msp_config_pb2

from compose.network import CommandFailed
from compose.network.reconfigure import update_envelope, with_revoked, without_organisation


@pytest.fixture
def config() -> Any:
    """A channel of three organisations, with versions that differ."""
    config = configtx_pb2.Config(sequence=4)
    application = config.channel_group.groups["Application"]
    application.version, application.mod_policy = 2, "Admins"
    application.values["Capabilities"].version = 5
    application.policies["Admins"].version = 6
    for number in (1, 2, 3):
        group = application.groups[f"Org{number}MSP"]
        group.version = number
        value = group.values["MSP"]
        value.version, value.mod_policy = 7, "Admins"
        inner = msp_config_pb2.FabricMSPConfig(name=f"Org{number}MSP", root_certs=[b"root"])
        value.value = msp_config_pb2.MSPConfig(config=inner.SerializeToString()).SerializeToString()
    config.channel_group.groups["Orderer"].version = 9
    return config


def _update(config: Any, changed: Any) -> Any:
    envelope = common_pb2.Envelope.FromString(update_envelope("loomark", config, changed))
    payload = common_pb2.Payload.FromString(envelope.payload)
    header = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
    assert (header.type, header.channel_id) == (common_pb2.CONFIG_UPDATE, "loomark")
    outer = configtx_pb2.ConfigUpdateEnvelope.FromString(payload.data)
    return configtx_pb2.ConfigUpdate.FromString(outer.config_update)


def test_a_removed_organisation_raises_its_groups_version_and_all_that_stays_is_named(config: Any) -> None:
    update = _update(config, without_organisation(config, 3))
    written, read = (each.groups["Application"] for each in (update.write_set, update.read_set))
    assert (read.version, written.version) == (2, 3)
    assert {name: group.version for name, group in written.groups.items()} == {"Org1MSP": 1, "Org2MSP": 2}
    assert written.values["Capabilities"].version == 5
    assert written.policies["Admins"].version == 6
    assert written.mod_policy == "Admins"
    assert "Orderer" not in update.write_set.groups
    assert update.write_set.version == update.read_set.version == config.channel_group.version


def test_a_revocation_changes_one_value_of_one_organisation(config: Any) -> None:
    changed = with_revoked(with_revoked(config, 2, b"first"), 2, b"second")
    update = _update(config, changed)
    written = update.write_set.groups["Application"]
    assert written.version == 2
    assert list(written.groups) == ["Org2MSP"]
    value = written.groups["Org2MSP"].values["MSP"]
    assert (value.version, value.mod_policy) == (8, "Admins")
    outer = msp_config_pb2.MSPConfig.FromString(value.value)
    inner = msp_config_pb2.FabricMSPConfig.FromString(outer.config)
    assert list(inner.revocation_list) == [b"first", b"second"]
    assert list(inner.root_certs) == [b"root"]


def test_the_configuration_that_was_read_stays_as_it_was(config: Any) -> None:
    before = config.SerializeToString(deterministic=True)
    without_organisation(config, 1)
    with_revoked(config, 1, b"x")
    assert config.SerializeToString(deterministic=True) == before


def test_no_change_and_an_unknown_organisation_are_refused(config: Any) -> None:
    with pytest.raises(CommandFailed, match="the one in force"):
        update_envelope("loomark", config, config)
    with pytest.raises(CommandFailed, match="Org4MSP does not belong"):
        without_organisation(config, 4)
