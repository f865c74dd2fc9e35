"""The Discord adapter with the real discord.py client, over sockets, against a local Discord."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from bot.errors import (
    AdapterError,
    BotError,
    ImageTooLarge,
    ImageUnreadable,
    StorageError,
    TokenRefused,
)
from bot.messages import Attachment, ChannelKey, IncomingMessage
from bot.platforms.adapter import Adapter
from bot.platforms.discord import DiscordAdapter
from bot.turn import Ask, Imagine
from bot.turns.commands import Command, Help, Reset, Retry, Stop
from bot.turns.ports import Inbox, Notice
from tests.servers.discord import TOKEN, DiscordServer
from tests.servers.discord_world import ATTACH, EPHEMERAL, HISTORY, IN_THREADS, LOADING, SEND

PICTURE = ("fox.png", b"\x89PNG a fox")


@dataclass
class Handed:
    """One message that the inbox got, and how Discord's side looked at that moment."""

    message: IncomingMessage
    command: Command
    deferred: bool


@dataclass
class ScriptedInbox:
    """Takes everything in; answers with `notices` in order, or raises `error`."""

    server: DiscordServer
    notices: list[Notice] = field(default_factory=list)
    error: BotError | None = None
    gate: asyncio.Event | None = None
    got: list[Handed] = field(default_factory=list)
    began: int = 0

    async def handle(self, message: IncomingMessage, command: Command) -> Notice | None:
        self.began += 1
        self.server.touch()
        if self.gate is not None:
            await self.gate.wait()
        interaction = self.server.interactions.get(message.message_id)
        deferred = interaction is not None and interaction.answer is not None
        self.got.append(Handed(message, command, deferred))
        self.server.touch()
        if self.error is not None:
            raise self.error
        return self.notices.pop(0) if self.notices else None

    @property
    def commands(self) -> list[Command]:
        return [one.command for one in self.got]


@dataclass
class Running:
    """An adapter that serves."""

    adapter: DiscordAdapter
    inbox: ScriptedInbox
    states: list[bool]
    task: asyncio.Task[None]


def make(server: DiscordServer, **options: object) -> DiscordAdapter:
    settings: dict[str, object] = {
        "token": TOKEN,
        "api_url": server.api_url + "/",
        "gateway_url": server.gateway_url,
    }
    return DiscordAdapter(**(settings | options))  # type: ignore[arg-type] # checked by the tests


@asynccontextmanager
async def closing(adapter: DiscordAdapter) -> AsyncIterator[DiscordAdapter]:
    try:
        yield adapter
    finally:
        await adapter.close()


@asynccontextmanager
async def running(server: DiscordServer, **options: object) -> AsyncIterator[Running]:
    """An adapter that is connected, and ended cleanly."""
    inbox = ScriptedInbox(server)
    states: list[bool] = []

    def ready(connected: bool) -> None:
        states.append(connected)
        server.touch()

    async with closing(make(server, **options)) as adapter:
        await adapter.open()
        task = asyncio.create_task(adapter.serve(inbox, ready))
        try:
            await server.wait_for(lambda: states or task.done())
            yield Running(adapter, inbox, states, task)
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, BotError):
                await task


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as one:
        yield one


def answered(server: DiscordServer, interaction_id: str) -> Callable[[], bool]:
    return lambda: server.interactions[interaction_id].answer is not None


def test_it_is_an_adapter_and_the_scripted_inbox_an_inbox(server: DiscordServer) -> None:
    """The classes match the ports that they are used for (checked by the type checker too)."""
    adapter: Adapter = make(server)
    inbox: Inbox = ScriptedInbox(server)
    assert adapter.name == "discord"
    assert inbox is not None


