"""discord.py's client, set up for this bot."""

from __future__ import annotations

import asyncio
import time
from asyncio import timeout
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

import discord
import structlog
from discord import app_commands

from bot.i18n import Catalogue
from bot.platforms.discord.commands import Translator, add_commands
from bot.platforms.discord.endpoints import rate_limit_trace
from bot.platforms.discord.errors import NO_ANSWER
from bot.platforms.discord.handlers import Handlers

log = structlog.get_logger(__name__)

MAX_CACHED_MESSAGES: Final = 100
"""discord.py needs them to notice which one a deletion is about."""

RATE_LIMIT_TIMEOUT_SECONDS: Final = 30.0
"""For so long discord.py may sleep for a rate limit before it raises; its smallest value."""

HANG_UP_TIMEOUT_SECONDS: Final = 2.0
"""To wait for Discord's side of the goodbye."""

SESSION_START_PAUSE_SECONDS: Final = 5.5
"""Between two starts of one bucket of shards: Discord takes one in 5 s ("Max Concurrency"), and the
way there does not always take the same time."""

_MAX_WAIT_SECONDS: Final = 3600.0
"""Until Discord is asked again how many sessions may be started."""


class SessionStarts:
    """Spaces the starts of sessions out; discord.py itself starts one shard after the other.

    Attributes:
        at_once: shards that may start together: those of different buckets, which are the
            remainders of their numbers divided by this.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.at_once = 1
        self._clock = clock
        self._sleep = sleep
        self._newest: dict[int, float] = {}
        self._begun: set[int] = set()

    async def acquire(self, shard_id: int) -> None:
        """Wait until a shard may start a session.

        One that had a session pauses anyway: Discord has just ended that one.

        Cancelling: it did not start.
        """
        bucket = shard_id % max(self.at_once, 1)
        pause = SESSION_START_PAUSE_SECONDS
        if shard_id not in self._begun:
            pause += self._newest.get(bucket, float("-inf")) - self._clock()
        if pause > 0:
            await self._sleep(pause)
        self._begun.add(shard_id)
        self._newest[bucket] = self._clock()


class BotClient(discord.AutoShardedClient):
    """Receives events and hands them on, once there are `Handlers`.

    The message content intent is asked for only if the application has it; without it the bot
    still sees direct messages, mentions, replies to it and commands. Members are not cached.

    Args:
        shards: connections over which Discord's servers are spread; set before connecting.
        shard_ids: those of them that this process makes; empty for all.

    Attributes:
        wanted_intents: that the next identification asks for.
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
            max_messages=MAX_CACHED_MESSAGES,
            max_ratelimit_timeout=RATE_LIMIT_TIMEOUT_SECONDS,
            allowed_mentions=discord.AllowedMentions.none(),
            http_trace=rate_limit_trace(),
            shard_count=shards,
        )
        self.shard_ids = list(shard_ids) or None
        # discord.py reads this very object when it identifies, but copies it in `Client.intents`.
        self.wanted_intents = intents
        self.tree: app_commands.CommandTree[discord.Client] = app_commands.CommandTree(self)
        self.connected: set[int] = set()
        self.starts = SessionStarts()
        self._receiving = False
        self._handed_to: Handlers | None = None
        self._ready_told: Callable[[bool], None] = lambda _: None
        self._is_ready = False
        self._catching_up: asyncio.Task[None] | None = None

    async def hand_on(
        self, handlers: Handlers, ready: Callable[[bool], None], catalogue: Catalogue
    ) -> None:
        """From now on events go to `handlers`; `ready` is told whether all shards stand."""
        self.event(handlers.on_message)
        self.event(handlers.on_raw_message_edit)
        self.event(handlers.on_raw_message_delete)
        self.event(handlers.on_raw_bulk_message_delete)
        self.event(handlers.on_error)
        self.event(handlers.on_interaction)
        self.tree.error(handlers.on_command_error)
        self._handed_to = handlers
        self._ready_told = ready
        await self.tree.set_translator(Translator(catalogue))
        add_commands(self.tree, handlers, catalogue)

    @property
    def own_shards(self) -> Sequence[int]:
        """The shards that this process makes."""
        return self.shard_ids or range(self.shard_count or 1)

    async def setup_hook(self) -> None:
        """After the login: see which intents the application has."""
        flags = self.application.flags if self.application else discord.ApplicationFlags()
        allowed = flags.gateway_message_content or flags.gateway_message_content_limited
        self.wanted_intents.message_content = allowed
        if not allowed:
            log.info(
                "message content intent is off",
                effect="direct messages, mentions, replies to the bot and commands work",
            )

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Called before each start of a session; resuming does not count."""
        del initial
        await self.starts.acquire(shard_id or 0)

    async def choose_shard_count(self, wanted: int) -> None:
        """Set how many shards there shall be. Returns when so many sessions may be started.

        Discord takes a number of session starts a day, and resets the token of a bot that goes
        beyond. `wanted` is as configured: 0 for what Discord advises.
        """
        while True:
            try:
                advised, _, limits = await self.http.get_bot_gateway()
            except (*NO_ANSWER, KeyError, TypeError) as error:
                log.info("discord does not say how many shards it wants", reason=str(error))
                self.shard_count = wanted or 1
                return
            self.starts.at_once = limits.get("max_concurrency", 1)
            self.shard_count = wanted or advised
            needed = len(self.own_shards)
            if needed <= limits["remaining"] or needed > limits["total"]:
                if self.shard_count > 1:
                    log.info("sharding", shards=self.shard_count, here=needed)
                return
            pause = min(limits["reset_after"] / 1000, _MAX_WAIT_SECONDS)
            log.warning("too many session starts today", left=limits["remaining"], next_try=pause)
            await asyncio.sleep(pause)

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
        self._tell_ready()
        standing = [shard.disconnect() for shard in self.shards.values() if not shard.is_closed()]
        with suppress(TimeoutError):
            async with timeout(HANG_UP_TIMEOUT_SECONDS):
                await asyncio.gather(*standing, return_exceptions=True)

    async def close(self) -> None:
        """Give everything back; but a shard that failed, which calls this too, only hangs up."""
        if self._receiving:
            await self.hang_up()
        else:
            await super().close()

    async def on_shard_connect(self, shard_id: int) -> None:
        """A new session (READY), so events may have been missed.

        discord.py's own `on_ready` waits two seconds longer for servers, and fails if the client
        is closed meanwhile.
        """
        await self.on_shard_resumed(shard_id)
        if self._is_ready and self._handed_to is not None:
            self._stop_catching_up()
            # Direct messages arrive on the first shard only.
            missed = self._handed_to.catch_up(direct=0 in self.own_shards)
            self._catching_up = asyncio.create_task(missed)

    async def on_shard_resumed(self, shard_id: int) -> None:
        self.connected.add(shard_id)
        self._tell_ready()

    async def on_shard_disconnect(self, shard_id: int) -> None:
        """A connection is lost; discord.py is about to make a new one."""
        self.connected.discard(shard_id)
        self._tell_ready()

    def _tell_ready(self) -> None:
        ready = self.connected.issuperset(self.own_shards)
        if ready is not self._is_ready:
            self._is_ready = ready
            self._ready_told(ready)

    def _stop_catching_up(self) -> None:
        if self._catching_up is not None:
            self._catching_up.cancel()
