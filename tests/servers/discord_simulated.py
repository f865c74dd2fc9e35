"""The bot's side of Discord inside SimCord: an in-process Discord that judges by its own rules."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import simcord
from simcord import ChannelHandle, Env, MemberActor

from bot.i18n import Catalogue
from bot.models import IncomingMessage, Notice
from bot.platforms.discord.client import BotClient
from bot.platforms.discord.commands import sync_commands
from bot.platforms.discord.handlers import Handlers
from bot.platforms.discord.surface import DiscordSurface
from bot.turns.commands import Command
from tests.scripted_inbox import RememberingInbox

Answer = Callable[[DiscordSurface, Command], Awaitable[None]]


@dataclass
class AnsweringInbox(RememberingInbox):
    """Answers each request at once: with a notice, or as `answer` does."""

    answer: Answer | None = None
    notices: list[Notice] = field(default_factory=list)
    got: list[tuple[IncomingMessage, Command]] = field(default_factory=list)
    client: BotClient | None = None

    def __post_init__(self) -> None:
        super().__init__()

    async def handle(self, message: IncomingMessage, command: Command) -> Notice | None:
        self.got.append((message, command))
        if self.notices:
            return self.notices.pop(0)
        if self.answer is not None:
            await self.answer(self.surface(message), command)
        return None

    def surface(self, message: IncomingMessage) -> DiscordSurface:
        assert self.client is not None
        assert self.client.user is not None
        return DiscordSurface(self.client.http, message.address, me=self.client.user.id)


@dataclass
class Simulated:
    """A server with one channel and one person."""

    env: Env
    client: BotClient
    inbox: AnsweringInbox
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
    inbox = AnsweringInbox(answer=answer, client=client)
    async with simcord.run(client, shard_count=1, settle_timeout=60.0) as env:
        await client.hand_on(Handlers(client, inbox, catalogue), lambda _: None, catalogue)
        await sync_commands(client.tree, ())
        guild = env.create_guild("Home")
        channel = guild.create_text_channel("general")
        ada = guild.add_member(env.create_user("ada", global_name="Ada"))
        yield Simulated(env, client, inbox, channel, ada)
