"""The same promises on PostgreSQL."""

from __future__ import annotations

from tests.fabric.visibility.conftest import *  # noqa: F403
from tests.fabric.visibility.test_sight import *  # noqa: F403
