"""The Go programs of these tests, on the packages of the formats' author."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

_SOURCES = Path(__file__).parent / "go"
_PACKAGES = Path("/usr/share/gocode")


def go_program(name: str, folder: Path) -> Path:
    """A program, compiled into a folder without the network, against the distribution's own golang.org/x/mod."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("no Go here (Debian: apt-get install golang-go golang-golang-x-mod-dev)")
    if not (_PACKAGES / "src/golang.org/x/mod/sumdb/tlog").is_dir():
        pytest.skip(f"no golang.org/x/mod below {_PACKAGES} (Debian: golang-golang-x-mod-dev)")
    told = {
        "GO111MODULE": "off",
        "GOPATH": str(_PACKAGES),
        "GOCACHE": str(folder / "cache"),
        "GOPROXY": "off",
    }
    done = subprocess.run(
        [go, "build", "-o", str(folder / name), f"{name}.go"],
        cwd=_SOURCES,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **told},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / name
