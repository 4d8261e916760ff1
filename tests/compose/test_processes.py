"""Processes outlive their starter, and are ended by number only while they are the ones that were started."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from compose.network import NotReady, processes
from compose.network.processes import (
    Processes,
    Running,
    began,
    end,
    environment,
    is_alive,
    last_words,
    wait_until,
)

SLEEPS = (sys.executable, "-c", "import time; print('here', flush=True); time.sleep(600)")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(600)",
)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Processes]:
    some = Processes(tmp_path / "processes.json")
    yield some
    some.stop(list(some.recorded()), kill=True)


def _started(kept: Processes, name: str, tmp_path: Path, command: tuple[str, ...] = SLEEPS) -> Running:
    running = kept.start(name, command, tmp_path / f"{name}.log")
    wait_until(lambda: "here" in last_words(tmp_path / f"{name}.log"), "it speaks", 30)
    return running


def test_a_started_process_is_recorded_in_a_session_of_its_own_and_ended(
    kept: Processes, tmp_path: Path
) -> None:
    running = _started(kept, "a", tmp_path)
    assert Processes(tmp_path / "processes.json").alive("a")
    assert os.getsid(running.pid) == running.pid
    kept.stop(["a"])
    assert not is_alive(running)
    assert kept.recorded() == {}


def test_starting_what_runs_starts_nothing(kept: Processes, tmp_path: Path) -> None:
    assert _started(kept, "a", tmp_path) == kept.start("a", SLEEPS, tmp_path / "a.log")


def test_a_number_that_another_process_has_now_is_left_alone(kept: Processes, tmp_path: Path) -> None:
    running = _started(kept, "a", tmp_path)
    record = tmp_path / "processes.json"
    record.write_text(json.dumps({"a": {"pid": running.pid, "began": "1"}}))
    assert not kept.alive("a")
    kept.stop(["a"])
    assert kept.recorded() == {}
    assert is_alive(running)
    end([running])


def test_a_process_without_a_known_beginning_is_never_ours() -> None:
    assert not is_alive(Running(os.getpid(), ""))
    assert began(os.getpid())


def test_who_does_not_listen_is_killed(
    kept: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "GRACE_S", 0.3)
    running = _started(kept, "a", tmp_path, STUBBORN)
    kept.stop(["a"])
    assert not is_alive(running)


def test_a_paused_process_ends_when_asked(kept: Processes, tmp_path: Path) -> None:
    running = _started(kept, "a", tmp_path)
    kept.send("a", signal.SIGSTOP)
    kept.stop(["a"])
    assert not is_alive(running)


def test_what_has_ended_is_not_alive_and_takes_no_signal(kept: Processes, tmp_path: Path) -> None:
    kept.start("a", (sys.executable, "-c", "print('here')"), tmp_path / "a.log")
    wait_until(lambda: not kept.alive("a"), "it ends", 30)
    with pytest.raises(NotReady, match="a is not running"):
        kept.send("a", signal.SIGTERM)


def test_a_renamed_process_takes_the_place_of_what_had_the_name(kept: Processes, tmp_path: Path) -> None:
    running = _started(kept, "new", tmp_path)
    kept.rename({"new": "old"})
    assert kept.recorded() == {"old": running}


def test_children_inherit_neither_configuration_nor_waiting_signals(
    kept: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORE_PEER_ADDRESS", "elsewhere.example:7051")
    monkeypatch.setenv("HTTPS_PROXY", "http://elsewhere.example")
    assert not {"CORE_PEER_ADDRESS", "HTTPS_PROXY"} & set(environment())
    said = "import signal; print(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])), 'here')"
    kept.start("a", (sys.executable, "-c", said), tmp_path / "a.log")
    wait_until(lambda: "here" in last_words(tmp_path / "a.log"), "it speaks", 30)
    assert last_words(tmp_path / "a.log") == "[] here"
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_what_cannot_be_recorded_does_not_run(
    kept: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawned: list[Running] = []

    def keep(recorded: dict[str, Running]) -> None:
        spawned.extend(recorded.values())
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(kept, "_keep", keep)
        with pytest.raises(OSError, match="no space left"):
            kept.start("a", SLEEPS, tmp_path / "a.log")
    wait_until(lambda: not is_alive(spawned[0]), "it ends by itself", 30)
    assert (tmp_path / "a.log").read_text() == ""
    assert kept.recorded() == {}


def test_waiting_ends_in_words_and_a_watch_ends_it_sooner() -> None:
    with pytest.raises(NotReady, match="not within 0 s: the sun rises"):
        wait_until(lambda: False, "the sun rises", 0)

    def watch() -> None:
        raise NotReady("it is gone")

    with pytest.raises(NotReady, match="it is gone"):
        wait_until(lambda: False, "it comes", 30, watch)


def test_a_record_is_one_moment_of_a_process(kept: Processes, tmp_path: Path) -> None:
    running = _started(kept, "a", tmp_path)
    assert is_alive(running)
    assert not is_alive(replace(running, began=running.began + "0"))
