"""Keeps account of events that are being handled, so that a stop can wait for them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Counted:
    """The tasks in which events are handled: discord.py starts one each and forgets it."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[object]] = set()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Count the current task; not to be nested."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("events are handled in tasks")
        self._running.add(task)
        try:
            yield
        finally:
            self._running.discard(task)

    async def finish(self, seconds: float) -> None:
        """Let what has begun come to its end, then cut it off.

        Cancelling: cuts it off at once.
        """
        try:
            if self._running:
                await asyncio.wait(self._running, timeout=seconds)
        finally:
            for task in self._running:
                task.cancel()
