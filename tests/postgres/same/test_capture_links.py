"""The same promises on PostgreSQL."""

from __future__ import annotations

from tests.fabric.capture.conftest import *  # noqa: F403
from tests.fabric.capture.test_links import *  # noqa: F403
from tests.fabric.capture.test_links import test_fsck_names_what_was_done_to_a_link

# It damages rows in SQLite's own words; `test_store` does it here.
del test_fsck_names_what_was_done_to_a_link
