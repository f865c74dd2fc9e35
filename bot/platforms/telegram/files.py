"""Fetches the files that people send, and puts pictures into a format that Telegram takes."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Final

import httpx
from telegram import Bot
from telegram.error import BadRequest, NetworkError, TelegramError

from bot.errors import ImageTooLarge, ImageUnreadable
from bot.files import File
from bot.models import Attachment
from bot.support import TooManyBytes, read_bounded

_GONE: Final = "Telegram does not have this picture any more. Please send it again."
_MAX_TRIES: Final = 3

_MAX_PHOTO_BYTES: Final = 10_000_000
"""Telegram takes a larger file only as a document (Bot API, `sendPhoto`)."""
_PHOTO_TYPES: Final = frozenset({"image/jpeg", "image/png"})
_JPEG_QUALITY: Final = 95
"""Telegram compresses photos again, so the first loss must be invisible."""


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
    import stamina  # noqa: PLC0415 - a bot at rest fetches nothing

    if attachment.size is not None and attachment.size > limit:
        raise _too_large(limit)
    try:
        async for attempt in stamina.retry_context(on=_may_pass, attempts=_MAX_TRIES):
            with attempt:
                file = await bot.get_file(attachment.source["file_id"])
                path = file.file_path or ""
                if not path.startswith(("http://", "https://")):
                    return await asyncio.to_thread(_read, Path(path), limit)
                async with web.stream("GET", path) as response:
                    if response.is_server_error:
                        raise NetworkError(f"status {response.status_code}")
                    if not response.is_success:
                        raise ImageUnreadable(_GONE)
                    return await read_bounded(response.aiter_bytes(), limit)
    except TooManyBytes as error:
        raise _too_large(limit) from error
    except BadRequest as error:
        if "too big" in error.message.lower():
            raise _too_large(limit) from error
        raise ImageUnreadable(_GONE) from error
    except (TelegramError, httpx.HTTPError, OSError) as error:
        raise ImageUnreadable("Telegram did not hand out the picture. Please try again.") from error
    raise AssertionError  # the loop above returns or raises


def _read(path: Path, limit: int) -> bytes:
    """Read a file of a Bot API server in local mode, which names files on the same machine."""
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise TooManyBytes
    return data


def _may_pass(error: Exception) -> bool:
    """Whether a second try may work."""
    # To the client library, a bad request is a kind of network error.
    return isinstance(error, NetworkError | httpx.TransportError) and not isinstance(
        error, BadRequest
    )


def _too_large(limit: int) -> ImageTooLarge:
    return ImageTooLarge(f"The picture is too large; I take up to {limit / 1_000_000:g} MB.")


async def as_photos(files: Sequence[File]) -> list[File]:
    """The same pictures in a format that is certainly taken as a photo: JPEG or PNG.

    The Bot API does not promise that WebP is; that and anything else becomes JPEG, in a thread. A
    picture that Pillow cannot read stays as it is.

    Returns:
        None of them if one has too many bytes to be a photo.
    """
    photos = [
        file if file.media_type in _PHOTO_TYPES else await asyncio.to_thread(_as_jpeg, file)
        for file in files
    ]
    return photos if all(len(photo.data) <= _MAX_PHOTO_BYTES for photo in photos) else []


def _as_jpeg(file: File) -> File:
    from PIL import Image  # noqa: PLC0415 - three megabytes that a bot needs once it draws

    jpeg = io.BytesIO()
    try:
        with Image.open(io.BytesIO(file.data)) as picture:
            seen = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
            if seen.mode == "RGBA":  # JPEG has no transparency: it lies on white
                white = Image.new("RGBA", seen.size, "white")
                white.alpha_composite(seen)
                seen = white.convert("RGB")
            seen.save(jpeg, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    except (OSError, ValueError, Image.DecompressionBombError):
        return file
    name = PurePath(file.name).with_suffix(".jpg").name
    return replace(file, data=jpeg.getvalue(), name=name, media_type="image/jpeg")
