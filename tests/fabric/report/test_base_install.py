"""The verifier of reports runs where nothing but the base install is: no server library, no fast JSON."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from ledger.canonical import canonical

from .conftest import Demonstration

SCRIPT = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {'orjson', 'sqlalchemy', 'sqlite3', 'fastapi', 'starlette', 'pydantic', 'msgspec',
                                  'jinja2', 'alembic', 'pyoxigraph', 'structlog', 'uvicorn', 'httpx2'}:
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
from fabric.report import verify_report
from ledger.canonical import parse_json
from ledger.policy import parse_policy
report, policy = (open(name, 'rb').read() for name in sys.argv[1:])
verified = verify_report(parse_json(report), parse_policy(policy.decode()))
print(len(verified.answer['affected']), sum(len(lot['gaps']) for lot in verified.fsma204))
"""


def test_a_report_verifies_with_the_base_install_alone(
    demo: Demonstration, report: Any, tmp_path: Path
) -> None:
    (tmp_path / "report.json").write_bytes(canonical(report))
    (tmp_path / "policy.txt").write_text(f"log {demo.sim.node.vkey}\nquorum none\n")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "report.json"), str(tmp_path / "policy.txt")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["9", "2"]
