"""Removing pictures: those that no turn needs, those that are too many, and files without a row.

A file goes before its row, and what is left when a process dies in between is found again: a row
that no turn needs, or a file that has no row.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sqlalchemy import ColumnElement, delete, exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.storage.database import Database
from bot.storage.faults import translated
from bot.storage.pictures import Pictures
from bot.storage.schema import images, turn_pictures

AT_ONCE = 500
"""Rows in one transaction, so that nobody waits long for the writer."""
AGE = 86_400.0
"""Seconds after which a picture that nobody asked for is no picture that is being stored."""

_OURS = re.compile(r"\.?[0-9a-f]{64}\.")
"""Beginning of the name of a picture's file, and of one that was never finished."""


_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Cleared:
    """What was removed.

    Attributes:
        pictures: how many.
        size: their bytes.
    """

    pictures: int = 0
    size: int = 0

    def __add__(self, other: Cleared) -> Cleared:
        return Cleared(self.pictures + other.pictures, self.size + other.size)


def in_parts(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Parts of `AT_ONCE` items, the last one shorter; databases limit what a query may name."""
    for start in range(0, len(items), AT_ONCE):
        yield items[start : start + AT_ONCE]


class Clearing:
    """Removes pictures.

    Args:
        database: their rows.
        pictures: their files.

    Raises:
        StorageError: from any method, when the disk or the database refused.

    Cancelling: what is left to remove is removed by a later call of `leftovers`.
    """

    def __init__(self, database: Database, pictures: Pictures) -> None:
        self._database = database
        self._pictures = pictures

    async def unneeded(self, keys: Collection[str]) -> Cleared:
        """Remove those of some pictures that no turn needs."""
        cleared = Cleared()
        for some in in_parts(list(keys)):
            async with self._database.write(durable=True) as connection:
                cleared += await self._remove(connection, images.c.key.in_(some) & ~_needed())
        return cleared

    async def leftovers(self) -> Cleared:
        """Remove what is older than a day and was left: unneeded pictures, files without a row."""
        old = select(images.c.key).where(images.c.created_at < time.time() - AGE, ~_needed())
        async with self._database.read() as connection:
            keys = (await connection.scalars(old)).all()
        cleared = await self.unneeded(keys)
        with translated():
            files = await asyncio.to_thread(_old_files, self._pictures.folder, time.time() - AGE)
        for some in in_parts(files):
            await self._without_row(some)
        return cleared

    async def oldest(self, max_bytes: int) -> Cleared:
        """Remove the oldest pictures, until those that stay have at most so many bytes.

        Turns that named them still do. A recipe goes with its picture.

        Args:
            max_bytes: 0 for any number.
        """
        cleared = Cleared()
        while max_bytes > 0:
            async with self._database.read() as connection:
                total = await connection.scalar(select(func.sum(images.c.size)))
                excess = (total or 0) - max_bytes
                if excess <= 0:
                    break
                oldest = await connection.execute(
                    select(images.c.key, images.c.size)
                    .order_by(images.c.created_at, images.c.key)
                    .limit(AT_ONCE)
                )
            too_many = []
            for key, bytes_of_it in oldest:
                if excess <= 0:
                    break
                too_many.append(key)
                excess -= bytes_of_it
            async with self._database.write(durable=True) as connection:
                cleared += await self._remove(connection, images.c.key.in_(too_many))
        return cleared

    async def _remove(self, connection: AsyncConnection, which: ColumnElement[bool]) -> Cleared:
        """Remove files and rows while nobody else writes."""
        found = await connection.execute(
            select(images.c.key, images.c.media_type, images.c.size).where(which)
        )
        rows = found.all()
        await asyncio.to_thread(
            _unlink, [self._pictures.path(row.key, row.media_type) for row in rows]
        )
        await connection.execute(delete(images).where(images.c.key.in_([row.key for row in rows])))
        return Cleared(len(rows), sum(row.size for row in rows))

    async def _without_row(self, files: Sequence[Path]) -> None:
        """Remove those of some files that no row speaks of."""
        async with self._database.read() as connection:
            if not await self._strays(connection, files):
                return
        async with self._database.write() as connection:  # nobody can write a row meanwhile
            await asyncio.to_thread(_unlink, await self._strays(connection, files))

    async def _strays(self, connection: AsyncConnection, files: Sequence[Path]) -> list[Path]:
        keys = [file.stem for file in files]
        rows = await connection.execute(
            select(images.c.key, images.c.media_type).where(images.c.key.in_(keys))
        )
        known = {self._pictures.path(row.key, row.media_type) for row in rows}
        return [file for file in files if file not in known]


def _needed() -> ColumnElement[bool]:
    return exists().where(turn_pictures.c.key == images.c.key)


def _old_files(folder: Path, before: float) -> list[Path]:
    """Files of pictures, finished or not, that were last written before a moment."""
    found = []
    for file in folder.glob("*/*"):
        with suppress(FileNotFoundError):  # finished or removed since it was listed
            if _OURS.match(file.name) and file.stat().st_mtime < before:
                found.append(file)
    return found


def _unlink(files: Sequence[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
