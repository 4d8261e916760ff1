"""The same promises of named queries and deliveries on PostgreSQL."""

from __future__ import annotations

from tests.api.epcis.test_queries import (
    test_a_name_is_its_members_own,  # noqa: F401
    test_the_list_is_paged_in_the_order_of_names,  # noqa: F401
)
from tests.api.epcis.test_subscriptions import (
    door,  # noqa: F401
    test_a_failure_is_tried_again_under_one_name_and_nothing_else_is_sent_meanwhile,  # noqa: F401
    test_after_so_many_attempts_it_is_given_up_and_goes_on_when_resumed,  # noqa: F401
    test_every_event_is_delivered_once_and_in_the_order_of_the_log,  # noqa: F401
    test_what_is_seen_is_decided_when_it_is_sent,  # noqa: F401
)
