"""What Discord says about its rate limits with every answer, for the replies that are edited.

discord.py reads these headers too, but only to sleep inside the call that takes the last request of
a bucket; whoever knows them beforehand does not come to that.
"""

from __future__ import annotations

from contextvars import ContextVar
from types import SimpleNamespace

import aiohttp

from bot.reply.surface import RateLimitInfo

_newest: ContextVar[RateLimitInfo | None] = ContextVar("discord_headroom", default=None)
"""Of the newest answer that the current task got; a request and its trace run in one task."""


def newest() -> RateLimitInfo | None:
    """What the answer to the task's newest request said, if it said anything."""
    return _newest.get()


def trace() -> aiohttp.TraceConfig:
    """For `discord.Client(http_trace=...)`: reads the headers of each answer."""
    config = aiohttp.TraceConfig()
    config.on_request_end.append(_read)
    return config


async def _read(
    _session: aiohttp.ClientSession,
    _context: SimpleNamespace,
    answered: aiohttp.TraceRequestEndParams,
) -> None:
    headers = answered.response.headers
    try:
        left = int(headers["X-RateLimit-Remaining"])
        seconds = float(headers["X-RateLimit-Reset-After"])
    except (KeyError, ValueError):
        _newest.set(None)
    else:
        _newest.set(RateLimitInfo(left, seconds))
