"""What Discord and the network do wrong, on the wire, and files that Discord would refuse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from bot.errors import DeliveryUnknown
from bot.files import File
from bot.i18n import Catalogue
from bot.models import Address, Ask, Notice
from bot.reply.surface import Content, Mood
from tests.servers.discord import DiscordServer
from tests.servers.discord_running import Running, running
from tests.servers.discord_world import EPHEMERAL, Channel

FOX = File(b"RIFF fox", "image/webp", "fox.webp", "a red fox")
HUGE = File(bytes(10 * 2**20 + 1), "image/png", "huge.png", "a red fox")
DONE = Content("A red fox.", (FOX,), Mood.DONE)
LONG = 120.0
pytestmark = pytest.mark.timeout(300)  # a busy machine takes its time


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as one:
        guild = one.guild()
        one.channel(guild)
        one.channel(guild, "other")
        one.person("Ada")
        yield one


def channels(server: DiscordServer) -> list[Channel]:
    return server.guilds[0].channels


async def asked(server: DiscordServer, bot: Running, channel: Channel | None = None) -> Address:
    """The address of a message that mentions the bot."""
    where = channel or channels(server)[0]
    await server.says(server.people[0], where, f"<@{server.bot.id}> hello")
    await server.wait_for(lambda: bot.inbox.got, LONG)
    return bot.inbox.got.pop().message.address


def mine(server: DiscordServer, number: int = 0) -> list[dict[str, Any]]:
    found = server.messages(channels(server)[number])
    return [one for one in found if one["author"]["id"] == server.bot.id]


class TestTooFast:
    @pytest.mark.parametrize("overall", [False, True])
    async def test_a_short_wait_is_kept_and_the_request_comes_again(
        self, server: DiscordServer, overall: bool
    ) -> None:
        """Whether the route is closed for a moment or the whole bot."""
        headers = {"Via": "1.1 google", "Retry-After": "0.2"}
        if overall:
            headers["X-RateLimit-Global"] = "true"
        async with running(server) as bot:
            surface = bot.adapter.surface(await asked(server, bot))
            receipt = await surface.create(Content("Working"), "turn-0")
            told: dict[str, Any] = {"retry_after": 0.2, "global": overall}
            server.fail_next("PATCH", "/messages/", 429, headers=headers, **told)
            await surface.edit(receipt, DONE)
        first, second = server.calls("PATCH", "/messages/")
        assert second.at - first.at >= 0.2
        assert mine(server)[0]["content"] == "A red fox."

    async def test_one_route_that_is_closed_closes_no_other(self, server: DiscordServer) -> None:
        """A channel's messages are answered while another channel's wait."""
        async with running(server) as bot:
            slow = bot.adapter.surface(await asked(server, bot))
            receipt = await slow.create(Content("Working"), "turn-0")
            fast = bot.adapter.surface(await asked(server, bot, channels(server)[1]))
            gate = server.hold("PATCH", f"/channels/{channels(server)[0].id}/")
            editing = asyncio.create_task(slow.edit(receipt, DONE))
            await server.wait_for(lambda: server.calls("PATCH", "/messages/"), LONG)
            await fast.create(Content("at once"), "other-0")
            assert not editing.done()
            gate.set()
            await editing
        assert [one["content"] for one in mine(server, 1)] == ["at once"]


class TestTrouble:
    @pytest.mark.parametrize("after", [False, True])
    async def test_a_500_is_tried_again(self, server: DiscordServer, after: bool) -> None:
        """By discord.py, a second later; with a nonce there is one message either way."""
        async with running(server) as bot:
            surface = bot.adapter.surface(await asked(server, bot))
            server.fail_next("POST", "/messages$", 500, after=after)
            await surface.create(DONE, "turn-0")
        assert len(server.calls("POST", "/messages$")) == 2
        assert len(mine(server)) == 1

    async def test_a_gateway_that_closes_with_a_passing_code_is_resumed(
        self, server: DiscordServer
    ) -> None:
        """4000 and 1000 alike, and nothing that was said meanwhile is lost."""
        async with running(server) as bot:
            for number, code in enumerate((4000, 1000), 1):
                await server.gateway.close(code)
                direct = server.dm(server.people[0])
                await server.says(server.people[0], direct, f"number {number}")
                await server.wait_for(lambda n=number: server.gateway.resumed == n, LONG)  # type: ignore[misc] # mypy takes the default for a parameter
                await server.wait_for(lambda n=number: len(bot.inbox.got) == n, LONG)  # type: ignore[misc] # same
        assert bot.inbox.commands == [Ask("number 1"), Ask("number 2")]
        assert len(server.gateway.identified) == 1

    async def test_a_notice_that_cannot_be_delivered_ends_nothing(
        self, server: DiscordServer
    ) -> None:
        """The next command is answered."""
        async with running(server) as bot:
            bot.inbox.notices = [Notice("lost"), Notice("there")]
            server.fail_next("PATCH", "@original", 403, 50013)
            for _ in range(2):
                await server.runs(server.people[0], channels(server)[0], "help")
            await server.wait_for(lambda: mine(server), LONG)
        (shown,) = mine(server)
        assert shown["content"] in {"lost", "there"}
        assert shown["flags"] & EPHEMERAL


class TestPictures:
    async def test_one_that_discord_refuses_is_left_out(self, server: DiscordServer) -> None:
        """And said, in the language of who asked, instead of losing all of the reply."""
        async with running(server) as bot:
            await server.runs(server.people[0], channels(server)[0], "retry")
            await server.wait_for(lambda: bot.inbox.got, LONG)
            address = bot.inbox.got.pop().message.address
            address = replace(address, data=address.data | {"language": "ru"})
            surface = bot.adapter.surface(address)
            await surface.create(replace(DONE, files=(FOX, HUGE)), "turn-0")
        (shown,) = mine(server)
        assert [one["filename"] for one in shown["attachments"]] == ["fox.webp"]
        note = Catalogue().words("ru")("discord-pictures-too-large", count=1)
        assert shown["content"] == f"A red fox.\n{note}"


class TestAgeRestriction:
    async def test_drawings_are_for_restricted_channels_if_configured(
        self, server: DiscordServer
    ) -> None:
        """A command, a press and a thread's command; questions and direct messages go on."""
        safe, restricted = channels(server)
        restricted.nsfw = True
        ada = server.people[0]
        async with running(server, age_restricted=True) as bot:
            refused = await server.runs(ada, safe, "imagine", prompt="a fox")
            await server.wait_for(lambda: refused.answer, LONG)
            await server.says(ada, safe, f"<@{server.bot.id}> why?")
            await server.runs(ada, restricted, "imagine", prompt="a fox")
            await server.runs(ada, server.thread(restricted), "imagine", prompt="an owl")
            await server.says(ada, server.dm(ada), "/imagine a bear")
            await server.wait_for(lambda: len(bot.inbox.got) == 4, LONG)
        assert refused.answer is not None
        assert refused.answer["data"]["flags"] & EPHEMERAL
        assert refused.answer["data"]["content"] == Catalogue().words("de")(
            "discord-age-restricted"
        )
        assert bot.inbox.commands.count(Ask("why?")) == 1