class TestLogin:
    async def test_a_wrong_token_is_a_sentence(self, server: DiscordServer) -> None:
        """Discord's 401 becomes TokenRefused, which says where to get a token."""
        async with closing(make(server, token="wrong")) as adapter:
            with pytest.raises(TokenRefused, match="Bot page"):
                await adapter.open()

    async def test_it_waits_for_a_discord_that_has_trouble(self, server: DiscordServer) -> None:
        """A 503 and a dropped connection at the login are waited out."""
        server.fail_next("GET", "/users/@me", 503)
        server.drop_next("GET", "/oauth2", after=False)
        async with closing(make(server)) as adapter:
            await asyncio.wait_for(adapter.open(), 10)
        assert len(server.calls("GET", "^/users/@me")) == 3

    async def test_something_that_is_not_discord_is_a_sentence(self, server: DiscordServer) -> None:
        """A 404 at the login names the setting."""
        async with closing(make(server, api_url=server.url + "/elsewhere")) as adapter:
            with pytest.raises(AdapterError, match="api_url"):
                await adapter.open()

    async def test_a_token_that_the_gateway_refuses(self, server: DiscordServer) -> None:
        """Close code 4004 is a refused token as well."""
        server.gateway.close_next = [4004]
        async with running(server) as one:
            with pytest.raises(TokenRefused):
                await one.task

    async def test_closing_twice_and_without_opening_is_fine(self, server: DiscordServer) -> None:
        """`close` may be called at any time."""
        adapter = make(server)
        await adapter.close()
        await adapter.open()
        await adapter.close()
        await adapter.close()


class TestIntents:
    async def test_content_is_asked_for_if_the_application_has_it(
        self, server: DiscordServer
    ) -> None:
        """The application's flags decide which intents the IDENTIFY names."""
        async with running(server):
            assert server.gateway.identified[0] & (1 << 15)

    async def test_without_content_mentions_and_direct_messages_work(self) -> None:
        """An application without the intent still gets what is addressed to it."""
        async with DiscordServer(message_content=False) as server:
            channel = server.channel(server.guild())
            ada = server.person("Ada")
            async with running(server) as one:
                assert not server.gateway.identified[0] & (1 << 15)
                await server.says(ada, channel, f"<@{server.bot.id}> hello")
                await server.says(ada, server.dm(ada), "and here")
                await server.wait_for(lambda: len(one.inbox.got) == 2)
                assert one.inbox.commands == [Ask("hello"), Ask("and here")]

    async def test_an_intent_that_is_not_granted_is_left_out(self, server: DiscordServer) -> None:
        """After a 4014 the bot goes on without message content."""
        server.gateway.close_next = [4014]
        async with running(server) as one:
            assert one.states == [True]
            assert not server.gateway.identified[0] & (1 << 15)

    async def test_intents_that_are_never_granted_are_a_sentence(
        self, server: DiscordServer
    ) -> None:
        """A 4014 for what every application has ends with what to do."""
        server.gateway.close_next = [4014, 4014]
        async with running(server) as one:
            with pytest.raises(AdapterError, match="developers/applications"):
                await one.task


