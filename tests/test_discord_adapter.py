"""The Discord adapter with the real discord.py client, over sockets, against a local Discord."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from bot.errors import (
    AdapterError,
    ImageTooLarge,
    ImageUnreadable,
    TokenRefused,
)
from bot.models import Ask, Attachment, ChannelKey
from bot.platforms.adapter import Adapter
from bot.reply.surface import Content
from bot.turns.dispatcher import Dispatcher
from tests.servers.discord import DiscordServer
from tests.servers.discord_running import DiscordDispatcher, closing, make, running
from tests.servers.discord_world import (
    ATTACH,
    EVERYTHING,
    HISTORY,
    IN_THREADS,
    SEND,
)

PICTURE = ("fox.png", b"\x89PNG a fox")


def test_it_is_an_adapter_and_the_scripted_dispatcher_an_dispatcher(discord: DiscordServer) -> None:
    """The classes match the ports that they are used for (checked by the type checker too)."""
    adapter: Adapter = make(discord)
    dispatcher: Dispatcher = DiscordDispatcher(discord)
    assert adapter.name == "discord"
    assert dispatcher is not None


class TestLogin:
    async def test_a_wrong_token_is_a_sentence(self, discord: DiscordServer) -> None:
        """Discord's 401 becomes TokenRefused, which says where to get a token."""
        async with closing(make(discord, token="wrong")) as adapter:
            with pytest.raises(TokenRefused, match="Bot page"):
                await adapter.open()

    async def test_it_waits_for_a_discord_that_has_trouble(self, discord: DiscordServer) -> None:
        """A 503 and a dropped connection at the login are waited out."""
        discord.fail_next("GET", "/users/@me", 503)
        discord.drop_next("GET", "/oauth2", after=False, times=2)  # aiohttp tries a GET twice
        async with closing(make(discord)) as adapter:
            await asyncio.wait_for(adapter.open(), 45)
        assert len(discord.calls("GET", "^/users/@me")) == 3

    async def test_something_that_is_not_discord_is_a_sentence(
        self, discord: DiscordServer
    ) -> None:
        """A 404 at the login names the setting."""
        async with closing(make(discord, api_url=discord.url + "/elsewhere")) as adapter:
            with pytest.raises(AdapterError, match="api_url"):
                await adapter.open()

    async def test_a_token_that_the_gateway_refuses(self, discord: DiscordServer) -> None:
        """Close code 4004 is a refused token as well."""
        discord.gateway.close_next = [4004]
        async with running(discord) as one:
            with pytest.raises(TokenRefused):
                await one.task

    async def test_closing_twice_and_without_opening_is_fine(self, discord: DiscordServer) -> None:
        """`close` may be called at any time."""
        adapter = make(discord)
        await adapter.close()
        assert not discord.requests
        await adapter.open()
        asked = len(discord.requests)
        assert asked
        await adapter.close()
        await adapter.close()
        assert len(discord.requests) == asked
        assert adapter._opened().is_closed()


class TestIntents:
    async def test_content_is_asked_for_if_the_application_has_it(
        self, discord: DiscordServer
    ) -> None:
        """The application's flags decide which intents the IDENTIFY names."""
        async with running(discord):
            assert discord.gateway.identified[0] & (1 << 15)

    async def test_without_content_mentions_and_direct_messages_work(self) -> None:
        """An application without the intent still gets what is addressed to it."""
        async with DiscordServer(message_content=False) as discord:
            channel = discord.channel(discord.guild())
            ada = discord.person("Ada")
            async with running(discord) as one:
                assert not discord.gateway.identified[0] & (1 << 15)
                await discord.says(ada, channel, f"<@{discord.bot.id}> hello")
                await discord.says(ada, discord.dm(ada), "and here")
                await discord.wait_for(lambda: len(one.dispatcher.got) == 2)
                assert one.dispatcher.commands == [Ask("hello"), Ask("and here")]

    async def test_an_intent_that_is_not_granted_is_left_out(self, discord: DiscordServer) -> None:
        """After a 4014 the bot goes on without message content."""
        discord.gateway.close_next = [4014]
        async with running(discord) as one:
            await discord.wait_for(lambda: one.states[-1])
            assert not discord.gateway.identified[0] & (1 << 15)

    async def test_intents_that_are_never_granted_are_a_sentence(
        self, discord: DiscordServer
    ) -> None:
        """A 4014 for what every application has ends with what to do."""
        discord.gateway.close_next = [4014, 4014]
        async with running(discord) as one:
            with pytest.raises(AdapterError, match="developers/applications"):
                await one.task


class TestAdvice:
    async def test_a_good_setup_needs_none(self, discord: DiscordServer) -> None:
        """All intents and permissions are there."""
        discord.guild()
        async with closing(make(discord)) as adapter:
            await adapter.open()
            assert await adapter.advice() == []

    async def test_missing_things_are_named_with_a_way_out(self) -> None:
        """The intent, a server whose roles lack something, and the link that asks for it."""
        async with DiscordServer(message_content=False) as discord:
            discord.guild("Fox fans", EVERYTHING & ~ATTACH)
            async with closing(make(discord)) as adapter:
                await adapter.open()
                intent, roles = await adapter.advice()
        assert "message content intent" in intent
        assert "Fox fans" in roles
        assert "Attach Files" in roles
        wanted = (1 << 10) | SEND | ATTACH | HISTORY | IN_THREADS
        assert f"permissions={wanted}" in roles
        assert discord.application_id in roles

    async def test_a_bot_in_no_server_gets_its_invitation(
        self, empty_discord: DiscordServer
    ) -> None:
        """Nobody can use it yet, so the link comes along; a list that fails is said."""
        async with closing(make(empty_discord)) as adapter:
            await adapter.open()
            (text,) = await adapter.advice()
            assert "scope=bot+applications.commands" in text
            empty_discord.fail_next("GET", "guilds", 403)
            (text,) = await adapter.advice()
            assert "403" in text


