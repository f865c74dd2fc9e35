"""What Alembic runs to migrate: over the connection that `bot.storage.migrations` opened.

Migrations go up only. The way back is the copy that is made before them.
"""

from __future__ import annotations

from alembic import context

from bot.storage.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite changes a table by copying it
    transactional_ddl=True,  # the connection's transaction holds DDL as well
)
with context.begin_transaction():
    context.run_migrations()
