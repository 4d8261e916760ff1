"""A real Hyperledger Fabric network for tests, where its programs are on this machine; else a skip that says so.

Whatever uses one of these fixtures has the marker `hyperledger`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from compose.network import BinariesMissing, Network, Topology
from compose.network.binaries import find_binaries
from ledger.hyperledger.connection import Profile, load_profile
from tests.hyperledger.consortium import Consortium
from tests.hyperledger.double.network import DoubleNetwork

_FIXTURES = frozenset({"hyperledger_programs", "real_network", "network_of"})


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark before anything is chosen by marker."""
    for item in items:
        if _FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.hyperledger)


@pytest.fixture(scope="session")
def hyperledger_programs() -> dict[str, Path]:
    """Where Hyperledger Fabric's programs are; skips where they are not."""
    try:
        return find_binaries()
    except BinariesMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def real_network(
    hyperledger_programs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Network]:
    """Two organisations and one orderer, shared by all tests of this process: leave it running, and nobody revoked."""
    network = Network(tmp_path_factory.mktemp("hyperledger") / "network")
    network.up(Topology())
    try:
        yield network
    finally:
        network.down(delete=True)


@pytest.fixture
def network_of(hyperledger_programs: dict[str, Path], tmp_path: Path) -> Iterator[Callable[..., Network]]:
    """Makes a network of a test's own, to be disturbed at will: ``network_of(orgs=3, orderers=3)``."""
    made: list[Network] = []

    def make(**topology: object) -> Network:
        made.append(Network(tmp_path / f"network{len(made)}"))
        made[-1].up(Topology(**topology))  # type: ignore[arg-type]
        return made[-1]

    try:
        yield make
    finally:
        for network in made:
            network.down(delete=True)


@pytest.fixture
def double(tmp_path: Path) -> Iterator[DoubleNetwork]:
    """Two organisations of the double, without TLS, to be disturbed at will."""
    network = DoubleNetwork(tmp_path / "double")
    try:
        yield network
    finally:
        network.close()


@pytest.fixture(params=["double", pytest.param("real", marks=pytest.mark.hyperledger)])
def consortium(request: pytest.FixtureRequest) -> Iterator[Consortium]:
    """Organisations on a channel: what holds on the double is held to be so on a real network."""
    name = f"{request.param}_consortium"
    with request.getfixturevalue(name).closing() as made:
        yield made


@pytest.fixture
def double_consortium(double: DoubleNetwork) -> Consortium:
    """The consortium on the double."""

    def profile(msp: str, admin: bool) -> Profile:
        return double.profile(msp, "admin" if admin else "client")

    return Consortium("double", profile)


@pytest.fixture
def real_consortium(real_network: Network) -> Consortium:
    """The consortium on the real network that all tests share."""

    def profile(msp: str, admin: bool) -> Profile:
        number = int(msp.removeprefix("Org").removesuffix("MSP"))
        return load_profile(real_network.profile(number, admin=admin))

    return Consortium("real", profile)
