"""Buttons on Discord: shown under replies and notices, pressed, and answered; over sockets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.actions import Action, Button, Verb, under_drawing
from bot.errors import StorageError
from bot.files import File
from bot.i18n import Catalogue
from bot.models import Imagine, Notice
from bot.platforms.discord import components_v2
from bot.platforms.discord.parsing import DiscordTarget
from bot.reply.surface import Content, Mood
from bot.turns.commands import ShowRecipe
from tests.servers.discord import DiscordServer
from tests.servers.discord_components import text_of
from tests.servers.discord_people import buttons, presses, sends_in
from tests.servers.discord_running import Running, ScriptedInbox, running
from tests.servers.discord_world import ATTACH, EPHEMERAL, LOADING, Channel, User

TURN = "abcde23456"
WORDS = Catalogue().words()
ROWS = under_drawing(TURN, 5, WORDS)
DRAWING = Content("A red fox.", mood=Mood.DONE, buttons=ROWS)
STOP = Content("Working", buttons=((Button(Action(Verb.STOP, TURN), "Stop", danger=True),),))
LONG = 120.0
pytestmark = pytest.mark.timeout(300)  # a busy machine takes its time


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as one:
        one.channel(one.guild())
        one.person("Ada")
        yield one


@pytest.fixture
async def bot(server: DiscordServer) -> AsyncIterator[Running]:
    async with running(server) as one:
        yield one


def general(server: DiscordServer) -> Channel:
    return next(iter(server.channels.values()))


def ada(server: DiscordServer) -> User:
    return server.people[0]


async def drawn(server: DiscordServer, bot: Running, content: Content = DRAWING) -> str:
    """A reply of the bot with buttons, and its id."""
    await server.says(ada(server), general(server), f"<@{server.bot.id}> hello")
    await server.wait_for(lambda: bot.inbox.got, LONG)
    surface = bot.adapter.surface(bot.inbox.got.pop().message.address)
    receipt = await surface.create(content, "turn-0")
    return str(receipt["ids"][0])


def ephemeral(server: DiscordServer) -> list[dict[str, Any]]:
    """What only one person sees, and does not say "thinking"."""
    found = general(server).messages.values()
    return [each for each in found if each["flags"] & EPHEMERAL and not each["flags"] & LOADING]


class TestShown:
    async def test_every_edit_states_the_buttons(self, server: DiscordServer, bot: Running) -> None:
        """A stop button while it works, others when it is done, none when there are none."""
        await server.says(ada(server), general(server), f"<@{server.bot.id}> hello")
        await server.wait_for(lambda: bot.inbox.got, LONG)
        surface = bot.adapter.surface(bot.inbox.got.pop().message.address)
        assert surface.limits.buttons
        assert surface.limits.buttons_with_files
        receipt = await surface.create(STOP, "turn-0")
        message = general(server).messages[receipt["ids"][0]]
        assert buttons(message) == {"Stop": f"stop:{TURN}:"}
        assert message["components"][0]["components"][0]["style"] == 4
        await surface.edit(receipt, DRAWING)
        assert len(message["components"]) == 2
        assert buttons(message)["5"] == f"full:{TURN}:5"
        await surface.edit(receipt, Content("Done."))
        assert message["components"] == []

    async def test_the_answer_to_a_command_has_them_too(
        self, server: DiscordServer, bot: Running
    ) -> None:
        """Through the interaction's token, in the placeholder's place and in what follows."""
        await server.runs(ada(server), general(server), "imagine", prompt="a red fox")
        await server.wait_for(lambda: bot.inbox.got, LONG)
        surface = bot.adapter.surface(bot.inbox.got.pop().message.address)
        await surface.create(STOP, "turn-0")
        await surface.create(DRAWING, "turn-1")
        first, second = general(server).messages.values()
        assert list(buttons(first)) == ["Stop"]
        assert len(buttons(second)) == 10

    async def test_nothing_is_remembered_about_them(
        self, server: DiscordServer, bot: Running
    ) -> None:
        """discord.py keeps views that are not finished, and a bot runs for months."""
        await drawn(server, bot)
        view = components_v2.buttons(ROWS)
        form = components_v2.prompt_form(Action(Verb.EDIT, TURN), "a red fox", WORDS)
        assert view is not None
        assert view.is_finished()
        assert form.is_finished()
        assert not bot.adapter._opened().persistent_views


class TestPressed:
    async def test_the_inbox_gets_who_pressed_and_where(
        self, server: DiscordServer, bot: Running
    ) -> None:
        """With the server, the roles and whether the person moderates the channel."""
        ada(server).rights = 1 << 13
        shown = await drawn(server, bot, STOP)
        bot.inbox.press_notices = [Notice("Stopping.")]
        press = await presses(server, ada(server), general(server), shown, f"stop:{TURN}:")
        await server.wait_for(lambda: ephemeral(server), LONG)
        ((message, action),) = bot.inbox.presses
        assert action == Action(Verb.STOP, TURN)
        assert (message.message_id, message.person.id) == (press.id, ada(server).id)
        assert message.server == server.guilds[0].id
        assert message.moderator
        assert press.answer is not None
        assert press.answer["type"] == 6
        assert ephemeral(server)[0]["content"] == "Stopping."
        assert general(server).messages[shown]["content"] == "Working"

    async def test_they_work_after_a_restart(self, server: DiscordServer) -> None:
        """Another process made the message, and this one knows nothing about it."""
        async with running(server) as before:
            shown = await drawn(server, before)
        async with running(server) as after:
            await presses(server, ada(server), general(server), shown, f"more:{TURN}:")
            await server.wait_for(lambda: after.inbox.presses, LONG)

    async def test_a_turn_begins_with_a_message_that_refers_to_the_drawing(
        self, server: DiscordServer, bot: Running
    ) -> None:
        """Acknowledged without a trace; the reply is an ordinary message."""
        shown = await drawn(server, bot)
        press = await presses(server, ada(server), general(server), shown, f"again:{TURN}:")
        await server.wait_for(lambda: bot.inbox.presses, LONG)
        assert press.answer is not None
        assert press.answer["type"] == 6
        message, _ = bot.inbox.presses[0]
        await bot.adapter.surface(message.address).create(DRAWING, "next-0")
        reply = list(general(server).messages.values())[-1]
        assert str(reply["message_reference"]["message_id"]) == shown
        target = DiscordTarget.from_address(message.address)
        assert target.interaction is None
        assert target.max_file_bytes == 10 * 2**20

    async def test_somebody_elses_press_is_refused_quietly(
        self, server: DiscordServer, bot: Running
    ) -> None:
        """Nobody but who pressed sees anything of it."""
        bob = server.person("Bob")
        shown = await drawn(server, bot)
        before = [each["id"] for each in server.messages(general(server))]
        bot.inbox.press_notices = [Notice("Only the person who asked for this can do that.")]
        await presses(server, bob, general(server), shown, f"again:{TURN}:")
        await server.wait_for(lambda: ephemeral(server), LONG)
        public = [e for e in general(server).messages.values() if not e["flags"] & EPHEMERAL]
        assert [each["id"] for each in public] == before

    async def test_under_a_message_that_one_person_sees_the_answer_is_deferred(
        self, server: DiscordServer, bot: Running
    ) -> None:
        """Nobody else could see which message an ordinary one refers to."""
        shown = await drawn(server, bot)
        general(server).messages[shown]["flags"] |= EPHEMERAL
        press = await presses(server, ada(server), general(server), shown, f"again:{TURN}:")
        await server.wait_for(lambda: bot.inbox.presses, LONG)
        assert press.answer is not None
        assert press.answer["type"] == 5
        message, _ = bot.inbox.presses[0]
        await bot.adapter.surface(message.address).create(DRAWING, "next-0")
        assert text_of(general(server).messages[press.original or ""]) == "A red fox."

    async def test_a_missing_permission_is_named_before_a_turn_begins(
        self, server: DiscordServer, bot: Running
    ) -> None:
        """As for commands."""
        shown = await drawn(server, bot)
        general(server).denied = ATTACH
        await presses(server, ada(server), general(server), shown, f"again:{TURN}:")
        await server.wait_for(lambda: ephemeral(server), LONG)
        assert "Attach Files" in ephemeral(server)[0]["content"]
        assert not bot.inbox.presses

    async def test_a_picture_comes_as_a_file(self, server: DiscordServer, bot: Running) -> None:
        """Deferred for one person to see; a file over the limit is named instead."""
        shown = await drawn(server, bot)
        small = File(b"\x89PNG", "image/png", "janus-1.png")
        large = File(bytes(10 * 2**20 + 1), "image/png", "janus-2.png")
        bot.inbox.press_notices = [Notice("Here.", files=(small, large))]
        press = await presses(server, ada(server), general(server), shown, f"full:{TURN}:1")
        await server.wait_for(lambda: ephemeral(server), LONG)
        (message,) = ephemeral(server)
        assert press.answer is not None
        assert press.answer["type"] == 5
        assert [each["filename"] for each in message["attachments"]] == ["janus-1.png"]
        assert "janus-2.png" in message["content"]

    async def test_a_menu_changes_in_place(self, server: DiscordServer, bot: Running) -> None:
        """A notice that replaces takes the place of the message with the button."""
        menu = ((Button(Action(Verb.SET, "images"), "Drawing"),),)
        bot.inbox.notices = [Notice("All settings", buttons=menu)]
        await server.runs(ada(server), general(server), "settings")
        await server.wait_for(lambda: ephemeral(server), LONG)
        (message,) = ephemeral(server)
        back = ((Button(Action(Verb.SET), "Back"),),)
        bot.inbox.press_notices = [Notice("Drawing: on", buttons=back, replaces=True)]
        carried = buttons(message)["Drawing"]
        await presses(server, ada(server), general(server), message["id"], carried)
        await server.wait_for(lambda: message["content"] == "Drawing: on", LONG)
        assert buttons(message) == {"Back": "set::"}
        assert len(ephemeral(server)) == 1

    @pytest.mark.parametrize("carried", ["", "juggle:abc:", "nonsense"])
    async def test_what_is_not_known_is_answered(
        self, server: DiscordServer, bot: Running, carried: str
    ) -> None:
        """A button of another version of the bot."""
        shown = await drawn(server, bot)
        await presses(server, ada(server), general(server), shown, carried)
        await server.wait_for(lambda: ephemeral(server), LONG)
        assert ephemeral(server)[0]["content"] == WORDS("press-gone")
        assert not bot.inbox.presses

    async def test_the_second_of_two_clicks_is_unknown_to_discord(
        self, server: DiscordServer, bot: Running
    ) -> None:
        """It begins nothing, and the next press works."""
        shown = await drawn(server, bot)
        server.fail_next("POST", "/callback", 404, 10062)
        await presses(server, ada(server), general(server), shown, f"again:{TURN}:")
        await server.wait_for(lambda: server.calls("POST", "/callback"), LONG)
        press = await presses(server, ada(server), general(server), shown, f"again:{TURN}:")
        await server.wait_for(lambda: bot.inbox.presses, LONG)
        assert [message.message_id for message, _ in bot.inbox.presses] == [press.id]

    async def test_a_failure_while_pressing_is_told(
        self, server: DiscordServer, bot: Running
    ) -> None:
        """Nobody waits for an answer that does not come."""
        shown = await drawn(server, bot)
        bot.inbox.press_error = RuntimeError("a mistake in the program")
        await presses(server, ada(server), general(server), shown, f"stop:{TURN}:")
        await server.wait_for(lambda: ephemeral(server), LONG)
        assert ephemeral(server)[0]["content"] == WORDS("discord-failed")


class TestForm:
    async def test_it_asks_for_a_prompt_and_keeps_the_seed(
        self, server: DiscordServer, bot: Running
    ) -> None:
        """The form holds the old prompt; what is sent in is drawn as a command would be."""
        bot.inbox.drawings[TURN] = Imagine("a red fox", 42, 6.0)
        shown = await drawn(server, bot)
        press = await presses(server, ada(server), general(server), shown, f"edit:{TURN}:")
        await server.wait_for(lambda: press.answer, LONG)
        assert press.answer is not None
        form = press.answer["data"]
        assert press.answer["type"] == 9
        assert form["custom_id"] == f"edit:{TURN}:"
        field = form["components"][0]["component"]
        assert (field["value"], field["max_length"], field["style"]) == ("a red fox", 2000, 2)
        sent = await sends_in(server, ada(server), general(server), form["custom_id"], " an owl ")
        await server.wait_for(lambda: bot.inbox.got, LONG)
        (handed,) = bot.inbox.got
        assert handed.command == Imagine("an owl", 42, 6.0)
        assert handed.deferred
        assert handed.message.message_id == sent.id
        assert sent.answer is not None
        assert sent.answer["type"] == 5

    async def test_it_is_shown_to_nobody_else(self, server: DiscordServer, bot: Running) -> None:
        """The inbox says why not."""
        bot.inbox.drawings[TURN] = Imagine("a red fox", 42, 6.0)
        bot.inbox.press_notices = [Notice("Only the person who asked for this can do that.")]
        shown = await drawn(server, bot)
        press = await presses(server, ada(server), general(server), shown, f"edit:{TURN}:")
        await server.wait_for(lambda: ephemeral(server), LONG)
        assert press.answer is not None
        assert press.answer["type"] == 4

    async def test_a_drawing_that_is_gone(self, server: DiscordServer, bot: Running) -> None:
        """When the form is opened, and when it is sent in; and a prompt of blanks is none."""
        shown = await drawn(server, bot)
        await presses(server, ada(server), general(server), shown, f"edit:{TURN}:")
        await server.wait_for(lambda: len(ephemeral(server)) == 1, LONG)
        await sends_in(server, ada(server), general(server), f"edit:{TURN}:", "an owl")
        await server.wait_for(lambda: len(ephemeral(server)) == 2, LONG)
        bot.inbox.drawings[TURN] = Imagine("a red fox", 42, 6.0)
        await sends_in(server, ada(server), general(server), f"edit:{TURN}:", "  ")
        await server.wait_for(lambda: len(ephemeral(server)) == 3, LONG)
        gone, gone_too, empty = (each["content"] for each in ephemeral(server))
        assert gone == gone_too == WORDS("press-gone")
        assert empty == WORDS("imagine-needs-prompt")
        assert bot.inbox.got == []

    @pytest.mark.parametrize("wrapped", [False, True])
    async def test_fields_are_found_in_rows_and_under_labels(
        self, server: DiscordServer, bot: Running, wrapped: bool
    ) -> None:
        """Discord sends a form back as it was shown, and clients differ in that."""
        bot.inbox.drawings[TURN] = Imagine("a red fox", 42, 6.0)
        field = {"type": 4, "custom_id": "prompt", "value": "an owl"}
        row = {"type": 18, "component": field} if wrapped else {"type": 1, "components": [field]}
        data = {"custom_id": f"edit:{TURN}:", "components": [row]}
        await server.interact(ada(server), general(server), data, {}, type=5)
        await server.wait_for(lambda: bot.inbox.got, LONG)
        assert bot.inbox.commands == [Imagine("an owl", 42, 6.0)]


class TestNotices:
    async def test_a_long_one_is_several_messages(
        self, server: DiscordServer, bot: Running
    ) -> None:
        """A recipe holds the prompt twice; buttons stand under the last message."""
        rows = ((Button(Action(Verb.AGAIN, TURN), "New"),),)
        bot.inbox.notices = [Notice("word " * 700, buttons=rows)]
        await server.runs(ada(server), general(server), "recipe")
        await server.wait_for(lambda: len(ephemeral(server)) == 2, LONG)
        first, second = ephemeral(server)
        assert buttons(first) == {}
        assert buttons(second) == {"New": f"again:{TURN}:"}
        assert bot.inbox.commands == [ShowRecipe()]

    async def test_a_file_comes_with_the_answer_to_a_message(
        self, server: DiscordServer, bot: Running
    ) -> None:
        """`/export` typed out in a direct message."""
        archive = File(b"PK", "application/zip", "discord_1.zip")
        bot.inbox.notices = [Notice("Everything.", files=(archive,))]
        direct = server.dm(ada(server))
        await server.says(ada(server), direct, "/export")
        await server.wait_for(lambda: len(server.messages(direct)) == 2, LONG)
        answer = server.messages(direct)[1]
        assert [each["filename"] for each in answer["attachments"]] == ["discord_1.zip"]
        assert answer["message_reference"]["message_id"]


async def test_a_storage_that_fails_is_told(server: DiscordServer) -> None:
    """In the person's language; the details are for the log."""

    class Broken(ScriptedInbox):
        async def drawing(self, turn_id: str) -> Imagine | None:
            raise StorageError(f"The disk with {turn_id} is gone.")

    async with running(server, Broken(server)) as bot:
        shown = await drawn(server, bot)
        await presses(server, ada(server), general(server), shown, f"edit:{TURN}:")
        await server.wait_for(lambda: len(ephemeral(server)) == 1, LONG)
        await sends_in(server, ada(server), general(server), f"edit:{TURN}:", "an owl")
        await server.wait_for(lambda: len(ephemeral(server)) == 2, LONG)
    assert all("cannot write" in each["content"] for each in ephemeral(server))