class TestConnection:
    async def test_a_dropped_connection_is_resumed_and_nothing_is_missed(
        self, server: DiscordServer
    ) -> None:
        """What was said while the connection was down arrives by RESUME."""
        ada = server.person("Ada")
        async with running(server) as one:
            await server.gateway.drop()
            await server.says(ada, server.dm(ada), "are you there?")
            await server.wait_for(lambda: one.inbox.got and one.states[-1])
            assert server.gateway.resumed == 1
            assert one.inbox.commands == [Ask("are you there?")]
            assert one.states == [True, False, True]

    async def test_a_request_to_reconnect_is_followed(self, server: DiscordServer) -> None:
        """Opcode 7 leads to a resumed session."""
        async with running(server) as one:
            await server.gateway.ask_to_reconnect()
            await server.wait_for(lambda: server.gateway.resumed == 1 and one.states[-1])

    async def test_an_invalid_session_is_begun_anew(self, server: DiscordServer) -> None:
        """Opcode 9 leads to a new IDENTIFY (after the 5 s that Discord asks for)."""
        async with running(server) as one:
            await server.gateway.invalidate()
            await server.wait_for(lambda: len(server.gateway.identified) == 2, 15)
            await server.wait_for(lambda: one.states == [True, False, True])

    async def test_an_event_that_cannot_be_read_does_not_end_the_bot(
        self, server: DiscordServer
    ) -> None:
        """discord.py's parsers raise on malformed events; the bot connects again."""
        ada = server.person("Ada")
        async with running(server) as one:
            await server.gateway.dispatch("MESSAGE_CREATE", {"id": "1", "channel_id": "2"})
            await server.wait_for(lambda: len(server.gateway.identified) == 2, 15)
            await server.says(ada, server.dm(ada), "still there?")
            await server.wait_for(lambda: one.inbox.got)

    async def test_after_serving_nothing_comes_in_and_surfaces_work(
        self, server: DiscordServer
    ) -> None:
        """Cancelling `serve` ends the gateway only; `close` ends the rest."""
        ada = server.person("Ada")
        async with running(server) as one:
            await server.says(ada, server.dm(ada), "draw")
            await server.wait_for(lambda: one.inbox.got)
            one.task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await one.task
            await server.wait_for(lambda: server.gateway.parted == [1000])
            assert one.states == [True, False]
            surface = one.adapter.surface(one.inbox.got[0].message.address)
            from bot.reply.surface import Content  # noqa: PLC0415 - the only test that shows

            await surface.create(Content("done"), "n-0")
            assert [m["content"] for m in server.messages(server.dm(ada))] == ["draw", "done"]

    async def test_what_is_being_accepted_is_finished_first(self, server: DiscordServer) -> None:
        """A message that is in the inbox's hands when serving ends is still accepted."""
        ada = server.person("Ada")
        async with running(server) as one:
            one.inbox.gate = asyncio.Event()
            await server.says(ada, server.dm(ada), "hurry")
            await server.wait_for(lambda: one.inbox.began)
            one.task.cancel()
            await server.wait_for(lambda: server.gateway.parted)
            assert not one.inbox.got
            one.inbox.gate.set()
            with pytest.raises(asyncio.CancelledError):
                await one.task
            assert one.inbox.commands == [Ask("hurry")]


