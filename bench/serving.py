"""A real node under measurement: who is admitted, how much memory its process tree has, when a job is covered."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import httpx2

from api.cli.child import ChildNode


class Served(ChildNode):
    """A node that benchmarks and end-to-end tests talk to. Use as a context manager."""

    def __enter__(self) -> Served:
        super().__enter__()
        return self

    def client(self, api_key: str) -> httpx2.Client:
        """An HTTP client that speaks for the holder of `api_key`."""
        headers = {"Authorization": f"Bearer {api_key}"}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=120)

    def state(self, statement: dict[str, Any]) -> dict[str, Any]:
        """Post a statement of the operator."""
        with self.client(self.operator_key) as http:
            answer = http.post("/api/statements", json=statement)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def admit(self, members: dict[str, Any]) -> dict[str, str]:
        """Admit the members of a scenario's `members.json`, in custody; API keys by member id."""
        keys = {}
        for one in members["members"]:
            statement = {
                "type": "member",
                "subject": one["id"],
                "name": one["name"],
                "parties": one["parties"],
            }
            keys[one["id"]] = self.state(statement)["apiKey"]
        return keys

    def cpu_s(self) -> float:
        """CPU seconds that the processes which run now have used, children that ended included."""
        return sum(_cpu_ticks(pid) for pid in process_tree(self.process.pid)) / os.sysconf("SC_CLK_TCK")

    def pss_bytes(self) -> int:
        """Memory of the whole process tree: the sum of its proportional set sizes."""
        return sum(_pss(pid) for pid in process_tree(self.process.pid))


def process_tree(root: int) -> list[int]:
    """`root` and all its descendants, by /proc."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += parents.get(pid, [])
    return found


def _cpu_ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(int(field) for field in fields[11:15])


def _pss(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    match = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(match[1]) * 1024 if match else 0


def wait_until_covered(http: httpx2.Client, job: str, timeout_s: float = 120) -> dict[str, Any]:
    """The job once a signed checkpoint covers it."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found: dict[str, Any] = http.get(job, headers={"Prefer": "wait=30"}).json()
        if found["state"] != "staged":
            return found
    raise TimeoutError(f"{job} was not settled in {timeout_s} s")


def environment_line() -> str:
    """Machine and date, as every benchmark result carries them."""
    model = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    name = model[1].strip() if model else "unknown processor"
    return json.dumps(
        {
            "cpu": name,
            "cores": os.cpu_count(),
            "python": sys.version.split()[0],
            "date": time.strftime("%Y-%m-%d"),
        }
    )
