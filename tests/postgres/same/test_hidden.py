"""The same promises on PostgreSQL."""

from __future__ import annotations

from tests.api.conftest import *  # noqa: F403
from tests.api.test_hidden import *  # noqa: F403
