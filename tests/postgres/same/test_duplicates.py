"""The same promises on PostgreSQL."""

from __future__ import annotations

from tests.fabric.capture.conftest import *  # noqa: F403
from tests.fabric.capture.test_duplicates import *  # noqa: F403