class TestUploads:
    @pytest.mark.parametrize("after", [False, True])
    async def test_one_that_is_cut_off_comes_again(
        self, server: DiscordServer, after: bool
    ) -> None:
        """Nobody knows whether it arrived; stating it once more makes no second message."""
        async with running(server) as bot:
            surface = bot.adapter.surface(await asked(server, bot))
            receipt = await surface.create(Content("Working"), "turn-0")
            server.drop_next("PATCH", "/messages/", after=after)
            with pytest.raises(DeliveryUnknown):
                await surface.edit(receipt, DONE)
            await surface.edit(receipt, DONE)
        (shown,) = mine(server)
        assert [one["filename"] for one in shown["attachments"]] == ["fox.webp"]
        data = [server.rest.cdn[one["url"][len(server.url) :]][0] for one in shown["attachments"]]
        assert data == [FOX.data]


async def test_what_a_gateway_repeats_is_the_same_request(server: DiscordServer) -> None:
    """After a resumption Discord may send an event again: it has the id of the first one.

    The core answers an id once, so nobody is answered twice.
    """
    async with running(server) as bot:
        direct = server.dm(server.people[0])
        await server.says(server.people[0], direct, "once")
        await server.wait_for(lambda: bot.inbox.got, LONG)
        (session,) = server.gateway.live
        await server.gateway.drop()
        await server.announce("MESSAGE_CREATE", direct, next(iter(direct.messages.values())))
        await server.wait_for(lambda: len(bot.inbox.got) == 2, LONG)
        assert server.gateway.live == [session]
    first, second = (handed.message for handed in bot.inbox.got)
    assert first.message_id == second.message_id
    assert first.channel == second.channel
