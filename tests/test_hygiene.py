"""Tracked files hold nothing of one machine: no registry address, no path of a work place, no secret."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LARGE_BYTES = 400_000

# Written in parts where needed, so that this file does not refuse itself.
REFUSED = {
    "registry address": re.compile(
        r"--(?:extra-)?index-url|--find-[l]inks"
        r"|https?://[^\s/\"']*(?:pypi|pythonhosted|npmjs|registry)[^\s\"']*/(?:simple|packages)\b"
        r'|"resolved":\s*"http|source\s=\s.*registry\+'
    ),
    "path of one machine": re.compile(
        r"(?<![\w./-])/(?:work|farm|root|opt)/[\w.-]|/home/[a-z][\w-]*/|/Users/\w+/|[A-Z]:\\Users\\"
    ),
    "secret": re.compile(
        r"-----BEGIN (?:[A-Z ]+ )?PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b"
        r"|\bLOOMARK_(?:OPERATOR|API)_KEY=[\"']?[A-Za-z0-9_-]{16,}"
    ),
}


def _tracked() -> list[Path]:
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout: which files are tracked is unknown")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def findings(text: str) -> list[str]:
    """Give `what: line number: the matching part` for each refused spelling in a text."""
    return [
        f"{what}: line {number}: {match.group(0)}"
        for number, line in enumerate(text.splitlines(), 1)
        for what, pattern in REFUSED.items()
        if (match := pattern.search(line))
    ]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("pip install --extra-" + "index-url x", "registry address"),
        ("https://files.python" + "hosted.org/packages/x.whl", "registry address"),
        ("--find" + "-links x", "registry address"),
        ("see /work" + "/main/x", "path of one machine"),
        ("open('/home/" + "jo/x')", "path of one machine"),
        ("-----BEGIN " + "PRIVATE KEY-----", "secret"),
        ("LOOMARK_OPERATOR_KEY=" + "abcdefghij0123456789", "secret"),
    ],
)
def test_the_search_finds_what_it_is_for(text: str, what: str) -> None:
    assert [found.split(":")[0] for found in findings(text)] == [what]


@pytest.mark.parametrize(
    "text",
    [
        "https://ref.gs1.org/epcis/",
        "LOOMARK_OPERATOR_KEY=…",
        "docs/work/x",
        "https://id.example/work/7",
        "a/root/b",
    ],
)
def test_the_search_leaves_other_text_alone(text: str) -> None:
    assert findings(text) == []


def test_no_tracked_file_holds_a_registry_address_a_machine_path_or_a_secret() -> None:
    found = []
    for path in _tracked():
        text = path.read_bytes().decode("utf-8", "replace")
        found += [f"{path.relative_to(ROOT)}: {finding}" for finding in findings(text)]
    assert found == []


def test_no_tracked_file_is_larger_than_a_source_has_to_be() -> None:
    large = {
        str(path.relative_to(ROOT)): size
        for path in _tracked()
        if (size := path.stat().st_size) > LARGE_BYTES
    }
    assert large == {}


def test_every_locked_requirement_has_hashes_and_every_dependency_is_locked_and_explained() -> None:
    import tomllib

    lock = (ROOT / "requirements.lock").read_text()
    pins = re.findall(r"^([a-z0-9-]+)==(\S+)[^\n]*\\\n    --hash=sha256:", lock, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^[^\s#]", lock, re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    declared = [
        *project["project"]["dependencies"],
        *(one for extra in project["project"]["optional-dependencies"].values() for one in extra),
        *project["dependency-groups"]["dev"],
    ]
    names = {re.split(r"[><=;\[ ]", one)[0] for one in declared}
    assert names <= {name for name, _ in pins}
    explained = (ROOT / "docs" / "dependencies.md").read_text()
    assert sorted(name for name in names if f"`{name}`" not in explained) == []
    assert [one for one in declared if ">=" not in one] == []
