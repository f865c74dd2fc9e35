"""Messages that were edited, deleted or missed, over the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.models import Ask, ChannelKey
from bot.platforms.discord import catch_up
from tests.servers.discord import DiscordServer
from tests.servers.discord_running import ScriptedInbox, running
from tests.servers.discord_world import HISTORY, Channel


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as one:
        one.channel(one.guild())
        one.person("Ada")
        yield one


def general(server: DiscordServer) -> Channel:
    return next(iter(server.channels.values()))


def questions(inbox: ScriptedInbox) -> list[str]:
    return [one.command.question for one in inbox.got if isinstance(one.command, Ask)]


async def asks(server: DiscordServer, channel: Channel, text: str) -> str:
    return await server.says(server.people[0], channel, f"<@{server.bot.id}> {text}")


async def once(server: DiscordServer, inbox: ScriptedInbox, *channels: Channel) -> None:
    """A first life of the bot, in which it handled a message in each channel."""
    async with running(server, inbox):
        for channel in channels or [general(server)]:
            await asks(server, channel, "first")
        await server.wait_for(lambda: len(inbox.marks) == len(channels or "1"))
    inbox.got.clear()


async def test_what_was_written_meanwhile_is_answered(server: DiscordServer) -> None:
    """Mentions in any channel and direct messages, each once and in order; nothing else."""
    inbox = ScriptedInbox(server)
    direct = server.dm(server.people[0])
    other = server.channel(server.guilds[0], "other")
    await once(server, inbox, general(server), direct)
    await asks(server, general(server), "second")
    await server.says(server.people[0], general(server), "not for the bot")
    await asks(server, general(server), "third")
    await asks(server, other, "in a channel where it never spoke")
    await server.says(server.people[0], direct, "in private")
    async with running(server, inbox):
        await server.wait_for(lambda: len(inbox.got) == 4, 90)
        assert sorted(questions(inbox)) == sorted(
            ["second", "third", "in a channel where it never spoke", "in private"]
        )
        assert questions(inbox).index("second") < questions(inbox).index("third")
        await server.wait_for(lambda: len(inbox.marks) == 3)
    inbox.got.clear()
    async with running(server, inbox):
        await asks(server, general(server), "fourth")
        await server.wait_for(lambda: inbox.got)
        assert questions(inbox) == ["fourth"]


async def test_a_bot_that_is_new_has_missed_nothing(server: DiscordServer) -> None:
    """It does not answer what was said before it came."""
    await asks(server, general(server), "long ago")
    async with running(server) as bot:
        await asks(server, general(server), "now")
        await server.wait_for(lambda: bot.inbox.got)
        assert questions(bot.inbox) == ["now"]
    assert not server.calls("GET", "/messages")


async def test_what_is_too_old_stays_unanswered(
    server: DiscordServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The conversation has moved on."""
    inbox = ScriptedInbox(server)
    await once(server, inbox)
    await asks(server, general(server), "too old")
    monkeypatch.setattr(catch_up, "MAX_AGE_SECONDS", -1.0)
    async with running(server, inbox):
        await asks(server, general(server), "now")
        await server.wait_for(lambda: inbox.got)
        assert questions(inbox) == ["now"]


async def test_a_channel_that_cannot_be_read_holds_up_no_other(server: DiscordServer) -> None:
    """It lost a permission meanwhile."""
    inbox = ScriptedInbox(server)
    locked = server.channel(server.guilds[0], "locked")
    await once(server, inbox, general(server), locked)
    await asks(server, general(server), "second")
    await asks(server, locked, "behind a door")
    locked.denied = HISTORY
    async with running(server, inbox):
        await server.wait_for(lambda: inbox.got, 90)
        assert questions(inbox) == ["second"]


async def test_an_edited_message_is_taken_in(server: DiscordServer) -> None:
    """With its new words, whether it is in the cache or not."""
    async with running(server) as bot:
        message = await asks(server, general(server), "What is a fix?")
        await server.wait_for(lambda: bot.inbox.got)
        text = f"<@{server.bot.id}> What is a fox?"
        await server.changes(server.people[0], general(server), message, text)
        await server.wait_for(lambda: bot.inbox.edits)
    ((edited, command),) = bot.inbox.edits
    assert (edited.message_id, command) == (message, Ask("What is a fox?"))


async def test_a_deleted_message_is_told(server: DiscordServer) -> None:
    """So that its turn ends and the reply goes."""
    async with running(server) as bot:
        message = await asks(server, general(server), "oops")
        await server.wait_for(lambda: bot.inbox.got)
        await server.remove(general(server), message)
        await server.wait_for(lambda: bot.inbox.deletions)
    key = ChannelKey("discord", (general(server).id,))
    assert bot.inbox.deletions == [(key, message)]