class TestCommands:
    async def test_commands_are_registered_once(self, server: DiscordServer) -> None:
        """The first start registers all commands with their ranges, the second nothing."""
        async with running(server):
            pass
        async with running(server):
            pass
        assert server.rest.syncs == [""]
        known = {one["name"]: one for one in server.rest.commands[""]}
        words = {"imagine", "ask", "retry", "stop", "reset", "help"}
        assert set(known) == words | {"Ask about this image"}
        prompt, seed, guidance = known["imagine"]["options"]
        assert (prompt["name"], prompt["required"]) == ("prompt", True)
        assert (seed["min_value"], seed["max_value"]) == (0, 2**32 - 1)
        assert (guidance["min_value"], guidance["max_value"]) == (1, 10)
        assert known["ask"]["options"][1]["type"] == 11

    async def test_commands_of_servers(self, server: DiscordServer) -> None:
        """With `guild_ids` commands go to these servers only, and again only when changed."""
        ids = [int(server.guild().id), int(server.guild("Away").id)]
        async with running(server, guild_ids=ids):
            pass
        server.rest.commands[str(ids[1])][0]["description"] = "old words"
        async with running(server, guild_ids=ids):
            pass
        assert server.rest.syncs == [str(ids[0]), str(ids[1]), str(ids[1])]

    async def test_a_list_that_cannot_be_read_is_replaced(self, server: DiscordServer) -> None:
        """A REST proxy without that route still gets the commands."""
        server.fail_next("GET", "/commands", 404)
        async with running(server):
            assert server.rest.syncs == [""]

    async def test_commands_that_cannot_be_registered_do_not_stop_the_bot(
        self, server: DiscordServer
    ) -> None:
        """A server without the scope applications.commands is a warning."""
        server.fail_next("PUT", "/commands", 403, 50001)
        async with running(server) as one:
            assert one.states == [True]

    async def test_imagine_is_deferred_before_anything_else(self, server: DiscordServer) -> None:
        """The deferral is answered when the inbox gets the command with its values."""
        channel = server.channel(server.guild())
        ada = server.person("Ada")
        async with running(server) as one:
            run = await server.runs(
                ada, channel, "imagine", prompt=" a red fox ", seed=42, guidance=6.0
            )
            await server.wait_for(lambda: one.inbox.got)
        (handed,) = one.inbox.got
        assert handed.deferred
        assert run.answer is not None
        assert run.answer["type"] == 5
        assert handed.command == Imagine("a red fox", 42, 6.0)
        assert handed.message.channel == ChannelKey("discord", (channel.id,))
        assert handed.message.message_id == run.id
        assert (handed.message.person.id, handed.message.person.name) == (ada.id, "Ada")
        assert handed.message.person.language == "de"
        assert handed.message.address.chat == channel.id
        assert run.token not in repr(handed.message)

    async def test_ask_takes_an_image(self, server: DiscordServer) -> None:
        """The attachment of the option comes along and can be fetched."""
        ada = server.person("Ada")
        async with running(server) as one:
            await server.runs(
                ada, server.dm(ada), "ask", {"image": PICTURE}, question="what is it?"
            )
            await server.wait_for(lambda: one.inbox.got)
            (handed,) = one.inbox.got
            assert handed.command == Ask("what is it?")
            (attachment,) = handed.message.attachments
            got = await one.adapter.fetch(handed.message.channel, attachment, 1000)
            assert got == PICTURE[1]

    @pytest.mark.parametrize(
        ("word", "command", "private"),
        [("retry", Retry(), False), ("stop", Stop(), True), ("reset", Reset(), True)],
    )
    async def test_plain_commands(
        self, server: DiscordServer, word: str, command: Command, private: bool
    ) -> None:
        """What starts a turn is deferred for all to see, the rest for one person."""
        channel = server.channel(server.guild())
        async with running(server) as one:
            run = await server.runs(server.person("Ada"), channel, word)
            await server.wait_for(lambda: one.inbox.got)
        assert one.inbox.commands == [command]
        assert run.answer is not None
        assert bool((run.answer.get("data") or {}).get("flags", 0) & EPHEMERAL) is private

    @pytest.mark.parametrize("word", ["help", "retry"])
    @pytest.mark.parametrize("private", [True, False])
    async def test_a_notice_is_shown_to_whom_it_concerns(
        self, server: DiscordServer, word: str, private: bool
    ) -> None:
        """However the command was deferred, a private notice is ephemeral and a public one not."""
        channel = server.channel(server.guild())
        async with running(server) as one:
            one.inbox.notices = [Notice("Hello @everyone", private=private)]
            await server.runs(server.person("Ada"), channel, word)
            await server.wait_for(lambda: server.messages(channel))
            (message,) = channel.messages.values()
            assert message["content"] == "Hello @everyone"
            assert bool(message["flags"] & EPHEMERAL) is private

    async def test_a_value_that_cannot_be_used_is_told_quietly(self, server: DiscordServer) -> None:
        """An empty prompt never reaches the inbox."""
        channel = server.channel(server.guild())
        async with running(server) as one:
            run = await server.runs(server.person("Ada"), channel, "imagine", prompt="  ")
            await server.wait_for(answered(server, run.id))
        assert run.answer is not None
        assert run.answer["type"] == 4
        assert run.answer["data"]["flags"] & EPHEMERAL
        assert "Tell me what to draw" in run.answer["data"]["content"]
        assert one.inbox.got == []

    async def test_a_failure_while_accepting_is_told(self, server: DiscordServer) -> None:
        """A StorageError's sentence replaces the "thinking" message, quietly."""
        channel = server.channel(server.guild())
        async with running(server) as one:
            one.inbox.error = StorageError("The disk is full.")
            await server.runs(server.person("Ada"), channel, "imagine", prompt="a fox")
            await server.wait_for(lambda: server.messages(channel))
        (message,) = channel.messages.values()
        assert message["content"] == "The disk is full."
        assert message["flags"] & EPHEMERAL

    async def test_an_interaction_that_is_too_old_starts_nothing(
        self, server: DiscordServer
    ) -> None:
        """Discord's 10062 means that the person saw a failure: no turn begins."""
        server.answer_within = -1.0
        ada = server.person("Ada")
        async with running(server) as one:
            await server.runs(ada, server.dm(ada), "imagine", prompt="a fox")
            await server.wait_for(lambda: server.calls("POST", "/callback"))
            server.answer_within = 3.0
            await server.runs(ada, server.dm(ada), "imagine", prompt="an owl")
            await server.wait_for(lambda: one.inbox.got)
        assert one.inbox.commands == [Imagine("an owl")]

    async def test_the_context_menu_asks_about_a_picture(self, server: DiscordServer) -> None:
        """The message's picture comes along, and an empty question means "describe it"."""
        channel = server.channel(server.guild())
        ada, bob = server.person("Ada"), server.person("Bob")
        async with running(server) as one:
            shown = await server.says(bob, channel, "look", [PICTURE, ("notes.txt", b"text")])
            await server.picks(ada, channel, "Ask about this image", shown)
            await server.wait_for(lambda: one.inbox.got)
            bare = await server.says(bob, channel, "no picture")
            run = await server.picks(ada, channel, "Ask about this image", bare)
            await server.wait_for(answered(server, run.id))
        (handed,) = one.inbox.got
        assert handed.command == Ask("")
        assert [item.name for item in handed.message.attachments] == ["fox.png"]
        assert handed.message.reply_to == shown
        assert run.answer is not None
        assert "no picture" in run.answer["data"]["content"]


