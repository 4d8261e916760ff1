"""The projector's process: it follows, ends when told, and never outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from fabric.graph import Source, check, start_projector
from tests.fabric.graph.conftest import PACKER, place
from tests.simulator import Simulator

LOT = "https://id.gs1.org/01/09506000134352/10/A1"
ROOT = Path(__file__).resolve().parents[3]


def wait_for(condition: Callable[[], bool], timeout_s: float = 30.0) -> bool:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def capture(sim: Simulator) -> int:
    sim.capture("farm", [sim.event(quantityList=[{"epcClass": LOT}], readPoint={"id": place(PACKER)})])
    return int(sim.node.state()["size"])


def test_it_follows_the_log_survives_a_kill_and_ends_when_told(sim: Simulator, tmp_path: Path) -> None:
    folder = tmp_path / "graph"
    projector = start_projector(folder, sim.folder / "loomark.db")
    try:
        size = capture(sim)
        assert wait_for(lambda: projector.size == size)
        assert projector.lag(size + 3) == 3
        assert projector.pid is not None
        os.kill(projector.pid, signal.SIGKILL)
        assert wait_for(lambda: not projector.is_alive())
        size = capture(sim)
        projector.start()
        assert wait_for(lambda: projector.size == size)
        assert projector.is_alive()
    finally:
        projector.stop()
    assert not projector.is_alive()
    assert check(folder, Source(sim.node.reading)).equal


def test_it_ends_with_its_parent(sim: Simulator, tmp_path: Path) -> None:
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom fabric.graph import start_projector\n"
        "if __name__ == '__main__':\n"
        "    one = start_projector(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "    print(one.pid, flush=True)\n    time.sleep(60)\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(program)
    size = capture(sim)
    folder = tmp_path / "graph"
    parent = subprocess.Popen(
        [sys.executable, str(script), str(folder), str(sim.folder / "loomark.db")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
    )
    try:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        current = folder / "CURRENT"
        assert wait_for(lambda: current.exists() and f"snap-{size}-" in current.read_text())
        assert is_running(child)
    finally:
        parent.kill()
        parent.wait()
        if parent.stdout is not None:
            parent.stdout.close()
    assert wait_for(lambda: not is_running(child), 10)
