"""The adapter under test, connected to the local Discord, with a dispatcher that takes notes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest

from bot.errors import BotError
from bot.models import IncomingMessage, Notice
from bot.platforms.discord import DiscordAdapter
from bot.turns.commands import Command
from tests.scripted_dispatcher import ScriptedDispatcher
from tests.servers.discord import TOKEN, DiscordServer


class DiscordDispatcher(ScriptedDispatcher):
    """A scripted dispatcher whose news wake those who wait for `server`.

    Attributes:
        deferred: ids of interactions that Discord had an answer to when they were handed on.
    """

    def __init__(self, server: DiscordServer) -> None:
        super().__init__(news=server.touch)
        self.deferred: set[str] = set()
        self._server = server

    async def handle(self, message: IncomingMessage, command: Command) -> Notice | None:
        interaction = self._server.interactions.get(message.message_id)
        if interaction is not None and interaction.answer is not None:
            self.deferred.add(message.message_id)
        return await super().handle(message, command)


@dataclass
class Running:
    """An adapter that serves."""

    adapter: DiscordAdapter
    dispatcher: DiscordDispatcher
    states: list[bool]
    task: asyncio.Task[None]


def make(server: DiscordServer, **options: object) -> DiscordAdapter:
    settings: dict[str, object] = {
        "token": TOKEN,
        "api_url": server.api_url + "/",
        "gateway_url": server.gateway_url,
        "settle": 0.0,
    }
    return DiscordAdapter(**(settings | options))  # type: ignore[arg-type] # checked by the tests


@asynccontextmanager
async def closing(adapter: DiscordAdapter) -> AsyncIterator[DiscordAdapter]:
    try:
        yield adapter
    finally:
        await adapter.close()


@asynccontextmanager
async def running(
    server: DiscordServer, dispatcher: DiscordDispatcher | None = None, **options: object
) -> AsyncIterator[Running]:
    """An adapter that is connected, and ended cleanly; at no time it could ping anybody."""
    dispatcher = DiscordDispatcher(server) if dispatcher is None else dispatcher
    states: list[bool] = []

    def ready(connected: bool) -> None:
        states.append(connected)
        server.touch()

    async with closing(make(server, **options)) as adapter:
        await adapter.open()
        task = asyncio.create_task(adapter.serve(dispatcher, ready))
        task.add_done_callback(lambda _: server.touch())
        try:
            await server.wait_for(lambda: states or task.done())
            yield Running(adapter, dispatcher, states, task)
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, BotError):
                await task
    assert not server.pinging, server.pinging


async def registered(server: DiscordServer, count: int = 1) -> list[str]:
    """Wait until commands were registered so often; for which servers, `""` for all, in order."""
    await server.wait_for(lambda: len(server.rest.syncs) >= count)
    return list(server.rest.syncs)


@pytest.fixture
async def empty_discord() -> AsyncIterator[DiscordServer]:
    """A local Discord with nothing in it."""
    async with DiscordServer() as server:
        yield server


@pytest.fixture
def discord(empty_discord: DiscordServer) -> DiscordServer:
    """A local Discord with one server, its channel "general", and Ada."""
    empty_discord.channel(empty_discord.guild())
    empty_discord.person("Ada")
    return empty_discord


@pytest.fixture
async def discord_bot(discord: DiscordServer) -> AsyncIterator[Running]:
    """An adapter that is connected there."""
    async with running(discord) as bot:
        yield bot
