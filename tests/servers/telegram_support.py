"""What the Telegram tests share."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from telegram import Bot

from bot.files import File
from bot.platforms.telegram.adapter import TelegramAdapter
from bot.platforms.telegram.client import TelegramTarget, make_bot
from bot.platforms.telegram.server_state import ServerState
from bot.platforms.telegram.surface import TelegramSurface
from bot.platforms.telegram.updates import Timing
from bot.platforms.telegram.webhook import Hook
from tests.scripted_dispatcher import ScriptedDispatcher
from tests.servers.telegram import TOKEN, TelegramServer
from tests.servers.telegram_world import Chat

FAST = Timing(
    poll_seconds=10,
    first_pause_seconds=0.02,
    max_pause_seconds=0.1,
    album_seconds=0.15,
    recheck_seconds=0.02,
    settle_seconds=0.0,
)
NETWORKS = (ip_network("149.154.160.0/20"), ip_network("91.108.4.0/22"))
DELIVERED = Timing(
    first_pause_seconds=0.02,
    max_pause_seconds=0.1,
    album_seconds=3.0,
    webhook_check_seconds=0.2,
    settle_seconds=0.0,
)
"""Items of an album come one by one, each with a request of its own."""


def upload(data: bytes, name: str = "fox.webp", media_type: str = "image/webp") -> File:
    """A file of a reply."""
    return File(data, media_type, name, "a fox")


@pytest.fixture
async def telegram(request: pytest.FixtureRequest) -> AsyncIterator[TelegramServer]:
    """A Bot API server that is polled; with `both_ways` or `by_webhook`, one that delivers."""
    async with TelegramServer() as running:
        running.by_webhook = getattr(request, "param", "polling") == "webhook"
        yield running


both_ways = pytest.mark.parametrize("telegram", ["polling", "webhook"], indirect=True)
by_webhook = pytest.mark.parametrize("telegram", ["webhook"], indirect=True)


@pytest.fixture
async def telegram_client(telegram: TelegramServer) -> AsyncIterator[Bot]:
    """The real client, logged in at `telegram`."""
    async with make_bot(TOKEN, telegram.url) as client:
        yield client


Make = Callable[..., TelegramSurface]


@pytest.fixture
def make_surface(telegram_client: Bot) -> Make:
    """Makes the surface of a reply in a chat; all share what they learn about the server."""
    state = ServerState()

    def make(
        chat: Chat,
        *,
        reply_to: int | None = None,
        topic: int | None = None,
        client: Bot = telegram_client,
    ) -> TelegramSurface:
        target = TelegramTarget(chat.id, topic, reply_to, chat.is_private, draft_id=11)
        return TelegramSurface(client, target, state)

    return make


@asynccontextmanager
async def opened(
    server: TelegramServer, token: str = TOKEN, **settings: Any
) -> AsyncIterator[TelegramAdapter]:
    """An adapter that is logged in; if the server delivers by webhook, with an HTTP server."""
    if server.by_webhook and "hook" not in settings:
        async with hooked(server, token, **settings) as adapter:
            yield adapter
        return
    adapter = TelegramAdapter(
        token=token, api_url=server.url, **{"timing": FAST, "catalogue": None, **settings}
    )
    try:
        await adapter.open()
        yield adapter
    finally:
        await adapter.close()


@asynccontextmanager
async def hooked(
    server: TelegramServer, token: str = TOKEN, folder: Path | None = None, **settings: Any
) -> AsyncIterator[TelegramAdapter]:
    """An adapter that is logged in, and whose routes are served.

    The HTTP server has the settings of the bot's own; that itself is in `test_telegram_webhook`.
    """
    with tempfile.TemporaryDirectory() as temporary, socket.create_server(("127.0.0.1", 0)) as door:
        url = f"http://127.0.0.1:{door.getsockname()[1]}/telegram"
        hook = Hook(url, "", NETWORKS, folder or Path(temporary))
        settings = {"timing": DELIVERED, **settings, "hook": hook}
        async with opened(server, token, **settings) as adapter:
            app = web.Application()
            app.add_routes(adapter.routes())
            runner = web.AppRunner(
                app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0
            )
            await runner.setup()
            try:
                await web.SockSite(runner, door).start()
                yield adapter
            finally:
                await runner.cleanup()


@asynccontextmanager
async def serving(
    server: TelegramServer,
    dispatcher: ScriptedDispatcher,
    ready: list[bool] | None = None,
    **settings: Any,
) -> AsyncIterator[TelegramAdapter]:
    """An adapter that takes messages in, until the block ends."""
    states: list[bool] = [] if ready is None else ready
    async with opened(server, **settings) as adapter:
        task = asyncio.create_task(adapter.serve(dispatcher, states.append))
        try:
            yield adapter
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
