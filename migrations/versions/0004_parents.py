"""The turn that each turn goes on from, so that a conversation can branch."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    with op.batch_alter_table("turns") as table:
        table.add_column(sa.Column("parent", sa.String(length=32), nullable=True))
    # Up to now every turn went on from the one before it.
    op.execute(
        """
        UPDATE turns SET parent = (
            SELECT earlier.id FROM turns AS earlier
            WHERE earlier.channel = turns.channel
              AND earlier.epoch = turns.epoch
              AND earlier.position < turns.position
            ORDER BY earlier.position DESC
            LIMIT 1
        )
        """
    )
