"""What is stored as a whole: counted, exported, and deleted on request or when it is too old."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Row, delete, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.models import FINAL, ChannelKey, Counts, JsonObject, Person
from bot.storage.database import Database
from bot.storage.errors import translated
from bot.storage.export import export_channel, pack
from bot.storage.pictures import MAX_BATCH_ROWS, PictureStore, in_batches
from bot.storage.schema import channels, images, seen, settings, turn_pictures, turns

log = structlog.get_logger(__name__)

_DAY_SECONDS = 86_400.0

_SETTING = "retention"
"""Name of the days among a channel's settings."""


class RecordStore:
    """What people may know of, take with them, and have deleted.

    What is deleted is gone from the database: SQLite overwrites it in its file and its log; a
    server does so when it cleans up. Picture files are unlinked and not overwritten, which today's
    disks would not do in place anyway. Copies of the database, including those made before a
    migration, are left alone.

    Deleting many turns takes several transactions, so that other writers do not wait long for any
    of them. If it is interrupted, some turns are deleted and the rest are untouched.

    Args:
        database: the rows.
        pictures: the files.

    Raises:
        StorageError: from any method, when the disk or the database refused.

    Cancelling: a method that deletes stops between two transactions, or undoes the one under way.
    """

    def __init__(self, database: Database, pictures: PictureStore) -> None:
        self._database = database
        self._pictures = pictures

    async def counts(self, channel: ChannelKey | None, person: Person | None) -> Counts:
        """What is stored of a channel, a person, a person in a channel, or altogether.

        Pictures are those that are still there.
        """
        which: list[ColumnElement[bool]] = []
        if channel is not None:
            which.append(turns.c.channel == str(channel))
        if person is not None:
            which.append(_of_person(person))
        # Platforms have no colon in their names, so that no two people are taken for one.
        who = turns.c.person_platform + ":" + turns.c.person_id
        of_turns = select(
            func.count(),
            func.count().filter(turns.c.drawing),
            func.count(who.distinct()),
            func.min(turns.c.accepted_at),
        ).select_from(turns)
        needed = (
            select(turn_pictures.c.key)
            .join_from(turn_pictures, turns, turn_pictures.c.turn_id == turns.c.id)
            .where(*which)
        )
        of_pictures = select(func.count(), func.sum(images.c.size))
        async with self._database.read() as connection:
            found = await connection.execute(of_turns.where(*which))
            asked, drawings, people, since = found.one()
            found = await connection.execute(of_pictures.where(images.c.key.in_(needed)))
            pictures, size = found.one()
        return Counts(asked - drawings, drawings, pictures, int(size or 0), people, since)

    async def export(self, channel: ChannelKey) -> JsonObject:
        """Everything stored about a channel, as JSON, without secrets."""
        async with self._database.read() as connection:
            return await export_channel(connection, str(channel))

    async def archive(self, channel: ChannelKey) -> bytes:
        """A ZIP with all of a channel, without secrets: Markdown, JSON and the pictures.

        A picture whose file is missing or damaged is left out, and the Markdown says so.
        """
        data = await self.export(channel)
        files = {
            each["key"]: self._pictures.path(each["key"], each["media_type"])
            for each in data["pictures"]
        }
        with translated():
            return await asyncio.to_thread(pack, data, files)

    async def forget_person(self, person: Person) -> Counts:
        """Delete all turns of a person in all channels, and pictures that nobody else needs.

        Turns under way are deleted too: make sure that there are none. What is set in channels,
        and the newest message seen there, stays.

        Returns:
            What was deleted.
        """
        deleted = await self._delete(_of_person(person))
        await self._forget_deleted()
        return deleted

    async def forget_channel(self, channel: ChannelKey) -> Counts:
        """Delete a channel with its turns, settings and conversation, and pictures as above.

        Turns under way are deleted too: make sure that there are none.

        Returns:
            What was deleted.
        """
        key = str(channel)
        deleted = await self._delete(turns.c.channel == key)
        async with self._database.write(durable=True) as connection:
            await connection.execute(delete(settings).where(settings.c.scope == key))
            await connection.execute(delete(seen).where(seen.c.channel == key))
            became_it = channels.c.moved_to == key
            await connection.execute(delete(channels).where((channels.c.key == key) | became_it))
        await self._forget_deleted()
        return deleted

    async def expired(self, default_days: int) -> int:
        """Delete turns that are older than their channel keeps them, and pictures nobody needs.

        Unfinished turns stay. What an earlier deletion left when it was interrupted goes as well.

        Args:
            default_days: for channels where neither they nor their server set it; 0 for ever.

        Returns:
            How many turns were deleted.
        """
        async with self._database.read() as connection:
            limits = await _due(connection, time.time(), default_days)
        finished = turns.c.state.in_([str(state) for state in FINAL])
        deleted = 0
        for channel, moment in limits.items():
            old = (turns.c.channel == channel) & _before(moment) & finished
            deleted += (await self._delete(old)).turns
        left = await self._pictures.remove_leftovers()
        if deleted or left:
            await self._forget_deleted()
        return deleted

    async def trim(self, max_bytes: int) -> int:
        """Remove the oldest pictures, as `PictureStore.remove_oldest`; returns how many."""
        return len(await self._pictures.remove_oldest(max_bytes))

    async def _delete(self, which: ColumnElement[bool]) -> Counts:
        """Delete turns, then the pictures that only they needed, in batches."""
        gone, sizes = list[Row[Any]](), list[int]()
        while True:
            async with self._database.write(durable=True) as connection:
                deleted, keys = await _delete_turns(connection, which)
            gone += deleted
            sizes += await self._pictures.remove_unneeded(keys)
            if len(deleted) < MAX_BATCH_ROWS:
                break
        drawings = sum(row.drawing for row in gone)
        return Counts(
            questions=len(gone) - drawings,
            drawings=drawings,
            pictures=len(sizes),
            size=sum(sizes),
            people=len({(row.person_platform, row.person_id) for row in gone}),
            since=min((row.accepted_at for row in gone), default=None),
        )

    async def _forget_deleted(self) -> None:
        if not await self._database.forget_deleted():
            log.warning("deleted rows stay in the write-ahead log until the next deletion")


