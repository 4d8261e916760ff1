"""The command line against a served node, as a newcomer uses it."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import httpx2
import pytest

from api.cli import main
from api.cli.child import ChildNode
from api.cli.client import Node
from api.cli.report import page_of
from fabric.scenario import demo_scenario
from tests.simulator import START_MS

BULK = "https://id.gs1.org/01/09525001000107"
"""The product of the contaminated lot."""


@dataclass
class Run:
    """What a command ended with."""

    code: int
    out: str
    err: str


@dataclass
class Served:
    """A served node with the demonstration's records, and the keys of its people."""

    folder: Path
    url: str
    lot: str
    keys: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, key: str | None = "recall", **environment: str) -> Run:
        """Run `loomark` in a process of its own, with the API key of somebody."""
        api_key = {"LOOMARK_API_KEY": self.keys[key]} if key else {}
        return inside(*arguments, LOOMARK_URL=self.url, **api_key, **environment)

    @property
    def code(self) -> str:
        """The bare lot number of the contaminated lot."""
        return self.lot.rpartition("/")[2]

    def size(self) -> int:
        """The size of the log."""
        listed = self.run("fsck", "--data", str(self.folder / "node"), "--json")
        return int(json.loads(listed.out)["size"])


def inside(*arguments: str, **environment: str) -> Run:
    """Run `loomark` with these arguments in this process, which is faster by the imports."""
    around = {name: value for name, value in os.environ.items() if not name.startswith("LOOMARK_")}
    told, warned, code = io.StringIO(), io.StringIO(), 0
    with (
        mock.patch.object(sys, "argv", ["loomark", *arguments]),
        mock.patch.dict(os.environ, around | environment, clear=True),
        redirect_stdout(told),
        redirect_stderr(warned),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
    return Run(code, told.getvalue(), warned.getvalue())


def loomark(*arguments: str, **environment: str) -> Run:
    """Run `loomark` with these arguments."""
    around = {name: value for name, value in os.environ.items() if not name.startswith("LOOMARK_")}
    command = [sys.executable, "-m", "api.cli", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=around | environment
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Run(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("cli")
    demo = demo_scenario(folder / "scenario", now=START_MS // 1000)
    members = json.loads((folder / "scenario" / "members.json").read_text())["members"]
    with ChildNode(folder / "node") as child:
        served = Served(folder, child.url, demo.contaminated, {"operator": child.operator_key})
        for one in [*members, {"id": "recall", "name": "Recall Desk", "parties": []}]:
            parties = [flag for party in one["parties"] for flag in ("--party", party)]
            made = served.run(
                "member", "add", one["name"], "--id", one["id"], *parties, "--json", key="operator"
            )
            served.keys[one["id"]] = json.loads(made.out)["apiKey"]
        assert served.run("member", "grant", "recall", "--role", "recall", key="operator").code == 0
        for one in members:
            files = map(str, sorted((folder / "scenario" / one["folder"]).glob("*.json*")))
            assert served.run("capture", *files, key=one["id"]).code == 0
        yield served


def places_of(answer: dict[str, Any]) -> set[tuple[str, str]]:
    """Where an answer has stock: lots and amounts."""
    return {
        (row["thing"].rpartition("/")[2], place["on_hand"])
        for row in answer["quantities"]
        for place in row["places"]
        if place["on_hand"] != "0"
    }


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        BULK + "/10/{}",
        "(01)09525001000107(10){}",
        "urn:epc:class:lgtin:9525001.000010.{}",
    ],
)
def test_a_lot_is_traced_by_any_of_its_names(served: Served, text: str) -> None:
    done = served.run("trace", text.format(served.code), "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["thing"] == served.lot


@pytest.mark.parametrize("text", ["095250020000000014", "095250040000000081"])
def test_a_bare_carrier_number_is_traced(served: Served, text: str) -> None:
    done = served.run("trace", text, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["thing"].endswith(text)


def test_a_text_of_several_meanings_lists_them_and_ends_with_two(served: Served) -> None:
    done = served.run("trace", "ASN-1")
    assert (done.code, done.out) == (2, "")
    assert "urn:epcglobal:cbv:bt:9525001000008:ASN-1" in done.err
    assert "document" in done.err


def test_a_near_name_is_offered_and_never_taken(served: Served, tmp_path: Path) -> None:
    near = served.code.replace("-", " ").lower()
    for command in (["trace", near], ["report", near, "-o", str(tmp_path / "r.json")]):
        done = served.run(*command)
        assert (done.code, done.out) == (2, "")
        assert served.lot in done.err
        assert "Romaine lettuce" in done.err
    assert not (tmp_path / "r.json").exists()


def test_a_text_without_meaning_ends_with_one_and_the_accepted_spellings(served: Served) -> None:
    done = served.run("trace", "NO-SUCH-LOT")
    assert (done.code, done.out) == (1, "")
    assert "(01)09506000134352(10)LOT7" in done.err


def test_who_holds_it_now_comes_first_and_is_the_stock_of_the_answer(served: Served) -> None:
    answer = json.loads(served.run("trace", served.lot, "--json").out)
    lines = served.run("trace", served.lot).out.splitlines()
    first, after = lines.index("Who holds it now"), lines.index("In transit, or sent and never received")
    shown = [line.strip() for line in lines[first + 1 : after] if line.startswith("    ")]
    assert {(line.rpartition(" ")[2], line.partition(" ")[0]) for line in shown} == places_of(answer)
    assert len(shown) == len(
        [1 for row in answer["quantities"] for p in row["places"] if p["on_hand"] != "0"]
    )
    assert lines.index("Unaccounted") < lines.index(f"Affected ({len(answer['affected'])})")
    assert "  Marlow Hillside (Marlow Markets)" in lines[first:after]


def test_a_limited_reader_is_never_told_that_there_is_nothing(served: Served) -> None:
    answer = json.loads(served.run("trace", served.lot, "--json", key="farm").out)
    assert answer["hidden"] != "none"
    out = served.run("trace", served.lot, key="farm").out
    assert "nothing in the records you may see" in out
    assert "  nothing\n" not in out


def test_the_operators_key_is_told_that_it_sees_no_records(served: Served, tmp_path: Path) -> None:
    record = json.loads(served.run("trace", served.lot, "--json").out)["affected"][0]["holder"]["record"]
    for command in (
        ["trace", served.lot],
        ["report", served.lot, "-o", str(tmp_path / "r.json")],
        ["prove", record, "-o", str(tmp_path / "p.json")],
    ):
        done = served.run(*command, key="operator")
        assert done.code == 1
        assert "the operator's key sees no records" in done.err
    assert list(tmp_path.iterdir()) == []


def test_verify_tells_what_a_proof_shows_and_what_a_report_concludes(served: Served, tmp_path: Path) -> None:
    answer = json.loads(served.run("trace", served.lot, "--json").out)
    record = answer["affected"][1]["holder"]["record"]
    assert served.run("policy", "-o", f"{tmp_path}/policy.txt").code == 0
    assert served.run("prove", record, "--show", "/eventTime", "-o", f"{tmp_path}/part.json").code == 0
    assert served.run("prove", record, "-o", f"{tmp_path}/whole.json").code == 0
    assert (
        served.run("report", served.code, "-o", f"{tmp_path}/report.json", "--direction", "forward").code == 0
    )
    part, whole, report = (
        inside("verify", f"{tmp_path}/{name}", "--policy", f"{tmp_path}/policy.txt").out
        for name in ("part.json", "whole.json", "report.json")
    )
    assert "  /eventTime: 2" in part
    assert "/readPoint" not in part
    assert "verified: 1 record, every step holds" in part
    assert "  /readPoint: " in whole
    for lot, held in places_of(answer):
        assert any(line.strip().startswith(f"{held} ") and line.endswith(lot) for line in report.splitlines())
    assert "unaccounted:" in report


def test_the_page_of_a_report_is_made_of_the_evidence_beside_it(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    get = Node.get

    def counted(node: Node, path: str, **parameters: Any) -> httpx2.Response:
        asked.append(path)
        return get(node, path, **parameters)

    monkeypatch.setattr(Node, "get", counted)
    evidence, page = tmp_path / "report.json", tmp_path / "report.html"
    done = served.run("report", served.lot, "-o", str(evidence), "--html", str(page))
    assert done.code == 0, done.err
    assert asked.count("/api/reports/provenance") == 1
    assert served.run("policy", "-o", f"{tmp_path}/policy.txt").code == 0
    assert page.read_bytes() == page_of(evidence.read_bytes(), (tmp_path / "policy.txt").read_text())[0]
    assert b"<svg" in page.read_bytes()


def test_a_report_that_does_not_verify_makes_no_page(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    get = Node.get

    def forged(node: Node, path: str, **parameters: Any) -> httpx2.Response:
        response = get(node, path, **parameters)
        if path == "/api/reports/provenance":
            changed = response.content.replace(b'"made":"', b'"made":"1', 1)
            return httpx2.Response(200, content=changed)
        return response

    monkeypatch.setattr(Node, "get", forged)
    evidence, page = tmp_path / "report.json", tmp_path / "report.html"
    done = served.run("report", served.lot, "-o", str(evidence), "--html", str(page))
    assert (done.code, evidence.exists(), page.exists()) == (1, False, False)
    assert "step" in done.err


def test_an_event_id_of_several_records_lists_them_for_people_and_for_programs(
    served: Served, tmp_path: Path
) -> None:
    name = "urn:uuid:12121212-1212-4121-8121-121212121212"

    def of_this_id(disposition: str) -> Callable[[dict[str, Any]], None]:
        def edit(value: dict[str, Any]) -> None:
            (event, *_) = value["epcisBody"]["eventList"]
            value["epcisBody"]["eventList"] = [event | {"eventID": name, "disposition": disposition}]
            value.pop("epcisHeader", None)

        return edit

    for member, disposition in (("farm", "active"), ("packer", "damaged")):
        file = str(_document(served.folder, of_this_id(disposition)))
        assert served.run("capture", file, key=member).code == 0
    proof = tmp_path / "p.json"
    done = served.run("prove", name, "-o", str(proof))
    assert (done.code, done.out, proof.exists()) == (2, "", False)
    assert "2 records carry this event ID" in done.err
    asked = served.run("prove", name, "-o", str(proof), "--json")
    assert (asked.code, proof.exists()) == (2, False)
    listed = json.loads(asked.out)
    assert [one["member"] for one in listed] == ["farm", "packer"]
    for one in listed:
        row = next(line for line in done.err.splitlines() if one["record"] in line)
        assert one["member"] in row
        assert one["eventTime"] in row
        assert served.run("prove", one["record"], "-o", str(proof)).code == 0


def test_an_existing_member_is_told_so_and_gets_a_fresh_key_only_when_asked(served: Served) -> None:
    again = served.run("member", "add", "Recall Desk", "--id", "recall", key="operator")
    assert again.code == 0, again.err
    assert "already a member" in again.out
    assert "apiKey" not in json.loads(
        served.run("member", "add", "Recall Desk", "--id", "recall", "--json", key="operator").out
    )
    assert served.run("member", "list").code == 0
    old = served.keys["recall"]
    fresh = json.loads(served.run("member", "api-key", "recall", "--json", key="operator").out)
    served.keys["recall"] = fresh["apiKey"]
    assert served.run("member", "list").code == 0
    refused = inside("member", "list", LOOMARK_URL=served.url, LOOMARK_API_KEY=old)
    assert refused.code == 1
    assert "LOOMARK_API_KEY" in refused.err


def test_a_key_is_revoked_by_the_start_of_its_id_and_a_grant_is_listed(
    served: Served, tmp_path: Path
) -> None:
    line = inside("keygen", "-o", str(tmp_path / "key")).out.strip()
    added = served.run("member", "add", "Lab", "--public-key", line, key="operator")
    assert added.code == 0, added.err
    until = ["--until", "2099-01-01T00:00:00Z"]
    granted = served.run(
        "member", "grant", "lab", "--role", "auditor", "--for", "farm", *until, key="operator"
    )
    assert granted.code == 0, granted.err
    listed = json.loads(served.run("member", "list", "--json").out)["members"]
    (keyid,) = [key["keyid"] for one in listed if one["id"] == "lab" for key in one["keys"]]
    assert served.run("member", "revoke", "lab", keyid[:7], key="operator").code == 1
    assert f"{keyid} member active" in served.run("member", "list").out
    assert served.run("member", "revoke", "lab", keyid[:8], key="operator").code == 0
    shown = served.run("member", "list").out
    assert "granted  auditor for farm" in shown
    assert f"{keyid} member active" not in shown


def test_a_grant_until_no_time_is_refused_before_it_is_sent(served: Served) -> None:
    before = served.size()
    done = served.run("member", "grant", "farm", "--role", "auditor", "--until", "tomorrow", key="operator")
    assert (done.code, served.size()) == (1, before)
    assert "--until" in done.err


def _document(folder: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    source = sorted((folder / "scenario" / "farm").glob("*.json*"))[0]
    value = json.loads(source.read_text())
    edit(value)
    target = folder / "edited.jsonld"
    target.write_text(json.dumps(value))
    return target


def test_capture_names_its_records_and_says_what_is_in_the_log_already(served: Served) -> None:
    def one_new(value: dict[str, Any]) -> None:
        (event, *_) = value["epcisBody"]["eventList"]
        event["eventID"] = "urn:uuid:11111111-1111-4111-8111-111111111111"
        value["epcisBody"]["eventList"] = [event]
        value.pop("epcisHeader", None)

    file = str(_document(served.folder, one_new))
    first = served.run("capture", file, key="farm")
    assert first.code == 0, first.err
    assert "1 event in the log at" in first.out
    assert "urn:uuid:11111111-1111-4111-8111-111111111111" in first.out
    command = first.out.rpartition("next: loomark ")[2].split()
    proof = served.folder / "captured.json"
    assert served.run(*command[:-1], str(proof), key="farm").code == 0
    before = served.size()
    again = served.run("capture", file, key="farm")
    assert (again.code, served.size()) == (0, before)
    assert "already in the log at" in again.out

    # A pipe can be read once only.
    pipe = served.folder / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(Path(file).read_bytes()))
    writer.start()
    piped = served.run("capture", str(pipe), key="farm")
    writer.join()
    assert (piped.code, piped.err) == (0, "")
    assert "already in the log at" in piped.out


def test_a_receipt_is_kept_and_verified_away_from_the_node(served: Served, tmp_path: Path) -> None:
    def one_event(value: dict[str, Any]) -> None:
        (event, *_) = value["epcisBody"]["eventList"]
        value["epcisBody"]["eventList"] = [
            event | {"eventID": f"urn:uuid:{'3' * 8}-3333-4333-8333-{'3' * 12}"}
        ]
        value.pop("epcisHeader", None)

    file, receipt = _document(served.folder, one_event), tmp_path / "receipt.json"
    done = served.run("capture", str(file), "--receipt", str(receipt), key="farm")
    assert done.code == 0, done.err
    assert str(receipt) in done.out
    assert served.run("policy", "-o", f"{tmp_path}/policy.txt").code == 0
    verdict = inside("verify", str(receipt), "--policy", f"{tmp_path}/policy.txt")
    assert verdict.code == 0, verdict.err
    assert "the whole capture of 2 records" in verdict.out
    assert f"urn:uuid:{'3' * 8}" in verdict.out
    receipt.write_bytes(receipt.read_bytes().replace(b'"eventTime":"20', b'"eventTime":"19', 1))
    assert inside("verify", str(receipt), "--policy", f"{tmp_path}/policy.txt").code == 1


def test_a_receipt_of_several_files_is_wrong_use_and_sends_nothing(served: Served, tmp_path: Path) -> None:
    before, receipt = served.size(), tmp_path / "receipt.json"
    done = served.run("capture", "a.json", "b.json", "--receipt", str(receipt), key="farm")
    assert (done.code, receipt.exists(), served.size()) == (2, False, before)


def test_a_refused_file_does_not_hide_the_captures_before_it(served: Served, tmp_path: Path) -> None:
    def one_event(value: dict[str, Any]) -> None:
        (event, *_) = value["epcisBody"]["eventList"]
        value["epcisBody"]["eventList"] = [
            event | {"eventID": f"urn:uuid:{'4' * 8}-4444-4444-8444-{'4' * 12}"}
        ]
        value.pop("epcisHeader", None)

    good, bad = _document(served.folder, one_event), tmp_path / "bad.json"
    bad.write_text("{")
    done = served.run("capture", str(good), str(bad), "--json", key="farm")
    assert (done.code, str(bad) in done.err) == (1, True)
    (job,) = json.loads(done.out)
    assert job["state"] == "sequenced"


def test_a_refused_document_is_named_with_its_fault_once_and_the_word_meant(served: Served) -> None:
    def mistype(value: dict[str, Any]) -> None:
        value["epcisBody"]["eventList"][0]["bizStep"] = "shiping"

    before = served.size()
    file = str(_document(served.folder, mistype))
    done = served.run("capture", file, key="farm")
    assert (done.code, served.size()) == (1, before)
    assert file in done.err
    assert done.err.count("shiping") == 1
    assert "did you mean shipping?" in done.err


@pytest.mark.parametrize(
    "command",
    [
        ["keygen", "-o", "{}"],
        ["policy", "-o", "{}"],
        ["report", "{lot}", "-o", "{}"],
        ["generate", "--events", "10", "--out", "{}"],
    ],
)
def test_an_output_that_cannot_be_written_is_said(
    served: Served, tmp_path: Path, command: Sequence[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    target = str(tmp_path / "file" / "x")
    done = served.run(*(part.format(target, lot=served.lot) for part in command))
    assert done.code == 1
    assert str(tmp_path / "file") in done.err
    assert sorted(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_port_in_use_is_said_by_serve_and_by_the_demonstration(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = loomark("serve", "--data", str(tmp_path / "node"), "--port", str(port))
        assert done.code == 3
        assert f"port {port} is in use; choose another with --port (make run PORT=" in done.err
        (tmp_path / "demo").mkdir()
        (tmp_path / "demo" / "loomark-demo.json").write_text('{"operatorKey": "x"}')
        done = loomark("demo", "--serve", "--data", str(tmp_path / "demo"), "--port", str(port))
        assert done.code == 3
        assert f"port {port} is in use" in done.err


def test_the_demonstration_leaves_the_data_of_a_running_node_alone(served: Served) -> None:
    # The fixture's folder is laid out like a demonstration's, its node under `node`.
    before = sorted(path.relative_to(served.folder) for path in served.folder.rglob("*"))
    done = loomark("demo", "--data", str(served.folder))
    assert done.code == 3
    assert f"a node is running on {served.folder / 'node'}; stop it first" in done.err
    assert sorted(path.relative_to(served.folder) for path in served.folder.rglob("*")) == before


@pytest.mark.parametrize("key", ["schlüssel", "two words", "“quoted”"])
def test_an_api_key_that_no_header_can_carry_is_said(served: Served, key: str) -> None:
    done = inside("member", "list", LOOMARK_URL=served.url, LOOMARK_API_KEY=key)
    assert done.code == 1
    assert "LOOMARK_API_KEY" in done.err
    assert key not in done.err


def test_a_missing_key_and_an_absent_node_name_the_settings_that_help(served: Served) -> None:
    unkeyed = served.run("member", "list", key=None)
    assert unkeyed.code == 1
    assert "LOOMARK_API_KEY" in unkeyed.err
    assert "--api-key-file" in unkeyed.err
    absent = inside("member", "list", LOOMARK_URL="http://127.0.0.1:9")
    assert absent.code == 3
    assert "--url" in absent.err


def test_a_missing_server_library_names_what_to_install(tmp_path: Path) -> None:
    probe = (
        "import sys\n"
        "for name in ('sqlalchemy', 'structlog', 'uvicorn', 'fastapi'): sys.modules[name] = None\n"
        f"sys.argv = ['loomark', 'serve', '--data', {str(tmp_path / 'node')!r}]\n"
        "from api.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "pip install 'loomark[node]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_generate_replaces_its_own_run_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["generate", "--members", "3", "--out", str(out), "--events"]
    assert loomark(*command, "40").code == 0
    first = sorted(out.rglob("*"))
    again = loomark(*command, "20")
    assert (again.code, again.err) == (0, "")
    assert sorted(out.rglob("*")) == first
    mine = next(path for path in sorted(out.iterdir()) if path.is_dir()) / "notes.txt"
    mine.write_text("mine")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    refused = loomark(*command, "30")
    assert refused.code == 1
    assert "notes.txt" in refused.err
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_the_version_is_told() -> None:
    done = inside("--version")
    assert done.code == 0
    assert done.out.startswith("loomark 0.")


def test_help_shows_the_form_of_a_member_id() -> None:
    assert "a-z, 0-9 and -" in " ".join(inside("member", "add", "--help", COLUMNS="200").out.split())


def test_names_are_told_of_what_the_caller_may_see_and_of_nothing_else(served: Served) -> None:
    answer = json.loads(served.run("trace", served.lot, "--json").out)
    lots = [item["thing"] for item in answer["affected"]]
    sent = {"iri": [*lots, "https://id.gs1.org/01/09506000134352"]}
    seen = {}
    for member in ("recall", "farm"):
        headers = {"Authorization": f"Bearer {served.keys[member]}"}
        seen[member] = httpx2.get(f"{served.url}/api/names", params=sent, headers=headers).json()
    assert set(seen["recall"]) == {iri.partition("/10/")[0] for iri in lots}
    assert set(seen["farm"]) < set(seen["recall"])
    assert seen["farm"][BULK] == seen["recall"][BULK]


def test_too_many_names_at_once_are_refused(served: Served) -> None:
    headers = {"Authorization": f"Bearer {served.keys['recall']}"}
    sent = {"iri": [f"urn:x:{number}" for number in range(201)]}
    refused = httpx2.get(f"{served.url}/api/names", params=sent, headers=headers)
    assert (refused.status_code, refused.json()["type"]) == (413, "urn:loomark:problem:too-many")


def test_a_link_joins_two_names_from_the_command_line_in_custody_and_under_an_own_key(
    served: Served, tmp_path: Path
) -> None:
    code, other = "urn:example:code:1", "urn:example:code:2"
    told = served.run("link", code, served.lot, "--reason", "our own code", "--json", key="recall")
    assert told.code == 0, told.err
    statement = json.loads(told.out)["statement"]
    made = loomark("keygen", "-o", str(tmp_path / "own.key"), "--json")
    public = json.loads(made.out)["publicKey"]
    admitted = served.run("member", "add", "Linker", "--public-key", public, "--json", key="operator")
    served.keys["linker"] = json.loads(admitted.out)["apiKey"]
    signed = served.run(
        "link", other, code, "--party", "recall", "--key", str(tmp_path / "own.key"), key="linker"
    )
    assert signed.code == 0, signed.err
    answer = json.loads(served.run("trace", served.lot, "--json").out)
    links = {hit["thing"]: hit["links"] for hit in answer["affected"]}
    assert statement in links[served.lot]
    assert len(links[code]) == 2
    assert len(links[other]) == 1
    refused = served.run("link", served.lot, served.lot)
    assert refused.code == 1
    assert "two names of" in refused.err
