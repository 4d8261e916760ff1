from __future__ import annotations

import json
from pathlib import Path

from fabric.compliance.find import _END, _FINDERS
from fabric.compliance.rules import cooled_commodities, ctes, making, rules, variants
from ontology import read_table


def test_the_elements_and_sections_are_those_of_the_regulation(shared_data: Path) -> None:
    known = json.loads((shared_data / "fsma204" / "fsma204_kde.json").read_bytes())["ctes"]
    theirs = {
        (name, kde["id"], cte["section"].partition("(")[0] + kde["cite"])
        for name, cte in known.items()
        for kde in cte["kdes"]
    }
    assert {(name, kde.id, kde.section) for name, cte in ctes().items() for kde in cte.kdes} == theirs


def test_what_has_to_be_passed_on_is_marked(shared_data: Path) -> None:
    known = json.loads((shared_data / "fsma204" / "fsma204_kde.json").read_bytes())["ctes"]
    theirs = {(name, kde["id"]) for name, cte in known.items() for kde in cte["kdes"] if kde["share_with"]}
    assert {(name, kde.id) for name, cte in ctes().items() for kde in cte.kdes if kde.share} == theirs


def test_every_word_of_the_tables_is_one_the_code_knows() -> None:
    steps = {step for rule in rules() for step in rule.steps}
    cbv = set(read_table("cbv/words.toml")["bizStep"]["words"])
    assert steps - cbv == {"cooling", "precooling", "vacuum_cooling", "hydrocooling"}
    for rule in rules():
        assert (rule.cte is None) != (rule.none is None and rule.why is None)
        assert {rule.cte} - {None} <= ctes().keys()
        assert rule.inputs in (None, "harvested", "other")
    for cte in ctes().values():
        for kde in cte.kdes:
            assert kde.find in _FINDERS
            assert kde.of in (None, "harvest", "cooling", "receipt", "input", "maker")
            assert kde.when in (None, "produce", "aquaculture", "cooled", "listed", "available")
            assert kde.at in (None, "origin", *_END)
    assert making() <= ctes().keys()
    assert {row.other for kind in ("instead", "beside") for row in variants(kind)} <= ctes().keys()
    assert all(word == word.lower() for word in cooled_commodities())
