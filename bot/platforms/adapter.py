"""What the composition root needs of a platform, and what all platforms share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import structlog

from bot.turns.services import Platform

if TYPE_CHECKING:
    # Importing them would load a web server and the database for an adapter that needs neither.
    from aiohttp import web

    from bot.turns.dispatcher import Dispatcher

_log = structlog.get_logger(__name__)

SETTLE_SECONDS = 2.0
"""After connecting; they belong to missed messages and to replies taken up again."""


@runtime_checkable
class Served(Protocol):
    """A platform that delivers over HTTP, to the bot's own server."""

    def routes(self) -> Sequence[web.RouteDef]:
        """What the server must have. These check by themselves who asks."""
        ...


class Adapter(Platform, Protocol):
    """One platform: messages come in, surfaces and files go out.

    Life: `open`, `serve` until it is cancelled, `close`. Between the end of `serve` and `close`
    nothing comes in any more, and surfaces still work, so that running replies can be finished.
    """

    @property
    def name(self) -> str:
        """The platform's word in keys and logs: `"discord"`, `"telegram"` or `"web"`."""
        ...

    async def open(self) -> None:
        """Log in. Waits for a platform that cannot be reached, and says so in the log.

        Raises:
            TokenRefused: the platform does not accept the token.
            AdapterError: it can never work with these settings.
        """
        ...

    async def serve(self, dispatcher: Dispatcher, ready: Callable[[bool], None]) -> None:
        """Take messages in until cancelled.

        Args:
            dispatcher: where they go.
            ready: called with true when connected and with false when the connection is lost.

        Raises:
            AdapterError: as in `open`.

        Cancelling: stops taking messages in; surfaces go on working.
        """
        ...

    async def advice(self) -> Sequence[str]:
        """What this account may not do, and how to change it; after `open`, for `doctor`.

        Raises:
            AdapterError: the platform does not say.
        """
        ...

    async def close(self) -> None:
        """Give connections back. Idempotent; also after a failed `open`."""
        ...


@asynccontextmanager
async def run_when_connected(
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