def no_mentions(body: dict[str, Any]) -> bool:
    return bool(body.get("allowed_mentions") == {"parse": []})


async def test_no_kind_of_request_can_ping(server: DiscordServer, bot: Running) -> None:
    """Notices, files, follow-ups, edits, whispers: each says that nobody is to be pinged."""
    evil = f"@everyone <@{ada(server).id}> https://example.org"
    shown = await drawn(server, bot, Content(evil, buttons=ROWS))
    file = File(b"\x89PNG", "image/png", "a.png")
    bot.inbox.press_notices = [
        Notice(evil),
        Notice(evil, files=(file,)),
        Notice(evil, replaces=True),
        Notice(evil),
    ]
    for number, carried in enumerate(("stop", "full", "set", "again"), 1):
        await presses(server, ada(server), general(server), shown, f"{carried}:{TURN}:1")
        await server.wait_for(lambda n=number: len(bot.inbox.presses) == n, LONG)  # type: ignore[misc] # mypy takes the default for a parameter
    await presses(server, ada(server), general(server), shown, "nonsense")
    bot.inbox.notices = [Notice(evil, private=False), Notice(evil), Notice(evil + "\n" * 2500)]
    for word in ("help", "retry", "privacy"):
        await server.runs(ada(server), general(server), word)
    await server.says(ada(server), server.dm(ada(server)), "/imagine a fox --seed x")

    def texts() -> list[dict[str, Any]]:
        bodies = [call.body for call in server.requests if isinstance(call.body, dict)]
        inner = [body.get("data") or body for body in bodies]
        return [body for body in inner if body.get("content")]

    await server.wait_for(lambda: len(texts()) >= 10, LONG)
    assert all(no_mentions(body) for body in texts()), json.dumps(texts(), indent=1)
    assert all(body["flags"] & 4 for body in texts())
    mine = [m for m in general(server).messages.values() if m["author"]["id"] == server.bot.id]
    assert not [message for message in mine if message["mentions"]]
