"""When Discord takes the start of another session."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

PAUSE: Final = 5.5
"""Seconds between two starts of one bucket of shards: Discord takes one in 5 s ("Max Concurrency"),
and the way there does not always take the same time."""


class Starts:
    """Spaces the starts of sessions out; discord.py does as if nobody may start two at once.

    Args:
        clock: monotonic seconds.
        sleep: as `asyncio.sleep`.

    Attributes:
        at_once: shards that may start together: those of different buckets, which are the
            remainders of their numbers divided by this.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.at_once = 1
        self._clock = clock
        self._sleep = sleep
        self._newest: dict[int, float] = {}
        self._begun: set[int] = set()

    async def turn(self, shard_id: int) -> None:
        """Wait until a shard may start a session.

        One that had a session pauses anyway: Discord has just ended that one.

        Cancelling: it did not start.
        """
        bucket = shard_id % max(self.at_once, 1)
        pause = self._newest.get(bucket, float("-inf")) + PAUSE - self._clock()
        if shard_id in self._begun:
            pause = PAUSE
        if pause > 0:
            await self._sleep(pause)
        self._begun.add(shard_id)
        self._newest[bucket] = self._clock()
