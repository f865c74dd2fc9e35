"""Keeps what happens in one chat in order, while all chats go on side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from functools import partial


class Lines:
    """One line of jobs per key."""

    def __init__(self) -> None:
        self._last: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, keys: Collection[str], job: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """Do a job once all jobs that were added before it under any of its keys have ended.

        Returns:
            The task that does it. Whoever awaits it gets the job's errors; nobody has to.
        """
        before = {task for key in keys if (task := self._last.get(key)) is not None}
        task = asyncio.create_task(_after(before, job))
        self._last.update(dict.fromkeys(keys, task))
        self._tasks.add(task)
        task.add_done_callback(partial(self._left, keys))
        return task

    async def close(self) -> None:
        """Cancel all jobs and wait for their end."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _left(self, keys: Collection[str], task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        for key in keys:
            if self._last.get(key) is task:
                del self._last[key]
        if not task.cancelled():
            task.exception()  # seen, so that asyncio does not complain of one that nobody awaits


async def _after(
    before: Collection[asyncio.Task[None]], job: Callable[[], Awaitable[None]]
) -> None:
    if before:
        await asyncio.wait(before)
    await job()
