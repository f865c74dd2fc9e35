"""discord.py's client, set up for this bot."""

from __future__ import annotations

import asyncio
import sys
from asyncio import timeout
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import discord
import structlog
from discord import app_commands

from bot.i18n import Catalogue
from bot.platforms.discord import rate_limit_info
from bot.platforms.discord.commands import Translator, add_commands
from bot.platforms.discord.intake import Intake
from bot.platforms.discord.starts import Starts

log = structlog.get_logger(__name__)

MESSAGE_CACHE = 100
"""Messages kept; discord.py needs them to notice which one a deletion is about."""

PATIENCE = 30.0
"""Seconds that discord.py may sleep for a rate limit before it raises; its smallest value."""

HANG_UP_TIMEOUT = 2.0
"""Seconds to wait for Discord's side of the goodbye."""

_PRESSED: Final = discord.InteractionType.component
_SENT_IN: Final = discord.InteractionType.modal_submit


class Tree(app_commands.CommandTree["BotClient"]):
    """The commands; a failure in one is logged and told."""

    async def on_error(
        self,
        interaction: discord.Interaction[BotClient],
        error: app_commands.AppCommandError,
        /,
    ) -> None:
        """What no handler caught."""
        log.error("command failed", exc_info=error)
        await self.client.failed(interaction)


