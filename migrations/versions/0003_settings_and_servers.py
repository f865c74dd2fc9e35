"""Settings, the servers that channels are in, and which turns draw and need which pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

AT_ONCE = 1_000
"""Turns that are read and written in one go."""

turns = sa.table(
    "turns",
    sa.column("position", sa.BigInteger()),
    sa.column("id", sa.String()),
    sa.column("command", sa.JSON()),
    sa.column("pictures", sa.JSON()),
    sa.column("answer", sa.JSON()),
    sa.column("drawing", sa.Boolean()),
)
turn_pictures = sa.table(
    "turn_pictures",
    sa.column("turn_id", sa.String()),
    sa.column("key", sa.String()),
    sa.column("made", sa.Boolean()),
)


def upgrade() -> None:
    with op.batch_alter_table("turns") as table:
        table.add_column(sa.Column("server", sa.Text(), nullable=False, server_default=""))
        table.add_column(
            sa.Column("drawing", sa.Boolean(), nullable=False, server_default=sa.false())
        )
    op.create_table(
        "settings",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("scope", name="pk_settings"),
    )
    op.create_table(
        "turn_pictures",
        sa.Column("turn_id", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("made", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["turn_id"], ["turns.id"], name="fk_turn_pictures_turn_id_turns", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("turn_id", "key", name="pk_turn_pictures"),
    )
    _fill(op.get_bind())
    op.create_index("ix_turns_drawing_accepted_at", "turns", ["drawing", "accepted_at"])
    op.create_index(
        "ix_turns_channel_drawing_accepted_at", "turns", ["channel", "drawing", "accepted_at"]
    )
    op.create_index("ix_turn_pictures_key", "turn_pictures", ["key"])


def _fill(connection: sa.Connection) -> None:
    """Derive from the turns that are there what is kept beside them from now on."""
    for batch in _batches(connection):
        drawings = [row.position for row in batch if row.command.get("kind") == "imagine"]
        if drawings:
            connection.execute(
                sa.update(turns).where(turns.c.position.in_(drawings)).values(drawing=True)
            )
        named = [
            {"turn_id": row.id, "key": key, "made": made}
            for row in batch
            for key, made in _pictures(row)
        ]
        if named:
            connection.execute(sa.insert(turn_pictures), named)


def _batches(connection: sa.Connection) -> Iterator[Sequence[Any]]:
    last = -1
    while batch := connection.execute(
        sa.select(turns).where(turns.c.position > last).order_by(turns.c.position).limit(AT_ONCE)
    ).all():
        yield batch
        last = batch[-1].position


def _pictures(row: Any) -> list[tuple[str, bool]]:
    """Each picture that a turn names, once, and whether its answer does."""
    shown = dict.fromkeys(row.pictures, False)
    made = dict.fromkeys((row.answer or {}).get("pictures", ()), True)
    return list((shown | made).items())
