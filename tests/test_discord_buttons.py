"""Buttons on Discord: shown under replies and notices, pressed, and answered; over sockets."""

from __future__ import annotations

import json
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
from tests.servers.discord_people import ada, buttons, general, presses, sends_in
from tests.servers.discord_running import DiscordDispatcher, Running, running
from tests.servers.discord_world import ATTACH, EPHEMERAL, LOADING

TURN = "abcde23456"
WORDS = Catalogue().words()
ROWS = under_drawing(TURN, 5, WORDS)
DRAWING = Content("A red fox.", mood=Mood.DONE, buttons=ROWS)
STOP = Content("Working", buttons=((Button(Action(Verb.STOP, TURN), "Stop", danger=True),),))
WAIT = 120.0
pytestmark = pytest.mark.timeout(300)  # a busy machine takes its time


async def drawn(discord: DiscordServer, discord_bot: Running, content: Content = DRAWING) -> str:
    """A reply of the bot with buttons, and its id."""
    await discord.says(ada(discord), general(discord), f"<@{discord.bot.id}> hello")
    await discord.wait_for(lambda: discord_bot.dispatcher.got, WAIT)
    surface = discord_bot.adapter.surface(discord_bot.dispatcher.got.pop().message.address)
    receipt = await surface.create(content, "turn-0")
    return str(receipt["ids"][0])


def ephemeral(discord: DiscordServer) -> list[dict[str, Any]]:
    """What only one person sees, and does not say "thinking"."""
    found = general(discord).messages.values()
    return [each for each in found if each["flags"] & EPHEMERAL and not each["flags"] & LOADING]


