"""The same promises on PostgreSQL."""

from __future__ import annotations

from tests.fabric.capture.test_event_ids import (  # noqa: F401
    sim,
    test_a_rebuild_and_fsck_find_the_ids_as_they_were,
    test_an_event_is_found_by_the_hash_that_was_asked_for,
    test_every_event_is_found_by_the_name_of_its_record,
    test_the_id_that_was_supplied_is_taken,
    test_the_same_event_again_is_a_duplicate_whoever_asked_for_an_id,
)
