"""`loomark witness serve` over HTTP, as any log's client meets it: statuses, types, limits, restarts, races."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from api.witness.serve import WitnessOptions, load_settings, open_witness
from bench.witness import ChildWitness
from ledger.checkpoint import checkpoint_of
from ledger.errors import InvalidInput
from ledger.misbehaviour import parse_misbehaviour, verify_misbehaviour
from ledger.note import (
    Note,
    cosign,
    note_bytes,
    parse_note,
    parse_signature_lines,
    parse_vkey,
    sign,
    verify_note,
)
from ledger.policy import parse_policy, policy_text
from ledger.witness.exchange import MAX_REQUEST_BYTES, origin_hash, request_bytes
from ledger.witness.settings import log_of

from ..ledger.witness.logs import ORIGIN, MemoryLog, key_of

NAME = "witness.example/http"
LOG = MemoryLog()
RACE, LATER = "race.example/log", "later.example/log"


@dataclass
class Running:
    """A witness's folder and the process that serves it now."""

    folder: Path
    child: ChildWitness

    def post(self, body: bytes) -> httpx2.Response:
        return httpx2.post(f"{self.child.url}/add-checkpoint", content=body)

    def shown(self, origin: str) -> httpx2.Response:
        return httpx2.get(f"{self.child.url}/{origin_hash(origin)}/checkpoint")

    def again(self, *flags: str) -> None:
        """Kill it with the signal that nothing survives, and start another on its folder."""
        self.child.stop(signal.SIGKILL)
        self.child = ChildWitness(self.folder, *flags, port=self.child.port).__enter__()


