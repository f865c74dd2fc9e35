"""Statements behind `Store`. The table of indexes in `schema` says why each stays fast."""

from __future__ import annotations

import time
from typing import Any, assert_never

from sqlalchemy import ScalarSelect, Select, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.errors import StorageError
from bot.storage.engines import insert
from bot.storage.rows import progress_to_row
from bot.storage.schema import channels, messages, turns
from bot.turn import Answer, Ask, Imagine, Turn


def current_epoch(channel: str) -> ScalarSelect[int]:
    """How often a channel was reset, as part of another statement."""
    return select(channels.c.epoch).where(channels.c.key == channel).scalar_subquery()


def newest_first(channel: str, limit: int) -> Select[Any]:
    """Turns of a channel. Epochs only grow, so ordering by them first costs and changes nothing."""
    return (
        select(turns)
        .where(turns.c.channel == channel)
        .order_by(turns.c.epoch.desc(), turns.c.position.desc())
        .limit(limit)
    )


def exchanges(channel: str, limit: int) -> Select[Any]:
    """The newest exchanges of a channel's current epoch, newest first."""
    asked, answered = messages.alias("asked"), messages.alias("answered")
    return (
        select(
            asked.c.turn_id,
            asked.c.author,
            asked.c.text.label("question"),
            asked.c.pictures.label("shown"),
            answered.c.text.label("answer"),
            answered.c.pictures.label("made"),
        )
        .join_from(asked, answered, asked.c.turn_id == answered.c.turn_id)
        .where(
            asked.c.channel == channel,
            asked.c.epoch == current_epoch(channel),
            asked.c.role == "user",
            answered.c.role == "assistant",
        )
        .order_by(asked.c.position.desc())
        .limit(limit)
    )


async def save_progress(connection: AsyncConnection, turn: Turn) -> None:
    """Write the columns that change while a turn is worked on.

    Raises:
        StorageError: there is no such turn.
    """
    changed = await connection.execute(
        update(turns).where(turns.c.id == turn.id).values(**progress_to_row(turn))
    )
    if changed.rowcount == 0:
        raise not_stored(turn.id)


async def add_exchange(connection: AsyncConnection, turn: Turn, answer: Answer) -> None:
    """Write both sides of a turn that ended well into the history, once."""
    match turn.command:
        case Ask(question=asked):
            said = answer.text
        case Imagine(prompt=asked):
            said = ""  # what the bot writes beside images is no part of the conversation
        case other:
            assert_never(other)
    sides = (
        ("user", turn.person.name, asked, turn.pictures),
        ("assistant", "", said, answer.pictures),
    )
    epoch = select(turns.c.epoch).where(turns.c.id == turn.id).scalar_subquery()
    for role, author, text, pictures in sides:
        await connection.execute(
            insert(connection, messages)
            .values(
                channel=str(turn.channel),
                epoch=epoch,
                turn_id=turn.id,
                role=role,
                author=author,
                text=text,
                pictures=list(pictures),
                created_at=time.time(),
            )
            .on_conflict_do_nothing()
        )


def not_stored(turn_id: str) -> StorageError:
    """What to raise about a turn that is not in the database."""
    return StorageError(f"Turn {turn_id} is not in the database, or was deleted from it.")
