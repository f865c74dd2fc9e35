"""What is known of a channel as such: its conversation, resets, settings, newest message, moves."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import Column, ColumnElement, case, delete, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.errors import SchemaTooNew
from bot.models import ChannelKey, JsonObject
from bot.provider.responses import JsonConversation
from bot.storage.database import Database
from bot.storage.schema import channels, reply_messages, seen, settings, turns
from bot.storage.turns import moved_message_id

_DIGITS = "0123456789"


class ChannelStore:
    """Channels, apart from their turns, and the settings of channels and servers.

    Raises:
        StorageError: from any method, when the database cannot be used.

    Cancelling: as for `TurnStore`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def conversation(self, channel: ChannelKey) -> JsonConversation:
        """What the provider keeps for this channel; empty at first.

        Raises:
            SchemaTooNew: it was written by a newer version.
        """
        async with self._database.read() as connection:
            data = await connection.scalar(
                select(channels.c.conversation).where(channels.c.key == str(channel))
            )
        if data is None:
            return JsonConversation()
        try:
            return JsonConversation.from_json(data)
        except ValueError as error:
            raise SchemaTooNew(f"Channel {channel} holds a {error}.") from error

    async def reset(self, channel: ChannelKey) -> None:
        """Start a new history from here; nothing is deleted.

        A turn accepted before belongs to the old one, whenever it is answered.
        """
        async with self._database.write(durable=True) as connection:
            await connection.execute(
                self._database.insert(channels)
                .values(key=str(channel), epoch=1, created_at=time.time())
                .on_conflict_do_update(
                    index_elements=[channels.c.key], set_={"epoch": channels.c.epoch + 1}
                )
            )

    async def saw(self, channel: ChannelKey, message_id: str) -> None:
        """Remember the newest message seen in a channel, asked of the bot or not.

        It survives the process at once, and a power failure a little later. Of two ids that are
        decimal numbers the larger one stays, whichever came last; otherwise the last one does.
        """
        async with self._database.write() as connection:
            row = self._database.insert(seen).values(
                channel=str(channel), message_id=message_id, seen_at=time.time()
            )
            old, new = seen.c.message_id, row.excluded.message_id
            numbers = (func.ltrim(old, _DIGITS) == "") & (func.ltrim(new, _DIGITS) == "")
            longer = func.length(old) > func.length(new)
            larger = longer | ((func.length(old) == func.length(new)) & (old > new))
            await connection.execute(
                row.on_conflict_do_update(
                    index_elements=[seen.c.channel],
                    set_={
                        "message_id": case((numbers & larger, old), else_=new),
                        "seen_at": row.excluded.seen_at,
                    },
                )
            )

    async def seen(self, platform: str, since: float) -> Sequence[tuple[ChannelKey, str]]:
        """Channels in which something was seen after `since`, newest first, with its message id.

        Asked once, at start, so reading all channels is good enough.

        Args:
            platform: of the channels.
            since: Unix time.
        """
        async with self._database.read() as connection:
            rows = await connection.execute(
                select(seen.c.channel, seen.c.message_id)
                .where(
                    seen.c.channel.startswith(f"{platform}:", autoescape=True),
                    seen.c.seen_at > since,
                )
                .order_by(seen.c.seen_at.desc())
            )
            return [(ChannelKey.parse(channel), message_id) for channel, message_id in rows]

    async def move(self, old: ChannelKey, new: ChannelKey) -> None:
        """Give everything of a channel to another key, durably; doing it again changes nothing.

        For a Telegram group that became a supergroup. The history of `old` comes before that of
        `new`, if there is one already. Turns keep the address of their reply, and get another
        message id, because the new chat counts its messages from the beginning.
        """
        if old != new:
            async with self._database.write(durable=True) as connection:
                await self._move(connection, str(old), str(new))

    async def settings(self, scope: str) -> JsonObject:
        """The settings of a channel (its written form) or a server; empty if there are none."""
        async with self._database.read() as connection:
            values: JsonObject | None = await connection.scalar(
                select(settings.c["values"]).where(settings.c.scope == scope)
            )
        return values or {}

    async def save_settings(self, scope: str, values: JsonObject) -> None:
        """Replace all settings there, durably; without values, no row is kept."""
        async with self._database.write(durable=True) as connection:
            if not values:
                await connection.execute(delete(settings).where(settings.c.scope == scope))
                return
            new = {"values": values, "changed_at": time.time()}
            await connection.execute(
                self._database.insert(settings)
                .values({"scope": scope, **new})
                .on_conflict_do_update(index_elements=[settings.c.scope], set_=new)
            )

    async def _move(self, connection: AsyncConnection, old: str, new: str) -> None:
        """Move all rows of the channel `old` to `new`.

        The row of `old` stays and says where the channel went, so that a request which is delivered
        again under the old key is still known (`bot.storage.turns`).
        """
        # The new channel numbers its messages itself, so the newest seen in the old one is no use.
        await connection.execute(delete(seen).where(seen.c.channel == old))
        await _move_settings(connection, old, new)
        before = (
            await connection.execute(select(channels).where(channels.c.key == old))
        ).one_or_none()
        if before is None:
            return
        shift = 0
        if before.moved_to != new:
            shift = before.epoch
            await _join_histories(connection, old, new, shift)
        row = self._database.insert(channels).values(
            key=new,
            epoch=before.epoch,
            conversation=before.conversation,
            created_at=before.created_at,
        )
        kept = func.coalesce(channels.c.conversation, row.excluded.conversation)
        await connection.execute(
            row.on_conflict_do_update(
                index_elements=[channels.c.key],
                set_={
                    "epoch": channels.c.epoch + shift,
                    "conversation": kept,
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
        await connection.execute(
            update(channels).where(channels.c.moved_to == old).values(moved_to=new)
        )
        await connection.execute(
            update(channels).where(channels.c.key == old).values(conversation=None, moved_to=new)
        )


async def _join_histories(connection: AsyncConnection, old: str, new: str, epoch: int) -> None:
    """Put the history of `new` after that of `old`, whose epochs stay as they are.

    The epochs of `new` are counted on from the last one of `old`, so that the newest exchanges of
    both are one history, and a reset of `new` still separates what was before it.
    """
    await connection.execute(
        update(turns).where(turns.c.channel == new).values(epoch=turns.c.epoch + epoch)
    )
    newest = (
        select(turns.c.id)
        .where(turns.c.channel == old, turns.c.epoch == epoch)
        .order_by(turns.c.position.desc())
        .limit(1)
    )
    await connection.execute(
        update(turns)
        .where(turns.c.channel == new, turns.c.epoch == epoch, turns.c.parent.is_(None))
        .values(parent=newest.scalar_subquery())
    )


async def _move_settings(connection: AsyncConnection, old: str, new: str) -> None:
    """The new channel keeps its own settings, or else gets those of the old one."""
    kept = select(settings.c.scope).where(settings.c.scope == new)
    await connection.execute(
        update(settings).where(settings.c.scope == old, ~kept.exists()).values(scope=new)
    )
    await connection.execute(delete(settings).where(settings.c.scope == old))


def _moved(message_id: Column[str], old: str) -> ColumnElement[str]:
    """`moved_message_id` of a column, except for ids that were moved before."""
    return case(
        (message_id.contains("/"), message_id), else_=moved_message_id(literal(old), message_id)
    )