class BotClient(discord.AutoShardedClient):
    """Receives events and passes them on while there is an `Intake`.

    The message content intent is asked for only if the application has it; without it the bot
    still sees direct messages, mentions, replies to it and commands. Members are not cached.

    Args:
        shards: connections over which Discord's servers are spread; set before connecting.
        shard_ids: those of them that this process makes; empty for all.

    Attributes:
        connected: shards whose session stands.
        starts: lets shards start one after the other.
    """

    def __init__(self, shards: int = 1, shard_ids: Sequence[int] = ()) -> None:
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
            http_trace=rate_limit_info.trace(),
            shard_count=shards,
        )
        self.shard_ids = list(shard_ids) or None
        # discord.py reads this very object when it identifies, but copies it in `Client.intents`.
        self._wanted = intents
        self.tree = Tree(self)
        self.connected: set[int] = set()
        self.starts = Starts()
        self._receiving = False
        self._intake: Intake | None = None
        self._ready_told: Callable[[bool], None] = _nobody
        self._said_ready = False
        self._catching_up: asyncio.Task[None] | None = None

    async def take_in(
        self, intake: Intake, ready: Callable[[bool], None], catalogue: Catalogue
    ) -> None:
        """From now on events go to `intake`, and `ready` is told when all shards stand, or not."""
        self._intake = intake
        self._ready_told = ready
        await self.tree.set_translator(Translator(catalogue))
        add_commands(self.tree, intake.interactions, catalogue)

    @property
    def reads_messages(self) -> bool:
        """Whether the message content intent is asked for at the next identification."""
        return self._wanted.message_content

    @reads_messages.setter
    def reads_messages(self, wanted: bool) -> None:
        self._wanted.message_content = wanted

    @property
    def own_shards(self) -> Sequence[int]:
        """The shards that this process makes."""
        return self.shard_ids or range(self.shard_count or 1)

    async def setup_hook(self) -> None:
        """After the login: see which intents the application has."""
        flags = self.application.flags if self.application else discord.ApplicationFlags()
        self.reads_messages = flags.gateway_message_content or flags.gateway_message_content_limited
        if not self.reads_messages:
            log.info(
                "message content intent is off",
                effect="direct messages, mentions, replies to the bot and commands work",
            )

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Called before each start of a session; resuming needs no turn."""
        del initial
        await self.starts.turn(shard_id or 0)

    async def receive(self) -> None:
        """Connect all shards and handle events until one of them fails for good.

        Raises:
            discord.DiscordException: Discord ended a session in a way that nobody can mend here.
            Exception: from discord.py's parsers, which read events without looking.

        Cancelling: hangs up; requests go on working.
        """
        # discord.py keeps the queue of an earlier connection, with what its shards still said.
        await self.__aenter__()
        self._receiving = True
        connecting = asyncio.create_task(self.connect(), name="discord")
        try:
            await asyncio.shield(connecting)
        finally:
            while not connecting.done():  # a shard that just reconnects swallows cancellations
                connecting.cancel()
                await asyncio.wait({connecting}, timeout=0.1)
            if not connecting.cancelled():
                connecting.exception()  # raised above, or nobody waits for it any more
            await self.hang_up()
            self._receiving = False

    async def hang_up(self) -> None:
        """End all gateway connections and leave the rest as it is."""
        self._stop_catching_up()
        self.connected.clear()
        self._tell_ready(False)
        standing = [shard.disconnect() for shard in self.shards.values() if not shard.is_closed()]
        with suppress(TimeoutError):
            async with timeout(HANG_UP_TIMEOUT):
                await asyncio.gather(*standing, return_exceptions=True)

    async def close(self) -> None:
        """As `discord.Client.close`; but a shard that failed closes the connections only."""
        if self._receiving:
            await self.hang_up()
        else:
            await super().close()

    async def on_shard_connect(self, shard_id: int) -> None:
        """READY arrived: a new session, so events may have been missed.

        discord.py's own `on_ready` waits two seconds longer for servers, and fails if the client
        is closed meanwhile.
        """
        if self._stands(shard_id) and self._intake is not None:
            self._stop_catching_up()
            # Direct messages arrive on the first shard only.
            self._catching_up = asyncio.create_task(
                self._intake.catch_up(direct=0 in self.own_shards)
            )

    async def on_shard_resumed(self, shard_id: int) -> None:
        """A session goes on after a lost connection."""
        self._stands(shard_id)

    async def on_shard_disconnect(self, shard_id: int) -> None:
        """A connection is lost; discord.py is about to make a new one."""
        self.connected.discard(shard_id)
        self._tell_ready(False)

    async def on_message(self, message: discord.Message) -> None:
        """Any message that the bot can see."""
        if self._intake is not None and self.user is not None:
            await self._intake.message(message, self.user)

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        """Buttons and forms; discord.py hands commands to the tree."""
        if self._intake is not None and interaction.type is _PRESSED:
            await self._intake.presses.press(interaction)
        elif self._intake is not None and interaction.type is _SENT_IN:
            await self._intake.presses.submitted(interaction)

    async def on_raw_message_edit(self, payload: discord.RawMessageUpdateEvent) -> None:
        """A message changed, in the cache or not."""
        if self._intake is not None and self.user is not None:
            await self._intake.edited(payload.message, self.user)

    async def on_raw_message_delete(self, payload: discord.RawMessageDeleteEvent) -> None:
        """A message was deleted."""
        if self._intake is not None:
            await self._intake.deleted(payload.channel_id, payload.message_id)

    async def on_raw_bulk_message_delete(self, payload: discord.RawBulkMessageDeleteEvent) -> None:
        """Many at once, by a moderator or another bot."""
        if self._intake is not None:
            for message_id in payload.message_ids:
                await self._intake.deleted(payload.channel_id, message_id)

    async def on_error(self, event_method: str, /, *args: Any, **kwargs: Any) -> None:
        """What no handler of an event caught."""
        del kwargs  # people's text, as most of `args`
        log.error("event failed", event_name=event_method, exc_info=sys.exception())
        for each in args:
            if isinstance(each, discord.Interaction):
                await self.failed(each)

    async def failed(self, interaction: discord.Interaction[Any]) -> None:
        """Tell a person that a command or press failed inside the bot."""
        if self._intake is not None:
            await self._intake.interactions.failed(interaction)

    def _stands(self, shard_id: int) -> bool:
        """Note that a shard's session stands; whether all of this process do."""
        self.connected.add(shard_id)
        complete = self.connected.issuperset(self.own_shards)
        if complete:
            self._tell_ready(True)
        return complete

    def _tell_ready(self, ready: bool) -> None:
        if ready is not self._said_ready:
            self._said_ready = ready
            self._ready_told(ready)

    def _stop_catching_up(self) -> None:
        if self._catching_up is not None:
            self._catching_up.cancel()


def _nobody(connected: bool) -> None:
    """Nobody wants to know yet."""
    del connected
