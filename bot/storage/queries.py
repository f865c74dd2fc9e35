"""Statements behind `Store`. The table of indexes in `schema` says why each stays fast."""

from __future__ import annotations

import time
from typing import Any, assert_never

from sqlalchemy import Insert, ScalarSelect, Select, bindparam, exists, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.errors import StorageError
from bot.models import Answer, Ask, Imagine, Turn
from bot.storage.engines import insert
from bot.storage.rows import progress_to_row, turn_to_row
from bot.storage.schema import channels, messages, turn_pictures, turns


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


_ASKED, _ANSWERED = messages.alias("asked"), messages.alias("answered")
_EXCHANGES = (
    select(
        _ASKED.c.turn_id,
        _ASKED.c.author,
        _ASKED.c.text.label("question"),
        _ASKED.c.pictures.label("shown"),
        _ANSWERED.c.text.label("answer"),
        _ANSWERED.c.pictures.label("made"),
    )
    .join_from(_ASKED, _ANSWERED, _ASKED.c.turn_id == _ANSWERED.c.turn_id)
    .where(_ASKED.c.role == "user", _ANSWERED.c.role == "assistant")
)


def exchanges(channel: str, limit: int) -> Select[Any]:
    """The newest exchanges of a channel's current epoch, newest first."""
    return (
        _EXCHANGES.where(
            _ASKED.c.channel == channel,
            _ASKED.c.epoch == current_epoch(channel),
        )
        .order_by(_ASKED.c.position.desc())
        .limit(limit)
    )


def lineage(turn_id: str, limit: int) -> Select[Any]:
    """The exchanges that led to a turn, its own included, newest first.

    A turn that failed or was stopped has no exchange and is stepped over; so that a long row of
    them costs no more than a conversation, steps are limited as well.
    """
    steps = 2 * limit + 20
    line = (
        select(turns.c.id, turns.c.parent, literal(0).label("depth"))
        .where(turns.c.id == turn_id)
        .cte("line", recursive=True)
    )
    line = line.union_all(
        select(turns.c.id, turns.c.parent, line.c.depth + 1).where(
            turns.c.id == line.c.parent, line.c.depth < steps
        )
    )
    return _EXCHANGES.join(line, _ASKED.c.turn_id == line.c.id).order_by(line.c.depth).limit(limit)


_EARLIER = turns.alias("earlier")

# Put together once, because that takes longer than running it.
_GIVEN = [column for column in turns.c if column.name not in {"position", "epoch"}]
_NEW_TURN = select(
    *(bindparam(f"new_{column.name}", type_=column.type) for column in _GIVEN), channels.c.epoch
).where(
    channels.c.key == bindparam("in_channel"),
    ~exists().where(
        _EARLIER.c.channel == channels.c.moved_to,
        _EARLIER.c.message_id == bindparam("moved_message_id"),
    ),
)


async def add_turn(connection: AsyncConnection, turn: Turn) -> bool:
    """Write a new turn, and its channel if that is new. False if the turn is there already.

    One statement where the channel is known. A request that was accepted before its channel moved
    is found under the key that the channel has now.
    """
    key = str(turn.channel)
    row = turn_to_row(turn)
    new_turn = (
        insert(connection, turns)
        .from_select([*(column.name for column in _GIVEN), "epoch"], _NEW_TURN)
        .on_conflict_do_nothing()
    )
    values = {
        **{f"new_{name}": value for name, value in row.items()},
        "in_channel": key,
        "moved_message_id": moved_message_id(key, turn.message_id),
    }
    new_channel = insert(connection, channels).on_conflict_do_nothing()
    channel = {"key": key, "epoch": 0, "created_at": time.time()}
    is_new = await _inserted(connection, new_turn, values) or (
        await _inserted(connection, new_channel, channel)
        and await _inserted(connection, new_turn, values)
    )
    if is_new:
        await _name_pictures(connection, turn)
    return is_new


async def _inserted(connection: AsyncConnection, row: Insert, values: dict[str, Any]) -> bool:
    result = await connection.execute(row, values, execution_options={"preserve_rowcount": True})
    return result.rowcount == 1


def moved_message_id(old: str, message_id: str) -> str:
    """What a message of the channel `old` is called after its channel moved.

    The new channel numbers its messages from the beginning, so the same number can come again.
    """
    return f"{old}/{message_id}"


async def save_progress(connection: AsyncConnection, turn: Turn, **more: Any) -> None:
    """Write the columns that change while a turn is worked on, and more of them.

    Raises:
        StorageError: there is no such turn.
    """
    changed = await connection.execute(
        update(turns).where(turns.c.id == turn.id).values(**progress_to_row(turn), **more)
    )
    if changed.rowcount == 0:
        raise not_stored(turn.id)
    await _name_pictures(connection, turn)


async def _name_pictures(connection: AsyncConnection, turn: Turn) -> None:
    """Remember which pictures a turn needs, beside those that are remembered already."""
    made = turn.answer.pictures if turn.answer else ()
    named = dict.fromkeys(turn.pictures, False) | dict.fromkeys(made, True)
    if named:
        row = insert(connection, turn_pictures).values(
            [{"turn_id": turn.id, "key": key, "made": made} for key, made in named.items()]
        )
        await connection.execute(
            row.on_conflict_do_update(
                index_elements=[turn_pictures.c.turn_id, turn_pictures.c.key],
                set_={"made": or_(turn_pictures.c.made, row.excluded.made)},
            )
        )


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
    # As the row has it: the channel may have moved or been reset since the turn was accepted.
    stored = turns.c.id == turn.id
    where = {
        "channel": select(turns.c.channel).where(stored).scalar_subquery(),
        "epoch": select(turns.c.epoch).where(stored).scalar_subquery(),
    }
    for role, author, text, pictures in sides:  # one by one: SQLAlchemy compiles lists each time
        await connection.execute(
            insert(connection, messages)
            .values(
                **where,
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
