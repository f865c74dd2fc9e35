"""discord.py's client, set up for this bot."""

from __future__ import annotations

import sys
from asyncio import timeout
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import discord
import structlog
from discord import app_commands
from discord.gateway import DiscordWebSocket

from bot.platforms.discord.commands import add_commands
from bot.platforms.discord.intake import NO_ANSWER, Intake

log = structlog.get_logger(__name__)

MESSAGE_CACHE = 100
"""Messages kept; discord.py needs them to notice which one a deletion is about."""

PATIENCE = 30.0
"""Seconds that discord.py may sleep for a rate limit before it raises; its smallest value."""

HANG_UP_TIMEOUT = 2.0
"""Seconds to wait for Discord's side of the goodbye."""

FAILED = "Something went wrong inside the bot. It is in the bot's log; try again."


class Tree(app_commands.CommandTree["BotClient"]):
    """The commands; a failure in one is logged and told."""

    async def on_error(
        self,
        interaction: discord.Interaction[BotClient],
        error: app_commands.AppCommandError,
        /,
    ) -> None:
        """What no handler caught. The person must not wait for an answer that does not come."""
        log.error("command failed", exc_info=error)
        try:
            if not interaction.response.is_done():
                await interaction.response.send_message(FAILED, ephemeral=True)
            else:
                await interaction.edit_original_response(content=FAILED)
        except NO_ANSWER as second:
            log.warning("interaction not answered", error=str(second))


class BotClient(discord.Client):
    """Receives events and passes them on while there is an `Intake`.

    The message content intent is asked for only if the application has it; without it the bot
    still sees direct messages, mentions, replies to it and commands. Members are not cached.
    """

    def __init__(self) -> None:
        intents = discord.Intents.none()
        intents.guilds = True
        intents.messages = True
        # No voice here, so what it would need is nobody's business.
        discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False
        super().__init__(
            intents=intents,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            max_messages=MESSAGE_CACHE,
            max_ratelimit_timeout=PATIENCE,
            allowed_mentions=discord.AllowedMentions.none(),
        )
        # discord.py reads this very object when it identifies, but copies it in `Client.intents`.
        self._wanted = intents
        self.tree = Tree(self)
        self._intake: Intake | None = None
        self._connected: Callable[[bool], None] = _nobody

    def take_in(self, intake: Intake, connected: Callable[[bool], None]) -> None:
        """From now on events go to `intake`, and `connected` is told of the connection."""
        self._intake = intake
        self._connected = connected
        add_commands(self.tree, intake)

    @property
    def reads_messages(self) -> bool:
        """Whether the message content intent is asked for at the next identification."""
        return self._wanted.message_content

    @reads_messages.setter
    def reads_messages(self, wanted: bool) -> None:
        self._wanted.message_content = wanted

    async def setup_hook(self) -> None:
        """After the login: see which intents the application has."""
        flags = self.application.flags if self.application else discord.ApplicationFlags()
        self.reads_messages = flags.gateway_message_content or flags.gateway_message_content_limited
        if not self.reads_messages:
            log.info(
                "message content intent is off",
                effect="direct messages, mentions, replies to the bot and commands work",
            )

    async def on_connect(self) -> None:
        """READY arrived. discord.py's own `on_ready` waits two seconds longer for servers."""
        self._connected(True)

    async def on_resumed(self) -> None:
        """A session goes on after a lost connection."""
        self._connected(True)

    async def on_disconnect(self) -> None:
        """The connection is lost; discord.py is about to make a new one."""
        self._connected(False)

    async def on_message(self, message: discord.Message) -> None:
        """Any message that the bot can see."""
        if self._intake is not None and self.user is not None:
            await self._intake.message(message, self.user)

    async def on_error(self, event_method: str, /, *args: Any, **kwargs: Any) -> None:
        """What no handler of an event caught."""
        del args, kwargs  # people's text
        log.error("event failed", event_name=event_method, exc_info=sys.exception())

    async def hang_up(self) -> None:
        """End the gateway connection and leave the rest as it is."""
        gateway: DiscordWebSocket | None = self.ws  # not there before the first connection
        if gateway is None or not gateway.open:
            return
        with suppress(TimeoutError):
            async with timeout(HANG_UP_TIMEOUT):
                await gateway.close(code=1000)


def _nobody(connected: bool) -> None:
    """Nobody wants to know yet."""
    del connected
