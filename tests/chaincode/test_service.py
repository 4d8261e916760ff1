"""The chaincode as its operator starts it: a process, with TLS or without, from the checkout or from its wheel."""

from __future__ import annotations

import ipaddress
import os
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.chaincode.memory import Organisation
from tests.chaincode.peer import DEADLINE_S, Message, Peer

ROOT = Path(__file__).resolve().parents[2]
ID = "loomark_1:" + "cd" * 32
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("CHAINCODE_", "CORE_", "PYTHON", "GRPC_"))
}


@contextmanager
def started(
    *options: str, cwd: Path = ROOT, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """`python -m chaincode` with these options; gives the process and the port that it told."""
    process = subprocess.Popen(
        [sys.executable, "-m", "chaincode", *options],
        cwd=cwd, env=CLEAN | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        told = process.stdout.readline()
        assert told, process.communicate(timeout=DEADLINE_S)[1]
        yield process, int(told.rpartition(":")[2])
    finally:
        process.kill()
        process.communicate(timeout=DEADLINE_S)


def _serves(port: int, credentials: grpc.ChannelCredentials | None = None) -> None:
    first = Organisation.named("Org1MSP")
    with Peer(port, credentials=credentials) as peer:
        assert peer.next().type == Message.REGISTER
        assert peer.invoke("t", b"organisations:list", creator=first.user).payload == b"[]"
        assert peer.invoke("t", b"nothing", creator=first.user).status == 404


def test_it_serves_until_it_is_told_to_stop() -> None:
    with started("--address", "127.0.0.1:0", "--id", ID) as (process, port):
        _serves(port)
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0


def test_it_stops_with_a_stream_open() -> None:
    with started("--address", "127.0.0.1:0", "--id", ID) as (process, port), Peer(port) as peer:
        assert peer.next().type == Message.REGISTER
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_S) == 0
        assert peer.ended.wait(DEADLINE_S)


def test_address_and_id_are_taken_from_the_environment() -> None:
    with started(CHAINCODE_SERVER_ADDRESS="127.0.0.1:0", CHAINCODE_ID=ID) as (_, port):
        _serves(port)


def _refused(*options: str, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "chaincode", *options],
        cwd=ROOT, env=CLEAN | environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_without_an_id_or_address_it_says_what_it_needs() -> None:
    status, text = _refused("--id", ID)
    assert status == 2
    assert "--address" in text
    status, text = _refused("--address", "127.0.0.1:0")
    assert status == 2
    assert "--id" in text


@pytest.mark.parametrize("address", ["nowhere", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:-1"])
def test_an_address_of_another_form_ends_it_with_a_message(address: str) -> None:
    status, text = _refused("--address", address, "--id", ID)
    assert status == 1
    assert text == f"cannot listen on {address}: expected an address of the form host:port\n"


def test_a_port_that_is_taken_ends_it_with_a_message() -> None:
    with started("--address", "127.0.0.1:0", "--id", ID) as (_, port):
        status, text = _refused("--address", f"127.0.0.1:{port}", "--id", ID)
        assert status == 1
        assert f"cannot listen on 127.0.0.1:{port}" in text


@dataclass(frozen=True)
class Identity:
    key: bytes
    certificate: bytes


def _signed(
    name: str, authority: tuple[x509.Name, ec.EllipticCurvePrivateKey] | None = None
) -> tuple[Identity, tuple[x509.Name, ec.EllipticCurvePrivateKey]]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signer = authority or (subject, key)
    start = datetime.now(UTC) - timedelta(days=1)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(authority is None, None), critical=True)
        .sign(signer, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Identity(pem, built.public_bytes(serialization.Encoding.PEM)), (subject, key)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CA's certificate, a server's key and certificate, and a client's."""
    folder = tmp_path_factory.mktemp("tls")
    root, authority = _signed("CA")
    (folder / "ca.pem").write_bytes(root.certificate)
    for name in ("server", "client"):
        identity, _ = _signed(name, authority)
        (folder / f"{name}-key.pem").write_bytes(identity.key)
        (folder / f"{name}.pem").write_bytes(identity.certificate)
    return folder


def _credentials(files: Path, with_client: bool) -> grpc.ChannelCredentials:
    own = (
        [(files / name).read_bytes() for name in ("client-key.pem", "client.pem")]
        if with_client
        else [None, None]
    )
    return grpc.ssl_channel_credentials((files / "ca.pem").read_bytes(), *own)


def _tls_options(files: Path, *more: str) -> list[str]:
    pair = ["--tls-key", str(files / "server-key.pem"), "--tls-certificate", str(files / "server.pem")]
    return ["--address", "localhost:0", "--id", ID, *pair, *more]


def _is_refused(port: int, credentials: grpc.ChannelCredentials | None) -> bool:
    with Peer(port, credentials=credentials) as peer:
        assert peer.ended.wait(DEADLINE_S)
        return peer.error is not None and peer.inbox.empty()


def test_it_serves_by_tls_alone_when_it_has_a_certificate(files: Path) -> None:
    with started(*_tls_options(files)) as (_, port):
        _serves(port, _credentials(files, with_client=False))
        assert _is_refused(port, None)


def test_it_asks_for_a_clients_certificate_when_it_has_roots(files: Path) -> None:
    roots = ("--client-roots", str(files / "ca.pem"))
    with started(*_tls_options(files, *roots)) as (_, port):
        _serves(port, _credentials(files, with_client=True))
        assert _is_refused(port, _credentials(files, with_client=False))


def test_half_of_a_tls_identity_and_garbage_are_refused(files: Path, tmp_path: Path) -> None:
    common = ("--address", "127.0.0.1:0", "--id", ID)
    key = str(files / "server-key.pem")
    for options in (
        ("--tls-key", key),
        ("--tls-certificate", key),
        ("--client-roots", str(files / "ca.pem")),
    ):
        status, text = _refused(*common, *options)
        assert status == 1
        assert "TLS needs both" in text
    status, text = _refused(*common, "--tls-key", str(files / "none"), "--tls-certificate", key)
    assert status == 1
    assert "cannot listen" in text
    garbage = str(tmp_path / "garbage.pem")
    Path(garbage).write_text("garbage")
    status, text = _refused(*common, "--tls-key", garbage, "--tls-certificate", garbage)
    assert status == 1
    assert "cannot listen" in text


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of chaincode/, built without looking anything up."""
    out = tmp_path_factory.mktemp("wheel")
    _must("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(out),
          str(ROOT / "chaincode"))  # fmt: skip
    (built,) = out.glob("*.whl")
    return built


def _must(*arguments: str, cwd: Path = ROOT, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd, env=CLEAN | environment, capture_output=True, text=True, timeout=170, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done.stdout


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
        (metadata_name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        metadata = archive.read(metadata_name).decode()
    sources = {f"chaincode/{path.name}" for path in (ROOT / "chaincode").glob("*.py")}
    assert packed == sources | {"chaincode/py.typed"}
    assert wheel.name == "loomark_chaincode-0.1.0-py3-none-any.whl"
    required = set(re.findall(r"^Requires-Dist: ([\w-]+)", metadata, re.MULTILINE))
    assert required == {"cryptography", "grpcio", "hyperledger-fabric-protos", "loomark", "protobuf"}


def test_the_wheel_runs_beside_the_sources_of_loomark(wheel: Path, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    _must(
        "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(installed), str(wheel)
    )
    # The checkout has a folder of the same name, so of it only ledger is put on the path.
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "ledger").symlink_to(ROOT / "ledger")
    path = os.pathsep.join([str(installed), str(sources)])
    where = _must(
        "-c", "import chaincode, chaincode.shim; print(chaincode.__file__)", cwd=tmp_path, PYTHONPATH=path
    )
    assert Path(where.strip()).is_relative_to(installed)
    assert "--address" in _must("-m", "chaincode", "--help", cwd=tmp_path, PYTHONPATH=path)
    with started("--address", "127.0.0.1:0", "--id", ID, cwd=tmp_path, PYTHONPATH=path) as (_, port):
        _serves(port)


def test_importing_the_contracts_loads_neither_grpc_nor_a_server_library() -> None:
    unwanted = (
        "grpc",
        "google.protobuf",
        "fabric_protos",
        "sqlite3",
        "fastapi",
        "sqlalchemy",
        "httpx2",
        "asyncio",
    )
    probe = f"import sys, chaincode, chaincode.package; print([m for m in {unwanted!r} if m in sys.modules])"
    assert _must("-c", probe).strip() == "[]"
