"""Messages that were edited, deleted or missed, over the wire."""

from __future__ import annotations

import pytest

from bot.models import Ask, ChannelKey
from bot.platforms.discord import catch_up
from tests.servers.discord import DiscordServer
from tests.servers.discord_people import general
from tests.servers.discord_running import DiscordDispatcher, running
from tests.servers.discord_world import HISTORY, Channel


def questions(dispatcher: DiscordDispatcher) -> list[str]:
    return [one.command.question for one in dispatcher.got if isinstance(one.command, Ask)]


async def asks(discord: DiscordServer, channel: Channel, text: str) -> str:
    return await discord.says(discord.people[0], channel, f"<@{discord.bot.id}> {text}")


async def once(discord: DiscordServer, dispatcher: DiscordDispatcher, *channels: Channel) -> None:
    """A first life of the bot, in which it handled a message in each channel."""
    async with running(discord, dispatcher):
        for channel in channels or [general(discord)]:
            await asks(discord, channel, "first")
        await discord.wait_for(lambda: len(dispatcher.marks) == len(channels or "1"))
    dispatcher.got.clear()


async def test_what_was_written_meanwhile_is_answered(discord: DiscordServer) -> None:
    """Mentions in any channel and direct messages, each once and in order; nothing else."""
    dispatcher = DiscordDispatcher(discord)
    direct = discord.dm(discord.people[0])
    other = discord.channel(discord.guilds[0], "other")
    await once(discord, dispatcher, general(discord), direct)
    await asks(discord, general(discord), "second")
    await discord.says(discord.people[0], general(discord), "not for the bot")
    await asks(discord, general(discord), "third")
    await asks(discord, other, "in a channel where it never spoke")
    await discord.says(discord.people[0], direct, "in private")
    async with running(discord, dispatcher):
        await discord.wait_for(lambda: len(dispatcher.got) == 4, 90)
        assert sorted(questions(dispatcher)) == sorted(
            ["second", "third", "in a channel where it never spoke", "in private"]
        )
        assert questions(dispatcher).index("second") < questions(dispatcher).index("third")
        await discord.wait_for(lambda: len(dispatcher.marks) == 3)
    dispatcher.got.clear()
    async with running(discord, dispatcher):
        await asks(discord, general(discord), "fourth")
        await discord.wait_for(lambda: dispatcher.got)
        assert questions(dispatcher) == ["fourth"]


async def test_a_bot_that_is_new_has_missed_nothing(discord: DiscordServer) -> None:
    """It does not answer what was said before it came."""
    await asks(discord, general(discord), "long ago")
    async with running(discord) as discord_bot:
        await asks(discord, general(discord), "now")
        await discord.wait_for(lambda: discord_bot.dispatcher.got)
        assert questions(discord_bot.dispatcher) == ["now"]
    assert not discord.calls("GET", "/messages")


async def test_what_is_too_old_stays_unanswered(
    discord: DiscordServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The conversation has moved on."""
    dispatcher = DiscordDispatcher(discord)
    await once(discord, dispatcher)
    await asks(discord, general(discord), "too old")
    monkeypatch.setattr(catch_up, "MAX_AGE_SECONDS", -1.0)
    async with running(discord, dispatcher):
        await asks(discord, general(discord), "now")
        await discord.wait_for(lambda: dispatcher.got)
        assert questions(dispatcher) == ["now"]


async def test_a_channel_that_cannot_be_read_holds_up_no_other(discord: DiscordServer) -> None:
    """It lost a permission meanwhile."""
    dispatcher = DiscordDispatcher(discord)
    locked = discord.channel(discord.guilds[0], "locked")
    await once(discord, dispatcher, general(discord), locked)
    await asks(discord, general(discord), "second")
    await asks(discord, locked, "behind a door")
    locked.denied = HISTORY
    async with running(discord, dispatcher):
        await discord.wait_for(lambda: dispatcher.got, 90)
        assert questions(dispatcher) == ["second"]


async def test_an_edited_message_is_taken_in(discord: DiscordServer) -> None:
    """With its new words, whether it is in the cache or not."""
    async with running(discord) as discord_bot:
        message = await asks(discord, general(discord), "What is a fix?")
        await discord.wait_for(lambda: discord_bot.dispatcher.got)
        text = f"<@{discord.bot.id}> What is a fox?"
        await discord.changes(discord.people[0], general(discord), message, text)
        await discord.wait_for(lambda: discord_bot.dispatcher.edits)
    ((edited, command),) = discord_bot.dispatcher.edits
    assert (edited.message_id, command) == (message, Ask("What is a fox?"))


async def test_a_deleted_message_is_told(discord: DiscordServer) -> None:
    """So that its turn ends and the reply goes."""
    async with running(discord) as discord_bot:
        message = await asks(discord, general(discord), "oops")
        await discord.wait_for(lambda: discord_bot.dispatcher.got)
        await discord.remove(general(discord), message)
        await discord.wait_for(lambda: discord_bot.dispatcher.deletions)
    key = ChannelKey("discord", (general(discord).id,))
    assert discord_bot.dispatcher.deletions == [(key, message)]
