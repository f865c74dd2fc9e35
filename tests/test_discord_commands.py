"""Commands on Discord as people find them: languages, suggestions, options; and who gives them."""

from __future__ import annotations

from typing import Any

import pytest

from bot.errors import StorageError
from bot.i18n import Catalogue
from bot.models import Ask, Person
from bot.turns.commands import ShowRecipe, ShowSettings
from bot.turns.settings import NAMES
from tests.servers.discord import DiscordServer
from tests.servers.discord_people import ada, general, types
from tests.servers.discord_running import DiscordDispatcher, Running, registered, running
from tests.servers.discord_world import EPHEMERAL, Channel

PICTURE = ("fox.png", b"\x89PNG a fox")
WAIT = 120.0
pytestmark = pytest.mark.timeout(300)  # a busy machine takes its time
MANAGE_MESSAGES = 1 << 13


class TestLanguages:
    async def test_descriptions_are_translated_and_words_are_not(
        self, discord: DiscordServer
    ) -> None:
        """In each language of the catalogue, within Discord's lengths; `/imagine` everywhere."""
        async with running(discord):
            assert await registered(discord) == [""]
        known = {one["name"]: one for one in discord.rest.commands[""]}
        russian = Catalogue().words("ru")
        imagine = known["imagine"]
        assert imagine["description_localizations"] == {"ru": russian("command-imagine")}
        assert imagine["name_localizations"] == {}
        prompt = imagine["options"][0]
        assert prompt["description_localizations"] == {"ru": russian("discord-option-prompt")}
        menu = known["Show recipe"]
        assert menu["name_localizations"] == {"ru": russian("discord-menu-recipe")}
        names = known["settings"]["options"][0]["choices"]
        assert [each["value"] for each in names] == list(NAMES)
        assert names[0]["name_localizations"] == {"ru": russian("settings-language")}

    @pytest.mark.parametrize("language", Catalogue().languages)
    def test_everything_fits(self, language: str) -> None:
        """Discord refuses all commands if one text is too long."""
        words = Catalogue().words(language)
        options = ("prompt", "seed", "guidance", "question", "image", "setting", "value")
        for name in (*options, "everywhere"):
            assert len(words(f"discord-option-{name}")) <= 100
        for name in ("ask", "recipe"):
            assert len(words(f"discord-menu-{name}")) <= 32
        for name in ("title", "prompt"):
            assert len(words(f"discord-form-{name}")) <= 45

    async def test_a_translation_that_changed_is_registered(self, discord: DiscordServer) -> None:
        """What Discord has is compared with its languages."""
        async with running(discord):
            assert await registered(discord) == [""]
        discord.rest.commands[""][0]["description_localizations"] = {"ru": "old words"}
        async with running(discord):
            assert await registered(discord, 2) == ["", ""]


class TestSuggestions:
    @staticmethod
    async def suggested(discord: DiscordServer, command: str, option: str, **given: str) -> Any:
        one = await types(discord, ada(discord), general(discord), command, option, **given)
        await discord.wait_for(lambda: one.answer, WAIT)
        assert one.answer is not None
        assert one.answer["type"] == 8
        return [each["value"] for each in one.answer["data"]["choices"]]

    async def test_recent_prompts(self, discord: DiscordServer) -> None:
        """Those that begin as typed and that Discord can take: 25 of 100 characters."""
        async with running(discord) as discord_bot:
            discord_bot.dispatcher.prompts = [
                "a red fox",
                "an owl",
                "a" * 101,
                "a\nb",
                *map(str, range(40)),
            ]
            assert await self.suggested(discord, "imagine", "prompt", prompt="a") == [
                "a red fox",
                "an owl",
            ]
            assert len(await self.suggested(discord, "imagine", "prompt", prompt="")) == 25

    async def test_a_database_that_cannot_be_read_suggests_nothing(
        self, discord: DiscordServer
    ) -> None:
        """The command itself still works."""

        class Broken(DiscordDispatcher):
            async def recent_prompts(self, person: Person, beginning: str) -> list[str]:
                raise StorageError(f"nothing known of {person} and {beginning}")

        async with running(discord, Broken(discord)):
            assert await self.suggested(discord, "imagine", "prompt", prompt="a") == []

    async def test_values_of_a_setting(self, discord: DiscordServer) -> None:
        """The usual ones of the setting that is given; free text stays possible."""
        async with running(discord):
            suggested = await self.suggested(
                discord, "settings", "value", name="changers", value="e"
            )
            assert suggested == ["everyone"]
            languages = await self.suggested(
                discord, "settings", "value", name="language", value=""
            )
            assert languages == list(Catalogue().languages)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ShowSettings()),
        ({"name": "persona"}, ShowSettings("persona")),
        ({"name": "images", "value": "off"}, ShowSettings("images", "off")),
        ({"name": "images", "everywhere": True}, ShowSettings("server.images")),
    ],
)
async def test_settings(
    discord: DiscordServer, options: dict[str, Any], expected: ShowSettings
) -> None:
    """One, with a value, or for the whole server; answered to one person."""
    async with running(discord) as discord_bot:
        run = await discord.runs(ada(discord), general(discord), "settings", **options)
        await discord.wait_for(lambda: discord_bot.dispatcher.got, WAIT)
    assert discord_bot.dispatcher.commands == [expected]
    assert run.answer is not None
    assert run.answer["data"]["flags"] & EPHEMERAL


