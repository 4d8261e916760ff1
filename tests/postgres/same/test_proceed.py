"""The same promises on PostgreSQL, and the same list of jobs."""

from __future__ import annotations

from tests.api.epcis.test_capture_jobs import (  # noqa: F401
    door,
    test_jobs_of_one_instant_are_each_listed_once,
    test_the_list_is_the_callers_newest_first_and_steady_while_it_grows,
)
from tests.fabric.capture.test_proceed import (  # noqa: F401
    sim,
    test_duplicates_are_left_out_by_their_places_in_the_document,
    test_the_same_document_again_has_its_first_job_only_where_all_of_it_was_captured,
    test_what_contradicts_an_earlier_event_is_rejected_alone,
    test_where_nothing_is_good_nothing_is_captured,
)
