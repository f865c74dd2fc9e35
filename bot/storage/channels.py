"""What is known of channels as such: conversations, resets, the newest message seen, moves."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import case, func, select

from bot.errors import SchemaTooNew
from bot.models import ChannelKey, JsonObject
from bot.provider.responses import JsonConversation
from bot.storage.database import Database
from bot.storage.engines import insert
from bot.storage.export import export_channel
from bot.storage.moves import move
from bot.storage.schema import channels, seen

_DIGITS = "0123456789"


class Channels:
    """Channels, apart from their turns.

    Raises:
        StorageError: from any method, when the database cannot be used.

    Cancelling: as for `Store`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def conversation(self, channel: ChannelKey) -> JsonConversation:
        """What the provider keeps for this channel; an empty one at first.

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
        """History begins anew from here; nothing is deleted.

        A turn accepted before belongs to the time before, whenever it is answered.
        """
        async with self._database.write(durable=True) as connection:
            await connection.execute(
                insert(connection, channels)
                .values(key=str(channel), epoch=1, created_at=time.time())
                .on_conflict_do_update(
                    index_elements=[channels.c.key], set_={"epoch": channels.c.epoch + 1}
                )
            )

    async def saw(self, channel: ChannelKey, message_id: str) -> None:
        """Remember the newest message seen in a channel, asked of the bot or not.

        It outlives the process at once, and a power failure a little later. Of two ids that are
        decimal numbers the larger one stays, whichever came last; otherwise the last one does.
        """
        async with self._database.write() as connection:
            row = insert(connection, seen).values(
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

        Asked once at the start, so reading all channels is good enough.

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

    async def move_channel(self, old: ChannelKey, new: ChannelKey) -> None:
        """Give everything of a channel to another key, durably; doing it again changes nothing.

        For a Telegram group that became a supergroup. The history of `old` comes before that of
        `new`, if there is one already. Turns keep the address of their reply, and get another
        message id, because the new chat counts its messages from the beginning.
        """
        if old != new:
            async with self._database.write(durable=True) as connection:
                await move(connection, str(old), str(new))

    async def export(self, channel: ChannelKey) -> JsonObject:
        """Everything stored about a channel, as JSON, without secrets."""
        async with self._database.read() as connection:
            return await export_channel(connection, str(channel))
