"""The same promises on PostgreSQL."""

from __future__ import annotations

from tests.fabric.erasure.conftest import *  # noqa: F403
from tests.fabric.erasure.test_projections import *  # noqa: F403
