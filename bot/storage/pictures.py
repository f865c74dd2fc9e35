"""Pictures as files, named by the SHA-256 of their bytes, with a row for each; and their removal.

A file is complete on disk before its row is committed, and is removed before its row. What is left
when a process dies in between is found later: a row that no turn needs, or a file without a row.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import structlog
from sqlalchemy import ColumnElement, delete, exists, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.files import File, Recipe, suffix_of
from bot.image import size
from bot.storage.database import Database
from bot.storage.errors import translated
from bot.storage.schema import images, turn_pictures, turns
from bot.support import write_durably

log = structlog.get_logger(__name__)

MAX_BATCH_ROWS = 500
"""In one transaction, so that no writer waits long."""
_MIN_AGE_SECONDS = 86_400.0
"""Before a picture that nobody needs is removed: a younger one may be on its way into a turn."""

_OURS = re.compile(r"\.?[0-9a-f]{64}\.")
"""Beginning of the name of a picture's file, and of one that was never finished."""

_T = TypeVar("_T")


def in_batches(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Batches of `MAX_BATCH_ROWS`; databases limit how many values a query may name."""
    for start in range(0, len(items), MAX_BATCH_ROWS):
        yield items[start : start + MAX_BATCH_ROWS]


class PictureStore:
    """A folder of pictures.

    Args:
        folder: where the files go, as `ab/<sha256>.<suffix>`; made when it is needed.
        database: holds what is known about each.
    """

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder = folder
        self._database = database

    async def put(self, file: File, *, turn_id: str) -> None:
        """Store a picture durably under its key; the same bytes are stored once.

        Args:
            file: the picture. Bytes that are there without a recipe get its recipe; a recipe that
                is there stays.
            turn_id: of the turn in which it was shown or made.

        The turn needs the picture from here on, until it is deleted or its request edited.

        Raises:
            StorageError: the disk or the database refused.

        Cancelling: stored as a whole or not at all; a file without a row may be left.
        """
        width, height = await asyncio.to_thread(size, file.data)
        row = self._database.insert(images).values(
            key=file.key,
            media_type=file.media_type,
            size=len(file.data),
            width=width,
            height=height,
            recipe=None if file.recipe is None else file.recipe.to_json(),
            created_at=time.time(),
        )
        needed = select(turns.c.id, literal(file.key), literal(False)).where(turns.c.id == turn_id)
        async with self._database.write(durable=True) as connection:
            media_type = await connection.scalar(
                row.on_conflict_do_update(
                    index_elements=[images.c.key],
                    set_={"recipe": func.coalesce(images.c.recipe, row.excluded.recipe)},
                ).returning(images.c.media_type)
            )
            await connection.execute(
                self._database.insert(turn_pictures)
                .from_select(["turn_id", "key", "made"], needed)
                .on_conflict_do_nothing()
            )
            # Within the transaction, because files are removed only within one.
            path = self.path(file.key, media_type)
            await asyncio.to_thread(write_durably, path, file.data)

    async def get(self, key: str) -> File:
        """A stored picture with its recipe.

        Raises:
            KeyError: not here, removed since, or not the bytes that were stored.
            StorageError: the disk or the database refused.
        """
        async with self._database.read() as connection:
            columns = select(images.c.media_type, images.c.recipe)
            row = (await connection.execute(columns.where(images.c.key == key))).one_or_none()
        if row is None:
            raise KeyError(key)
        with translated():
            data = await asyncio.to_thread(read_picture, self.path(key, row.media_type))
        if data is None:
            raise KeyError(key)
        recipe = None if row.recipe is None else Recipe.from_json(row.recipe)
        return File.with_key(key, data, row.media_type, recipe)

    async def recipe(self, key: str) -> Recipe | None:
        """How a picture was made, `None` if it is not here or the bot did not make it."""
        async with self._database.read() as connection:
            recipe = await connection.scalar(select(images.c.recipe).where(images.c.key == key))
        return None if recipe is None else Recipe.from_json(recipe)

    def path(self, key: str, media_type: str) -> Path:
        """Where the file of a picture is, or would be."""
        return self.folder / key[:2] / f"{key}.{suffix_of(media_type)}"

    async def remove_unneeded(self, keys: Collection[str]) -> list[int]:
        """Remove those of some pictures that no turn needs.

        Returns:
            The size of each removed, in bytes; so do the other methods that remove.
        """
        removed: list[int] = []
        for some in in_batches(list(keys)):
            async with self._database.write(durable=True) as connection:
                removed += await self._remove(connection, images.c.key.in_(some) & ~_needed())
        return removed

    async def remove_leftovers(self) -> list[int]:
        """Remove leftovers older than a day: unneeded pictures, and files without a row."""
        before = time.time() - _MIN_AGE_SECONDS
        old = select(images.c.key).where(images.c.created_at < before, ~_needed())
        async with self._database.read() as connection:
            keys = (await connection.scalars(old)).all()
        removed = await self.remove_unneeded(keys)
        with translated():
            files = await asyncio.to_thread(_old_files, self.folder, before)
        for some in in_batches(files):
            await self._without_row(some)
        return removed

    async def remove_oldest(self, max_bytes: int) -> list[int]:
        """Remove the oldest pictures until the rest have at most so many bytes.

        Turns that named them still do. A picture's recipe goes with it.

        Args:
            max_bytes: 0 for any number.
        """
        removed: list[int] = []
        while max_bytes > 0:
            async with self._database.read() as connection:
                total = await connection.scalar(select(func.sum(images.c.size)))
                excess = (total or 0) - max_bytes
                if excess <= 0:
                    break
                oldest = await connection.execute(
                    select(images.c.key, images.c.size)
                    .order_by(images.c.created_at, images.c.key)
                    .limit(MAX_BATCH_ROWS)
                )
            too_many = []
            for picture in oldest:
                if excess > 0:
                    too_many.append(picture.key)
                    excess -= picture.size
            async with self._database.write(durable=True) as connection:
                removed += await self._remove(connection, images.c.key.in_(too_many))
        return removed

    async def _remove(self, connection: AsyncConnection, which: ColumnElement[bool]) -> list[int]:
        """Remove files and rows while nobody else writes."""
        found = await connection.execute(
            select(images.c.key, images.c.media_type, images.c.size).where(which)
        )
        rows = found.all()
        await asyncio.to_thread(_unlink, [self.path(row.key, row.media_type) for row in rows])
        await connection.execute(delete(images).where(images.c.key.in_([row.key for row in rows])))
        return [row.size for row in rows]

    async def _without_row(self, files: Sequence[Path]) -> None:
        """Remove those of some files that no row mentions."""
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
        known = {self.path(row.key, row.media_type) for row in rows}
        return [file for file in files if file not in known]


def read_picture(path: Path) -> bytes | None:
    """The bytes of a picture, `None` if they are not there or not those that were stored.

    Raises:
        OSError: the disk refused.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    if hashlib.sha256(data).hexdigest() != path.stem:
        log.error("picture damaged", file=str(path))
        return None
    return data


def _needed() -> ColumnElement[bool]:
    return exists().where(turn_pictures.c.key == images.c.key)


def _old_files(folder: Path, before: float) -> list[Path]:
    """Picture files, finished or not, that were last written before a moment."""
    found = []
    for file in folder.glob("*/*"):
        with suppress(FileNotFoundError):  # finished or removed since it was listed
            if _OURS.match(file.name) and file.stat().st_mtime < before:
                found.append(file)
    return found


def _unlink(files: Sequence[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
