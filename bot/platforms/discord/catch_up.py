"""Messages that were written while nobody listened, within bounds.

Discord delivers events only to a connection that is there, and replays them for a short while. So
after each new session the channels are read from the last handled message on. What is too old is
not answered any more: the conversation has moved on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

import discord
import structlog

from bot.platforms.discord.errors import NO_ANSWER
from bot.platforms.discord.parsing import PLATFORM, is_addressed
from bot.support import skipped_when_broken

if TYPE_CHECKING:
    # It is handed in; importing it here would load all that it works with, the database too.
    from bot.turns.dispatcher import Dispatcher

log = structlog.get_logger(__name__)

MAX_AGE_SECONDS = 2 * 3600.0
"""An older message is not answered any more."""

_MAX_CHANNELS = 50
"""Those with the newest messages are read."""

_MAX_MESSAGES = 100
"""Read in each channel; most are not for the bot."""

_SERVERS_TIMEOUT_SECONDS = 30.0
"""To wait for servers; one that has trouble may take hours."""

_DIRECT_MESSAGES_SECONDS = 7 * 86_400.0
"""For so long after its newest message a direct message is looked into: Discord does not list
them."""

_Listed: TypeAlias = discord.TextChannel | discord.VoiceChannel | discord.Thread
_Channel: TypeAlias = _Listed | discord.DMChannel


async def catch_up(
    client: discord.Client,
    dispatcher: Dispatcher,
    handle: Callable[[discord.Message], Awaitable[bool]],
    *,
    direct: bool,
) -> None:
    """Hand messages that were missed to `handle`, oldest first in each channel.

    A bot that never handled a message has missed none.

    Args:
        client: connected.
        dispatcher: knows up to where messages were handled.
        handle: tells whether a message was for the bot; accepts none a second time.
        direct: look into direct messages too; of several processes only one should.

    Raises:
        StorageError: the database cannot be used.

    Cancelling: what was not handed on is caught up the next time, if it is not too old by then.
    """
    await _servers(client)
    me = client.user
    handled = {key.ids[0]: int(last) for key, last in await dispatcher.seen(PLATFORM, 0.0)}
    if me is None or not handled:
        return
    horizon = int((time.time() - MAX_AGE_SECONDS) * 1000 - discord.utils.DISCORD_EPOCH) << 22
    count = 0
    for channel in await _with_news(client, dispatcher, handled, horizon, direct):
        after = max(handled.get(str(channel.id), 0), horizon)
        async for message in _read(channel, after):
            await _complete(message, me)
            with skipped_when_broken(log, "missed message skipped", message=message.id):
                count += await handle(message)
    if count:
        log.info("missed messages caught up", count=count)


async def _servers(client: discord.Client) -> None:
    """Wait until the servers are known, which Discord sends one by one after the login."""
    until = time.monotonic() + _SERVERS_TIMEOUT_SECONDS
    while any(guild.unavailable for guild in client.guilds) and time.monotonic() < until:  # noqa: ASYNC110 - discord.py tells of the last one late
        await asyncio.sleep(0.1)


async def _complete(message: discord.Message, me: discord.ClientUser) -> None:
    """Find the author's roles out, which Discord leaves out of messages that are read."""
    author, guild = message.author, message.guild
    if guild is None or isinstance(author, discord.Member) or not is_addressed(message, me):
        return
    try:
        message.author = await guild.fetch_member(author.id)
    except NO_ANSWER as error:
        log.info("member not found", reason=str(error))


async def _with_news(
    client: discord.Client,
    dispatcher: Dispatcher,
    handled: dict[str, int],
    horizon: int,
    direct: bool,
) -> list[_Channel]:
    """Channels with messages after the last handled one, the newest first."""
    found: list[tuple[int, _Channel]] = []
    known: set[str] = set()
    channels: list[_Listed] = []
    for guild in client.guilds:
        channels += [*guild.text_channels, *guild.voice_channels, *guild.threads]
    for one in channels:
        newest = one.last_message_id or 0
        known.add(str(one.id))
        if newest > max(handled.get(str(one.id), 0), horizon):
            found.append((newest, one))
    if direct:
        found += [each async for each in _direct_messages(client, dispatcher, known)]
    newest_first = sorted(found, key=lambda each: each[0], reverse=True)
    return [channel for _, channel in newest_first[:_MAX_CHANNELS]]


async def _direct_messages(
    client: discord.Client, dispatcher: Dispatcher, known: set[str]
) -> AsyncIterator[tuple[int, discord.DMChannel]]:
    """Those of the last days, among the channels that are in no server of this process."""
    lately = await dispatcher.seen(PLATFORM, time.time() - _DIRECT_MESSAGES_SECONDS)
    others = [(key, last) for key, last in lately if key.ids[0] not in known]
    for key, last in others[:_MAX_CHANNELS]:
        try:
            channel = await client.fetch_channel(int(key.ids[0]))
        except (*NO_ANSWER, discord.InvalidData):
            continue  # gone, or in a server that the bot has left
        if isinstance(channel, discord.DMChannel):
            yield int(last), channel


async def _read(channel: _Channel, after: int) -> AsyncIterator[discord.Message]:
    try:
        async for message in channel.history(
            limit=_MAX_MESSAGES, after=discord.Object(after), oldest_first=True
        ):
            yield message
    except NO_ANSWER as error:
        log.info("channel cannot be read", channel=str(channel), reason=str(error))
