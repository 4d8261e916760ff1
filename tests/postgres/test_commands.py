"""The commands of an operator on PostgreSQL, from an empty database to a check of a node that ran."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.serving import Served
from tests.faults.served import document
from tests.postgres.test_takeover import MEDIA, MEMBER

from .fixtures import Postgres


def run(command: str, folder: Path, environment: dict[str, str]) -> tuple[int, Any, str]:
    """A command with `--json`: its status, what it printed, and all that it said."""
    done = subprocess.run(
        [sys.executable, "-m", "api.cli", command, "--data", str(folder), "--json"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    printed = json.loads(done.stdout) if done.stdout.strip() else None
    return done.returncode, printed, done.stdout + done.stderr


def test_an_operator_migrates_serves_checks_and_rebuilds(
    tmp_path: Path, postgres: Postgres, seed: int
) -> None:
    database, folder = postgres.empty(), tmp_path / "node"
    secret = tmp_path / "database-url"
    secret.write_text(database + "\n")
    environment = {"LOOMARK_DATABASE_FILE": str(secret), "LOOMARK_PREPARE_PROCESSES": "1"}
    said = []
    status, printed, words = run("migrate", folder, environment)
    assert (status, printed["from"]) == (0, None)
    said.append(words)
    with Served(folder, environment=environment) as node:
        key = node.state(MEMBER)["apiKey"]
        with node.client(key) as http:
            body = document(random.Random(seed), 3)
            answer = http.post("/epcis/capture", content=body, headers={"Content-Type": MEDIA})
            assert answer.status_code == 202
            job = http.get(answer.headers["location"], headers={"Prefer": "wait=20"}).json()
            assert job["state"] == "sequenced"
            metrics = http.get("/metrics", headers={"Authorization": f"Bearer {node.operator_key}"}).text
        assert "loomark_sequencing 1.0" in metrics
        for command in ("migrate", "rebuild"):
            status, _, words = run(command, folder, environment)
            assert status != 0, words
            said.append(words)
        status, report, words = run("fsck", folder, environment)
        assert (status, report["faults"]) == (0, []), words
        said.append(words)
    status, printed, words = run("rebuild", folder, environment)
    assert (status, printed["captures"]) == (0, 1), words
    said.append(words)
    status, printed, words = run("migrate", folder, environment)
    assert (status, printed["from"] == printed["to"]) == (0, True)
    said += [words, (folder / "serve.log").read_text(), (folder / "node.toml").read_text()]
    password = database.partition("@")[0].rpartition(":")[2]
    assert not [words for words in said if password in words]
