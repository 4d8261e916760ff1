from __future__ import annotations

import subprocess
import sys

from ledger.bundle import build_bundle, parse_bundle
from ledger.canonical import canonical
from ledger.commitment import commitment_nodes
from ledger.verify import verify

from .reference import EVENT, LOG_SIZE, reference


def test_the_reference_bundle_is_what_the_budgets_speak_of() -> None:
    parts, policy = reference()
    assert 850 <= len(canonical(EVENT)) <= 950
    assert commitment_nodes(EVENT) == 15 + 2
    assert len(parts.entry_at.path) in (23, 24)
    verified = verify(parse_bundle(build_bundle(parts)), policy)
    assert verified.tree_size == LOG_SIZE
    assert verified.record == EVENT
    assert len(policy.witnesses) == 3


def test_the_pure_heart_needs_the_base_install_only() -> None:
    script = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in {'orjson', 'sqlalchemy', 'fastapi', 'pydantic', 'msgspec', 'httpx2'}:\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "import ledger, ledger.verify, ledger.keyfile\n"
        "from tests.ledger.reference import reference\n"
        "from ledger.bundle import build_bundle, parse_bundle\n"
        "parts, policy = reference()\n"
        "print(ledger.verify.verify(parse_bundle(build_bundle(parts)), policy).index)\n"
        "print(sorted(name for name in sys.modules if f'{name}.'.startswith(('ledger.log.', 'socket.', 'sqlite3.'))))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines() == ["6543210", "[]"]
