"""The same answers, lists and walks on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fabric.query.asked import Store
from tests.fabric.query.test_lists import (
    test_every_reader_is_listed_each_value_of_its_events_once,
    test_hidden_values_are_unknown_and_asked_for_by_the_same_queries,
    test_what_is_listed_is_what_the_tables_say,
)
from tests.fabric.query.test_run import (
    test_a_planned_answer_is_what_deciding_on_every_visible_event_gives,
)
from tests.fabric.query.test_run_walks import (
    test_a_question_that_no_event_answers_ends_with_its_budget,
    test_a_walk_through_rare_matches_goes_on_from_short_pages,
    test_an_event_id_gives_the_event_and_its_declarations_to_who_sees_them,
    test_the_log_is_followed_without_gaps_or_repeats,
    test_too_many_events_are_refused_with_one_too_many_read,
    two,
)

__all__ = [
    "test_a_planned_answer_is_what_deciding_on_every_visible_event_gives",
    "test_a_question_that_no_event_answers_ends_with_its_budget",
    "test_a_walk_through_rare_matches_goes_on_from_short_pages",
    "test_an_event_id_gives_the_event_and_its_declarations_to_who_sees_them",
    "test_every_reader_is_listed_each_value_of_its_events_once",
    "test_hidden_values_are_unknown_and_asked_for_by_the_same_queries",
    "test_the_log_is_followed_without_gaps_or_repeats",
    "test_too_many_events_are_refused_with_one_too_many_read",
    "test_what_is_listed_is_what_the_tables_say",
    "two",
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, seed: int) -> Iterator[Store]:
    found = Store(tmp_path_factory.mktemp("asked"), "random", seed)
    yield found
    found.sim.node.close()
