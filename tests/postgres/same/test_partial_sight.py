"""The same promises on PostgreSQL."""

from __future__ import annotations

from tests.api.conftest import *  # noqa: F403
from tests.api.test_partial_sight import *  # noqa: F403
