"""What a monitor does when a log or a witness answers HTTP as an adversary would."""

from __future__ import annotations

import gzip
import json
import re
import socket
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.cli import log_http
from api.cli.log_http import HttpLog, HttpWitness, log_prefix
from api.cli.monitor import monitor
from api.cli.verify import verify
from ledger import merkle
from ledger.errors import Forbidden, InvalidInput, LoomarkError, NotFound, TooLarge, Unavailable
from ledger.monitor import open_monitor
from ledger.policy import parse_policy, policy_text
from ledger.tile import Tile, bundle_entries
from ledger.tlog_proof import tlog_proof_bytes
from tests.ledger.consortium import ORIGIN, START_MS, Consortium
from tests.ledger.monitor.hostile import (
    ShownLog,
    broken,
    capture,
    consortium,
    evidence,
    hostile_notes,
    seal,
    signed_note,
)
from tests.ledger.scene import scene

Answer = Callable[[socket.socket, str], None]


class HostileServer:
    """Answers each GET by a function of its path that may write anything to the socket, or nothing."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self._stop = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> HostileServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._socket.close()
        self._thread.join(20)
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        self._socket.settimeout(0.05)
        while not self._stop.is_set():
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                self._one(connection)

    def _one(self, connection: socket.socket) -> None:
        try:
            head = b""
            while b"\r\n\r\n" not in head:
                part = connection.recv(65_536)
                if not part:
                    return
                head += part
            path = head.split(b" ")[1].decode()
            self.asked.append(path)
            self.answer(connection, path)
        except OSError:
            # The other side went away, which is what it should do.
            return


def reply(connection: socket.socket, body: bytes, status: str = "200 OK", *headers: str) -> None:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def endless(connection: socket.socket, path: str) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65_536)


def saying(status: str, *headers: str) -> Answer:
    return lambda connection, path: reply(connection, b"no", status, *headers)


def raw(data: bytes) -> Answer:
    return lambda connection, path: connection.sendall(data)


HOSTILE: dict[str, tuple[Answer, type[LoomarkError]]] = {
    "an endless body": (endless, TooLarge),
    "a body as long as it says, too long": (
        lambda connection, path: reply(connection, b"x" * 300_000),
        TooLarge,
    ),
    "less than it says": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nx"), Unavailable),
    "no HTTP": (raw(b"\x00\x01\x02\r\n\r\n"), Unavailable),
    "nothing at all": (raw(b""), Unavailable),
    "a redirect": (saying("302 Found", "Location: http://127.0.0.1:1/"), InvalidInput),
    "an encoded body": (
        lambda connection, path: reply(
            connection, gzip.compress(bytes(10**6)), "200 OK", "Content-Encoding: gzip"
        ),
        InvalidInput,
    ),
    "no content": (saying("204 No Content"), InvalidInput),
    "no key": (saying("401 Unauthorized"), Forbidden),
    "a refusal": (saying("403 Forbidden"), Forbidden),
    "not there": (saying("404 Not Found"), NotFound),
    "gone": (saying("410 Gone"), NotFound),
    "too often": (saying("429 Too Many Requests"), Unavailable),
    "a fault": (saying("500 Internal Server Error"), Unavailable),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_answer_that_is_none_is_an_error_of_ours_and_bounded(name: str) -> None:
    answer, kind = HOSTILE[name]
    with HostileServer(answer) as server, HttpLog(f"{server.url}/log") as log:
        with pytest.raises(kind):
            log.checkpoint()
        witness = HttpWitness(server.url)
        with pytest.raises(kind):
            witness.checkpoint(ORIGIN)
        witness.close()
    assert server.asked[0] == "/log/checkpoint"
    assert len(server.asked) <= 2


def test_a_trickle_of_bytes_ends_at_its_deadline() -> None:
    times = iter([0.0, 1.0, 2.0, 500.0])
    arrived = threading.Event()

    def trickle(connection: socket.socket, path: str) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while not arrived.wait(0.02):
            connection.sendall(b"x")

    with HostileServer(trickle) as server:
        reader = log_http._Reader({}, lambda: next(times))
        with pytest.raises(Unavailable, match="a part of one"):
            reader.get(server.url, 1_000_000)
        arrived.set()
        reader.close()


def test_nobody_there_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with HttpLog(f"http://127.0.0.1:{port}/log") as log, pytest.raises(Unavailable):
        log.checkpoint()


def test_a_host_that_is_no_name_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    # What looking it up raises, without asking anybody.
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_, **__: host.encode("idna"))
    with HttpLog("http://node..example/log") as log, pytest.raises(Unavailable, match="idna"):
        log.checkpoint()


def test_a_partial_tile_that_is_gone_is_cut_from_the_full_one() -> None:
    entries = [b"entry %d" % number for number in range(256)]
    hashes = bytes(range(256)) * 32

    def full_only(connection: socket.socket, path: str) -> None:
        if ".p/" in path:
            reply(connection, b"", "404 Not Found")
        else:
            reply(connection, bundle_entries(entries) if "entries" in path else hashes)

    with HostileServer(full_only) as server, HttpLog(f"{server.url}/log") as log:
        assert log.tile(Tile(0, 3, 5)) == hashes[: 5 * 32]
        assert log.tile(Tile("entries", 3, 7)) == bundle_entries(entries[:7])
    assert server.asked == [
        "/log/tile/0/003.p/5",
        "/log/tile/0/003",
        "/log/tile/entries/003.p/7",
        "/log/tile/entries/003",
    ]


def test_a_node_and_a_log_are_named_by_their_address() -> None:
    assert log_prefix("http://node:8080") == log_prefix("http://node:8080/log/") == "http://node:8080/log"
    assert log_prefix("https://log.example/prov/log") == "https://log.example/prov/log"


def serving(log: ShownLog) -> Answer:
    """Serves a log in memory as tlog-tiles has it."""
    from ledger.tile import parse_tile_path

    def answer(connection: socket.socket, path: str) -> None:
        try:
            name = path.removeprefix("/log/")
            found = log.checkpoint() if name == "checkpoint" else log.tile(parse_tile_path(name[5:]))
            reply(connection, found)
        except LoomarkError:
            reply(connection, b"", "404 Not Found")

    return answer


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.txt"
    path.write_text(policy_text(consortium().log_vkey()))
    return path


def looked(capsys: pytest.CaptureFixture[str], url: str, data: Path, one: Consortium) -> tuple[int, Any]:
    code: Any = 0
    try:
        monitor(url, data, vkey=one.log_vkey().text(), once=True, interval_s=1, as_json=True)
    except SystemExit as ended:
        code = ended.code
    return code, json.loads(capsys.readouterr().out)


def test_monitor_ends_with_0_4_or_5(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = consortium()
    log = ShownLog(ORIGIN, list(one.entries))
    with HostileServer(serving(log)) as server:
        code, report = looked(capsys, server.url, tmp_path / "a", one)
        assert (code, report["entries"], report["evidence"]) == (0, len(one.entries), [])
        log.shown = b"rubbish"
        code, report = looked(capsys, server.url, tmp_path / "a", one)
        assert (code, report["suspicions"][0]["rule"]) == (5, "bad-note")
        log.shown = signed_note(ORIGIN, [*one.entries[:-1], b"another"])
        code, report = looked(capsys, server.url, tmp_path / "a", one)
        assert (code, report["evidence"][0]["kind"]) == (4, "split-view")
        log.shown = None
        assert looked(capsys, server.url, tmp_path / "a", one)[0] == 4
    assert Path(report["evidence"][0]["file"]).parent == tmp_path / "a" / "evidence"
    assert looked(capsys, server.url, tmp_path / "b", one)[0] == 5


def test_checkpoints_that_are_none_come_over_http_to_the_same_end(tmp_path: Path) -> None:
    one = consortium()
    log = ShownLog(ORIGIN, list(one.entries))
    policy = parse_policy(policy_text(one.log_vkey()))
    watching = open_monitor(tmp_path, policy, ORIGIN, lambda: START_MS)
    with HostileServer(serving(log)) as server, HttpLog(f"{server.url}/log") as source:
        for name, (note, rule) in hostile_notes().items():
            log.shown = note
            report = watching.look(source)
            assert [found.rule for found in report.suspicions] in ([rule], ["answer-too-large"]), name
            assert (report.evidence, report.size, report.heads) == ([], 0, 0)
        log.shown = None
        report = watching.look(source)
        assert (report.suspicions, report.entries) == ([], len(one.entries))
    watching.close()


def test_an_endless_answer_takes_little_memory() -> None:
    with HostileServer(endless) as server, HttpLog(f"{server.url}/log") as log:
        tracemalloc.start()
        with pytest.raises(TooLarge):
            log.checkpoint()
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak_bytes < 4_000_000


def test_monitor_says_in_words_what_it_found(
    tmp_path: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, entries = broken("one statement id twice")
    with HostileServer(serving(ShownLog(ORIGIN, entries))) as server, pytest.raises(SystemExit) as ended:
        monitor(server.url, tmp_path / "data", policy=policy, once=True, interval_s=1)
    assert ended.value.code == 4
    said = capsys.readouterr().out
    assert "the log misbehaved: duplicate-id" in said
    assert said.splitlines()[-1].startswith(f"misbehaved: {ORIGIN} at size {len(entries)}")


def test_what_a_log_wrote_does_not_reach_the_terminal_as_it_is(
    tmp_path: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = consortium()
    entries = [*one.entries, capture(one, log="\x1b[2Jcleared\u202e"), seal(one)]
    with HostileServer(serving(ShownLog(ORIGIN, entries))) as server, pytest.raises(SystemExit):
        monitor(server.url, tmp_path / "data", policy=policy, once=True, interval_s=1)
    said = capsys.readouterr().out
    assert "cleared" in said
    assert "\x1b[2J" not in said
    assert "\u202e" not in said
    [file] = (tmp_path / "data" / "evidence").iterdir()
    code, said = verdict(capsys, file, policy, as_json=False)
    assert code == 4
    assert "\x1b[2J" not in said


def verdict(
    capsys: pytest.CaptureFixture[str], file: Path, policy: Path, as_json: bool = True
) -> tuple[Any, str]:
    code: Any = 0
    try:
        verify(file, policy, as_json=as_json)
    except SystemExit as ended:
        code = ended.code
    return code, capsys.readouterr().out


def test_verify_tells_evidence_apart_from_what_is_fine(
    tmp_path: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "evidence.json"
    file.write_bytes(evidence("a retired key"))
    code, said = verdict(capsys, file, policy)
    found = json.loads(said)
    assert (code, found["kind"], found["misbehaviour"]["rule"]) == (4, "misbehaviour", "key-retired")
    code, said = verdict(capsys, file, policy, as_json=False)
    assert code == 4
    assert "it proves: entry" in said
    assert "it means: the log took in" in said
    assert said.splitlines()[-1] == "the evidence holds: the log misbehaved"


def test_evidence_that_does_not_hold_is_refused_with_step_and_place(
    tmp_path: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    value = json.loads(evidence("a retired key"))
    value["at"] = [0]
    file = tmp_path / "evidence.json"
    file.write_text(json.dumps(value))
    code, said = verdict(capsys, file, policy)
    failure = json.loads(said)["failure"]
    assert (code, failure["step"], failure["name"]) == (1, 4, "the contradiction")
    value["tree"] = value["tree"][1:]
    file.write_text(json.dumps(value))
    code, said = verdict(capsys, file, policy, as_json=False)
    assert code == 1
    assert "not verified: step 3 (the tree that was signed)" in said


def test_an_entry_goes_with_a_tlog_proof_only(
    tmp_path: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "evidence.json"
    file.write_bytes(evidence("a retired key"))
    with pytest.raises(InvalidInput) as caught:
        verify(file, policy, entry=file)
    assert caught.value.rule == "not-a-tlog-proof"
    assert capsys.readouterr().out == ""


def test_verify_says_what_a_tlog_proof_does_not_prove(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, own, _ = scene()
    size = max(one.archive)
    path = merkle.inclusion_path(one.hashes(size), own.index)
    file, trusted, entry = tmp_path / "one.tlog-proof", tmp_path / "policy.txt", tmp_path / "entry"
    named = {f"w{number}": vkey for number, vkey in enumerate(one.witness_vkeys())}
    trusted.write_text(policy_text(one.log_vkey(), named, 2))
    file.write_bytes(tlog_proof_bytes(own.index, path, one.archive[size]))
    code, said = verdict(capsys, file, trusted)
    assert (code, json.loads(said)["failure"]["place"]) == (1, "/extra")
    entry.write_bytes(own.envelope)
    verify(file, trusted, entry=entry)
    said = capsys.readouterr().out
    assert f"entry {own.index} of {ORIGIN} at size {size}" in said
    assert "member: farm" in said
    assert "operator's word: a tlog-proof says that the entry is in the log: neither" in said
    assert re.search(r"not after 2026-\S+Z: cosigned by w0 at 2026-\S+Z", said)
