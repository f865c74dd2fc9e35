"""Everything on disk: turns, channels, what replies look like, pictures; opened in one call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bot.storage.channels import ChannelStore
from bot.storage.database import Database, parse
from bot.storage.migrations import migrate
from bot.storage.pictures import PictureStore
from bot.storage.retention import RecordStore
from bot.storage.segments import SegmentStore
from bot.storage.turns import TurnStore

__all__ = [
    "ChannelStore",
    "Database",
    "PictureStore",
    "RecordStore",
    "SegmentStore",
    "Storage",
    "TurnStore",
]


@dataclass(frozen=True, slots=True)
class Storage:
    """One database and one folder of pictures, seen from each side that uses them.

    Attributes:
        database: connections and transactions.
        turns: requests, their answers, and the history that they make.
        channels: conversations, resets, settings, what was seen.
        segments: what the replies look like on their platforms.
        pictures: those shown and made.
        records: all of it as something to be counted, exported, deleted.
    """

    database: Database
    turns: TurnStore
    channels: ChannelStore
    segments: SegmentStore
    pictures: PictureStore
    records: RecordStore

    @classmethod
    @asynccontextmanager
    async def open(
        cls, where: str | Path, images: Path, *, migrations: Path | None = None
    ) -> AsyncIterator[Self]:
        """Check a database, bring it to the present schema, and open it.

        Args:
            where: the path of an SQLite file, which is created if it is not there, or a URL
                (`sqlite:///FILE`, `postgresql://HOST/NAME`).
            images: the folder of the pictures, made with the first one.
            migrations: a folder of Alembic; the one of this program if left out.

        Raises:
            SchemaTooNew: written by a newer version.
            StorageError: it cannot be used; the text says what to do.

        Cancelling: a migration under way is finished or given up as a whole by its thread.
        """
        url = parse(where)
        await asyncio.to_thread(migrate, url, migrations)
        async with Database.open(url) as database:
            pictures = PictureStore(images, database)
            yield cls(
                database,
                TurnStore(database),
                ChannelStore(database),
                SegmentStore(database),
                pictures,
                RecordStore(database, pictures),
            )
