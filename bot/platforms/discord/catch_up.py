"""Messages that were written while nobody listened, within bounds.

Discord delivers events only to a connection that is there, and replays them for a short while. So
after each new session the channels are read from the last handled message on. What is too old is
not answered any more: the conversation has moved on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TypeAlias

import discord
import structlog

from bot.models import ChannelKey
from bot.platforms.discord.faults import NO_ANSWER
from bot.platforms.discord.incoming import is_addressed
from bot.platforms.discord.people import PLATFORM
from bot.turns.inbox import Inbox

log = structlog.get_logger(__name__)

OLDEST = 2 * 3600.0
"""Seconds after which a message is not answered any more."""
CHANNELS = 50
"""Channels that are read, those with the newest messages first."""
MESSAGES = 100
"""Messages that are read in each; most are not for the bot."""
_Listed: TypeAlias = (
    discord.TextChannel | discord.VoiceChannel | discord.StageChannel | discord.Thread
)
_Channel: TypeAlias = _Listed | discord.DMChannel

SERVERS_TIMEOUT = 30.0
"""Seconds to wait for servers; one that has trouble may take hours."""
REMEMBERED = 7 * 86_400.0
"""Seconds for which a direct message is looked into: Discord lists no others."""


async def catch_up(
    client: discord.Client,
    inbox: Inbox,
    take: Callable[[discord.Message, discord.ClientUser], Awaitable[bool]],
    *,
    direct: bool,
) -> None:
    """Hand messages that were missed to `take`, oldest first in each channel.

    A bot that never handled a message has missed none.

    Args:
        client: connected, its servers known.
        inbox: knows up to where messages were handled.
        take: tells whether a message was for the bot; accepts none a second time.
        direct: look into direct messages too; of several processes only one should.

    Raises:
        StorageError: the database cannot be used.

    Cancelling: what was not handed on is caught up the next time, if it is not too old by then.
    """
    await _servers(client)
    me = client.user
    handled = {key.ids[0]: int(last) for key, last in await inbox.seen(PLATFORM, 0.0)}
    if me is None or not handled:
        return
    horizon = int((time.time() - OLDEST) * 1000 - discord.utils.DISCORD_EPOCH) << 22
    count = 0
    for channel in await _with_news(client, inbox, handled, horizon, direct):
        after = max(handled.get(str(channel.id), 0), horizon)
        async for message in _read(channel, after):
            await _complete(message, me)
            if await take(message, me):
                count += 1
    if count:
        log.info("missed messages caught up", count=count)


async def _servers(client: discord.Client) -> None:
    """Wait until the servers are known, which Discord sends one by one after the login."""
    until = time.monotonic() + SERVERS_TIMEOUT
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
    client: discord.Client, inbox: Inbox, handled: dict[str, int], horizon: int, direct: bool
) -> list[_Channel]:
    """Channels with messages after the last handled one, the newest first."""
    found: list[tuple[int, _Channel]] = []
    known: set[str] = set()
    for one in _channels(client):
        newest = one.last_message_id or 0
        known.add(str(one.id))
        if newest > max(handled.get(str(one.id), 0), horizon):
            found.append((newest, one))
    for key, last in await _others(inbox, known) if direct else ():
        if (channel := await _direct(client, key)) is not None:
            found.append((int(last), channel))
    newest_first = sorted(found, key=lambda each: each[0], reverse=True)
    return [channel for _, channel in newest_first[:CHANNELS]]


async def _others(inbox: Inbox, known: set[str]) -> list[tuple[ChannelKey, str]]:
    """Channels of the last days that are in no server of this process: most are direct messages."""
    lately = await inbox.seen(PLATFORM, time.time() - REMEMBERED)
    return [each for each in lately if each[0].ids[0] not in known][:CHANNELS]


def _channels(client: discord.Client) -> Iterator[_Listed]:
    for guild in client.guilds:
        yield from guild.text_channels
        yield from guild.voice_channels
        yield from guild.threads


async def _direct(client: discord.Client, key: ChannelKey) -> discord.DMChannel | None:
    """The direct message behind a key, if it is one."""
    try:
        channel = await client.fetch_channel(int(key.ids[0]))
    except (*NO_ANSWER, discord.InvalidData):
        return None  # gone, or a server's that the bot has left
    return channel if isinstance(channel, discord.DMChannel) else None


async def _read(channel: _Channel, after: int) -> AsyncIterator[discord.Message]:
    try:
        async for message in channel.history(
            limit=MESSAGES, after=discord.Object(after), oldest_first=True
        ):
            yield message
    except NO_ANSWER as error:
        log.info("channel cannot be read", channel=str(channel), reason=str(error))
