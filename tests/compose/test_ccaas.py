"""The three programs by which a peer accepts chaincode that runs as a service, run as a peer runs them."""

from __future__ import annotations

import os
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from chaincode.package import ccaas_package
from compose.network.node_config import CCAAS


def _run(program: str, *folders: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [CCAAS / "bin" / program, *folders],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        timeout=30,
        check=False,
    )


@pytest.fixture
def unpacked(tmp_path: Path) -> tuple[Path, Path]:
    """The folders with the code and the metadata of a package of ours, as a peer unpacks it."""
    source, metadata = tmp_path / "source", tmp_path / "metadata"
    with tarfile.open(fileobj=BytesIO(ccaas_package("loomark_1", "127.0.0.1:9999"))) as package:
        package.extractall(metadata, filter="data")
    with tarfile.open(metadata / "code.tar.gz") as code:
        code.extractall(source, filter="data")
    return source, metadata


def test_a_package_of_ours_becomes_what_the_peer_reads(unpacked: tuple[Path, Path], tmp_path: Path) -> None:
    source, metadata = unpacked
    built, released = tmp_path / "built", tmp_path / "released"
    built.mkdir()
    released.mkdir()
    assert _run("detect", source, metadata).returncode == 0
    assert _run("build", source, metadata, built).returncode == 0
    assert _run("release", built, released).returncode == 0
    assert (released / "chaincode/server/connection.json").read_bytes() == (
        source / "connection.json"
    ).read_bytes()


@pytest.mark.parametrize("metadata", ['{"type":"golang","label":"x_1"}', '{"label":"ccaas"}', ""])
def test_chaincode_of_another_type_is_not_ours(unpacked: tuple[Path, Path], metadata: str) -> None:
    (unpacked[1] / "metadata.json").write_text(metadata)
    assert _run("detect", *unpacked).returncode != 0


def test_a_package_without_an_address_is_refused(unpacked: tuple[Path, Path], tmp_path: Path) -> None:
    (unpacked[0] / "connection.json").unlink()
    (tmp_path / "built").mkdir()
    assert _run("build", *unpacked, tmp_path / "built").returncode != 0
    assert list((tmp_path / "built").iterdir()) == []