class TestShown:
    async def test_every_edit_states_the_buttons(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """A stop button while it works, others when it is done, none when there are none."""
        await discord.says(ada(discord), general(discord), f"<@{discord.bot.id}> hello")
        await discord.wait_for(lambda: discord_bot.dispatcher.got, WAIT)
        surface = discord_bot.adapter.surface(discord_bot.dispatcher.got.pop().message.address)
        assert surface.limits.buttons
        assert surface.limits.buttons_with_files
        receipt = await surface.create(STOP, "turn-0")
        message = general(discord).messages[receipt["ids"][0]]
        assert buttons(message) == {"■ Stop": f"stop:{TURN}:"}
        assert message["components"][0]["components"][0]["style"] == 4
        await surface.edit(receipt, DRAWING)
        assert len(message["components"]) == 2
        assert buttons(message)["5"] == f"full:{TURN}:5"
        await surface.edit(receipt, Content("Done."))
        assert message["components"] == []

    async def test_the_answer_to_a_command_has_them_too(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """Through the interaction's token, in the placeholder's place and in what follows."""
        await discord.runs(ada(discord), general(discord), "imagine", prompt="a red fox")
        await discord.wait_for(lambda: discord_bot.dispatcher.got, WAIT)
        surface = discord_bot.adapter.surface(discord_bot.dispatcher.got.pop().message.address)
        await surface.create(STOP, "turn-0")
        await surface.create(DRAWING, "turn-1")
        first, second = general(discord).messages.values()
        assert list(buttons(first)) == ["■ Stop"]
        assert len(buttons(second)) == 10

    async def test_nothing_is_remembered_about_them(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """discord.py keeps views that are not finished, and a bot runs for months."""
        await drawn(discord, discord_bot)
        view = components_v2.buttons(ROWS)
        form = components_v2.prompt_form(Action(Verb.EDIT, TURN), "a red fox", WORDS)
        assert view is not None
        assert view.is_finished()
        assert form.is_finished()
        assert not discord_bot.adapter._opened().persistent_views


class TestPressed:
    async def test_the_dispatcher_gets_who_pressed_and_where(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """With the server, the roles and whether the person moderates the channel."""
        ada(discord).rights = 1 << 13
        shown = await drawn(discord, discord_bot, STOP)
        discord_bot.dispatcher.press_notices = [Notice("Stopping.")]
        press = await presses(discord, ada(discord), general(discord), shown, f"stop:{TURN}:")
        await discord.wait_for(lambda: ephemeral(discord), WAIT)
        ((message, action),) = discord_bot.dispatcher.presses
        assert action == Action(Verb.STOP, TURN)
        assert (message.message_id, message.person.id) == (press.id, ada(discord).id)
        assert message.server == discord.guilds[0].id
        assert message.moderator
        assert press.answer is not None
        assert press.answer["type"] == 6
        assert ephemeral(discord)[0]["content"] == "Stopping."
        assert general(discord).messages[shown]["content"] == "Working"

    async def test_they_work_after_a_restart(self, discord: DiscordServer) -> None:
        """Another process made the message, and this one knows nothing about it."""
        async with running(discord) as before:
            shown = await drawn(discord, before)
        async with running(discord) as after:
            await presses(discord, ada(discord), general(discord), shown, f"more:{TURN}:")
            await discord.wait_for(lambda: after.dispatcher.presses, WAIT)

    async def test_a_turn_begins_with_a_message_that_refers_to_the_drawing(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """Acknowledged without a trace; the reply is an ordinary message."""
        shown = await drawn(discord, discord_bot)
        press = await presses(discord, ada(discord), general(discord), shown, f"again:{TURN}:")
        await discord.wait_for(lambda: discord_bot.dispatcher.presses, WAIT)
        assert press.answer is not None
        assert press.answer["type"] == 6
        message, _ = discord_bot.dispatcher.presses[0]
        await discord_bot.adapter.surface(message.address).create(DRAWING, "next-0")
        reply = list(general(discord).messages.values())[-1]
        assert str(reply["message_reference"]["message_id"]) == shown
        target = DiscordTarget.from_address(message.address)
        assert target.interaction is None
        assert target.max_file_bytes == 10 * 2**20

    async def test_somebody_elses_press_is_refused_quietly(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """Nobody but who pressed sees anything of it."""
        bob = discord.person("Bob")
        shown = await drawn(discord, discord_bot)
        before = [each["id"] for each in discord.messages(general(discord))]
        discord_bot.dispatcher.press_notices = [
            Notice("Only the person who asked for this can do that.")
        ]
        await presses(discord, bob, general(discord), shown, f"again:{TURN}:")
        await discord.wait_for(lambda: ephemeral(discord), WAIT)
        public = [e for e in general(discord).messages.values() if not e["flags"] & EPHEMERAL]
        assert [each["id"] for each in public] == before

    async def test_under_a_message_that_one_person_sees_the_answer_is_deferred(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """Nobody else could see which message an ordinary one refers to."""
        shown = await drawn(discord, discord_bot)
        general(discord).messages[shown]["flags"] |= EPHEMERAL
        press = await presses(discord, ada(discord), general(discord), shown, f"again:{TURN}:")
        await discord.wait_for(lambda: discord_bot.dispatcher.presses, WAIT)
        assert press.answer is not None
        assert press.answer["type"] == 5
        message, _ = discord_bot.dispatcher.presses[0]
        await discord_bot.adapter.surface(message.address).create(DRAWING, "next-0")
        assert text_of(general(discord).messages[press.original or ""]) == "A red fox."

    async def test_a_missing_permission_is_named_before_a_turn_begins(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """As for commands."""
        shown = await drawn(discord, discord_bot)
        general(discord).denied = ATTACH
        await presses(discord, ada(discord), general(discord), shown, f"again:{TURN}:")
        await discord.wait_for(lambda: ephemeral(discord), WAIT)
        assert "Attach Files" in ephemeral(discord)[0]["content"]
        assert not discord_bot.dispatcher.presses

    async def test_a_picture_comes_as_a_file(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """Deferred for one person to see; a file over the limit is named instead."""
        shown = await drawn(discord, discord_bot)
        small = File(b"\x89PNG", "image/png", "janus-1.png")
        large = File(bytes(10 * 2**20 + 1), "image/png", "janus-2.png")
        discord_bot.dispatcher.press_notices = [Notice("Here.", files=(small, large))]
        press = await presses(discord, ada(discord), general(discord), shown, f"full:{TURN}:1")
        await discord.wait_for(lambda: ephemeral(discord), WAIT)
        (message,) = ephemeral(discord)
        assert press.answer is not None
        assert press.answer["type"] == 5
        assert [each["filename"] for each in message["attachments"]] == ["janus-1.png"]
        assert "janus-2.png" in message["content"]

    async def test_a_menu_changes_in_place(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """A notice that replaces takes the place of the message with the button."""
        menu = ((Button(Action(Verb.SET, "images"), "Drawing"),),)
        discord_bot.dispatcher.notices = [Notice("All settings", buttons=menu)]
        await discord.runs(ada(discord), general(discord), "settings")
        await discord.wait_for(lambda: ephemeral(discord), WAIT)
        (message,) = ephemeral(discord)
        back = ((Button(Action(Verb.SET), "Back"),),)
        discord_bot.dispatcher.press_notices = [Notice("Drawing: on", buttons=back, replaces=True)]
        carried = buttons(message)["Drawing"]
        await presses(discord, ada(discord), general(discord), message["id"], carried)
        await discord.wait_for(lambda: message["content"] == "Drawing: on", WAIT)
        assert buttons(message) == {"Back": "set::"}
        assert len(ephemeral(discord)) == 1

    @pytest.mark.parametrize("carried", ["", "juggle:abc:", "nonsense"])
    async def test_what_is_not_known_is_answered(
        self, discord: DiscordServer, discord_bot: Running, carried: str
    ) -> None:
        """A button of another version of the bot."""
        shown = await drawn(discord, discord_bot)
        await presses(discord, ada(discord), general(discord), shown, carried)
        await discord.wait_for(lambda: ephemeral(discord), WAIT)
        assert ephemeral(discord)[0]["content"] == WORDS("press-gone")
        assert not discord_bot.dispatcher.presses

    async def test_the_second_of_two_clicks_is_unknown_to_discord(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """It begins nothing, and the next press works."""
        shown = await drawn(discord, discord_bot)
        discord.fail_next("POST", "/callback", 404, 10062)
        await presses(discord, ada(discord), general(discord), shown, f"again:{TURN}:")
        await discord.wait_for(lambda: discord.calls("POST", "/callback"), WAIT)
        press = await presses(discord, ada(discord), general(discord), shown, f"again:{TURN}:")
        await discord.wait_for(lambda: discord_bot.dispatcher.presses, WAIT)
        assert [message.message_id for message, _ in discord_bot.dispatcher.presses] == [press.id]

    async def test_a_failure_while_pressing_is_told(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """Nobody waits for an answer that does not come."""
        shown = await drawn(discord, discord_bot)
        discord_bot.dispatcher.press_failure = RuntimeError("a mistake in the program")
        await presses(discord, ada(discord), general(discord), shown, f"stop:{TURN}:")
        await discord.wait_for(lambda: ephemeral(discord), WAIT)
        assert ephemeral(discord)[0]["content"] == WORDS("discord-failed")


class TestForm:
    async def test_it_asks_for_a_prompt_and_keeps_the_seed(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """The form holds the old prompt; what is sent in is drawn as a command would be."""
        discord_bot.dispatcher.drawings[TURN] = Imagine("a red fox", 42, 6.0)
        shown = await drawn(discord, discord_bot)
        press = await presses(discord, ada(discord), general(discord), shown, f"edit:{TURN}:")
        await discord.wait_for(lambda: press.answer, WAIT)
        assert press.answer is not None
        form = press.answer["data"]
        assert press.answer["type"] == 9
        assert form["custom_id"] == f"edit:{TURN}:"
        field = form["components"][0]["component"]
        assert (field["value"], field["max_length"], field["style"]) == ("a red fox", 2000, 2)
        sent = await sends_in(
            discord, ada(discord), general(discord), form["custom_id"], " an owl "
        )
        await discord.wait_for(lambda: discord_bot.dispatcher.got, WAIT)
        (handed,) = discord_bot.dispatcher.got
        assert handed.command == Imagine("an owl", 42, 6.0)
        assert handed.message.message_id in discord_bot.dispatcher.deferred
        assert handed.message.message_id == sent.id
        assert sent.answer is not None
        assert sent.answer["type"] == 5

    async def test_it_is_shown_to_nobody_else(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """The dispatcher says why not."""
        discord_bot.dispatcher.drawings[TURN] = Imagine("a red fox", 42, 6.0)
        discord_bot.dispatcher.press_notices = [
            Notice("Only the person who asked for this can do that.")
        ]
        shown = await drawn(discord, discord_bot)
        press = await presses(discord, ada(discord), general(discord), shown, f"edit:{TURN}:")
        await discord.wait_for(lambda: ephemeral(discord), WAIT)
        assert press.answer is not None
        assert press.answer["type"] == 4

    async def test_a_drawing_that_is_gone(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """When the form is opened, and when it is sent in; and a prompt of blanks is none."""
        shown = await drawn(discord, discord_bot)
        await presses(discord, ada(discord), general(discord), shown, f"edit:{TURN}:")
        await discord.wait_for(lambda: len(ephemeral(discord)) == 1, WAIT)
        await sends_in(discord, ada(discord), general(discord), f"edit:{TURN}:", "an owl")
        await discord.wait_for(lambda: len(ephemeral(discord)) == 2, WAIT)
        discord_bot.dispatcher.drawings[TURN] = Imagine("a red fox", 42, 6.0)
        await sends_in(discord, ada(discord), general(discord), f"edit:{TURN}:", "  ")
        await discord.wait_for(lambda: len(ephemeral(discord)) == 3, WAIT)
        gone, gone_too, empty = (each["content"] for each in ephemeral(discord))
        assert gone == gone_too == WORDS("press-gone")
        assert empty == WORDS("imagine-needs-prompt")
        assert discord_bot.dispatcher.got == []

    @pytest.mark.parametrize("wrapped", [False, True])
    async def test_fields_are_found_in_rows_and_under_labels(
        self, discord: DiscordServer, discord_bot: Running, wrapped: bool
    ) -> None:
        """Discord sends a form back as it was shown, and clients differ in that."""
        discord_bot.dispatcher.drawings[TURN] = Imagine("a red fox", 42, 6.0)
        field = {"type": 4, "custom_id": "prompt", "value": "an owl"}
        row = {"type": 18, "component": field} if wrapped else {"type": 1, "components": [field]}
        data = {"custom_id": f"edit:{TURN}:", "components": [row]}
        await discord.interact(ada(discord), general(discord), data, {}, type=5)
        await discord.wait_for(lambda: discord_bot.dispatcher.got, WAIT)
        assert discord_bot.dispatcher.commands == [Imagine("an owl", 42, 6.0)]


class TestNotices:
    async def test_a_long_one_is_several_messages(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """A recipe holds the prompt twice; buttons stand under the last message."""
        rows = ((Button(Action(Verb.AGAIN, TURN), "New"),),)
        discord_bot.dispatcher.notices = [Notice("word " * 700, buttons=rows)]
        await discord.runs(ada(discord), general(discord), "recipe")
        await discord.wait_for(lambda: len(ephemeral(discord)) == 2, WAIT)
        first, second = ephemeral(discord)
        assert buttons(first) == {}
        assert buttons(second) == {"🔁 New": f"again:{TURN}:"}
        assert discord_bot.dispatcher.commands == [ShowRecipe()]

    async def test_a_file_comes_with_the_answer_to_a_message(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """`/export` typed out in a direct message."""
        archive = File(b"PK", "application/zip", "discord_1.zip")
        discord_bot.dispatcher.notices = [Notice("Everything.", files=(archive,))]
        direct = discord.dm(ada(discord))
        await discord.says(ada(discord), direct, "/export")
        await discord.wait_for(lambda: len(discord.messages(direct)) == 2, WAIT)
        answer = discord.messages(direct)[1]
        assert [each["filename"] for each in answer["attachments"]] == ["discord_1.zip"]
        assert answer["message_reference"]["message_id"]


async def test_a_storage_that_fails_is_told(discord: DiscordServer) -> None:
    """In the person's language; the details are for the log."""

    class Broken(DiscordDispatcher):
        async def drawing(self, turn_id: str) -> Imagine | None:
            raise StorageError(f"The disk with {turn_id} is gone.")

    async with running(discord, Broken(discord)) as discord_bot:
        shown = await drawn(discord, discord_bot)
        await presses(discord, ada(discord), general(discord), shown, f"edit:{TURN}:")
        await discord.wait_for(lambda: len(ephemeral(discord)) == 1, WAIT)
        await sends_in(discord, ada(discord), general(discord), f"edit:{TURN}:", "an owl")
        await discord.wait_for(lambda: len(ephemeral(discord)) == 2, WAIT)
    assert all("cannot write" in each["content"] for each in ephemeral(discord))


def no_mentions(body: dict[str, Any]) -> bool:
    return bool(body.get("allowed_mentions") == {"parse": []})


async def test_no_kind_of_request_can_ping(discord: DiscordServer, discord_bot: Running) -> None:
    """Notices, files, follow-ups, edits, ephemeral ones: each says that nobody is to be pinged."""
    evil = f"@everyone <@{ada(discord).id}> https://example.org"
    shown = await drawn(discord, discord_bot, Content(evil, buttons=ROWS))
    file = File(b"\x89PNG", "image/png", "a.png")
    discord_bot.dispatcher.press_notices = [
        Notice(evil),
        Notice(evil, files=(file,)),
        Notice(evil, replaces=True),
        Notice(evil),
    ]
    for number, carried in enumerate(("stop", "full", "set", "again"), 1):
        await presses(discord, ada(discord), general(discord), shown, f"{carried}:{TURN}:1")
        await discord.wait_for(lambda n=number: len(discord_bot.dispatcher.presses) == n, WAIT)  # type: ignore[misc] # mypy takes the default for a parameter
    await presses(discord, ada(discord), general(discord), shown, "nonsense")
    discord_bot.dispatcher.notices = [
        Notice(evil, private=False),
        Notice(evil),
        Notice(evil + "\n" * 2500),
    ]
    for word in ("help", "retry", "privacy"):
        await discord.runs(ada(discord), general(discord), word)
    await discord.says(ada(discord), discord.dm(ada(discord)), "/imagine a fox --seed x")

    def texts() -> list[dict[str, Any]]:
        bodies = [call.body for call in discord.requests if isinstance(call.body, dict)]
        inner = [body.get("data") or body for body in bodies]
        return [body for body in inner if body.get("content")]

    await discord.wait_for(lambda: len(texts()) >= 10, WAIT)
    assert all(no_mentions(body) for body in texts()), json.dumps(texts(), indent=1)
    assert all(body["flags"] & 4 for body in texts())
    mine = [m for m in general(discord).messages.values() if m["author"]["id"] == discord.bot.id]
    assert not [message for message in mine if message["mentions"]]
