"""Downloading what people attached, without reading more than asked for."""

from __future__ import annotations

import aiohttp
import stamina

from bot.errors import ImageTooLarge, ImageUnreadable
from bot.models import Attachment

TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10)
_CHUNK = 64 * 1024
_TRIES = 3


class _Trouble(Exception):
    """Discord's file server answered 5xx or 429: worth another try."""


async def fetch(session: aiohttp.ClientSession, attachment: Attachment, limit: int) -> bytes:
    """The bytes of an attachment from Discord's file server.

    Args:
        session: any.
        attachment: its `source` has a `url`, which works for about a day.
        limit: bytes.

    Raises:
        ImageTooLarge: more than `limit` bytes; the rest is not read.
        ImageUnreadable: gone, or not to be had after three tries.
    """
    try:
        async for attempt in stamina.retry_context(
            on=(_Trouble, aiohttp.ClientError, TimeoutError), attempts=_TRIES, timeout=TIMEOUT.total
        ):
            with attempt:
                return await _read(session, attachment, limit)
    except (_Trouble, aiohttp.ClientError, TimeoutError) as error:
        raise ImageUnreadable(
            "Discord does not hand the picture over at the moment. Send it again."
        ) from error
    raise AssertionError("unreachable: the last try returns or raises")


async def _read(session: aiohttp.ClientSession, attachment: Attachment, limit: int) -> bytes:
    if (attachment.size or 0) > limit:
        raise _too_large(limit)
    async with session.get(attachment.source["url"], timeout=TIMEOUT) as response:
        if response.status == 429 or response.status >= 500:  # noqa: PLR2004 - HTTP status
            raise _Trouble
        if not response.ok:
            raise ImageUnreadable("Discord does not have this picture any more. Send it again.")
        if (response.content_length or 0) > limit:
            raise _too_large(limit)
        data = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            data += chunk
            if len(data) > limit:
                raise _too_large(limit)
        return bytes(data)


def _too_large(limit: int) -> ImageTooLarge:
    return ImageTooLarge(f"The picture is larger than {limit / 1e6:.3g} MB, which is all I take.")
