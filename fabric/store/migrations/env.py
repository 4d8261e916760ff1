"""How alembic runs here: on the connection it is handed, over the durable tables only."""

from __future__ import annotations

from alembic import context

from fabric.store.migrate import is_durable, target_metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=target_metadata(),
    include_object=is_durable,
    render_as_batch=True,
    transaction_per_migration=False,
)
context.run_migrations()
