"""A channel that goes on under another key."""

from __future__ import annotations

from sqlalchemy import Column, ColumnElement, case, delete, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.storage.engines import insert
from bot.storage.queries import moved_message_id
from bot.storage.schema import channels, messages, reply_messages, seen, settings, turns


async def move(connection: AsyncConnection, old: str, new: str) -> None:
    """Move all rows of the channel `old` to `new`.

    The row of `old` stays and says where the channel went, so that a request which is delivered
    again under the old key is still known (`bot.storage.queries.add_turn`).

    Epochs: those of `old` stay as they are. Those of `new`, if there are any, are counted on from
    the last one of `old`, so that the newest exchanges of both are one history, and a reset of
    `new` still separates what was before it.
    """
    # The new channel numbers its messages by itself: the newest seen of the old one says nothing.
    await connection.execute(delete(seen).where(seen.c.channel == old))
    await _move_settings(connection, old, new)
    before = (await connection.execute(select(channels).where(channels.c.key == old))).one_or_none()
    if before is None:
        return
    shift = 0 if before.moved_to == new else before.epoch
    if shift:
        for table in (turns, messages):
            await connection.execute(
                update(table).where(table.c.channel == new).values(epoch=table.c.epoch + shift)
            )
    row = insert(connection, channels).values(
        key=new,
        epoch=before.epoch,
        conversation=before.conversation,
        created_at=before.created_at,
    )
    await connection.execute(
        row.on_conflict_do_update(
            index_elements=[channels.c.key],
            set_={
                "epoch": channels.c.epoch + shift,
                "conversation": func.coalesce(channels.c.conversation, row.excluded.conversation),
                "moved_to": None,
            },
        )
    )
    for table in (turns, reply_messages):
        await connection.execute(
            update(table)
            .where(table.c.channel == old)
            .values(channel=new, message_id=_moved(table.c.message_id, old))
        )
    await connection.execute(update(messages).where(messages.c.channel == old).values(channel=new))
    await connection.execute(
        update(channels).where(channels.c.moved_to == old).values(moved_to=new)
    )
    await connection.execute(
        update(channels).where(channels.c.key == old).values(conversation=None, moved_to=new)
    )


async def _move_settings(connection: AsyncConnection, old: str, new: str) -> None:
    """What is set in the new channel stays; otherwise it gets what was set in the old one."""
    kept = select(settings.c.scope).where(settings.c.scope == new)
    await connection.execute(
        update(settings).where(settings.c.scope == old, ~kept.exists()).values(scope=new)
    )
    await connection.execute(delete(settings).where(settings.c.scope == old))


def _moved(message_id: Column[str], old: str) -> ColumnElement[str]:
    """`moved_message_id` of a column; what moved before keeps the key under which it was asked."""
    return case(
        (message_id.contains("/"), message_id),
        else_=literal(moved_message_id(old, "")) + message_id,
    )
