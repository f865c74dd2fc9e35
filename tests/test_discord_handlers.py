"""What people do on Discord, as the dispatcher gets it: real client, local Discord, sockets."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from discord import Permissions

from bot.errors import (
    StorageError,
)
from bot.models import Ask, ChannelKey, Imagine, Notice
from bot.platforms.discord.parsing import DiscordTarget
from bot.turns.commands import WORDS, Command, Help, Reset, Retry, Stop
from tests.servers.discord import DiscordServer
from tests.servers.discord_running import registered, running
from tests.servers.discord_world import (
    ATTACH,
    EPHEMERAL,
    HISTORY,
    IN_THREADS,
    LOADING,
    SEND,
)

PICTURE = ("fox.png", b"\x89PNG a fox")


def answered(discord: DiscordServer, interaction_id: str) -> Callable[[], bool]:
    return lambda: discord.interactions[interaction_id].answer is not None


class TestCommands:
    async def test_commands_are_registered_once(self, discord: DiscordServer) -> None:
        """The first start registers all commands with their ranges, the second nothing."""
        async with running(discord):
            assert await registered(discord) == [""]
        ada, channel = discord.person("Ada"), discord.channel(discord.guild())
        async with running(discord) as one:
            await discord.wait_for(lambda: len(discord.calls("GET", "/commands$")) == 2)
            await discord.runs(ada, channel, "reset")
            await discord.wait_for(lambda: one.dispatcher.commands)
        assert discord.rest.syncs == [""]
        known = {one["name"]: one for one in discord.rest.commands[""]}
        assert set(known) == set(WORDS) | {"Ask about this image", "Show recipe"}
        prompt, seed, guidance = known["imagine"]["options"]
        assert (prompt["name"], prompt["required"]) == ("prompt", True)
        assert (prompt["min_length"], prompt["max_length"]) == (1, 2000)
        assert prompt["autocomplete"]
        assert (seed["min_value"], seed["max_value"]) == (0, 2**32 - 1)
        assert (guidance["min_value"], guidance["max_value"]) == (1, 10)
        assert known["ask"]["options"][1]["type"] == 11

    async def test_commands_of_servers(self, discord: DiscordServer) -> None:
        """With `guild_ids` commands go to these servers only, and again only when changed."""
        ids = [int(discord.guild().id), int(discord.guild("Away").id)]
        first, second = map(str, ids)
        async with running(discord, guild_ids=ids):
            assert await registered(discord, 2) == [first, second]
        discord.rest.commands[second][0]["description"] = "old words"
        async with running(discord, guild_ids=ids):
            assert await registered(discord, 3) == [first, second, second]

    async def test_a_list_that_cannot_be_read_is_replaced(self, discord: DiscordServer) -> None:
        """A REST proxy without that route still gets the commands."""
        discord.fail_next("GET", "/commands", 404)
        async with running(discord):
            assert await registered(discord) == [""]

    async def test_commands_that_cannot_be_registered_do_not_stop_the_bot(
        self, discord: DiscordServer
    ) -> None:
        """A server without the scope applications.commands is a warning."""
        discord.fail_next("PUT", "/commands", 403, 50001)
        async with running(discord) as one:
            assert one.states == [True]

    async def test_imagine_is_deferred_before_anything_else(self, discord: DiscordServer) -> None:
        """The deferral is answered when the dispatcher gets the command with its values."""
        channel = discord.channel(discord.guild())
        ada = discord.person("Ada")
        async with running(discord) as one:
            run = await discord.runs(
                ada, channel, "imagine", prompt=" a red fox ", seed=42, guidance=6.0
            )
            await discord.wait_for(lambda: one.dispatcher.got)
        (handed,) = one.dispatcher.got
        assert handed.message.message_id in one.dispatcher.deferred
        assert run.answer is not None
        assert run.answer["type"] == 5
        assert handed.command == Imagine("a red fox", 42, 6.0)
        assert handed.message.channel == ChannelKey("discord", (channel.id,))
        assert handed.message.message_id == run.id
        assert (handed.message.person.id, handed.message.person.name) == (ada.id, "Ada")
        assert handed.message.person.language == "de"
        assert handed.message.address.chat == channel.id
        assert run.token not in repr(handed.message)

    async def test_the_time_left_is_counted_by_our_own_clock(self, discord: DiscordServer) -> None:
        """An id says when Discord's clock made it; a clock that is off must not end the token."""
        ada = discord.person("Ada")
        data = {"name": "retry", "type": 1, "options": []}
        before = time.time()
        async with running(discord) as one:
            await discord.interact(ada, discord.dm(ada), data, {}, id="1234")  # of the year 2015
            await discord.wait_for(lambda: one.dispatcher.got)
        token = one.dispatcher.got[0].message.address.data["interaction"]
        assert before + 900 <= token["expires"] <= time.time() + 900

    async def test_ask_takes_an_image(self, discord: DiscordServer) -> None:
        """The attachment of the option comes along and can be fetched."""
        ada = discord.person("Ada")
        async with running(discord) as one:
            await discord.runs(
                ada, discord.dm(ada), "ask", {"image": PICTURE}, question="what is it?"
            )
            await discord.wait_for(lambda: one.dispatcher.got)
            (handed,) = one.dispatcher.got
            assert handed.command == Ask("what is it?")
            (attachment,) = handed.message.attachments
            got = await one.adapter.fetch(handed.message.channel, attachment, 1000)
            assert got == PICTURE[1]

    @pytest.mark.parametrize(
        ("word", "command", "private"),
        [("retry", Retry(), False), ("stop", Stop(), True), ("reset", Reset(), True)],
    )
    async def test_plain_commands(
        self, discord: DiscordServer, word: str, command: Command, private: bool
    ) -> None:
        """What starts a turn is deferred for all to see, the rest for one person."""
        channel = discord.channel(discord.guild())
        async with running(discord) as one:
            run = await discord.runs(discord.person("Ada"), channel, word)
            await discord.wait_for(lambda: one.dispatcher.got)
        assert one.dispatcher.commands == [command]
        assert run.answer is not None
        assert bool((run.answer.get("data") or {}).get("flags", 0) & EPHEMERAL) is private

    @pytest.mark.parametrize("word", ["help", "retry"])
    @pytest.mark.parametrize("private", [True, False])
    async def test_a_notice_is_shown_to_whom_it_concerns(
        self, discord: DiscordServer, word: str, private: bool
    ) -> None:
        """However the command was deferred, a private notice is ephemeral and a public one not."""
        channel = discord.channel(discord.guild())
        async with running(discord) as one:
            one.dispatcher.notices = [Notice("Hello @everyone", private=private)]
            await discord.runs(discord.person("Ada"), channel, word)
            await discord.wait_for(lambda: discord.messages(channel))
            (message,) = channel.messages.values()
            assert message["content"] == "Hello @everyone"
            assert bool(message["flags"] & EPHEMERAL) is private

    async def test_a_value_that_cannot_be_used_is_told_quietly(
        self, discord: DiscordServer
    ) -> None:
        """An empty prompt never reaches the dispatcher."""
        channel = discord.channel(discord.guild())
        async with running(discord) as one:
            run = await discord.runs(discord.person("Ada"), channel, "imagine", prompt="  ")
            await discord.wait_for(answered(discord, run.id))
        assert run.answer is not None
        assert run.answer["type"] == 4
        assert run.answer["data"]["flags"] & EPHEMERAL
        assert "Tell me what to draw" in run.answer["data"]["content"]
        assert one.dispatcher.got == []

    async def test_a_failure_while_accepting_is_told(self, discord: DiscordServer) -> None:
        """A sentence in the person's language replaces the "thinking" message, quietly."""
        channel = discord.channel(discord.guild())
        async with running(discord) as one:
            one.dispatcher.failures.append(StorageError("The disk is full."))
            await discord.runs(discord.person("Ada"), channel, "imagine", prompt="a fox")
            await discord.wait_for(lambda: discord.messages(channel))
        (message,) = channel.messages.values()
        assert "cannot write" in message["content"]
        assert message["flags"] & EPHEMERAL

    async def test_an_interaction_that_is_too_old_starts_nothing(
        self, discord: DiscordServer
    ) -> None:
        """Discord's 10062 means that the person saw a failure: no turn begins."""
        discord.answer_within = -1.0
        ada = discord.person("Ada")
        async with running(discord) as one:
            await discord.runs(ada, discord.dm(ada), "imagine", prompt="a fox")
            await discord.wait_for(lambda: discord.calls("POST", "/callback"))
            discord.answer_within = 3.0
            await discord.runs(ada, discord.dm(ada), "imagine", prompt="an owl")
            await discord.wait_for(lambda: one.dispatcher.got)
        assert one.dispatcher.commands == [Imagine("an owl")]

    async def test_the_context_menu_asks_about_a_picture(self, discord: DiscordServer) -> None:
        """The message's picture comes along, and an empty question means "describe it"."""
        channel = discord.channel(discord.guild())
        ada, bob = discord.person("Ada"), discord.person("Bob")
        async with running(discord) as one:
            shown = await discord.says(bob, channel, "look", [PICTURE, ("notes.txt", b"text")])
            await discord.picks(ada, channel, "Ask about this image", shown)
            await discord.wait_for(lambda: one.dispatcher.got)
            bare = await discord.says(bob, channel, "no picture")
            run = await discord.picks(ada, channel, "Ask about this image", bare)
            await discord.wait_for(answered(discord, run.id))
        (handed,) = one.dispatcher.got
        assert handed.command == Ask("")
        assert [item.name for item in handed.message.attachments] == ["fox.png"]
        assert handed.message.reply_to == shown
        assert run.answer is not None
        assert "no picture" in run.answer["data"]["content"]


