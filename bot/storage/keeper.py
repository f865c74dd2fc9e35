"""Stored data as a whole: counted, handed out, and deleted."""

from __future__ import annotations

import asyncio
import time

import structlog
from sqlalchemy import ColumnElement

from bot.models import ChannelKey, Counts, Person
from bot.storage.archive import pack
from bot.storage.clearing import AT_ONCE, Clearing
from bot.storage.counting import count, of_person
from bot.storage.database import Database
from bot.storage.deleting import Receipt, delete_channel, delete_turns
from bot.storage.export import export_channel
from bot.storage.faults import translated
from bot.storage.pictures import Pictures
from bot.storage.retention import due, outdated
from bot.storage.schema import turns

log = structlog.get_logger(__name__)


class Keeper:
    """What people may know of, take with them, and have deleted.

    What is deleted is gone from the database: SQLite overwrites it in its file and its log; a
    server does so when it cleans up. Files of pictures are unlinked and not overwritten, which
    today's disks would not do in place anyway. Copies of the database, those made before a
    migration too, are left alone.

    Deleting many turns takes several transactions, so that other writers wait for none of them
    long. Broken off in the middle it has deleted some, and the rest stays whole.

    Args:
        database: the rows.
        pictures: the files.

    Raises:
        StorageError: from any method, when the disk or the database refused.

    Cancelling: a method that deletes stops between two transactions, or undoes the one under way.
    """

    def __init__(self, database: Database, pictures: Pictures) -> None:
        self._database = database
        self._pictures = pictures
        self._clearing = Clearing(database, pictures)

    async def counts(self, channel: ChannelKey | None, person: Person | None) -> Counts:
        """What is stored of a channel, a person, a person in a channel, or altogether.

        Pictures are those that are still there.
        """
        async with self._database.read() as connection:
            return await count(connection, channel, person)

    async def archive(self, channel: ChannelKey) -> bytes:
        """A ZIP with all of a channel, without secrets: Markdown, JSON and the pictures.

        A picture whose file is missing or damaged is left out, and the Markdown says so.
        """
        async with self._database.read() as connection:
            data = await export_channel(connection, str(channel))
        files = {
            each["key"]: self._pictures.path(each["key"], each["media_type"])
            for each in data["pictures"]
        }
        with translated():
            return await asyncio.to_thread(pack, data, files)

    async def forget_person(self, person: Person) -> Counts:
        """Delete all turns of a person in all channels, and pictures that nobody else needs.

        Turns under way are deleted too: see to it that there are none. What is set in channels,
        and the newest message seen there, stays.

        Returns:
            What was deleted.
        """
        deleted = await self._delete(of_person(person))
        await self._forget_deleted()
        return deleted

    async def forget_channel(self, channel: ChannelKey) -> Counts:
        """Delete a channel with its turns, settings and conversation, and pictures as above.

        Turns under way are deleted too: see to it that there are none.

        Returns:
            What was deleted.
        """
        key = str(channel)
        deleted = await self._delete(turns.c.channel == key)
        async with self._database.write(durable=True) as connection:
            await delete_channel(connection, key)
        await self._forget_deleted()
        return deleted

    async def expired(self, default_days: int) -> int:
        """Delete the turns that are older than their channel keeps them, and lonely pictures.

        Unfinished turns stay. What an earlier deletion left when it was broken off goes as well.

        Args:
            default_days: for channels without a setting of their own or of their server; 0 for
                ever.

        Returns:
            How many turns were deleted.
        """
        async with self._database.read() as connection:
            channels = await due(connection, time.time(), default_days)
        deleted = 0
        for channel, moment in channels.items():
            deleted += (await self._delete(outdated(channel, moment))).turns
        left = await self._clearing.leftovers()
        if deleted or left.pictures:
            await self._forget_deleted()
        return deleted

    async def trim(self, max_bytes: int) -> int:
        """Remove the oldest pictures, until those that stay have at most so many bytes.

        Answers still name what they showed; it is not stored any more.

        Args:
            max_bytes: of all files together; 0 for any number.

        Returns:
            How many pictures were removed.
        """
        return (await self._clearing.oldest(max_bytes)).pictures

    async def _delete(self, which: ColumnElement[bool]) -> Counts:
        """Delete turns and then the pictures that only these needed, some at a time."""
        receipt = Receipt()
        while True:
            async with self._database.write(durable=True) as connection:
                deleted, keys = await delete_turns(connection, which)
            receipt.add(deleted, await self._clearing.unneeded(keys))
            if len(deleted) < AT_ONCE:
                return receipt.counts()

    async def _forget_deleted(self) -> None:
        if not await self._database.forget_deleted():
            log.warning("deleted rows stay in the write-ahead log until the next deletion")
