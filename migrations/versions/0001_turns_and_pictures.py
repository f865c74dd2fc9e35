"""Channels, turns, messages, pictures and what replies look like on their platforms."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""SQLite numbers rows by itself only in a column whose type is exactly INTEGER."""


def upgrade() -> None:
    _channels_and_turns()
    _messages()
    _images()
    _replies()


def _channels_and_turns() -> None:
    op.create_table(
        "channels",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("conversation", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_channels"),
    )
    op.create_table(
        "turns",
        sa.Column("position", NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("person_platform", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("person_name", sa.Text(), nullable=False),
        sa.Column("person_language", sa.Text(), nullable=False),
        sa.Column("command", sa.JSON(), nullable=False),
        sa.Column("address", sa.JSON(), nullable=False),
        sa.Column("attachments", sa.JSON(), nullable=False),
        sa.Column("reply_to", sa.Text(), nullable=True),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("pictures", sa.JSON(), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=True),
        sa.Column("accepted_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["channel"], ["channels.key"], name="fk_turns_channel_channels"),
        sa.PrimaryKeyConstraint("position", name="pk_turns"),
        sa.UniqueConstraint("channel", "message_id", name="uq_turns_channel_message_id"),
        sa.UniqueConstraint("id", name="uq_turns_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_turns_channel_epoch_position", "turns", ["channel", "epoch", "position"])
    op.create_index("ix_turns_state", "turns", ["state"])
    op.create_index(
        "ix_turns_person_platform_person_id_accepted_at",
        "turns",
        ["person_platform", "person_id", "accepted_at"],
    )


def _messages() -> None:
    op.create_table(
        "messages",
        sa.Column("position", NUMBER, autoincrement=True, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("turn_id", sa.String(length=32), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("pictures", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["channel"], ["channels.key"], name="fk_messages_channel_channels"),
        sa.ForeignKeyConstraint(
            ["turn_id"], ["turns.id"], name="fk_messages_turn_id_turns", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("position", name="pk_messages"),
        sa.UniqueConstraint("turn_id", "role", name="uq_messages_turn_id_role"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_messages_channel_epoch_role_position",
        "messages",
        ["channel", "epoch", "role", "position"],
    )


def _images() -> None:
    op.create_table(
        "images",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("turn_id", sa.String(length=32), nullable=False),
        sa.Column("recipe", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_images"),
    )
    op.create_index("ix_images_turn_id", "images", ["turn_id"])


def _replies() -> None:
    op.create_table(
        "segments",
        sa.Column("turn_id", sa.String(length=32), nullable=False),
        sa.Column("index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("receipt", sa.JSON(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["turn_id"], ["turns.id"], name="fk_segments_turn_id_turns", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("turn_id", "index", name="pk_segments"),
    )
    op.create_table(
        "reply_messages",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("turn_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["channel"], ["channels.key"], name="fk_reply_messages_channel_channels"
        ),
        sa.ForeignKeyConstraint(
            ["turn_id"],
            ["turns.id"],
            name="fk_reply_messages_turn_id_turns",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("channel", "message_id", name="pk_reply_messages"),
    )
    op.create_index("ix_reply_messages_turn_id", "reply_messages", ["turn_id"])
