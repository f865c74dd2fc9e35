"""Files on disk: those that people upload, and those that they can download.

An upload outlives the process, because the turn that it belongs to does. A download, such as an
export, is there for some minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import AsyncIterable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from cachetools import TTLCache

from bot.errors import ImageTooLarge, ImageUnreadable
from bot.files import File
from bot.models import Attachment, JsonObject
from bot.support import TooManyBytes, sync_folder, write_durably

KEEP_UPLOADS_SECONDS = 24 * 3600.0
"""A file older than this belongs to no turn that is still going to fetch it."""
KEEP_DOWNLOADS_SECONDS = 900.0
"""How long a file can be fetched, again and again: a download that breaks off is begun anew."""
MAX_DOWNLOADS = 64
"""Files at a time; a further one takes the place of the oldest."""

_ID = re.compile(r"[0-9a-f]{32}")
_UNUSUAL = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """How much one message may carry; the page is told, and the server counts while reading.

    Attributes:
        files: files in one message.
        file_bytes: bytes of one file.
        text_bytes: bytes of the text in UTF-8.
        seconds: until a slow upload is given up.
    """

    files: int = 4
    file_bytes: int = 20 * 1024 * 1024
    text_bytes: int = 32 * 1024
    seconds: float = 120.0

    @property
    def total_bytes(self) -> int:
        """Bytes of a whole request, multipart boundaries and headers included."""
        return self.files * self.file_bytes + self.text_bytes + 64 * 1024


class UploadStore:
    """Keeps uploads until their turns have fetched them; the folder is made when it is needed."""

    def __init__(self, folder: Path, limits: UploadLimits) -> None:
        self._folder = folder
        self.limits = limits

    def new(self, name: str, media_type: str | None) -> Attachment:
        """A place for a file that is about to come in."""
        return Attachment(name, {"upload": secrets.token_hex(16)}, None, media_type)

    async def write(self, attachment: Attachment, chunks: AsyncIterable[bytes]) -> int:
        """Write a file as it comes in, so that many at once need no memory; its size in bytes.

        Raises:
            TooManyBytes: more than the limit. What was written so far is left to `discard`.
            OSError: the disk refused.

        Cancelling: as for `TooManyBytes`.
        """
        size = 0
        # Not in a thread: cancelled there, it would leave a file that nobody knows.
        path = self._path(attachment)
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            async for chunk in chunks:
                size += len(chunk)
                if size > self.limits.file_bytes:
                    raise TooManyBytes(f"more than {self.limits.file_bytes} bytes")
                await _to_the_end(_write_all, file, chunk)
            await _to_the_end(os.fsync, file)
            await _to_the_end(sync_folder, self._folder)
        finally:
            os.close(file)
        return size

    async def fetch(self, attachment: Attachment, max_bytes: int) -> bytes:
        """The bytes of an upload.

        Raises:
            ImageTooLarge: more than `max_bytes`; not read.
            ImageUnreadable: not here any more.
        """
        path = self._path(attachment)
        try:
            return await asyncio.to_thread(_read, path, max_bytes)
        except FileNotFoundError:
            raise ImageUnreadable("The picture is gone. Please add it again.") from None

    def discard(self, attachments: Iterable[Attachment]) -> None:
        """Remove the files of a message that became nothing."""
        for attachment in attachments:
            self._path(attachment).unlink(missing_ok=True)

    def sweep(self) -> int:
        """Remove files older than a day; how many. Blocks for as long as the disk does."""
        oldest = time.time() - KEEP_UPLOADS_SECONDS
        removed = 0
        # What cannot be removed now goes with the next sweep.
        with contextlib.suppress(OSError):
            for path in self._folder.iterdir():
                if _ID.fullmatch(path.name) and path.stat().st_mtime < oldest:
                    path.unlink(missing_ok=True)
                    removed += 1
        return removed

    def _path(self, attachment: Attachment) -> Path:
        upload = str(attachment.source.get("upload", ""))
        if _ID.fullmatch(upload) is None:
            raise ImageUnreadable("This file did not come through the web chat.")
        return self._folder / upload


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


async def _to_the_end(function: Callable[..., None], *args: Any) -> None:
    """Run in a thread.

    Cancelling: waits for the thread first, which still uses the file that is closed next.
    """
    work = asyncio.ensure_future(asyncio.to_thread(function, *args))
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        work.exception()  # taken note of: the file is thrown away
        raise


def _read(path: Path, max_bytes: int) -> bytes:
    size = path.stat().st_size
    if size > max_bytes:
        raise ImageTooLarge(
            f"The picture has {size / 1024**2:.1f} MiB; {max_bytes / 1024**2:g} MiB is the most."
        )
    return path.read_bytes()


class Downloads:
    """Gives files out under addresses that nobody guesses. Whoever knows one may fetch it.

    Args:
        folder: for these files only; what an earlier process left there is removed by `clear`.
        clock: monotonic seconds.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._kept = TTLCache[str, dict[str, str]](
            MAX_DOWNLOADS, KEEP_DOWNLOADS_SECONDS, timer=clock
        )

    async def add(self, file: File) -> JsonObject:
        """Keep a file; what the page is told about it.

        Raises:
            OSError: it cannot be written.

        Cancelling: the file may be kept until it is old.
        """
        key = secrets.token_hex(16)
        name = _UNUSUAL.sub("_", file.name)[-100:]
        # To be saved, never to be run.
        self._kept[key] = {
            "Content-Type": file.media_type,
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cache-Control": "private, no-store",
        }
        try:
            await asyncio.to_thread(write_durably, self._folder / key, file.data)
        except OSError:
            self._kept.pop(key, None)
            raise
        finally:
            self.sweep()
        size = len(file.data)
        return {"url": f"/files/{key}", "name": name, "type": file.media_type, "size": size}

    def response(self, key: str) -> web.FileResponse:
        """A file as it is served.

        Raises:
            KeyError: it is not kept, or not any more.
        """
        self.sweep()
        return web.FileResponse(self._folder / key, headers=self._kept[key])

    def sweep(self) -> None:
        """Remove from the disk what is not kept any more."""
        # What cannot be removed now goes with all others at the next start.
        with contextlib.suppress(OSError):
            for path in self._folder.iterdir():
                if _ID.fullmatch(path.name) and path.name not in self._kept:
                    path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove everything, also what an earlier process left. Blocks as the disk does."""
        self._kept.clear()
        # The second is where 0.1.0 kept them; an export of somebody's could still be there.
        for folder in (self._folder, self._folder.with_name("handouts")):
            shutil.rmtree(folder, ignore_errors=True)