def _of_person(person: Person) -> ColumnElement[bool]:
    """The turns of a person, whatever name they had then."""
    return (turns.c.person_platform == person.platform) & (turns.c.person_id == person.id)


async def _delete_turns(
    connection: AsyncConnection, which: ColumnElement[bool]
) -> tuple[Sequence[Row[Any]], Sequence[str]]:
    """Delete some turns, and what the replies to them looked like.

    A picture's recipe holds what somebody asked for: it goes with the last turn that made the
    picture, even if others were shown it.

    Args:
        connection: within a transaction.
        which: turns; `MAX_BATCH_ROWS` of them are deleted, and fewer only when there are no more.

    Returns:
        Columns of the turns deleted, and keys of the pictures that they named.
    """
    columns = ("id", "drawing", "accepted_at", "person_platform", "person_id")
    found = await connection.execute(
        select(*(turns.c[name] for name in columns)).where(which).limit(MAX_BATCH_ROWS)
    )
    deleted = found.all()
    ids = [row.id for row in deleted]
    named = await connection.scalars(
        select(turn_pictures.c.key).where(turn_pictures.c.turn_id.in_(ids)).distinct()
    )
    keys = named.all()
    # Segments and the rest refer to their turn and go with it.
    await connection.execute(delete(turns).where(turns.c.id.in_(ids)))
    made = exists().where(turn_pictures.c.key == images.c.key, turn_pictures.c.made)
    for some in in_batches(keys):
        await connection.execute(
            update(images)
            .where(images.c.key.in_(some), images.c.recipe.is_not(None), ~made)
            .values(recipe=None)
        )
    return deleted, keys


async def _due(connection: AsyncConnection, now: float, default_days: int) -> dict[str, float]:
    """For each channel that may hold turns older than it keeps them, the moment it keeps them from.

    Args:
        connection: to read with.
        now: Unix time.
        default_days: for channels that set no days, and whose server sets none; 0 for ever.
    """
    rows = await connection.execute(select(settings.c.scope, settings.c["values"]))
    days = {scope: values[_SETTING] for scope, values in rows if _SETTING in values}
    limited = [each for each in (default_days, *days.values()) if each > 0]
    if not limited:
        return {}
    moment = now - min(limited) * _DAY_SECONDS
    old = exists().where(turns.c.channel == channels.c.key, _before(moment))
    keys = (await connection.scalars(select(channels.c.key).where(old))).all()
    kept = {key: await _kept(connection, key, days, default_days) for key in keys}
    return {key: now - each * _DAY_SECONDS for key, each in kept.items() if each > 0}


def _before(moment: float) -> ColumnElement[bool]:
    # Both kinds are named, so that the index of a channel's turns by kind and time is used.
    return turns.c.drawing.in_([False, True]) & (turns.c.accepted_at < moment)


async def _kept(
    connection: AsyncConnection, channel: str, days: Mapping[str, int], default_days: int
) -> int:
    """Days for which a channel keeps turns: its own setting, else its server's, else the default.

    The server is the one that its newest turn came from.
    """
    if channel in days:
        return days[channel]
    if not any(scope.startswith("server:") for scope in days):
        return default_days
    server = await connection.scalar(
        select(turns.c.server)
        .where(turns.c.channel == channel)
        .order_by(turns.c.epoch.desc(), turns.c.position.desc())
        .limit(1)
    )
    return days.get(f"server:{ChannelKey.parse(channel).platform}:{server}", default_days)
