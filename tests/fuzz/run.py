"""``make fuzz``: the same targets under atheris, which looks for new paths through the code.

``python -m tests.fuzz.run [SECONDS] [TARGET...]`` runs each target in a process of its own, because the fuzzer ends the
process it runs in. Corpora lie in ``var/fuzz``, and what broke a target beside them; both start from valid samples.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FOLDER = Path("var") / "fuzz"


def main(arguments: Sequence[str]) -> int:
    """Fuzz the named targets, or all, and say which of them broke."""
    if arguments[:1] == ["--one"]:
        return _one(arguments[1], int(arguments[2]))
    seconds, *names = arguments or ("20",)
    if not names:
        from .targets import TARGETS

        names = list(TARGETS)
    broken = [name for name in names if not _survives(name, seconds)]
    print(f"{len(names) - len(broken)} of {len(names)} targets raised verdicts only, {seconds} s each")
    for name in broken:
        print(f"broken: {name}; see {FOLDER / name}")
    return 1 if broken else 0


def _survives(name: str, seconds: str) -> bool:
    command = [sys.executable, "-m", "tests.fuzz.run", "--one", name, seconds]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    runs = [line for line in done.stderr.splitlines() if line.startswith("Done ")]
    print(f"{name}: {runs[-1] if runs else 'broke'}")
    if done.returncode:
        print("\n".join(done.stderr.splitlines()[-40:]))
    return done.returncode == 0


def _one(name: str, seconds: int) -> int:
    # It has no types, and lies in no environment but one that `make fuzz` made ready.
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["ledger", "fabric.report"]):
        import fabric.report.verify  # noqa: F401
        import ledger  # noqa: F401

        from .targets import samples, survives
    corpus = FOLDER / name / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, sample in enumerate(samples(name)):
        (corpus / f"sample-{number}").write_bytes(sample)
    options = [f"-max_total_time={seconds}", "-max_len=131072", "-timeout=20", "-rss_limit_mb=2048"]
    atheris.Setup(
        ["fuzz", *options, f"-artifact_prefix={FOLDER / name}/", str(corpus)],
        lambda data: survives(name, data) and None,
    )
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
