"""Pictures as files, named by the SHA-256 of their bytes, with a row for each."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
import time
from pathlib import Path

import structlog
from sqlalchemy import func, literal, select

from bot.errors import ImageError
from bot.files import File, Recipe, suffix_of
from bot.image import size
from bot.storage.database import Database
from bot.storage.engines import insert
from bot.storage.faults import translated
from bot.storage.schema import images, turn_pictures, turns

log = structlog.get_logger(__name__)


class Pictures:
    """A folder of pictures. A file is there, whole and on the disk, before its row is.

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

        Cancelling: stored as a whole or not at all; a file without a row is written again.
        """
        key, measured = await asyncio.to_thread(_examine, file)
        stored = await self._media_type(key)
        with translated():
            await asyncio.to_thread(_write, self.path(key, stored or file.media_type), file.data)
        width, height = measured or (None, None)
        async with self._database.write(durable=True) as connection:
            row = insert(connection, images).values(
                key=key,
                media_type=file.media_type,
                size=len(file.data),
                width=width,
                height=height,
                turn_id=turn_id,
                recipe=None if file.recipe is None else file.recipe.to_json(),
                created_at=time.time(),
            )
            stored = await connection.scalar(
                row.on_conflict_do_update(
                    index_elements=[images.c.key],
                    set_={"recipe": func.coalesce(images.c.recipe, row.excluded.recipe)},
                ).returning(images.c.media_type)
            )
            needed = select(turns.c.id, literal(key), literal(False)).where(turns.c.id == turn_id)
            await connection.execute(
                insert(connection, turn_pictures)
                .from_select(["turn_id", "key", "made"], needed)
                .on_conflict_do_nothing()
            )
        with translated():
            # Until the row was there, another task may have removed the file as nobody's.
            path = self.path(key, stored or file.media_type)
            await asyncio.to_thread(_write_again, path, file.data)

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
            data = await asyncio.to_thread(read, self.path(key, row.media_type))
        if data is None:
            raise KeyError(key)
        recipe = None if row.recipe is None else Recipe.from_json(row.recipe)
        return File.with_key(key, data, row.media_type, recipe)

    async def recipe(self, key: str) -> Recipe | None:
        """How a picture was made, `None` if it is not here or the bot did not make it."""
        async with self._database.read() as connection:
            recipe = await connection.scalar(select(images.c.recipe).where(images.c.key == key))
        return None if recipe is None else Recipe.from_json(recipe)

    async def _media_type(self, key: str) -> str | None:
        async with self._database.read() as connection:
            return await connection.scalar(select(images.c.media_type).where(images.c.key == key))

    def path(self, key: str, media_type: str) -> Path:
        """Where the file of a picture is, or would be."""
        return self.folder / key[:2] / f"{key}.{suffix_of(media_type)}"


def _examine(file: File) -> tuple[str, tuple[int, int] | None]:
    """Key, and width and height where the header says them."""
    try:
        measured = size(file.data)
    except ImageError:
        measured = None
    return file.key, measured


def read(path: Path) -> bytes | None:
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


def _write(path: Path, data: bytes) -> None:
    """Write a file under its name only when all of it is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def _write_again(path: Path, data: bytes) -> None:
    if not path.exists():
        _write(path, data)


def _flush_folder(folder: Path) -> None:
    # The new name is an entry of the folder, which has to reach the disk as well.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
