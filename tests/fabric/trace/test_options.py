from __future__ import annotations

import pytest

from fabric.trace import Options
from ledger.errors import InvalidInput

from .story import DAY_US, Story, affected, lot, place, section, sscc


def test_no_option_is_on_by_default_and_the_answer_says_so() -> None:
    story = Story()
    story.make((lot("A"), 1))
    answer = story.ask(lot("A")).as_json()
    assert answer["options"] == {}
    assert "exposed" not in answer


def test_a_kill_step_ends_a_forward_trace_only_when_it_is_asked_for() -> None:
    story = Story()
    cooked = story.turn([(lot("A"), 1)], [(lot("B"), 1)])
    story.facts[-1] = cooked._replace(step="cooking")
    story.turn([(lot("B"), 1)], [(lot("C"), 1)])
    assert story.forward(lot("A")) == {lot("A"), lot("B"), lot("C")}
    answer = story.ask(lot("A"), options=Options(kill_step="cooking"))
    assert affected(answer) == {lot("A"), lot("B")}
    assert answer.as_json()["options"] == {"kill_step": "cooking"}
    assert section(answer, "stops") == [
        {"thing": lot("B"), "reason": "kill-step", "detail": cooked.commitment.hex()}
    ]


def test_one_making_place_leaves_out_what_only_another_one_fed() -> None:
    story = Story()
    story.make((lot("A"), 10), at="farm")
    story.make((lot("A"), 10), at="field")
    story.ship((lot("A"), 10), at="farm", to="packer")
    story.receive((lot("A"), 10), at="packer")
    story.ship((lot("A"), 10), at="field", to="mill")
    story.receive((lot("A"), 10), at="mill")
    story.turn([(lot("A"), 5)], [(lot("B"), 5)], at="packer")
    story.turn([(lot("A"), 5)], [(lot("C"), 5)], at="mill")
    story.turn([(lot("A"), 1)], [(lot("D"), 1)], at="shop")
    assert story.forward(lot("A")) == {lot(name) for name in "ABCD"}
    answer = story.ask(lot("A"), options=Options(making_place=place("farm")))
    assert affected(answer) == {lot("A"), lot("B"), lot("D")}
    assert answer.as_json()["options"] == {"making_place": place("farm")}


def test_exposed_things_are_listed_apart_and_not_followed() -> None:
    story = Story()
    story.make((lot("A"), 10), at="farm")
    story.pack(sscc(1), (lot("A"), 4), (lot("B"), 4), at="packer", later_us=3 * DAY_US)
    story.make((lot("C"), 10), at="farm", later_us=3 * DAY_US)
    story.turn([(lot("B"), 4)], [(lot("E"), 4)], at="shop")
    answer = story.ask(lot("A"), options=Options(exposed_h=2))
    assert affected(answer) == {lot("A")}
    assert section(answer, "exposed") == [
        {"thing": lot("B"), "with": lot("A"), "how": "carrier", "where": sscc(1)},
        {"thing": lot("B"), "with": lot("A"), "how": "place", "where": place("packer")},
    ]
    far = story.ask(lot("A"), options=Options(exposed_h=24 * 7))
    assert lot("C") in {row["thing"] for row in section(far, "exposed")}


@pytest.mark.parametrize("hours", [-1, 24 * 366 + 1])
def test_a_window_beyond_a_year_is_refused(hours: int) -> None:
    with pytest.raises(InvalidInput) as refused:
        Options(exposed_h=hours)
    assert refused.value.rule == "bad-option"
