"""A PostgreSQL server for whoever asks."""

from __future__ import annotations

from .fixtures import consortia_on_postgres, postgres, postgres_server

__all__ = ["consortia_on_postgres", "postgres", "postgres_server"]