class TestMessages:
    async def test_what_is_not_for_the_bot_is_left_alone(self, discord: DiscordServer) -> None:
        """Talk among people, bots and webhooks, joins and forwarded mentions start nothing."""
        channel = discord.channel(discord.guild())
        ada, robot = discord.person("Ada"), discord.person("Robot")
        robot.bot = True
        mention = f"<@{discord.bot.id}>"
        async with running(discord) as one:
            theirs = await discord.says(ada, channel, "hello all")
            await discord.says(ada, channel, "a reply to a person", reply_to=theirs)
            await discord.says(robot, channel, f"{mention} hello")
            await discord.says(ada, channel, f"{mention} hello", webhook_id="77")
            await discord.says(ada, channel, f"{mention} joined", type=7)
            await discord.says(ada, channel, f"{mention} last")
            await discord.wait_for(lambda: one.dispatcher.got)
        assert one.dispatcher.commands == [Ask("last")]

    async def test_a_mention_is_taken_out_and_others_read_as_names(
        self, discord: DiscordServer
    ) -> None:
        """The model gets what people see, without the bot's own name."""
        channel = discord.channel(discord.guild())
        ada, bob = discord.person("Ada"), discord.person("Bob")
        async with running(discord) as one:
            text = f"<@!{discord.bot.id}> who is <@{bob.id}> in <#{channel.id}> <:fox:123456>?"
            await discord.says(ada, channel, text)
            await discord.wait_for(lambda: one.dispatcher.got)
        assert one.dispatcher.commands == [Ask("who is @Bob in #general :fox:?")]

    async def test_the_bots_managed_role_counts_as_the_bot(self, discord: DiscordServer) -> None:
        """People pick the role with the bot's name from the list."""
        guild = discord.guild()
        channel = discord.channel(guild)
        role = {"id": "4242", "tags": {"bot_id": discord.bot.id}}
        guild.more_roles.append(role)
        async with running(discord) as one:
            await discord.says(
                discord.person("Ada"), channel, "<@&4242> hello", mention_roles=["4242"]
            )
            await discord.wait_for(lambda: one.dispatcher.got)
        assert one.dispatcher.commands == [Ask("hello")]

    async def test_a_reply_to_the_bot_starts_a_turn(self, discord: DiscordServer) -> None:
        """Without a mention too; the bot's own pictures are not fetched again."""
        channel = discord.channel(discord.guild())
        async with running(discord) as one:
            mine = await discord.says(discord.bot, channel, "five foxes", [PICTURE])
            asked = await discord.says(discord.person("Ada"), channel, "the second?", reply_to=mine)
            await discord.wait_for(lambda: one.dispatcher.got)
        (handed,) = one.dispatcher.got
        assert handed.message.reply_to == mine
        assert handed.message.message_id == asked
        assert handed.message.attachments == ()
        target = DiscordTarget.from_address(handed.message.address)
        assert target == DiscordTarget(channel.id, reply_to=asked)

    async def test_a_mention_in_a_reply_brings_the_other_picture(
        self, discord: DiscordServer
    ) -> None:
        """A question about somebody else's picture needs no upload."""
        channel = discord.channel(discord.guild())
        async with running(discord) as one:
            theirs = await discord.says(discord.person("Bob"), channel, "look", [PICTURE])
            text = f"<@{discord.bot.id}> what is it?"
            await discord.says(discord.person("Ada"), channel, text, reply_to=theirs)
            await discord.wait_for(lambda: one.dispatcher.got)
        (handed,) = one.dispatcher.got
        assert [item.name for item in handed.message.attachments] == ["fox.png"]
        assert handed.message.reply_to == theirs

    async def test_threads_are_channels_of_their_own(self, discord: DiscordServer) -> None:
        """A thread's key is its own id."""
        thread = discord.thread(discord.channel(discord.guild()))
        async with running(discord) as one:
            await discord.says(discord.person("Ada"), thread, f"<@{discord.bot.id}> hi")
            await discord.runs(discord.person("Bob"), thread, "imagine", prompt="a fox")
            await discord.wait_for(lambda: len(one.dispatcher.got) == 2)
        assert {str(h.message.channel) for h in one.dispatcher.got} == {f"discord:{thread.id}"}

    async def test_commands_typed_out_in_a_direct_message(self, discord: DiscordServer) -> None:
        """A direct message may hold a command; elsewhere a slash is just a slash."""
        channel = discord.channel(discord.guild())
        ada = discord.person("Ada")
        async with running(discord) as one:
            one.dispatcher.notices = [Notice("I can draw.")]
            await discord.says(ada, discord.dm(ada), "/help")
            await discord.wait_for(lambda: len(discord.messages(discord.dm(ada))) == 2)
            await discord.says(ada, discord.dm(ada), "/imagine a fox --seed x")
            await discord.wait_for(lambda: len(discord.messages(discord.dm(ada))) == 4)
            await discord.says(ada, channel, f"<@{discord.bot.id}> /help")
            await discord.wait_for(lambda: len(one.dispatcher.got) == 2)
        assert one.dispatcher.commands == [Help(), Ask("/help")]
        texts = [one["content"] for one in discord.messages(discord.dm(ada))]
        assert texts[1] == "I can draw."
        assert "seed" in texts[3]


