"""Parked turns, intents of messages, the newest message seen, and channels that moved."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("channels") as channels:
        channels.add_column(sa.Column("moved_to", sa.Text(), nullable=True))
    with op.batch_alter_table("turns") as turns:
        turns.add_column(sa.Column("parked_until", sa.Double(), nullable=True))
    with op.batch_alter_table("segments") as segments:
        segments.add_column(sa.Column("anchor", sa.JSON(), nullable=True))
        segments.alter_column("receipt", existing_type=sa.JSON(), nullable=True)
    op.create_table(
        "seen",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("channel", name="pk_seen"),
    )
