"""Fetches the files that people send."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath

import httpx
import stamina
from PIL import Image
from telegram import Bot
from telegram.error import BadRequest, NetworkError, TelegramError

from bot.errors import ImageTooLarge, ImageUnreadable
from bot.files import File
from bot.models import Attachment

_GONE = "Telegram does not have this picture any more. Please send it again."
_TRIES = 3


async def fetch(bot: Bot, web: httpx.AsyncClient, attachment: Attachment, limit: int) -> bytes:
    """The bytes of a file.

    Args:
        bot: initialised client.
        web: for the download, which the Bot API client would read whole whatever its size.
        attachment: with a `file_id` as source.
        limit: bytes at most.

    Raises:
        ImageTooLarge: more than `limit`, or more than Telegram hands out (20 MB); not read further.
        ImageUnreadable: Telegram does not have it any more, or cannot be reached now.
    """
    if attachment.size is not None and attachment.size > limit:
        raise _too_large(limit)
    try:
        async for attempt in stamina.retry_context(on=_passes, attempts=_TRIES):
            with attempt:
                file = await bot.get_file(attachment.source["file_id"])
                path = file.file_path or ""
                if not path.startswith(("http://", "https://")):
                    return await asyncio.to_thread(_read, Path(path), limit)
                return await _download(web, path, limit)
    except BadRequest as error:
        if "too big" in error.message.lower():
            raise _too_large(limit) from error
        raise ImageUnreadable(_GONE) from error
    except (TelegramError, httpx.HTTPError, OSError) as error:
        raise ImageUnreadable("Telegram did not hand out the picture. Please try again.") from error
    raise AssertionError  # the loop above returns or raises


async def _download(web: httpx.AsyncClient, url: str, limit: int) -> bytes:
    data = bytearray()
    async with web.stream("GET", url) as response:
        if response.is_server_error:
            raise NetworkError(f"status {response.status_code}")
        if not response.is_success:
            raise ImageUnreadable(_GONE)
        async for chunk in response.aiter_bytes():
            data += chunk
            if len(data) > limit:
                raise _too_large(limit)
    return bytes(data)


def _read(path: Path, limit: int) -> bytes:
    """Read a file of a Bot API server in local mode, which names files on the same machine."""
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise _too_large(limit)
    return data


def _passes(error: Exception) -> bool:
    """Whether a second try may work."""
    if isinstance(error, BadRequest):
        return False
    return isinstance(error, NetworkError | httpx.TransportError)


def _too_large(limit: int) -> ImageTooLarge:
    return ImageTooLarge(f"The picture is too large; I take up to {limit / 1_000_000:g} MB.")


MAX_PHOTO_BYTES = 10_000_000
"""A larger file is taken as a document only (Bot API, `sendPhoto`)."""

_AS_IT_IS = frozenset({"image/jpeg", "image/png"})
_QUALITY = 95
"""Telegram compresses photos again, so a first loss must stay invisible."""


async def as_photos(files: Sequence[File]) -> list[File]:
    """The same pictures in a format that is certainly taken as a photo.

    The Bot API does not promise that WebP is; that and anything else but JPEG and PNG becomes JPEG,
    in a thread. A picture that Pillow cannot read stays as it is.
    """
    return [await asyncio.to_thread(_as_photo, file) for file in files]


def fit_for_photos(files: Sequence[File]) -> bool:
    """Whether none has too many bytes to be a photo."""
    return all(len(file.data) <= MAX_PHOTO_BYTES for file in files)


def _as_photo(file: File) -> File:
    if file.media_type in _AS_IT_IS:
        return file
    jpeg = io.BytesIO()
    try:
        with Image.open(io.BytesIO(file.data)) as picture:
            _flat(picture).save(jpeg, "JPEG", quality=_QUALITY, subsampling=0)
    except (OSError, ValueError, Image.DecompressionBombError):
        return file
    name = PurePath(file.name).with_suffix(".jpg").name
    return replace(file, data=jpeg.getvalue(), name=name, media_type="image/jpeg")


def _flat(picture: Image.Image) -> Image.Image:
    """Without transparency, on white: JPEG has none."""
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    seen = picture.convert("RGBA")
    ground = Image.new("RGBA", seen.size, "white")
    ground.alpha_composite(seen)
    return ground.convert("RGB")