class TestMessages:
    async def test_what_is_not_for_the_bot_is_left_alone(self, server: DiscordServer) -> None:
        """Talk among people, bots and webhooks, joins and forwarded mentions start nothing."""
        channel = server.channel(server.guild())
        ada, robot = server.person("Ada"), server.person("Robot")
        robot.bot = True
        mention = f"<@{server.bot.id}>"
        async with running(server) as one:
            theirs = await server.says(ada, channel, "hello all")
            await server.says(ada, channel, "a reply to a person", reply_to=theirs)
            await server.says(robot, channel, f"{mention} hello")
            await server.says(ada, channel, f"{mention} hello", webhook_id="77")
            await server.says(ada, channel, f"{mention} joined", type=7)
            await server.says(ada, channel, f"{mention} last")
            await server.wait_for(lambda: one.inbox.got)
        assert one.inbox.commands == [Ask("last")]

    async def test_a_mention_is_taken_out_and_others_read_as_names(
        self, server: DiscordServer
    ) -> None:
        """The model gets what people see, without the bot's own name."""
        channel = server.channel(server.guild())
        ada, bob = server.person("Ada"), server.person("Bob")
        async with running(server) as one:
            text = f"<@!{server.bot.id}> who is <@{bob.id}> in <#{channel.id}> <:fox:123456>?"
            await server.says(ada, channel, text)
            await server.wait_for(lambda: one.inbox.got)
        assert one.inbox.commands == [Ask("who is @Bob in #general :fox:?")]

    async def test_the_bots_managed_role_counts_as_the_bot(self, server: DiscordServer) -> None:
        """People pick the role with the bot's name from the list."""
        guild = server.guild()
        channel = server.channel(guild)
        role = {"id": "4242", "tags": {"bot_id": server.bot.id}}
        guild.more_roles.append(role)
        async with running(server) as one:
            await server.says(
                server.person("Ada"), channel, "<@&4242> hello", mention_roles=["4242"]
            )
            await server.wait_for(lambda: one.inbox.got)
        assert one.inbox.commands == [Ask("hello")]

    async def test_a_reply_to_the_bot_starts_a_turn(self, server: DiscordServer) -> None:
        """Without a mention too; the bot's own pictures are not fetched again."""
        channel = server.channel(server.guild())
        async with running(server) as one:
            mine = await server.says(server.bot, channel, "five foxes", [PICTURE])
            asked = await server.says(server.person("Ada"), channel, "the second?", reply_to=mine)
            await server.wait_for(lambda: one.inbox.got)
        (handed,) = one.inbox.got
        assert handed.message.reply_to == mine
        assert handed.message.message_id == asked
        assert handed.message.attachments == ()
        assert handed.message.address.data == {"channel_id": channel.id, "reply_to": asked}

    async def test_a_mention_in_a_reply_brings_the_other_picture(
        self, server: DiscordServer
    ) -> None:
        """A question about somebody else's picture needs no upload."""
        channel = server.channel(server.guild())
        async with running(server) as one:
            theirs = await server.says(server.person("Bob"), channel, "look", [PICTURE])
            text = f"<@{server.bot.id}> what is it?"
            await server.says(server.person("Ada"), channel, text, reply_to=theirs)
            await server.wait_for(lambda: one.inbox.got)
        (handed,) = one.inbox.got
        assert [item.name for item in handed.message.attachments] == ["fox.png"]
        assert handed.message.reply_to == theirs

    async def test_threads_are_channels_of_their_own(self, server: DiscordServer) -> None:
        """A thread's key is its own id."""
        thread = server.thread(server.channel(server.guild()))
        async with running(server) as one:
            await server.says(server.person("Ada"), thread, f"<@{server.bot.id}> hi")
            await server.runs(server.person("Bob"), thread, "imagine", prompt="a fox")
            await server.wait_for(lambda: len(one.inbox.got) == 2)
        assert {str(h.message.channel) for h in one.inbox.got} == {f"discord:{thread.id}"}

    async def test_commands_typed_out_in_a_direct_message(self, server: DiscordServer) -> None:
        """A direct message may hold a command; elsewhere a slash is just a slash."""
        channel = server.channel(server.guild())
        ada = server.person("Ada")
        async with running(server) as one:
            one.inbox.notices = [Notice("I can draw.")]
            await server.says(ada, server.dm(ada), "/help")
            await server.wait_for(lambda: len(server.messages(server.dm(ada))) == 2)
            await server.says(ada, server.dm(ada), "/imagine a fox --seed x")
            await server.wait_for(lambda: len(server.messages(server.dm(ada))) == 4)
            await server.says(ada, channel, f"<@{server.bot.id}> /help")
            await server.wait_for(lambda: len(one.inbox.got) == 2)
        assert one.inbox.commands == [Help(), Ask("/help")]
        texts = [one["content"] for one in server.messages(server.dm(ada))]
        assert texts[1] == "I can draw."
        assert "seed" in texts[3]