async def test_the_recipe_of_a_message(discord: DiscordServer) -> None:
    """The context menu names the message."""
    async with running(discord) as discord_bot:
        shown = await discord.says(discord.bot, general(discord), "five foxes", [PICTURE])
        await discord.picks(ada(discord), general(discord), "Show recipe", shown)
        await discord.wait_for(lambda: discord_bot.dispatcher.got, WAIT)
    assert discord_bot.dispatcher.commands == [ShowRecipe(shown)]


class TestWhoAsks:
    @staticmethod
    async def both(discord: DiscordServer, discord_bot: Running, channel: Channel) -> list[Any]:
        """A message and a command, as the dispatcher gets them."""
        await discord.says(ada(discord), channel, f"<@{discord.bot.id}> hello")
        await discord.runs(ada(discord), channel, "retry")
        await discord.wait_for(lambda: len(discord_bot.dispatcher.got) == 2, WAIT)
        return [handed.message for handed in discord_bot.dispatcher.got]

    async def test_server_and_roles(self, discord: DiscordServer) -> None:
        """Everybody has the role that is named after the server's id."""
        guild = discord.guilds[0]
        guild.more_roles.append({"id": "4242", "name": "friends", "permissions": "0"})
        ada(discord).roles = ["4242"]
        async with running(discord) as discord_bot:
            for message in await self.both(discord, discord_bot, general(discord)):
                assert message.server == guild.id
                assert set(message.roles) == {guild.id, "4242"}
                assert not message.moderator

    async def test_who_manages_messages_moderates(self, discord: DiscordServer) -> None:
        """By a role for messages, and as Discord says it for commands; in threads too."""
        guild = discord.guilds[0]
        role = {"id": "4242", "name": "guards", "permissions": str(MANAGE_MESSAGES)}
        guild.more_roles.append(role)
        ada(discord).roles, ada(discord).rights = ["4242"], MANAGE_MESSAGES
        thread = discord.thread(general(discord))
        async with running(discord) as discord_bot:
            for message in await self.both(discord, discord_bot, thread):
                assert message.moderator
                assert message.server == guild.id

    async def test_a_direct_message_is_its_persons_own(self, discord: DiscordServer) -> None:
        """There is no server, and nobody else to ask."""
        async with running(discord) as discord_bot:
            for message in await self.both(discord, discord_bot, discord.dm(ada(discord))):
                assert (message.server, message.roles, message.moderator) == ("", (), True)


class TestThreads:
    async def test_a_thread_begins_with_what_it_was_started_from(
        self, discord: DiscordServer
    ) -> None:
        """The picture of the bot's reply comes along, once; then the thread has its own words."""
        shown = await discord.says(discord.bot, general(discord), "five foxes", [PICTURE])
        thread = discord.thread(general(discord), "about it")
        discord.channels[shown] = discord.channels.pop(thread.id)
        thread.id = shown  # such a thread has its message's id
        async with running(discord) as discord_bot:
            await discord.says(ada(discord), thread, f"<@{discord.bot.id}> which is best?")
            await discord.wait_for(lambda: discord_bot.dispatcher.got, WAIT)
            await discord.says(ada(discord), thread, f"<@{discord.bot.id}> and why?")
            await discord.wait_for(lambda: len(discord_bot.dispatcher.got) == 2, WAIT)
        first, second = (handed.message for handed in discord_bot.dispatcher.got)
        assert discord_bot.dispatcher.commands == [Ask("which is best?"), Ask("and why?")]
        assert (first.reply_to, second.reply_to) == (shown, None)
        assert [each.name for each in first.attachments] == ["fox.png"]
        assert second.attachments == ()

    async def test_where_the_bot_has_spoken_nothing_is_brought_along(
        self, discord: DiscordServer
    ) -> None:
        """After a restart too; and a thread that cannot be read has no beginning."""
        shown = await discord.says(discord.bot, general(discord), "five foxes", [PICTURE])
        thread = discord.thread(general(discord), "about it")
        discord.channels[shown] = discord.channels.pop(thread.id)
        thread.id = shown
        await discord.says(discord.bot, thread, "I said this")
        locked = discord.thread(general(discord), "locked")
        async with running(discord) as discord_bot:
            await discord.says(ada(discord), thread, f"<@{discord.bot.id}> and why?")
            await discord.wait_for(lambda: discord_bot.dispatcher.got, WAIT)
            discord.fail_next("GET", f"/channels/{locked.id}", 403, 50001)
            await discord.says(ada(discord), locked, f"<@{discord.bot.id}> hello?")
            await discord.wait_for(lambda: len(discord_bot.dispatcher.got) == 2, WAIT)
        assert [handed.message.reply_to for handed in discord_bot.dispatcher.got] == [None, None]


async def test_a_message_that_was_missed_tells_its_authors_roles(discord: DiscordServer) -> None:
    """Discord leaves them out of messages that are read, so they are asked for."""
    discord.guilds[0].more_roles.append({"id": "4242", "name": "friends", "permissions": "0"})
    ada(discord).roles = ["4242"]
    dispatcher = DiscordDispatcher(discord)
    async with running(discord, dispatcher):
        await discord.says(ada(discord), general(discord), f"<@{discord.bot.id}> first")
        await discord.wait_for(lambda: dispatcher.marks, WAIT)
    dispatcher.got.clear()
    await discord.says(ada(discord), general(discord), f"<@{discord.bot.id}> second")
    async with running(discord, dispatcher):
        await discord.wait_for(lambda: dispatcher.got, WAIT)
    assert "4242" in dispatcher.got[0].message.roles
