"""What the Telegram tests share."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from PIL import Image

from bot.messages import IncomingMessage
from bot.platforms.telegram.adapter import TelegramAdapter
from bot.platforms.telegram.timing import Timing
from bot.turns.commands import Command
from bot.turns.inbox import Notice
from tests.scripted_inbox import RememberingInbox
from tests.servers.telegram import TOKEN, TelegramServer

FAST = Timing(poll=10, first_pause=0.02, longest_pause=0.1, album=0.15, glance=0.02)


def picture(width: int = 64, height: int = 48, kind: str = "PNG") -> bytes:
    """A picture in one colour."""
    data = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(data, kind)
    return data.getvalue()


@dataclass
class ScriptedInbox(RememberingInbox):
    """Takes messages in; what it answers and when is up to the test."""

    taken: list[tuple[IncomingMessage, Command]] = field(default_factory=list)
    begun: int = 0
    notice: Notice | None = None
    failures: list[Exception] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def __post_init__(self) -> None:
        super().__init__()
        self.gate.set()

    async def handle(self, message: IncomingMessage, command: Command) -> Notice | None:
        """As `bot.turns.inbox.Inbox.handle`."""
        self.begun += 1
        await self._notify()
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.taken.append((message, command))
        await self._notify()
        return self.notice

    @property
    def commands(self) -> list[Command]:
        return [command for _, command in self.taken]

    async def wait(self, count: int) -> list[tuple[IncomingMessage, Command]]:
        """Wait until so many messages were taken in."""
        await self.wait_for(lambda: len(self.taken) >= count)
        return self.taken

    async def wait_for(self, predicate: Callable[[], bool]) -> None:
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(predicate)

    async def _notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()


@asynccontextmanager
async def opened(server: TelegramServer, token: str = TOKEN) -> AsyncIterator[TelegramAdapter]:
    """An adapter that is logged in."""
    adapter = TelegramAdapter(token=token, api_url=server.url, timing=FAST)
    try:
        await adapter.open()
        yield adapter
    finally:
        await adapter.close()


@asynccontextmanager
async def serving(
    server: TelegramServer, inbox: ScriptedInbox, ready: list[bool] | None = None
) -> AsyncIterator[TelegramAdapter]:
    """An adapter that takes messages in, until the block ends."""
    states: list[bool] = [] if ready is None else ready
    async with opened(server) as adapter:
        task = asyncio.create_task(adapter.serve(inbox, states.append))
        try:
            yield adapter
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