class TestPermissions:
    @pytest.mark.parametrize(
        ("denied", "name"), [(SEND, "Send Messages"), (ATTACH, "Attach Files")]
    )
    async def test_a_command_that_cannot_be_answered_says_why(
        self, server: DiscordServer, denied: int, name: str
    ) -> None:
        """The missing permission is named to the person, quietly, and no turn starts."""
        channel = server.channel(server.guild(), denied=denied)
        async with running(server) as one:
            run = await server.runs(server.person("Ada"), channel, "imagine", prompt="a fox")
            await server.wait_for(answered(server, run.id))
        assert run.answer is not None
        assert run.answer["data"]["flags"] & EPHEMERAL
        assert f"**{name}**" in run.answer["data"]["content"]
        assert one.inbox.got == []

    async def test_threads_have_their_own_permission(self, server: DiscordServer) -> None:
        """In a thread Send Messages in Threads counts."""
        thread = server.thread(server.channel(server.guild(), denied=IN_THREADS))
        async with running(server):
            run = await server.runs(server.person("Ada"), thread, "imagine", prompt="a fox")
            await server.wait_for(answered(server, run.id))
        assert run.answer is not None
        assert "Send Messages in Threads" in run.answer["data"]["content"]

    async def test_a_question_needs_no_permission_to_attach(self, server: DiscordServer) -> None:
        """What answers with text only works without Attach Files."""
        channel = server.channel(server.guild(), denied=ATTACH)
        async with running(server) as one:
            await server.says(server.person("Ada"), channel, f"<@{server.bot.id}> why?")
            await server.wait_for(lambda: one.inbox.got)

    async def test_a_mention_without_history_is_told_in_the_channel(
        self, server: DiscordServer
    ) -> None:
        """Replying needs Read Message History; the bot says so without replying."""
        channel = server.channel(server.guild(), denied=HISTORY)
        async with running(server) as one:
            await server.says(server.person("Ada"), channel, f"<@{server.bot.id}> why?")
            await server.wait_for(lambda: len(server.messages(channel)) == 2)
        assert "Read Message History" in server.messages(channel)[1]["content"]
        assert one.inbox.got == []

    async def test_a_mention_where_the_bot_is_silenced_is_told_privately(
        self, server: DiscordServer
    ) -> None:
        """Without Send Messages the person gets a direct message."""
        channel = server.channel(server.guild(), denied=SEND)
        ada = server.person("Ada")
        async with running(server) as one:
            await server.says(ada, channel, f"<@{server.bot.id}> why?")
            await server.wait_for(lambda: server.messages(server.dm(ada)))
        assert "**Send Messages**" in server.messages(server.dm(ada))[0]["content"]
        assert one.inbox.got == []

    async def test_an_app_that_a_person_brought_along_works_without(
        self, server: DiscordServer
    ) -> None:
        """Where the bot is not a member, its permissions do not matter for an answer."""
        channel = server.channel(server.guild())
        ada = server.person("Ada")
        data = {"name": "help", "type": 1, "options": []}
        async with running(server) as one:
            await server.interact(
                ada,
                channel,
                data,
                {},
                app_permissions="1",
                authorizing_integration_owners={"1": ada.id},
            )
            await server.wait_for(lambda: one.inbox.got)
        assert one.inbox.got[0].message.address.data["member"] is False


