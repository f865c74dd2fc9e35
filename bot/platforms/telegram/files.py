"""Fetches the files that people send."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import stamina
from telegram import Bot
from telegram.error import BadRequest, NetworkError, TelegramError

from bot.errors import ImageTooLarge, ImageUnreadable
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
