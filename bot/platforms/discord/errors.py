"""Discord's and the network's errors become `SurfaceError`s here, and nowhere else."""

from __future__ import annotations

from asyncio import timeout
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

import aiohttp
import discord

from bot.errors import (
    ContentRefused,
    DeliveryUnknown,
    MessageGone,
    RateLimited,
    SurfaceError,
    SurfaceForbidden,
    SurfaceUnavailable,
)

UNKNOWN_MESSAGE: Final = 10008

_TOKEN_CODES: Final = frozenset({10015, 10062, 50027})
"""Unknown webhook, unknown interaction, invalid webhook token: an interaction has ended."""

_BUSY_CODES: Final = frozenset({20028, 30046, 40062})
"""Write limit of a channel, edits of an old message, a resource that is limited: with a 4xx other
than 429 at times."""

_BUSY_PAUSE_SECONDS: Final = 6.0
"""Where Discord names no pause; edits of old messages come back 3 in 6 s."""

_FORBIDDEN: Final = {
    10003: "gone",
    50001: "view",
    50005: "foreign",
    50007: "direct",
    50013: "permission",
    160002: "history",
    160005: "locked",
}
"""Discord's error codes, and the sentence `discord-forbidden-…` of the catalogue that helps."""

TROUBLE: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, *range(500, 600)})
"""Status of answers after which it is worth trying again."""

NO_ANSWER: Final = (discord.DiscordException, aiohttp.ClientError, OSError)
"""What a request that nobody waits for may raise; it is logged, because nobody can be told."""


def interaction_ended(error: discord.HTTPException) -> bool:
    """Whether an interaction's token does not work any more (401 or one of three codes)."""
    return error.status == HTTPStatus.UNAUTHORIZED or error.code in _TOKEN_CODES


def needs_components_v2(error: discord.HTTPException) -> bool:
    """Whether Discord refused plain text because the message is a container already."""
    return error.status == HTTPStatus.BAD_REQUEST and "COMPONENTS_V2" in error.text


@asynccontextmanager
async def translated(seconds: float) -> AsyncIterator[None]:
    """Raise `SurfaceError`s instead of what discord.py and aiohttp raise, within some seconds.

    A request that was cut off counts as `DeliveryUnknown`. Repeating it is harmless where it is an
    edit, which states the whole message, or carries a nonce, by which Discord knows it again.
    """
    try:
        async with timeout(seconds):
            yield
    except discord.RateLimited as error:
        raise RateLimited(error.retry_after) from error
    except discord.HTTPException as error:
        raise _from_status(error) from error
    except aiohttp.ClientConnectorError as error:
        raise SurfaceUnavailable("Discord cannot be reached.") from error
    except (aiohttp.ClientError, TimeoutError, OSError, discord.InvalidData) as error:
        raise DeliveryUnknown("The connection to Discord broke before it answered.") from error


def _from_status(error: discord.HTTPException) -> SurfaceError:
    match error.status:
        case 429:
            return RateLimited(_retry_after(error))
        case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return DeliveryUnknown(f"Discord has trouble ({status}); it may be there.")
        case _ if error.code in _BUSY_CODES:
            return RateLimited(_retry_after(error))
        case 404 if error.code == UNKNOWN_MESSAGE:
            return MessageGone("The message was deleted.")
        case 401 | 403 | 404:
            why = _FORBIDDEN.get(error.code, "")
            return SurfaceForbidden(
                f"Discord does not let the bot write here: {error.text or error.status} "
                f"({error.code}).",
                why and f"discord-forbidden-{why}",
            )
        case _:
            return ContentRefused(f"Discord refuses this message: {error.text or error.status}")


def _retry_after(error: discord.HTTPException) -> float:
    """Seconds from the header; discord.py keeps no body of a 429 that it gives up on."""
    value = error.response.headers.get("Retry-After", "")
    try:
        return max(float(value), 0.0)
    except ValueError:
        return _BUSY_PAUSE_SECONDS