class TestFetch:
    @pytest.fixture
    async def picture(self, server: DiscordServer) -> Attachment:
        stored = server.rest.store(server.channel(server.guild()), *PICTURE)
        return Attachment(PICTURE[0], {"url": stored["url"], "id": stored["id"]})

    async def test_a_picture_over_the_limit_is_not_read(
        self, server: DiscordServer, picture: Attachment
    ) -> None:
        """The limit counts bytes; a known size is refused without a request."""
        known = Attachment(picture.name, picture.source, size=11)
        async with running(server) as one:
            key = ChannelKey("discord", ("1",))
            with pytest.raises(ImageTooLarge):
                await one.adapter.fetch(key, known, 10)
            assert not server.calls("GET", "/cdn")
            with pytest.raises(ImageTooLarge):
                await one.adapter.fetch(key, picture, 10)
            assert await one.adapter.fetch(key, picture, 11) == PICTURE[1]

    async def test_a_picture_that_is_gone(self, server: DiscordServer, picture: Attachment) -> None:
        """An address that ended is ImageUnreadable at once."""
        server.rest.cdn.clear()
        async with running(server) as one:
            with pytest.raises(ImageUnreadable, match="any more"):
                await one.adapter.fetch(ChannelKey("discord", ("1",)), picture, 100)
        assert len(server.calls("GET", "/cdn")) == 1

    async def test_trouble_is_tried_again(self, server: DiscordServer, picture: Attachment) -> None:
        """A 503 of the file server is not the person's problem at first, then it is."""
        server.fail_next("GET", "/cdn", 503, times=4)
        async with running(server) as one:
            with pytest.raises(ImageUnreadable, match="at the moment"):
                await one.adapter.fetch(ChannelKey("discord", ("1",)), picture, 100)
            assert await one.adapter.fetch(ChannelKey("discord", ("1",)), picture, 100)
        assert len(server.calls("GET", "/cdn")) == 5


async def test_no_request_can_ping(server: DiscordServer) -> None:
    """Every request with text says that nobody is to be pinged, or is seen by one person."""
    channel = server.channel(server.guild())
    ada = server.person("Ada")
    async with running(server) as one:
        one.inbox.notices = [Notice("@everyone", private=False), Notice("@everyone")]
        await server.runs(ada, channel, "help")
        await server.wait_for(lambda: server.messages(channel))
        await server.says(ada, channel, f"<@{server.bot.id}> hi")
        await server.wait_for(lambda: len(server.messages(channel)) == 3)
    bodies = [call.body for call in server.requests if isinstance(call.body, dict)]
    texts = [body for body in bodies if body.get("content")]
    assert len(texts) == 2
    assert all(body["allowed_mentions"] == {"parse": []} for body in texts)
    assert not [m for m in channel.messages.values() if m["flags"] & LOADING]
