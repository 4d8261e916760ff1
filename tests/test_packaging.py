"""The wheel stands alone: base dependencies, an empty environment, every data file, no server library.

Building uses the build backend of this environment. Installing needs a source of packages, whichever pip is
set up with on this machine; where none can be reached the tests that install skip and say so.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("ledger", "fabric", "ontology", "api", "loomark")
# What extras alone bring, by the name it is imported under; pydantic is not among it, Typer depends on it.
SERVER_MODULES = (
    "alembic", "fabric_protos", "fastapi", "grpc", "httptools", "jinja2", "prometheus_client", "psycopg", "pyoxigraph",
    "sqlalchemy", "starlette", "structlog", "uvicorn", "uvloop",
)  # fmt: skip
# Distributions that are not named as what they are imported by.
DISTRIBUTIONS = {
    "fabric_protos": "hyperledger-fabric-protos",
    "google": "protobuf",
    "grpc": "grpcio",
    "nacl": "pynacl",
    "yaml": "pyyaml",
}


def _run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=170, check=False)


def _must(*command: str | Path, cwd: Path = ROOT) -> str:
    done = _run(*command, cwd=cwd)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def _locked_pins() -> list[str]:
    """The `name==version ; marker` lines of the lock, usable as constraints (hashes would forbid the local wheel)."""
    lock = (ROOT / "requirements.lock").read_text()
    return [line.rstrip(" \\") for line in re.findall(r"^[a-z0-9][^\n]*==[^\n]*", lock, re.MULTILINE)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built without looking anything up."""
    out = tmp_path_factory.mktemp("wheel")
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir")
    _must(sys.executable, "-m", "pip", "wheel", "--quiet", *options, out, ROOT)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def empty_environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a new environment that has the wheel with its base dependencies, in locked versions."""
    folder = tmp_path_factory.mktemp("environment")
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(_locked_pins()) + "\n")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    pin = next(line for line in _locked_pins() if line.startswith("rfc8785=="))
    reached = _run(
        *pip, "--timeout", "10", "--retries", "0", "download", "--no-deps", "--dest", folder / "try", pin
    )
    if reached.returncode:
        pytest.skip(f"no source of packages can be reached by pip: {reached.stderr.strip().splitlines()[-1]}")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    binaries = folder / "venv" / "bin"
    _must(*pip, "--python", binaries / "python", "install", "--quiet", "--constraint", constraints, wheel)
    return binaries


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel: Path) -> None:
    listed = _run("git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *PACKAGES)
    if listed.returncode:
        pytest.skip("not a git checkout: which files belong to the packages is unknown")
    expected = {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == expected


def test_the_metadata_names_the_command_the_extras_and_the_base_dependencies(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata_name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(metadata_name).decode()
        entry_points = archive.read(metadata_name.replace("METADATA", "entry_points.txt")).decode()
    assert "loomark = api.cli:main" in entry_points
    assert set(re.findall(r"^Provides-Extra: (\S+)", metadata, re.MULTILINE)) == {
        "hyperledger",
        "node",
        "postgres",
    }
    base = set(re.findall(r"^Requires-Dist: ([\w-]+)[^;\n]*$", metadata, re.MULTILINE))
    assert base == {"cryptography", "httpx2", "pynacl", "rfc8785", "rich", "typer"}


def test_lower_bounds_only_and_one_version(wheel: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert wheel.name == f"loomark-{project['version']}-py3-none-any.whl"
    assert [one for one in project["dependencies"] if not re.fullmatch(r"[\w-]+>=[\d.]+", one)] == []


def _third_party_imports(*folders: str) -> dict[str, str]:
    """Each distribution imported under the folders, by its normalised name, with one file that imports it."""
    found: dict[str, str] = {}
    for path in sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names = [node.module]
            for top in (
                {name.split(".")[0] for name in names}
                - sys.stdlib_module_names
                - {*PACKAGES, "tests", "bench", "chaincode", "compose"}
            ):
                found[DISTRIBUTIONS.get(top, top.replace("_", "-"))] = str(path.relative_to(ROOT))
    return found


def test_every_import_of_the_packages_is_a_declared_dependency_and_of_the_tests_a_locked_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [one for extra in project["optional-dependencies"].values() for one in extra]
    declared = {re.split(r"[\[>;]", one)[0] for one in [*project["dependencies"], *extras]}
    undeclared = {
        name: path for name, path in _third_party_imports(*PACKAGES).items() if name not in declared
    }
    assert undeclared == {}
    locked = {pin.split("==")[0] for pin in _locked_pins()}
    assert {name: path for name, path in _third_party_imports("tests").items() if name not in locked} == {}


def test_loomark_verify_runs_in_an_environment_with_base_dependencies_only(
    empty_environment: Path, tmp_path: Path
) -> None:
    probe = f"import importlib.util as u; print([m for m in {SERVER_MODULES!r} if u.find_spec(m)])"
    assert _must(empty_environment / "python", "-I", "-c", probe, cwd=tmp_path).strip() == "[]"
    told = _must(empty_environment / "loomark", "verify", "--help", cwd=tmp_path)
    assert "--policy" in told


def test_importing_the_verify_command_loads_no_server_library() -> None:
    probe = f"import sys, api.cli.verify; print([m for m in {SERVER_MODULES!r} if m in sys.modules])"
    assert _must(sys.executable, "-c", probe).strip() == "[]"


def test_running_the_verify_command_loads_no_server_library() -> None:
    probe = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print('loaded:', [m for m in {SERVER_MODULES!r} if m in sys.modules]))\n"
        "sys.argv = ['loomark', 'verify', '--help']\n"
        "from api.cli import main\n"
        "main()\n"
    )
    assert _must(sys.executable, "-c", probe).strip().endswith("loaded: []")