class TestConnection:
    async def test_a_dropped_connection_is_resumed_and_nothing_is_missed(
        self, discord: DiscordServer
    ) -> None:
        """What was said while the connection was down arrives by RESUME."""
        ada = discord.person("Ada")
        async with running(discord) as one:
            await discord.gateway.drop()
            await discord.says(ada, discord.dm(ada), "are you there?")
            await discord.wait_for(lambda: one.dispatcher.got and one.states[-1])
            assert discord.gateway.resumed == 1
            assert one.dispatcher.commands == [Ask("are you there?")]
            assert one.states == [True, False, True]

    async def test_a_request_to_reconnect_is_followed(self, discord: DiscordServer) -> None:
        """Opcode 7 leads to a resumed session."""
        async with running(discord) as one:
            await discord.gateway.ask_to_reconnect()
            await discord.wait_for(lambda: discord.gateway.resumed == 1 and one.states[-1])

    async def test_an_invalid_session_is_begun_anew(self, discord: DiscordServer) -> None:
        """Opcode 9 leads to a new IDENTIFY (after the 5 s that Discord asks for)."""
        async with running(discord) as one:
            await discord.gateway.invalidate()
            await discord.wait_for(lambda: len(discord.gateway.identified) == 2, 90)
            await discord.wait_for(lambda: one.states == [True, False, True])

    async def test_an_event_that_cannot_be_read_does_not_end_the_bot(
        self, discord: DiscordServer
    ) -> None:
        """discord.py's parsers raise on malformed events; the bot connects again."""
        ada = discord.person("Ada")
        async with running(discord) as one:
            await discord.gateway.dispatch("MESSAGE_CREATE", {"id": "1", "channel_id": "2"})
            await discord.wait_for(lambda: len(discord.gateway.identified) == 2, 90)
            await discord.says(ada, discord.dm(ada), "still there?")
            await discord.wait_for(lambda: one.dispatcher.got)

    async def test_after_serving_nothing_comes_in_and_surfaces_work(
        self, discord: DiscordServer
    ) -> None:
        """Cancelling `serve` ends the gateway only; `close` ends the rest."""
        ada = discord.person("Ada")
        async with running(discord) as one:
            await discord.says(ada, discord.dm(ada), "draw")
            await discord.wait_for(lambda: one.dispatcher.got)
            one.task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await one.task
            await discord.wait_for(lambda: discord.gateway.parted == [1000])
            assert one.states == [True, False]
            surface = one.adapter.surface(one.dispatcher.got[0].message.address)
            await surface.create(Content("done"), "n-0")
            assert [m["content"] for m in discord.messages(discord.dm(ada))] == ["draw", "done"]

    async def test_what_is_being_accepted_is_finished_first(self, discord: DiscordServer) -> None:
        """A message that is in the dispatcher's hands when serving ends is still accepted."""
        ada = discord.person("Ada")
        async with running(discord) as one:
            one.dispatcher.gate.clear()
            await discord.says(ada, discord.dm(ada), "hurry")
            await discord.wait_for(lambda: one.dispatcher.begun)
            one.task.cancel()
            await discord.wait_for(lambda: discord.gateway.parted)
            assert not one.dispatcher.got
            one.dispatcher.gate.set()
            with pytest.raises(asyncio.CancelledError):
                await one.task
            assert one.dispatcher.commands == [Ask("hurry")]


class TestFetch:
    @pytest.fixture
    async def picture(self, discord: DiscordServer) -> Attachment:
        stored = discord.rest.store(discord.channel(discord.guild()), *PICTURE)
        return Attachment(PICTURE[0], {"url": stored["url"], "id": stored["id"]})

    async def test_a_picture_over_the_limit_is_not_read(
        self, discord: DiscordServer, picture: Attachment
    ) -> None:
        """The limit counts bytes; a known size is refused without a request."""
        known = Attachment(picture.name, picture.source, size=10)
        async with running(discord) as one:
            key = ChannelKey("discord", ("1",))
            with pytest.raises(ImageTooLarge):
                await one.adapter.fetch(key, known, 9)
            assert not discord.calls("GET", "/cdn")
            with pytest.raises(ImageTooLarge):
                await one.adapter.fetch(key, picture, 9)
            assert await one.adapter.fetch(key, picture, 10) == PICTURE[1]

    async def test_a_picture_that_is_gone(
        self, discord: DiscordServer, picture: Attachment
    ) -> None:
        """An address that ended is ImageUnreadable at once."""
        discord.rest.cdn.clear()
        async with running(discord) as one:
            with pytest.raises(ImageUnreadable, match="any more"):
                await one.adapter.fetch(ChannelKey("discord", ("1",)), picture, 100)
        assert len(discord.calls("GET", "/cdn")) == 1

    async def test_trouble_is_tried_again(
        self, discord: DiscordServer, picture: Attachment
    ) -> None:
        """A 503 of the file server is not the person's problem at first, then it is."""
        discord.fail_next("GET", "/cdn", 503, times=4)
        async with running(discord) as one:
            with pytest.raises(ImageUnreadable, match="at the moment"):
                await one.adapter.fetch(ChannelKey("discord", ("1",)), picture, 100)
            assert await one.adapter.fetch(ChannelKey("discord", ("1",)), picture, 100)
        assert len(discord.calls("GET", "/cdn")) == 5


def test_importing_the_adapter_loads_nothing_that_it_is_handed() -> None:
    """Neither the database nor what few messages need."""
    heavy = {"sqlalchemy", "PIL"}
    code = f"import bot.platforms.discord.adapter, sys; print({heavy!r} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
