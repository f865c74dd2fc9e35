"""What Discord and the network do wrong, on the wire, and files that Discord would refuse."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from bot.errors import DeliveryUnknown
from bot.files import File
from bot.i18n import Catalogue
from bot.models import Address, Ask, Notice
from bot.platforms.discord.files import fitting
from bot.reply.surface import Content, Mood
from tests.servers.discord import DiscordServer
from tests.servers.discord_running import Running, running
from tests.servers.discord_world import EPHEMERAL, Channel

FOX = File(b"RIFF fox", "image/webp", "fox.webp", "a red fox")
HUGE = File(bytes(10 * 2**20 + 1), "image/png", "huge.png", "a red fox")
DONE = Content("A red fox.", (FOX,), Mood.DONE)
WAIT = 120.0
pytestmark = pytest.mark.timeout(300)  # a busy machine takes its time


@pytest.fixture(autouse=True)
def other_channel(discord: DiscordServer) -> None:
    discord.channel(discord.guilds[0], "other")


def channels(discord: DiscordServer) -> list[Channel]:
    return discord.guilds[0].channels


async def asked(
    discord: DiscordServer, discord_bot: Running, channel: Channel | None = None
) -> Address:
    """The address of a message that mentions the bot."""
    where = channel or channels(discord)[0]
    await discord.says(discord.people[0], where, f"<@{discord.bot.id}> hello")
    await discord.wait_for(lambda: discord_bot.dispatcher.got, WAIT)
    return discord_bot.dispatcher.got.pop().message.address


def mine(discord: DiscordServer, number: int = 0) -> list[dict[str, Any]]:
    found = discord.messages(channels(discord)[number])
    return [one for one in found if one["author"]["id"] == discord.bot.id]


class TestTooFast:
    @pytest.mark.parametrize("overall", [False, True])
    async def test_a_short_wait_is_kept_and_the_request_comes_again(
        self, discord: DiscordServer, overall: bool
    ) -> None:
        """Whether the route is closed for a moment or the whole bot."""
        headers = {"Via": "1.1 google", "Retry-After": "0.2"}
        if overall:
            headers["X-RateLimit-Global"] = "true"
        async with running(discord) as discord_bot:
            surface = discord_bot.adapter.surface(await asked(discord, discord_bot))
            receipt = await surface.create(Content("Working"), "turn-0")
            told: dict[str, Any] = {"retry_after": 0.2, "global": overall}
            discord.fail_next("PATCH", "/messages/", 429, headers=headers, **told)
            await surface.edit(receipt, DONE)
        first, second = discord.calls("PATCH", "/messages/")
        assert second.at - first.at >= 0.2
        assert mine(discord)[0]["content"] == "A red fox."

    async def test_one_route_that_is_closed_closes_no_other(self, discord: DiscordServer) -> None:
        """A channel's messages are answered while another channel's wait."""
        async with running(discord) as discord_bot:
            slow = discord_bot.adapter.surface(await asked(discord, discord_bot))
            receipt = await slow.create(Content("Working"), "turn-0")
            fast = discord_bot.adapter.surface(
                await asked(discord, discord_bot, channels(discord)[1])
            )
            gate = discord.hold("PATCH", f"/channels/{channels(discord)[0].id}/")
            editing = asyncio.create_task(slow.edit(receipt, DONE))
            await discord.wait_for(lambda: discord.calls("PATCH", "/messages/"), WAIT)
            await fast.create(Content("at once"), "other-0")
            assert not editing.done()
            gate.set()
            await editing
        assert [one["content"] for one in mine(discord, 1)] == ["at once"]


class TestTrouble:
    @pytest.mark.parametrize("after", [False, True])
    async def test_a_500_is_tried_again(self, discord: DiscordServer, after: bool) -> None:
        """By discord.py, a second later; with a nonce there is one message either way."""
        async with running(discord) as discord_bot:
            surface = discord_bot.adapter.surface(await asked(discord, discord_bot))
            discord.fail_next("POST", "/messages$", 500, after=after)
            await surface.create(DONE, "turn-0")
        assert len(discord.calls("POST", "/messages$")) == 2
        assert len(mine(discord)) == 1

    async def test_a_gateway_that_closes_with_a_passing_code_is_resumed(
        self, discord: DiscordServer
    ) -> None:
        """4000 and 1000 alike, and nothing that was said meanwhile is lost."""
        async with running(discord) as discord_bot:
            for number, code in enumerate((4000, 1000), 1):
                await discord.gateway.close(code)
                direct = discord.dm(discord.people[0])
                await discord.says(discord.people[0], direct, f"number {number}")
                await discord.wait_for(lambda n=number: discord.gateway.resumed == n, WAIT)  # type: ignore[misc] # mypy takes the default for a parameter
                await discord.wait_for(lambda n=number: len(discord_bot.dispatcher.got) == n, WAIT)  # type: ignore[misc] # same
        assert discord_bot.dispatcher.commands == [Ask("number 1"), Ask("number 2")]
        assert len(discord.gateway.identified) == 1

    async def test_a_notice_that_cannot_be_delivered_ends_nothing(
        self, discord: DiscordServer
    ) -> None:
        """The next command is answered."""
        async with running(discord) as discord_bot:
            discord_bot.dispatcher.notices = [Notice("lost"), Notice("there")]
            discord.fail_next("PATCH", "@original", 403, 50013)
            for _ in range(2):
                await discord.runs(discord.people[0], channels(discord)[0], "help")
            await discord.wait_for(lambda: mine(discord), WAIT)
        (shown,) = mine(discord)
        assert shown["content"] in {"lost", "there"}
        assert shown["flags"] & EPHEMERAL


class TestPictures:
    async def test_one_that_discord_refuses_is_left_out(self, discord: DiscordServer) -> None:
        """And said, in the language of who asked, instead of losing all of the reply."""
        async with running(discord) as discord_bot:
            await discord.runs(discord.people[0], channels(discord)[0], "retry")
            await discord.wait_for(lambda: discord_bot.dispatcher.got, WAIT)
            address = discord_bot.dispatcher.got.pop().message.address
            address = replace(address, data=address.data | {"language": "ru"})
            surface = discord_bot.adapter.surface(address)
            await surface.create(replace(DONE, files=(FOX, HUGE)), "turn-0")
        (shown,) = mine(discord)
        assert [one["filename"] for one in shown["attachments"]] == ["fox.webp"]
        note = Catalogue().words("ru")("discord-pictures-too-large", count=1)
        assert shown["content"] == f"A red fox.\n{note}"


class TestAgeRestriction:
    async def test_drawings_are_for_restricted_channels_if_configured(
        self, discord: DiscordServer
    ) -> None:
        """A command, a press and a thread's command; questions and direct messages go on."""
        safe, restricted = channels(discord)
        restricted.nsfw = True
        ada = discord.people[0]
        async with running(discord, age_restricted=True) as discord_bot:
            refused = await discord.runs(ada, safe, "imagine", prompt="a fox")
            await discord.wait_for(lambda: refused.answer, WAIT)
            await discord.says(ada, safe, f"<@{discord.bot.id}> why?")
            await discord.runs(ada, restricted, "imagine", prompt="a fox")
            await discord.runs(ada, discord.thread(restricted), "imagine", prompt="an owl")
            await discord.says(ada, discord.dm(ada), "/imagine a bear")
            await discord.wait_for(lambda: len(discord_bot.dispatcher.got) == 4, WAIT)
        assert refused.answer is not None
        assert refused.answer["data"]["flags"] & EPHEMERAL
        assert refused.answer["data"]["content"] == Catalogue().words("de")(
            "discord-age-restricted"
        )
        assert discord_bot.dispatcher.commands.count(Ask("why?")) == 1


