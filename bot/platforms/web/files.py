"""Messages that a page sends: read within limits, pictures kept on disk until they are fetched.

A file in the spool outlives the process, because the turn that it belongs to does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import structlog
from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import BadHttpMessage

from bot.errors import ImageTooLarge, ImageUnreadable
from bot.files import File
from bot.i18n import Words
from bot.models import Attachment, ChannelKey, JsonObject, Turn

KEEP_UPLOADS_SECONDS = 24 * 3600.0
"""A file older than this belongs to no turn that is still going to fetch it."""

_CHUNK = 64 * 1024
_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")
MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
"""What a page may call its messages and presses."""

log = structlog.get_logger(__name__)


class FormRefused(Exception):
    """A message or a press that is not taken.

    Args:
        status: the HTTP status that says so; also an attribute.
        key: of the sentence for the person.
        most: a number in that sentence.
    """

    def __init__(self, status: int, key: str, most: int = 0) -> None:
        super().__init__(key)
        self.status = status
        self._key = key
        self._most = most

    def said_in(self, words: Words) -> str:
        """The sentence in a language."""
        return words(self._key, most=self._most)


@dataclass(frozen=True, slots=True)
class Form:
    """A message as the page sent it.

    Attributes:
        message_id: the page's id of it, the same when it is sent again.
        text: what was written, without space around it.
        attachments: what was added, in order; the files are in the spool.
    """

    message_id: str
    text: str
    attachments: tuple[Attachment, ...]


class UploadStore:
    """Reads messages into memory and a folder.

    Args:
        folder: where files are kept; made when it is needed.
        limits: how much is taken.
    """

    def __init__(self, folder: Path, limits: UploadLimits) -> None:
        self._folder = folder
        self.limits = limits

    async def receive(self, request: web.Request) -> Form:
        """Read a multipart message, counting while it comes in.

        Raises:
            FormRefused: too much, too slow, or not such a form.

        Cancelling: files read so far are removed.
        """
        if request.content_type != "multipart/form-data":
            raise FormRefused(415, "web-form-type")
        if (request.content_length or 0) > self.limits.total_bytes:
            raise self._too_large()
        attachments: list[Attachment] = []
        try:
            async with asyncio.timeout(self.limits.seconds):
                fields = await self._read(request, attachments)
            return _form(fields, tuple(attachments))
        except TimeoutError:
            self.discard(attachments)
            raise FormRefused(408, "web-form-slow") from None
        except (ValueError, RuntimeError, web.RequestPayloadError, BadHttpMessage) as error:
            # What aiohttp raises for a multipart body that is broken in one way or another.
            self.discard(attachments)
            log.info("broken form", reason=str(error))
            raise FormRefused(400, "web-form-broken") from None
        except BaseException:
            self.discard(attachments)
            raise

    async def fetch(self, attachment: Attachment, limit: int) -> bytes:
        """The bytes of a file in the spool.

        Raises:
            ImageTooLarge: more than `limit` bytes; not read.
            ImageUnreadable: not here any more.
        """
        path = self._path(attachment)
        try:
            return await asyncio.to_thread(_read, path, limit)
        except FileNotFoundError:
            raise ImageUnreadable("The picture is gone. Please add it again.") from None

    def discard(self, attachments: list[Attachment] | tuple[Attachment, ...]) -> None:
        """Remove the files of a message that became nothing."""
        for attachment in attachments:
            self._path(attachment).unlink(missing_ok=True)

    def sweep(self, now: float | None = None) -> int:
        """Remove files older than a day; how many. Blocks for as long as the disk does."""
        oldest = (time.time() if now is None else now) - KEEP_UPLOADS_SECONDS
        removed = 0
        with contextlib.suppress(FileNotFoundError):
            for path in self._folder.iterdir():
                if _UPLOAD_ID.fullmatch(path.name) and path.stat().st_mtime < oldest:
                    path.unlink(missing_ok=True)
                    removed += 1
        return removed

    def _path(self, attachment: Attachment) -> Path:
        upload = str(attachment.source.get("upload", ""))
        if _UPLOAD_ID.fullmatch(upload) is None:
            raise ImageUnreadable("This file did not come through the web chat.")
        return self._folder / upload

    def _too_large(self) -> FormRefused:
        return FormRefused(413, "web-form-picture", self.limits.file_bytes // 1024**2)

    async def _read(self, request: web.Request, attachments: list[Attachment]) -> dict[str, str]:
        fields: dict[str, str] = {}
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            if isinstance(part, BodyPartReader) and part.name == "file":
                await self._take(part, attachments)
            elif isinstance(part, BodyPartReader) and part.name in ("id", "text"):
                fields[part.name] = await self._text(part)
            else:
                raise FormRefused(400, "web-form-fields")
        return fields

    async def _text(self, part: BodyPartReader) -> str:
        data = bytearray()
        while chunk := await part.read_chunk(_CHUNK):
            data += chunk
            if len(data) > self.limits.text_bytes:
                raise FormRefused(413, "web-form-text", self.limits.text_bytes // 1024)
        # A form sends every line end as CR LF, whatever was typed.
        return data.decode("utf-8", errors="replace").replace("\r\n", "\n").strip()

    async def _take(self, part: BodyPartReader, attachments: list[Attachment]) -> None:
        if len(attachments) >= self.limits.files:
            raise FormRefused(413, "web-form-pictures", self.limits.files)
        upload = secrets.token_hex(16)
        name = (part.filename or "picture")[:200]
        media_type = part.headers.get("Content-Type")
        # Listed before it is there, so that whatever happens from here on removes the file.
        attachments.append(Attachment(name, {"upload": upload}, None, media_type))
        size = await self._write(part, self._folder / upload)
        attachments[-1] = Attachment(name, {"upload": upload}, size, media_type)

    async def _write(self, part: BodyPartReader, path: Path) -> int:
        # Not in a thread: cancelled there, it would leave a file that nobody knows.
        file = _create(path)
        size = 0
        try:
            while chunk := await part.read_chunk(_CHUNK):
                size += len(chunk)
                if size > self.limits.file_bytes:
                    raise self._too_large()
                await _to_the_end(_write_all, file, chunk)
            await _to_the_end(os.fsync, file)
        finally:
            os.close(file)
        return size


def _form(fields: dict[str, str], attachments: tuple[Attachment, ...]) -> Form:
    text = fields.get("text", "")
    if not text and not attachments:
        raise FormRefused(422, "web-form-empty")
    message_id = fields.get("id") or secrets.token_urlsafe(16)
    if MESSAGE_ID.fullmatch(message_id) is None:
        raise FormRefused(400, "web-form-id")
    return Form(message_id, text, attachments)


def _create(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


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


def _read(path: Path, limit: int) -> bytes:
    size = path.stat().st_size
    if size > limit:
        raise ImageTooLarge(
            f"The picture has {size / 1024**2:.1f} MiB; {limit / 1024**2:g} MiB is the most."
        )
    return path.read_bytes()


KEEP_DOWNLOADS_SECONDS = 900.0
"""How long a file can be fetched, again and again: a download that breaks off is begun anew."""

MAX_DOWNLOADS = 64
"""Files at a time; a further one takes the place of the oldest."""

_UNUSUAL = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class _Handout:
    name: str
    media_type: str
    until: float


class Downloads:
    """Keeps files under names that nobody guesses. Whoever knows one may fetch it.

    Args:
        folder: for these files only; what an earlier process left there is removed by `clear`.
        clock: monotonic seconds.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._kept: dict[str, _Handout] = {}

    async def add(self, file: File) -> JsonObject:
        """Keep a file, and tell the page about it.

        Raises:
            OSError: it cannot be written.

        Cancelling: the file may be kept until it is old.
        """
        while len(self._kept) >= MAX_DOWNLOADS:
            self._remove(next(iter(self._kept)))
        key = secrets.token_hex(16)
        name = _UNUSUAL.sub("_", file.name)[-100:]
        self._kept[key] = _Handout(name, file.media_type, self._clock() + KEEP_DOWNLOADS_SECONDS)
        try:
            await asyncio.to_thread(_write, self._folder / key, file.data)
        except OSError:
            self._remove(key)
            raise
        return {
            "url": f"/files/{key}",
            "name": name,
            "type": file.media_type,
            "size": len(file.data),
        }

    def response(self, key: str) -> web.FileResponse:
        """A file as it is served: to be saved, never to be run.

        Raises:
            KeyError: it is not kept, or not any more.
        """
        self.sweep()
        handout = self._kept[key]
        return web.FileResponse(
            self._folder / key,
            headers={
                "Content-Type": handout.media_type,
                "Content-Disposition": f'attachment; filename="{handout.name}"',
                "Content-Security-Policy": "default-src 'none'; sandbox",
                "Cache-Control": "private, no-store",
            },
        )

    def sweep(self) -> None:
        """Remove what is old."""
        now = self._clock()
        for key in [key for key, each in self._kept.items() if each.until <= now]:
            self._remove(key)

    def clear(self) -> None:
        """Remove everything, also what an earlier process left. Blocks as the disk does."""
        self._kept.clear()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _remove(self, key: str) -> None:
        del self._kept[key]
        with contextlib.suppress(OSError):  # removed with all others at the next start
            (self._folder / key).unlink(missing_ok=True)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "xb", opener=_private) as file:
        file.write(data)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class Archive(Protocol):
    """What is on disk: the page shows a conversation from it, also after a restart."""

    async def turns(self, channel: ChannelKey, limit: int) -> Sequence[Turn]:
        """The channel's newest turns, `limit` at most, newest last, finished or not.

        Raises:
            StorageError: the database cannot be used.
        """
        ...

    async def removed(self, turns: Sequence[Turn]) -> Collection[str]:
        """Ids of those of these turns whose reply was removed.

        Raises:
            StorageError: the database cannot be used.
        """
        ...

    async def picture(self, key: str) -> tuple[bytes, str]:
        """Bytes and media type of a picture by the SHA-256 of its bytes.

        Raises:
            KeyError: not here, or removed since.
            StorageError: the store cannot be used.
        """
        ...


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