@pytest.fixture(scope="module")
def witness(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("witness")
    logs = [LOG.vkey.text(), MemoryLog(origin=RACE).vkey.text(), _conversation(shared_data)["log_vkey"]]
    flags = [word for vkey in logs for word in ("--log", str(vkey))]
    running = Running(folder, ChildWitness(folder, "--name", NAME, *flags).__enter__())
    yield running
    running.child.stop()


def _conversation(shared_data: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(
        (shared_data / "tlog" / "vectors" / "witness_conversation.json").read_text()
    )
    return found


def test_the_witness_conversation_over_http(witness: Running, shared_data: Path) -> None:
    steps = _conversation(shared_data)["steps"]
    assert isinstance(steps, list)
    for step in steps:
        answer = witness.post(step["request_body"].encode())
        assert answer.status_code == step["status_spec_2026_07"], answer.text
        if answer.status_code == 200:
            assert [line.name for line in parse_signature_lines(answer.content)] == [NAME]
        if answer.status_code == 409:
            assert answer.headers["content-type"] == "text/x.tlog.size"


def test_what_was_answered_survives_kill_and_a_second_log_is_added_by_flag(witness: Running) -> None:
    assert witness.post(LOG.request(0, 5)).status_code == 200
    later = MemoryLog(origin=LATER)
    assert witness.post(later.request(0, 1)).status_code == 404
    assert witness.shown(LATER).status_code == 404
    vkey = witness.child.vkey
    witness.again("--log", later.vkey.text())
    assert witness.child.vkey == vkey
    assert witness.post(LOG.request(0, 9)).text == "5\n"
    assert witness.post(later.request(0, 1)).status_code == 200
    shown = witness.shown(ORIGIN)
    assert shown.headers["content-type"] == "text/plain; charset=utf-8"
    note = parse_note(shown.content)
    assert checkpoint_of(note) == LOG.head(5)
    assert len(verify_note(note, [LOG.vkey, parse_vkey(vkey)])) == 2


def test_its_files_are_its_owners_alone(witness: Running) -> None:
    assert os.stat(witness.folder / "keys" / "witness.key").st_mode & 0o777 == 0o600
    for path in witness.folder.rglob("*"):
        if path.name != "serve.log":
            assert path.stat().st_mode & 0o077 == 0, path


def test_of_two_submitters_at_once_one_wins(witness: Running) -> None:
    log = MemoryLog(origin=RACE)
    assert witness.post(log.request(0, 4)).status_code == 200
    bodies = [log.request(4, 5), log.request(4, 6), log.request(4, 7), log.request(4, 8)]
    start, got = threading.Barrier(len(bodies)), []

    def submit(body: bytes) -> None:
        with httpx2.Client() as http:
            start.wait()
            got.append(http.post(f"{witness.child.url}/add-checkpoint", content=body))

    threads = [threading.Thread(target=submit, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted([one.status_code for one in got]) == [200, 409, 409, 409]
    size = checkpoint_of(parse_note(witness.shown(RACE).content)).size
    assert {one.text for one in got if one.status_code == 409} == {f"{size}\n"}
    (won,) = [one for one in got if one.status_code == 200]
    lines = parse_signature_lines(won.content)
    assert verify_note(Note(log.head(size).text(), lines), [parse_vkey(witness.child.vkey)])


def _crowded() -> bytes:
    crowd = [cosign(LOG.head(6).text(), f"w{number}", key_of(f"{number}"), 5) for number in range(31)]
    return LOG.request(0, 6, crowd)


def _extended() -> bytes:
    text = LOG.head(6).text() + "extension\n"
    return request_bytes(0, [], note_bytes(text, [sign(text, ORIGIN, LOG.key)]))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"", 400, id="nothing"),
        pytest.param(b"\x00" * 100, 400, id="noise"),
        pytest.param(b"x" * (MAX_REQUEST_BYTES + 1), 413, id="oversized"),
        pytest.param(LOG.request(0, 6) + "— a AAAAAAA=\n".encode() * 10_000, 400, id="10,000 lines"),
        pytest.param(_extended(), 400, id="extension line"),
        pytest.param(MemoryLog(origin="x.example").request(0, 6), 404, id="unknown origin"),
        pytest.param(MemoryLog(key=key_of("x")).request(0, 6), 403, id="unknown key"),
        pytest.param(request_bytes(7, [], LOG.note(6)), 400, id="future old size"),
        pytest.param(_crowded(), 409, id="32 lines"),
        pytest.param(LOG.request(1, 3), 409, id="replayed old checkpoint"),
        pytest.param(MemoryLog("other").request(5, 6), 422, id="another history"),
    ],
)
def test_bad_requests_have_their_status_and_change_nothing(
    witness: Running, body: bytes, status: int
) -> None:
    witness.post(LOG.request(0, 5))
    before = witness.shown(ORIGIN).content
    answer = witness.post(body)
    assert answer.status_code == status
    assert witness.shown(ORIGIN).content == before
    assert checkpoint_of(parse_note(before)).size == 5


def test_a_body_without_end_is_refused_before_it_is_held(witness: Running) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(64):
            yield b"x" * 65_536

    host, port = witness.child.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as plug:
        plug.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for part in endless():
                plug.sendall(b"%x\r\n%b\r\n" % (len(part), part))
        except OSError:
            # It answered and hung up while more was coming.
            pass
        else:
            assert b" 413 " in plug.recv(4096)
    assert witness.shown(ORIGIN).status_code in (200, 404)


@pytest.mark.parametrize(
    "path", ["", "nonsense", "nonsense/checkpoint", "../witness.toml", f"{'0' * 64}/checkpoint"]
)
def test_other_paths_are_not_there(witness: Running, path: str) -> None:
    assert httpx2.get(f"{witness.child.url}/{path}").status_code == 404


def test_a_fork_becomes_a_file_that_proves_it_to_anybody(witness: Running, tmp_path: Path) -> None:
    witness.post(LOG.request(0, 5))
    assert witness.post(MemoryLog("fork").request(5, 5)).status_code == 422
    assert witness.post(MemoryLog("fork").request(5, 5)).status_code == 422
    (path,) = (witness.folder / "evidence").glob(f"{origin_hash(ORIGIN)[:16]}-*")
    policy = parse_policy(policy_text(LOG.vkey))
    found = verify_misbehaviour(parse_misbehaviour(path.read_bytes()), policy)
    assert (found.kind, path.stat().st_mode & 0o077) == ("split-view", 0)


def test_no_answer_is_lost_to_kills(tmp_path: Path, seed: int) -> None:
    check_kills(tmp_path, seed, kills=2)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_no_answer_is_lost_to_a_hundred_kills(tmp_path: Path, seed: int) -> None:
    check_kills(tmp_path, seed, kills=100)


def check_kills(folder: Path, seed: int, kills: int) -> None:
    """Kill a witness under load at moments that the seed picks: what it answered 200 it never goes behind."""
    chance, size, told = random.Random(seed), 1, 0
    with ChildWitness(folder / "w", "--name", NAME, "--log", LOG.vkey.text()) as first:
        port = first.port
    for _ in range(kills):
        with ChildWitness(folder / "w", port=port) as child, httpx2.Client() as http:
            shown = http.get(f"{child.url}/{origin_hash(ORIGIN)}/checkpoint")
            known = checkpoint_of(parse_note(shown.content)).size if shown.status_code == 200 else 0
            assert known >= told, "a tree that it had cosigned was forgotten"
            killer = threading.Timer(chance.uniform(0.02, 0.4), child.process.kill)
            killer.start()
            try:
                while child.process.poll() is None:
                    size = known + chance.randint(0, 3)
                    answer = http.post(
                        f"{child.url}/add-checkpoint", content=LOG.request(known, max(size, 1))
                    )
                    assert answer.status_code == 200, answer.text
                    known = told = max(size, 1)
                    assert (
                        http.post(
                            f"{child.url}/add-checkpoint", content=MemoryLog("fork").request(0, known)
                        ).status_code
                        == 409
                    )
            except httpx2.HTTPError:
                pass
            killer.join()


def test_only_the_methods_of_the_protocol_are_taken(witness: Running) -> None:
    assert httpx2.get(f"{witness.child.url}/add-checkpoint").status_code == 405
    assert httpx2.post(f"{witness.child.url}/{origin_hash(ORIGIN)}/checkpoint").status_code == 405


def test_answers_are_counted_by_status(witness: Running) -> None:
    def counted(status: int) -> float:
        name = f'loomark_witness_answers_total{{status="{status}"}} '
        lines = httpx2.get(f"{witness.child.url}/metrics").text.splitlines()
        return sum([float(line.removeprefix(name)) for line in lines if line.startswith(name)])

    before = counted(404)
    witness.post(MemoryLog(origin="x.example").request(0, 6))
    assert counted(404) == before + 1


def test_a_second_process_on_the_same_folder_is_refused_in_a_sentence(witness: Running) -> None:
    command = [
        sys.executable,
        "-m",
        "api.cli",
        "witness",
        "serve",
        "--data",
        str(witness.folder),
        "--port",
        "0",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3
    assert "does another witness use it" in done.stderr
    assert "Traceback" not in done.stderr
    assert httpx2.get(f"{witness.child.url}/healthz").text == "ok\n"


def test_a_witness_keeps_the_name_of_its_first_start(witness: Running) -> None:
    with pytest.raises(InvalidInput, match="which this folder was made with"):
        load_settings(WitnessOptions(witness.folder, name="another"))
    assert load_settings(WitnessOptions(witness.folder)).name == NAME


def test_a_log_without_an_address_cannot_be_replayed(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="expected a url"):
        open_witness(WitnessOptions(tmp_path, name=NAME, logs=[log_of([LOG.vkey.text()])], replay=True))
    # Nothing is held by the refused start.
    _, close = open_witness(WitnessOptions(tmp_path))
    close()


def test_a_key_under_a_passphrase_opens_with_it_alone(tmp_path: Path) -> None:
    witness, close = open_witness(WitnessOptions(tmp_path, name=NAME, passphrase=b"correct horse"))
    vkey = witness.vkey
    close()
    assert b"encrypted-key" in (tmp_path / "keys" / "witness.key").read_bytes()
    for wrong in (None, b"another"):
        with pytest.raises(InvalidInput):
            open_witness(WitnessOptions(tmp_path, passphrase=wrong))
    again, close = open_witness(WitnessOptions(tmp_path, passphrase=b"correct horse"))
    assert again.vkey == vkey
    close()


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    _, close = open_witness(WitnessOptions(tmp_path, name=NAME))
    close()
    os.chmod(tmp_path / "keys" / "witness.key", 0o644)
    with pytest.raises(InvalidInput, match="600"):
        open_witness(WitnessOptions(tmp_path))