class TestUploads:
    @pytest.mark.parametrize("after", [False, True])
    async def test_one_that_is_cut_off_comes_again(
        self, discord: DiscordServer, after: bool
    ) -> None:
        """Nobody knows whether it arrived; stating it once more makes no second message."""
        async with running(discord) as discord_bot:
            surface = discord_bot.adapter.surface(await asked(discord, discord_bot))
            receipt = await surface.create(Content("Working"), "turn-0")
            discord.drop_next("PATCH", "/messages/", after=after)
            with pytest.raises(DeliveryUnknown):
                await surface.edit(receipt, DONE)
            await surface.edit(receipt, DONE)
        (shown,) = mine(discord)
        assert [one["filename"] for one in shown["attachments"]] == ["fox.webp"]
        data = [discord.rest.cdn[one["url"][len(discord.url) :]][0] for one in shown["attachments"]]
        assert data == [FOX.data]


async def test_what_a_gateway_repeats_is_the_same_request(discord: DiscordServer) -> None:
    """After a resumption Discord may send an event again: it has the id of the first one.

    The core answers an id once, so nobody is answered twice.
    """
    async with running(discord) as discord_bot:
        direct = discord.dm(discord.people[0])
        await discord.says(discord.people[0], direct, "once")
        await discord.wait_for(lambda: discord_bot.dispatcher.got, WAIT)
        (session,) = discord.gateway.live
        await discord.gateway.drop()
        await discord.announce("MESSAGE_CREATE", direct, next(iter(direct.messages.values())))
        await discord.wait_for(lambda: len(discord_bot.dispatcher.got) == 2, WAIT)
        assert discord.gateway.live == [session]
    first, second = (handed.message for handed in discord_bot.dispatcher.got)
    assert first.message_id == second.message_id
    assert first.channel == second.channel


def test_files_of_one_request_share_its_limit() -> None:
    """Discord takes 25 MiB in all, however many each may have; a smaller one may still fit."""
    large = [File(bytes(8 * 2**20), "image/png", f"fox-{number}.png") for number in range(4)]
    small = File(b"PNG", "image/png", "small.png")
    assert fitting([*large, small], 10 * 2**20) == ((*large[:3], small), (large[3],))
    assert fitting([*large, small], 2**20) == ((small,), tuple(large))
