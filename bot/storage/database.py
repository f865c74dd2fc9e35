"""A database that is open: connections to read with, and one to write with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.storage.engines import DURABLE, empty_log, open_engines, parse
from bot.storage.faults import translated
from bot.storage.migrate import migrate


class Database:
    """Transactions, one writer at a time. Made by `open`."""

    def __init__(self, reader: AsyncEngine, writer: AsyncEngine) -> None:
        self._reader = reader
        self._writer = writer
        self._one_writer = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, where: str | Path, *, migrations: Path | None = None
    ) -> AsyncIterator[Self]:
        """Check a database, bring it to the present schema, and open it.

        Args:
            where: the path of an SQLite file, which is created if it is not there, or a URL
                (`sqlite:///FILE`, `postgresql://HOST/NAME`).
            migrations: a folder of Alembic; the one of this program if left out.

        Raises:
            SchemaTooNew: written by a newer version.
            StorageError: it cannot be used; the text says what to do.

        Cancelling: a migration under way is finished or given up as a whole by its thread.
        """
        url = parse(where)
        await asyncio.to_thread(migrate, url, migrations)
        reader, writer = open_engines(url)
        try:
            yield cls(reader, writer)
        finally:
            await reader.dispose()
            # The last connection to leave folds the write-ahead log into the file.
            await writer.dispose()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection to read with; never waits for a writer.

        Raises:
            StorageError: the database cannot be used.
        """
        with translated():
            async with self._reader.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self, *, durable: bool = False) -> AsyncIterator[AsyncConnection]:
        """A transaction: committed at the end of the block, undone if anything leaves it.

        Args:
            durable: return only when the disk has it, so that it outlives a power failure.
                Otherwise it outlives the process, and is on the disk with the next durable one.

        Raises:
            StorageError: the database cannot be used.

        Cancelling: undone as a whole; cancelled while it is being committed, it may have been
        committed as a whole.
        """
        with translated():
            async with self._one_writer, self._writer.connect() as connection:
                await connection.execution_options(**{DURABLE: durable})
                async with connection.begin():
                    yield connection

    async def forget_deleted(self) -> bool:
        """Leave nothing of deleted rows in the files of SQLite, as far as this program can.

        Its pages are overwritten while deleting; what is left are older versions of pages in the
        write-ahead log. A server clears its pages and its log by itself, later.

        Returns:
            False if a reader kept the log from being emptied; a later call does it.

        Raises:
            StorageError: the database cannot be used.
        """
        with translated():
            async with self._one_writer, self._writer.connect() as connection:
                return await empty_log(connection)
