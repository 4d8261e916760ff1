"""The container files as far as no engine is needed: they parse, agree with the configuration, and name what is there.

What they build and run is not tested here: no image is pulled and no container started.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.settings import Settings
from compose.containers import PUBLISHED, TOPOLOGY, deploy, write
from compose.containers.__main__ import main
from compose.containers.consortium import inside
from compose.network import BadTopology, BinariesMissing
from compose.network.binaries import find_binaries
from compose.network.layout import host_of, kind_of
from compose.network.node_config import core_yaml, orderer_yaml
from ledger.hyperledger.connection import load_profile

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "compose" / "containers"
DOCKERFILES = [FOLDER / "Dockerfile.chaincode", FOLDER / "Dockerfile.node"]
OFFICIAL = re.compile(
    r"(hyperledger/fabric-(peer|orderer)|postgres|python):[\w.${}:-]+\Z|loomark-(node|chaincode)\Z"
)


@pytest.fixture(scope="module")
def asked() -> dict[str, Any]:
    loaded = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    assert isinstance(loaded, dict)
    return loaded


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        find_binaries()
    except BinariesMissing as missing:
        pytest.skip(str(missing))
    folder = tmp_path_factory.mktemp("consortium") / "material"
    write(folder)
    return folder


def _mounts(service: dict[str, Any]) -> list[tuple[str, str]]:
    return [tuple(each.split(":")[:2]) for each in service.get("volumes", [])]


def test_every_process_of_the_consortium_is_a_service_under_the_name_in_its_certificate(
    asked: dict[str, Any],
) -> None:
    names = {host_of(name) for name in TOPOLOGY.processes()}
    others = {f"{kind}{number}" for kind in ("node", "database") for number in (1, 2)}
    assert set(asked["services"]) == names | others


def test_every_key_is_one_that_the_format_knows(asked: dict[str, Any]) -> None:
    top = {key for key in asked if not key.startswith("x-")}
    assert top == {"name", "services", "networks", "secrets"}
    known = {
        "build", "image", "user", "networks", "restart", "healthcheck", "entrypoint", "environment", "env_file",
        "volumes", "ports", "secrets", "depends_on",
    }  # fmt: skip
    for name, service in asked["services"].items():
        assert set(service) <= known, name
        assert set(service["networks"]) <= set(asked["networks"]), name
        assert set(service.get("secrets", [])) <= set(asked["secrets"]), name
        assert set(service.get("depends_on", {})) <= set(asked["services"]), name


def test_images_are_official_ones_or_built_here_and_pinned_to_no_index(asked: dict[str, Any]) -> None:
    for name, service in asked["services"].items():
        assert OFFICIAL.match(service["image"]), name
        if "build" in service:
            assert (FOLDER / service["build"]["context"]).resolve() == ROOT
            assert (ROOT / service["build"]["dockerfile"]).is_file()


def test_published_ports_are_on_loopback_and_those_that_the_deployment_uses(asked: dict[str, Any]) -> None:
    published: dict[tuple[str, int], int] = {}
    for name, service in asked["services"].items():
        for each in service.get("ports", []):
            host, outer, inner = each.split(":")
            assert host == "127.0.0.1"
            published[name, int(inner)] = int(outer)
    assert len(set(published.values())) == len(published)
    for name, ports in PUBLISHED.items():
        for what, port in ports.items():
            assert published[host_of(name), inside().port(name, what)] == port


def test_no_database_and_no_chaincode_server_is_reached_by_another_organisation(
    asked: dict[str, Any],
) -> None:
    for name, service in asked["services"].items():
        if name.startswith(("database", "chaincode")):
            [number] = re.findall(r"[12]", name)
            assert service["networks"] == [f"organisation{number}"]
            assert "ports" not in service


def test_every_file_that_a_configuration_names_is_mounted_in_that_container(asked: dict[str, Any]) -> None:
    layout = inside()
    for name in TOPOLOGY.processes():
        if kind_of(name) == "chaincode":
            continue
        tree = (
            orderer_yaml(layout, 1)
            if kind_of(name) == "orderer"
            else core_yaml(layout, int(name[-1]), Path("/network/ccaas"))
        )
        paths = re.findall(r"'(/network[^']*)'", str(tree))
        targets = [target for _, target in _mounts(asked["services"][host_of(name)])]
        assert len(paths) > 5
        assert [path for path in paths if not any(path.startswith(target) for target in targets)] == []


def test_a_node_is_told_only_what_it_has_a_setting_for(asked: dict[str, Any]) -> None:
    settings = {f"LOOMARK_{field.name.upper()}" for field in fields(Settings)}
    for number in (1, 2):
        told = asked["services"][f"node{number}"]["environment"]
        assert set(told) <= settings
        assert told["LOOMARK_HYPERLEDGER"] == str(inside().folder / "profiles" / f"Org{number}.toml")
    assert (
        len({asked["services"][f"node{number}"]["environment"]["LOOMARK_ORIGIN"] for number in (1, 2)}) == 2
    )


@pytest.mark.hyperledger
def test_every_mounted_path_is_written_and_no_node_sees_anothers_keys(
    asked: dict[str, Any], material: Path
) -> None:
    for name, service in asked["services"].items():
        for source, _ in _mounts(service):
            path = (FOLDER / source).resolve()
            if source.startswith("./material/"):
                path = material / source.removeprefix("./material/")
            assert path.exists(), (name, source)
            if name.startswith("node"):
                assert f"Admin@org{name[-1]}" not in source
                assert not source.rstrip("/").endswith("crypto")
    for secret in asked["secrets"].values():
        path = material / secret["file"].removeprefix("./material/")
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.hyperledger
def test_a_nodes_profile_finds_its_files_where_they_are_mounted(
    asked: dict[str, Any], material: Path
) -> None:
    for number in (1, 2):
        profile = load_profile(material / "profiles" / f"Org{number}.toml")
        assert profile.peer.endpoint == f"peer0.org{number}.example:7051"
        profile.load_identity()
        targets = [target for _, target in _mounts(asked["services"][f"node{number}"])]
        named = [
            profile.identity,
            *(peer.tls_roots for peer in (profile.peer, *profile.peers) if peer.tls_roots),
        ]
        for path in named:
            within = "/network/" + str(Path(path).resolve().relative_to(material))
            assert any(within.startswith(target) for target in targets), within


@pytest.mark.hyperledger
def test_a_chaincode_server_is_told_the_id_of_the_package_that_is_installed(material: Path) -> None:
    told = dict(
        line.split("=", 1) for line in (material / "chaincode1" / "chaincode.env").read_text().splitlines()
    )
    assert set(told) == {
        "CHAINCODE_ID",
        "CHAINCODE_SERVER_ADDRESS",
        "CHAINCODE_TLS_CERT",
        "CHAINCODE_TLS_KEY",
    }
    calculated = shutil.which("peer") and subprocess.run(
        ["peer", "lifecycle", "chaincode", "calculatepackageid", material / "chaincode1" / "loomark_1.tar.gz"],
        env={"PATH": str(find_binaries()["peer"].parent), "FABRIC_CFG_PATH": str(material / "peer1")},
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout.strip()  # fmt: skip
    assert calculated in (None, told["CHAINCODE_ID"])


@pytest.mark.hyperledger
def test_material_is_written_once_and_deployed_only_where_it_is(material: Path, tmp_path: Path) -> None:
    before = sorted(each.stat().st_mtime_ns for each in material.rglob("*"))
    with pytest.raises(BadTopology, match="empty folder"):
        write(material)
    assert sorted(each.stat().st_mtime_ns for each in material.rglob("*")) == before
    with pytest.raises(BadTopology, match="expected the material"):
        deploy(tmp_path / "none")
    assert main(["deploy", "--dir", str(tmp_path / "none")]) == 2


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.suffix[1:])
def test_a_dockerfile_copies_what_is_there_and_runs_as_nobody_in_particular(dockerfile: Path) -> None:
    lines = dockerfile.read_text().splitlines()
    words = {line.split(" ")[0] for line in lines if re.match(r"[A-Z]", line)}
    assert words <= {
        "FROM",
        "WORKDIR",
        "COPY",
        "RUN",
        "USER",
        "EXPOSE",
        "VOLUME",
        "HEALTHCHECK",
        "ENTRYPOINT",
        "CMD",
    }
    assert [line for line in lines if line.startswith("COPY")] == [
        "COPY . .",
        "COPY --from=build /wheels /wheels",
    ]
    assert "USER 1000:1000" in lines
    assert (FOLDER / f"{dockerfile.name}.dockerignore").read_text().splitlines()[0] == ".git"


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.suffix[1:])
def test_the_pins_that_an_image_is_built_with_are_those_of_the_lock(dockerfile: Path, tmp_path: Path) -> None:
    [command] = re.findall(r"^RUN (sed .*)$", dockerfile.read_text(), re.MULTILINE)
    made = tmp_path / "constraints.txt"
    subprocess.run(
        ["sh", "-c", command.replace("/wheels/constraints.txt", str(made))], cwd=ROOT, check=True, timeout=60
    )
    pins = [
        line.rstrip(" \\")
        for line in (ROOT / "requirements.lock").read_text().splitlines()
        if re.match(r"[a-z0-9]", line)
    ]
    assert made.read_text().splitlines() == pins
    assert len(pins) > 50


@pytest.mark.soak
@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.suffix[1:])
def test_the_commands_of_a_dockerfile_install_what_it_starts_in_a_plain_environment(
    dockerfile: Path, tmp_path: Path
) -> None:
    """The commands themselves, with another folder for the wheels and the pip of a new environment."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True, timeout=300)
    for command in re.findall(r"^RUN (.*)$", dockerfile.read_text(), re.MULTILINE):
        told = command.replace("/wheels", str(tmp_path / "wheels"))
        path = f"{tmp_path / 'venv' / 'bin'}:/usr/bin:/bin"
        (tmp_path / "wheels").mkdir(exist_ok=True)
        subprocess.run(
            ["sh", "-c", told], cwd=ROOT, env={"PATH": path, "HOME": str(tmp_path)}, check=True, timeout=900
        )
    [entry] = re.findall(r'^ENTRYPOINT \["(.*)"\]$', dockerfile.read_text(), re.MULTILINE)
    started = [*entry.split('", "'), "--help"]
    helped = subprocess.run(
        [tmp_path / "venv" / "bin" / started[0], *started[1:]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert helped.returncode == 0, helped.stderr
    assert "Loomark" in helped.stdout or "loomark" in helped.stdout
