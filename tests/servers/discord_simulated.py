"""The bot's side of Discord inside SimCord: an in-process Discord that judges by its own rules."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import simcord
from simcord import ChannelHandle, Env, MemberActor

from bot.i18n import Catalogue
from bot.models import IncomingMessage, Notice
from bot.platforms.discord.client import BotClient
from bot.platforms.discord.commands import sync_commands
from bot.platforms.discord.handlers import Handlers
from bot.platforms.discord.surface import DiscordSurface
from bot.turns.commands import Command
from tests.scripted_dispatcher import ScriptedDispatcher

Answer = Callable[[DiscordSurface, Command], Awaitable[None]]


@dataclass
class AnsweringDispatcher(ScriptedDispatcher):
    """What has no notice is answered at once, as `answer` does."""

    answer: Answer | None = None
    client: BotClient | None = None

    async def handle(self, message: IncomingMessage, command: Command) -> Notice | None:
        notice = await super().handle(message, command)
        if notice is None and self.answer is not None:
            await self.answer(self.surface(message), command)
        return notice

    def surface(self, message: IncomingMessage) -> DiscordSurface:
        assert self.client is not None
        assert self.client.user is not None
        return DiscordSurface(self.client.http, message.address, me=self.client.user.id)


@dataclass
class Simulated:
    """A server with one channel and one person."""

    env: Env
    client: BotClient
    dispatcher: AnsweringDispatcher
    channel: ChannelHandle
    ada: MemberActor

    @property
    def mention(self) -> str:
        assert self.client.user is not None
        return self.client.user.mention


@asynccontextmanager
async def simulated(answer: Answer | None = None) -> AsyncIterator[Simulated]:
    """A bot that is connected to a server, its commands registered."""
    client = BotClient(1)
    catalogue = Catalogue()
    dispatcher = AnsweringDispatcher(answer=answer, client=client)
    async with simcord.run(client, shard_count=1, settle_timeout=60.0) as env:
        await client.hand_on(Handlers(client, dispatcher, catalogue), lambda _: None, catalogue)
        await sync_commands(client.tree, ())
        guild = env.create_guild("Home")
        channel = guild.create_text_channel("general")
        ada = guild.add_member(env.create_user("ada", global_name="Ada"))
        yield Simulated(env, client, dispatcher, channel, ada)
