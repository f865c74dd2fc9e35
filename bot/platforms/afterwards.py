"""What can wait until a platform is connected; messages cannot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

_log = structlog.get_logger(__name__)


SETTLE = 2.0
"""Seconds after connecting that belong to missed messages and to replies taken up again."""


@asynccontextmanager
async def once_up(
    work: Callable[[], Awaitable[None]], ready: Callable[[bool], None], settle: float
) -> AsyncIterator[Callable[[bool], None]]:
    """Do something once, after the platform was connected, beside its messages.

    Args:
        work: what to do. That it failed is logged, and nothing else comes of it.
        ready: told each time whether the platform is connected.
        settle: seconds from there until the work begins.

    Yields:
        What is to be called in place of `ready`.

    At the end of the block work that goes on is cancelled.
    """
    up = asyncio.Event()

    def told(connected: bool) -> None:
        ready(connected)
        if connected:
            up.set()

    async def wait_and_work() -> None:
        await up.wait()
        await asyncio.sleep(settle)
        await work()

    task = asyncio.create_task(wait_and_work())
    task.add_done_callback(_report)
    try:
        yield told
    finally:
        task.cancel()
        await asyncio.wait({task})


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("work after connecting failed", exc_info=error)
