"""Over how many connections Discord spreads the bot's servers, and when they may be made."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from bot.platforms.discord.client import BotClient
from bot.platforms.discord.faults import NO_ANSWER

log = structlog.get_logger(__name__)

LONGEST_WAIT: Final = 3600.0
"""Seconds after which Discord is asked again how many sessions may be started."""


async def count(client: BotClient, wanted: int) -> int:
    """How many shards there shall be. Returns when so many sessions may be started.

    Discord takes a number of session starts a day, and resets the token of a bot that goes beyond.

    Args:
        client: logged in; its `shard_ids` are set.
        wanted: as configured; 0 for what Discord advises.
    """
    while True:
        try:
            advised, _, limits = await client.http.get_bot_gateway()
        except (*NO_ANSWER, KeyError, TypeError) as error:
            log.info("discord does not say how many shards it wants", reason=str(error))
            return wanted or 1
        client.starts.at_once = limits.get("max_concurrency", 1)
        shards = wanted or advised
        needed = len(client.shard_ids or range(shards))
        if needed <= limits["remaining"] or needed > limits["total"]:
            if shards > 1:
                log.info("sharding", shards=shards, here=needed)
            return shards
        pause = min(limits["reset_after"] / 1000, LONGEST_WAIT)
        log.warning("too many session starts today", left=limits["remaining"], next_try=pause)
        await asyncio.sleep(pause)
