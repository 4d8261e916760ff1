"""`loomark erase`, `retention` and `retain` against a served node, with its projector and all its files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.cli.child import ChildNode
from tests.fabric.erasure.search import found

from .test_cli import Run, Served

CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("erase")
    with ChildNode(folder / "node") as child:
        served = Served(folder, child.url, "", {"operator": child.operator_key})
        made = served.run("member", "add", "Farm", "--id", "farm", "--json", key="operator")
        served.keys["farm"] = json.loads(made.out)["apiKey"]
        line = served.run("keygen", "-o", str(folder / "packer.key"), key=None).out.strip().splitlines()[-1]
        made = served.run(
            "member", "add", "Packer", "--id", "packer", "--public-key", line, "--json", key="operator"
        )
        served.keys["packer"] = json.loads(made.out)["apiKey"]
        yield served


def captured(served: Served, word: str, member: str = "farm", *flags: str) -> str:
    """The record of an event that says a word in several places."""
    event = {
        "@context": [CONTEXT, {"ex": "https://example.org/terms/"}],
        "type": "ObjectEvent",
        "eventID": f"urn:example:event:{word}",
        "eventTime": "2026-05-01T08:00:00Z",
        "eventTimeZoneOffset": "+00:00",
        "action": "OBSERVE",
        "epcList": [f"urn:example:item:{word}"],
        "readPoint": {"id": f"urn:example:at:{word}at"},
        "ex:note": f"{word}note",
    }
    file = served.folder / f"{word}.json"
    file.write_text(json.dumps(event))
    done = served.run("capture", str(file), *flags, "--json", key=member)
    assert done.code == 0, done.err
    return ask(served, f"/api/records/urn:example:event:{word}", member)["record"]  # type: ignore[no-any-return]


def ask(served: Served, path: str, member: str) -> Any:
    from api.cli.client import Node

    with Node(served.url, served.keys[member]) as node:
        return node.get_json(path)


def told(done: Run) -> dict[str, Any]:
    assert done.code == 0, done.err
    value: dict[str, Any] = json.loads(done.out)
    return value


def test_a_record_is_gone_from_every_file_of_a_running_node(served: Served) -> None:
    record = captured(served, "kqxwvholly")
    assert found(served.folder / "node", ["kqxwvholly"])["kqxwvholly"]
    done = served.run("erase", record, "--reason", "asked to", key="farm")
    assert done.code == 0, done.err
    assert "no file of the node holds it any more" in done.out
    assert found(served.folder / "node", ["kqxwvholly"]) == {}
    again = served.run("erase", record, "--reason", "asked to", key="farm")
    assert again.code == 1
    assert "which was erased" in again.err
    proof = served.run("prove", record, "-o", str(served.folder / "none.json"), key="farm")
    assert proof.code == 1
    assert "erased by the statement at log index" in proof.err


def test_units_go_under_the_members_own_key(served: Served) -> None:
    key = str(served.folder / "packer.key")
    record = captured(served, "kqxwvpart", "packer", "--key", key)
    units = ("--unit", "/readPoint/id", "--unit", "/ex:note")
    state = told(served.run("erase", record, *units, "--reason", "x", "--key", key, "--json", key="packer"))
    assert (state["state"], state["units"]) == ("gone", ["/ex:note", "/readPoint/id"])
    assert found(served.folder / "node", ["kqxwvpartat", "kqxwvpartnote"]) == {}
    proof = str(served.folder / "part.json")
    policy = str(served.folder / "policy.txt")
    assert served.run("prove", record, "-o", proof, key="packer").code == 0
    assert served.run("policy", "-o", policy, key="packer").code == 0
    verified = served.run("verify", proof, "--policy", policy, key=None)
    assert verified.code == 0, verified.err
    assert served.run("fsck", "--data", str(served.folder / "node"), key=None).code == 0


def test_retention_is_set_listed_and_applied(served: Served) -> None:
    record = captured(served, "kqxwvdue")
    assert "kept 30 days" in served.run("retention", "set", "farm", "--days", "30", key="operator").out
    assert (
        "farm: kept 30 days after capture, set by operator" in served.run("retention", "show", key="farm").out
    )
    assert served.run("retention", "set", "packer", "--days", "30", key="operator").code == 1
    listed = told(served.run("retain", "--dry-run", "--json", key="operator"))
    assert (listed["applied"], listed["due"][0]["count"]) == (False, 0)
    past = "2026-01-01T00:00:00.000Z"
    assert served.run("retention", "set", "farm", "--until", past, key="farm").code == 0
    assert told(served.run("retain", "--apply", "--json", key="farm"))["due"][0]["count"] == 0
    assert ask(served, f"/api/records/{record}", "farm")["erased"] is None
    assert served.run("retention", "clear", "farm", key="farm").code == 0
    assert "kept without end" in served.run("retention", "show", key="operator").out
    assert served.run("retention", "set", "farm", key="farm").code == 2


@pytest.mark.soak
def test_a_restart_and_a_rebuild_change_nothing_of_it(served: Served, tmp_path: Path) -> None:
    folder = tmp_path / "node"
    with ChildNode(folder) as child:
        own = Served(tmp_path, child.url, "", {"operator": child.operator_key})
        own.keys["farm"] = json.loads(
            own.run("member", "add", "Farm", "--id", "farm", "--json", key="operator").out
        )["apiKey"]
        record = captured(own, "kqxwvstart")
        assert own.run("erase", record, "--reason", "asked to", "--wait", "0", key="farm").code == 0
        process = child.process
        process.kill()
        process.wait()
    with ChildNode(folder) as child:
        own.url = child.url
        state = ask(own, "/api/erasures", "farm")["erasures"][0]
        for _ in range(400):
            if state["state"] == "gone":
                break
            child.process.poll()
            state = ask(own, f"/api/erasures/{state['statement']}", "farm")
        assert own.run("prove", record, "-o", str(tmp_path / "none.json"), key="farm").code == 1
    rebuilt = served.run("rebuild", "--data", str(folder), key=None)
    assert rebuilt.code == 0, rebuilt.err
    assert found(folder, ["kqxwvstart"]) == {}
    assert served.run("fsck", "--data", str(folder), key=None).code == 0
