"""Refuses to start when `fabric` is not ours.

PyPI has a distribution named `fabric` whose package would lie over ours in a shared environment. What ran
then would be a mixture; so each command asks here first, before it imports anything of `fabric`. Only the
standard library is used, and nothing is imported to find out.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

_REMEDY = "Install Loomark in an environment of its own: pipx install loomark, uv tool install loomark, or a new venv."


def conflict(ours: Path, found: Path | None) -> str | None:
    """Say what is wrong with the `fabric` that would be imported; None when it is ours.

    `ours` is the folder in which the importing packages lie, `found` the `__init__.py` that importing
    `fabric` would run (None: there is none). A distribution `fabric` installed into `ours` has written over
    our files even though the path is the expected one; its metadata folder there gives it away.
    """
    expected = ours / "fabric" / "__init__.py"
    if found is None:
        return f"the package 'fabric' is missing: expected {expected}. {_REMEDY}"
    if found != expected:
        return f"'fabric' would be imported from {found}, expected {expected}. {_REMEDY}"
    if any(ours.glob("[fF]abric-*.dist-info")):
        return f"the distribution 'fabric' has written over the package of Loomark in {expected.parent}. {_REMEDY}"
    return None


def check() -> None:
    """Return when `fabric` is ours; otherwise end the process with a message on stderr and status 1."""
    spec = importlib.util.find_spec("fabric")
    found = Path(spec.origin).resolve() if spec is not None and spec.origin else None
    problem = conflict(Path(__file__).resolve().parents[2], found)
    if problem is not None:
        raise SystemExit(f"loomark: {problem}")
