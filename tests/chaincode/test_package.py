"""The package that peers install: the same bytes everywhere, an id known beforehand, and what a peer looks for in it."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincode.package import ClientTls, _gzipped, ccaas_package, package_id
from ledger.errors import InvalidInput

ROOT = Path(__file__).resolve().parents[2]
LABEL, ADDRESS = "loomark_1", "127.0.0.1:9999"
# Any change of these bytes is a change of the id that organisations approved.
KNOWN_ID = "loomark_1:96c669e4278c07e4bfe4c131be8f5f08abc11c6eccb5d63ef67f6eeb0f449047"


def _files(packed: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
        found = {}
        for entry in tar.getmembers():
            assert entry.isreg()
            assert (entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname) == (0, 0, 0, "", "")
            file = tar.extractfile(entry)
            assert file is not None
            found[entry.name] = file.read()
        return found


def test_the_bytes_and_the_id_are_known_beforehand() -> None:
    assert package_id(LABEL, ccaas_package(LABEL, ADDRESS)) == KNOWN_ID


@pytest.mark.parametrize("hash_seed", ["0", "1", "random"])
def test_another_process_makes_the_same_bytes(hash_seed: str) -> None:
    program = f"from chaincode.package import *; print(package_id({LABEL!r}, ccaas_package({LABEL!r}, {ADDRESS!r})))"
    environment = {"PYTHONHASHSEED": hash_seed, "TZ": "Asia/Tokyo", "SOURCE_DATE_EPOCH": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == KNOWN_ID


def test_a_package_says_where_the_chaincode_listens() -> None:
    files = _files(ccaas_package(LABEL, ADDRESS, dial_timeout="3s"))
    assert list(files) == ["metadata.json", "code.tar.gz"]
    assert json.loads(files["metadata.json"]) == {"type": "ccaas", "label": LABEL}
    code = _files(files["code.tar.gz"])
    assert list(code) == ["connection.json"]
    expected = {"address": ADDRESS, "dial_timeout": "3s", "tls_required": False}
    assert json.loads(code["connection.json"]) == expected


@pytest.mark.parametrize(
    ("tls", "more"),
    [
        (ClientTls("roots"), {"client_auth_required": False, "root_cert": "roots"}),
        (
            ClientTls("roots", "key", "certificate"),
            {
                "client_auth_required": True,
                "root_cert": "roots",
                "client_key": "key",
                "client_cert": "certificate",
            },
        ),
    ],
)
def test_tls_is_told_to_the_peer(tls: ClientTls, more: dict[str, Any]) -> None:
    files = _files(_files(ccaas_package(LABEL, ADDRESS, tls=tls))["code.tar.gz"])
    told = json.loads(files["connection.json"])
    assert told == {"address": ADDRESS, "dial_timeout": "10s", "tls_required": True, **more}


@pytest.mark.parametrize("label", ["", "-x", "a b", "a:b", "a/b", "\u00e4", "x" * 129, "a\n"])
def test_a_label_that_a_peer_refuses_is_refused(label: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        ccaas_package(label, ADDRESS)
    assert refused.value.rule == "bad-package"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "host",
        "host:",
        ":1",
        "host:x",
        "host:65536",
        "host:01",
        "host:-1",
        "a b:1",
        "host:1\n",
        "::1:9",
        "http://h:1",
    ],
)
def test_an_address_of_another_form_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        ccaas_package(LABEL, address)
    assert refused.value.rule == "bad-address"


@pytest.mark.parametrize(
    "address", ["host:0", "host:65535", "127.0.0.1:1", "[::1]:9999", "chaincode.org1.example:9"]
)
def test_an_address_is_packed_as_it_is_given(address: str) -> None:
    files = _files(_files(ccaas_package(LABEL, address))["code.tar.gz"])
    assert json.loads(files["connection.json"])["address"] == address


def test_the_id_depends_on_label_and_address() -> None:
    made = [("a", ADDRESS), ("b", ADDRESS), ("a", "127.0.0.1:9998")]
    assert len({package_id(label, ccaas_package(label, address)) for label, address in made}) == 3


@given(st.one_of(st.binary(min_size=1, max_size=100), st.integers(65_530, 131_080).map(bytes)))
def test_stored_blocks_are_a_gzip_file_of_the_same_bytes(data: bytes) -> None:
    assert gzip.decompress(_gzipped(data)) == data
