"""Discord as one of the bot's platforms."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import aiohttp
import discord
import discord.gateway
import discord.http
import structlog
import yarl

from bot.errors import AdapterError, TokenRefused
from bot.i18n import Catalogue
from bot.models import Address, Attachment, ChannelKey, Person
from bot.platforms.adapter import SETTLE_SECONDS, run_when_connected
from bot.platforms.discord import files, permissions
from bot.platforms.discord.client import BotClient
from bot.platforms.discord.commands import sync_commands
from bot.platforms.discord.errors import NO_ANSWER, TROUBLE
from bot.platforms.discord.handlers import Handlers
from bot.platforms.discord.parsing import PLATFORM
from bot.platforms.discord.surface import DiscordSurface
from bot.support import Backoff, skipped_when_broken

if TYPE_CHECKING:
    # It is handed in; importing it here would load all that it works with, the database too.
    from bot.turns.dispatcher import Dispatcher

log = structlog.get_logger(__name__)

API_URL: Final = "https://discord.com/api/v10"
_GATEWAY: Final = yarl.URL("wss://gateway.discord.gg/")
"""What discord.py starts with."""

_AUTHENTICATION_FAILED: Final = 4004
"""With this code the gateway hangs up on a token that it does not accept."""

_MIN_PAUSE_SECONDS: Final = 1.0
_MAX_PAUSE_SECONDS: Final = 30.0
"""Between two tries to reach Discord."""

_FINISH_TIMEOUT_SECONDS: Final = 3.0
"""For messages already received to be accepted when serving ends."""

REFUSED = (
    "Discord does not accept the bot token. "
    "Copy it anew from the application's Bot page into [discord] token."
)
INTENTS = (
    "Discord does not let the bot use the intents that it asks for. Switch them on at "
    "https://discord.com/developers/applications, on the application's Bot page."
)


class DiscordAdapter:
    """A `bot.platforms.adapter.Adapter` over discord.py.

    Args:
        token: the bot's token.
        api_url: REST API, with its version; a slash at the end does not matter.
        gateway_url: empty for Discord's own.
        guild_ids: servers in which commands are registered, at once; empty for everywhere.
        shards: connections over which Discord spreads the servers; 0: as many as it advises.
        shard_ids: those of them that this process makes, `shards` being known; empty for all.
        spoiler: pictures are covered until somebody wants to see them.
        age_restricted: in servers, drawings belong in age-restricted channels only.
        recipe_in_png: pictures are sent as PNG files with their recipe inside.
        catalogue: what the bot says, in all its languages.
        settle: seconds from connecting until commands are compared with Discord's.

    discord.py keeps both addresses in class attributes, so `open` sets them for the whole process:
    two adapters in one process share them.
    """

    name: Final = PLATFORM

    def __init__(  # noqa: PLR0913 - one per key of [discord]
        self,
        *,
        token: str,
        api_url: str = API_URL,
        gateway_url: str = "",
        guild_ids: Sequence[int] = (),
        shards: int = 0,
        shard_ids: Sequence[int] = (),
        spoiler: bool = False,
        age_restricted: bool = False,
        recipe_in_png: bool = False,
        catalogue: Catalogue | None = None,
        settle: float = SETTLE_SECONDS,
    ) -> None:
        self._token = token
        self._api_url = api_url.rstrip("/")
        self._gateway_url = yarl.URL(gateway_url.rstrip("/")) if gateway_url else _GATEWAY
        self._guild_ids = tuple(guild_ids)
        self._shards, self._shard_ids = shards, tuple(shard_ids)
        self._spoiler, self._recipe_in_png = spoiler, recipe_in_png
        self._age_restricted = age_restricted
        self._catalogue = catalogue or Catalogue()
        self._settle = settle
        self._client: BotClient | None = None
        self._downloads: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Log in, however long Discord cannot be reached; the log says so.

        Raises:
            TokenRefused: Discord does not accept the token.
            AdapterError: what answers under `api_url` is not Discord's API.

        Cancelling: connections are given back by `close`.
        """
        discord.http.Route.BASE = self._api_url
        discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = self._gateway_url
        self._downloads = aiohttp.ClientSession()
        backoff = Backoff(_MIN_PAUSE_SECONDS, _MAX_PAUSE_SECONDS)
        while not await self._log_in():
            pause = backoff.next()
            log.info("login is tried again", seconds=pause)
            await asyncio.sleep(pause)

    async def serve(self, dispatcher: Dispatcher, ready: Callable[[bool], None]) -> None:
        """Take messages in until cancelled. Once connected, commands are registered if need be.

        Raises:
            TokenRefused: the token was withdrawn.
            AdapterError: Discord ended the session for good.

        Cancelling: hangs up on the gateway and gives messages that are just being accepted
        `_FINISH_TIMEOUT_SECONDS`; requests go on working.
        """
        client = self._opened()
        handlers = Handlers(
            client, dispatcher, self._catalogue, age_restricted=self._age_restricted
        )
        register = partial(sync_commands, client.tree, self._guild_ids)
        try:
            async with run_when_connected(register, ready, self._settle) as told:
                await client.hand_on(handlers, told, self._catalogue)
                await self._receive(client)
        finally:
            await handlers.tasks.close(_FINISH_TIMEOUT_SECONDS)

    async def advice(self) -> list[str]:
        """What to change about intents, servers, and the bot's roles there."""
        client = self._opened()
        return await permissions.advice(client, client.wanted_intents)

    async def close(self) -> None:
        """Give connections back. Idempotent; also after a failed `open`."""
        if self._client is not None:
            await self._client.close()
        if self._downloads is not None:
            await self._downloads.close()

    def surface(self, address: Address) -> DiscordSurface:
        """The surface for a reply; `address` was made here, perhaps before a restart."""
        client = self._opened()
        if client.user is None:
            raise RuntimeError("open() comes first")
        return DiscordSurface(
            client.http,
            address,
            me=client.user.id,
            catalogue=self._catalogue,
            spoiler=self._spoiler,
            recipe_in_png=self._recipe_in_png,
        )

    async def tell(self, person: Person, text: str) -> bool:
        """Write a direct message, which a person can forbid; whether Discord took it."""
        try:
            user = await self._opened().fetch_user(int(person.id))
            await user.send(text)
        except NO_ANSWER as error:
            log.info("person not told", error=str(error))
            return False
        return True

    async def fetch(self, channel: ChannelKey, attachment: Attachment, limit: int) -> bytes:
        """The bytes of an attachment; see `files.fetch` for the errors."""
        del channel
        if self._downloads is None:
            raise RuntimeError("open() comes first")
        return await files.fetch(self._downloads, attachment, limit)

    async def _log_in(self) -> bool:
        """One try, with a client of its own; whether Discord could be reached."""
        # A client whose login failed cannot log in again: its connector is gone.
        self._client = BotClient(self._shards or 1, self._shard_ids)
        try:
            await self._client.login(self._token)
        except discord.LoginFailure as error:
            raise TokenRefused(REFUSED) from error
        except discord.HTTPException as error:
            await self._client.close()
            if error.status not in TROUBLE:
                raise AdapterError(
                    f"{self._api_url} answers {error.status} to a login. "
                    "Is [discord] api_url Discord's API, or a proxy of it?"
                ) from error
            log.warning("discord has trouble", status=error.status)
        except (aiohttp.ClientError, discord.RateLimited, OSError) as error:
            await self._client.close()
            log.warning("discord cannot be reached", error=str(error))
        except (KeyError, TypeError) as error:
            # discord.py reads what it gets without looking: no user, no application in it.
            raise AdapterError(f"{self._api_url} does not answer like Discord.") from error
        else:
            return True
        return False

    async def _receive(self, client: BotClient) -> None:
        """Stay connected; only what a person must repair ends it."""
        backoff = Backoff(_MIN_PAUSE_SECONDS, _MAX_PAUSE_SECONDS)
        ended: AdapterError | None = None
        connected = True
        while connected:
            # discord.py parses events inside `connect`, so one that it does not understand would
            # end the bot; and it counts tries at a first connection on the stack.
            with skipped_when_broken(log, "event not understood"):
                ended = await self._stay_connected(client)
                connected = False
            if connected:
                await asyncio.sleep(backoff.next())
        if ended is not None:
            raise ended

    async def _stay_connected(self, client: BotClient) -> AdapterError | None:
        """Until somebody closes the client, or until a person must repair what is returned."""
        while True:
            try:
                await client.choose_shard_count(self._shards)
                await client.receive()
            except discord.PrivilegedIntentsRequired:
                if not client.wanted_intents.message_content:
                    return AdapterError(INTENTS)
                client.wanted_intents.message_content = False
                log.warning("going on without the message content intent", remedy=INTENTS)
            except discord.ConnectionClosed as error:
                if error.code == _AUTHENTICATION_FAILED:
                    return TokenRefused(REFUSED)
                return AdapterError(f"Discord ended the session with code {error.code}.")
            else:
                return None

    def _opened(self) -> BotClient:
        if self._client is None:
            raise RuntimeError("open() comes first")
        return self._client
