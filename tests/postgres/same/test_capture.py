"""The same promises on PostgreSQL."""

from __future__ import annotations

from tests.fabric.capture.conftest import *  # noqa: F403
from tests.fabric.capture.test_capture import *  # noqa: F403
