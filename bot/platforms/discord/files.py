"""Files on their way: downloading what people attached, and fitting pictures into a message."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import aiohttp

from bot.errors import ImageTooLarge, ImageUnreadable
from bot.files import File
from bot.i18n import Words
from bot.models import Attachment
from bot.platforms.discord.errors import TROUBLE
from bot.support import TooManyBytes, read_bounded

_TIMEOUT: Final = aiohttp.ClientTimeout(total=60, sock_connect=10)
MAX_REQUEST_BYTES: Final = 25 * 2**20
"""Of all files in one request."""

_MAX_TRIES: Final = 3


class _Trouble(Exception):
    """Discord's file server answered 5xx or 429: worth another try."""


_RETRIED: Final = (_Trouble, aiohttp.ClientError, TimeoutError)


async def fetch(session: aiohttp.ClientSession, attachment: Attachment, limit: int) -> bytes:
    """The bytes of an attachment from Discord's file server; its `url` works for about a day.

    Raises:
        ImageTooLarge: more than `limit` bytes; the rest is not read.
        ImageUnreadable: gone, or not to be had after three tries.
    """
    import stamina  # noqa: PLC0415 - a bot at rest fetches nothing

    try:
        async for attempt in stamina.retry_context(
            on=_RETRIED, attempts=_MAX_TRIES, timeout=_TIMEOUT.total
        ):
            with attempt:
                return await _read(session, attachment, limit)
    except TooManyBytes as error:
        raise ImageTooLarge(
            f"The picture is larger than {limit / 1e6:.3g} MB, which is all I take."
        ) from error
    except _RETRIED as error:
        raise ImageUnreadable(
            "Discord does not hand the picture over at the moment. Send it again."
        ) from error
    raise AssertionError("unreachable: the last try returns or raises")


def fitting(
    files: Sequence[File], max_file_bytes: int
) -> tuple[tuple[File, ...], tuple[File, ...]]:
    """Files that Discord takes in one request, and the others.

    One that is too large would make Discord refuse the whole message.
    """
    kept: list[File] = []
    left_out: list[File] = []
    total = 0
    for file in files:
        size = len(file.data)
        if size <= max_file_bytes and total + size <= MAX_REQUEST_BYTES:
            kept.append(file)
            total += size
        else:
            left_out.append(file)
    return tuple(kept), tuple(left_out)


class Uploads:
    """Makes the pictures of one reply fit into its messages.

    Args:
        max_file_bytes: that a file may have where the reply is.
        words: the language in which a picture is said to be left out.
        recipe_in_png: send PNG files with the recipe inside, as far as they are not too large.
    """

    def __init__(self, max_file_bytes: int, words: Words, *, recipe_in_png: bool) -> None:
        self._max_file_bytes = max_file_bytes
        self._words = words
        self._recipe_in_png = recipe_in_png
        self._png: dict[str, File] = {}

    async def fit(self, files: Sequence[File]) -> tuple[tuple[File, ...], str]:
        """The files that Discord takes, as it gets them, and what to say about the others."""
        sent = [await self._as_sent(file) for file in files]
        kept, left_out = fitting(sent, self._max_file_bytes)
        count = len(left_out)
        return kept, self._words("discord-pictures-too-large", count=count) if count else ""

    async def _as_sent(self, file: File) -> File:
        if not self._recipe_in_png or file.recipe is None:
            return file
        if file.key not in self._png:
            png = await asyncio.to_thread(_as_png, file)
            self._png[file.key] = file if len(png.data) > self._max_file_bytes else png
        return self._png[file.key]


def _as_png(file: File) -> File:
    """The picture as PNG with its recipe, or as it was if it cannot be read."""
    # Pillow is not needed before, and most bots never send PNG.
    from bot.image.png_metadata import png_with_recipe  # noqa: PLC0415 - see above

    try:
        return png_with_recipe(file)
    except ImageUnreadable:
        return file


async def _read(session: aiohttp.ClientSession, attachment: Attachment, limit: int) -> bytes:
    if (attachment.size or 0) > limit:
        raise TooManyBytes
    async with session.get(attachment.source["url"], timeout=_TIMEOUT) as response:
        if response.status in TROUBLE:
            raise _Trouble
        if not response.ok:
            raise ImageUnreadable("Discord does not have this picture any more. Send it again.")
        if (response.content_length or 0) > limit:
            raise TooManyBytes
        return await read_bounded(response.content.iter_any(), limit)