class TestPermissions:
    @pytest.mark.parametrize(
        ("denied", "name"), [(SEND, "Send Messages"), (ATTACH, "Attach Files")]
    )
    async def test_a_command_that_cannot_be_answered_says_why(
        self, discord: DiscordServer, denied: int, name: str
    ) -> None:
        """The missing permission is named to the person, quietly, and no turn starts."""
        channel = discord.channel(discord.guild(), denied=denied)
        async with running(discord) as one:
            run = await discord.runs(discord.person("Ada"), channel, "imagine", prompt="a fox")
            await discord.wait_for(answered(discord, run.id))
        assert run.answer is not None
        assert run.answer["data"]["flags"] & EPHEMERAL
        assert f"**{name}**" in run.answer["data"]["content"]
        assert one.dispatcher.got == []

    async def test_threads_have_their_own_permission(self, discord: DiscordServer) -> None:
        """In a thread Send Messages in Threads counts."""
        thread = discord.thread(discord.channel(discord.guild(), denied=IN_THREADS))
        async with running(discord):
            run = await discord.runs(discord.person("Ada"), thread, "imagine", prompt="a fox")
            await discord.wait_for(answered(discord, run.id))
        assert run.answer is not None
        assert "Send Messages in Threads" in run.answer["data"]["content"]

    async def test_a_question_needs_no_permission_to_attach(self, discord: DiscordServer) -> None:
        """What answers with text only works without Attach Files."""
        channel = discord.channel(discord.guild(), denied=ATTACH)
        async with running(discord) as one:
            await discord.says(discord.person("Ada"), channel, f"<@{discord.bot.id}> why?")
            await discord.wait_for(lambda: one.dispatcher.got)

    async def test_a_mention_without_history_is_told_in_the_channel(
        self, discord: DiscordServer
    ) -> None:
        """Replying needs Read Message History; the bot says so without replying."""
        channel = discord.channel(discord.guild(), denied=HISTORY)
        async with running(discord) as one:
            await discord.says(discord.person("Ada"), channel, f"<@{discord.bot.id}> why?")
            await discord.wait_for(lambda: len(discord.messages(channel)) == 2)
        assert "Read Message History" in discord.messages(channel)[1]["content"]
        assert one.dispatcher.got == []

    async def test_a_mention_where_the_bot_is_silenced_is_told_privately(
        self, discord: DiscordServer
    ) -> None:
        """Without Send Messages the person gets a direct message."""
        channel = discord.channel(discord.guild(), denied=SEND)
        ada = discord.person("Ada")
        async with running(discord) as one:
            await discord.says(ada, channel, f"<@{discord.bot.id}> why?")
            await discord.wait_for(lambda: discord.messages(discord.dm(ada)))
        assert "**Send Messages**" in discord.messages(discord.dm(ada))[0]["content"]
        assert one.dispatcher.got == []

    async def test_an_app_that_a_person_brought_along_works_without(
        self, discord: DiscordServer
    ) -> None:
        """Where the bot is not a member, its permissions do not matter for an answer."""
        channel = discord.channel(discord.guild())
        ada = discord.person("Ada")
        data = {"name": "help", "type": 1, "options": []}
        async with running(discord) as one:
            await discord.interact(
                ada,
                channel,
                data,
                {},
                app_permissions="1",
                authorizing_integration_owners={"1": ada.id},
            )
            await discord.wait_for(lambda: one.dispatcher.got)
        assert not DiscordTarget.from_address(one.dispatcher.got[0].message.address).member

    @pytest.mark.parametrize("external_apps", [False, True])
    async def test_why_nobody_else_sees_the_answer_is_said_once(
        self, discord: DiscordServer, external_apps: bool
    ) -> None:
        """Who may not use external apps there is told which permission is missing."""
        channel = discord.channel(discord.guild())
        ada = discord.person("Ada")
        allowed = Permissions(send_messages=True, use_external_apps=external_apps)
        member = {"user": ada.payload(), "permissions": str(allowed.value), **ada.member()}
        question = {"name": "question", "type": 3, "value": "why?"}

        def told() -> int:
            said = [call.body for call in discord.calls("POST", "/webhooks/")]
            return sum("Use External Apps" in str(body) for body in said)

        async with running(discord) as one:
            for _ in range(2):
                one.dispatcher.got.clear()
                await discord.interact(
                    ada,
                    channel,
                    {"name": "ask", "type": 1, "options": [question]},
                    {},
                    member=member,
                    locale="en-US",
                    app_permissions="1",
                    authorizing_integration_owners={"1": ada.id},
                )
                await discord.wait_for(lambda: one.dispatcher.got)
                await discord.wait_for(lambda: external_apps or told())
        assert told() == (0 if external_apps else 1)


async def test_no_request_can_ping(discord: DiscordServer) -> None:
    """Every request with text says that nobody is to be pinged, or is seen by one person."""
    channel = discord.channel(discord.guild())
    ada = discord.person("Ada")
    async with running(discord) as one:
        one.dispatcher.notices = [Notice("@everyone", private=False), Notice("@everyone")]
        await discord.runs(ada, channel, "help")
        await discord.wait_for(lambda: discord.messages(channel))
        await discord.says(ada, channel, f"<@{discord.bot.id}> hi")
        await discord.wait_for(lambda: len(discord.messages(channel)) == 3)
    bodies = [call.body for call in discord.requests if isinstance(call.body, dict)]
    texts = [body for body in bodies if body.get("content")]
    assert len(texts) == 2
    assert all(body["allowed_mentions"] == {"parse": []} for body in texts)
    assert not [m for m in channel.messages.values() if m["flags"] & LOADING]
