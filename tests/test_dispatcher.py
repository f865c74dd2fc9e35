"""Commands and presses: who may do what, and what comes of it, with a real database."""

from __future__ import annotations

import asyncio
import io
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.actions import Action, Verb
from bot.files import File, Recipe
from bot.image.png_metadata import recipe_in
from bot.models import Ask, Imagine, IncomingMessage, Notice, Turn, TurnState
from bot.provider.responses import ImageResponse, Text
from bot.reply.render import markdown
from bot.turns.access import Rules
from bot.turns.commands import (
    Command,
    Doctor,
    Export,
    Forget,
    Help,
    Privacy,
    ShowRecipe,
    ShowSettings,
    Stats,
)
from bot.turns.settings import Settings
from tests.pictures import png
from tests.scripted_bot import ANN, BOB, ScriptedBot, ScriptedProvider, scripted_bot
from tests.scripted_surface import PLAIN, ScriptedSurface


def drawn(guidance: float = 5.0) -> ImageResponse:
    return ImageResponse(
        [
            File(png(colour), "image/png", recipe=Recipe("fox", 42, guidance, 1.0, "here", index))
            for index, colour in enumerate(["red", "green", "blue", "black", "white"])
        ]
    )


def fresh_surface() -> ScriptedSurface:
    return ScriptedSurface(limits=replace(PLAIN, buttons=True))


async def told(bot: ScriptedBot, message: IncomingMessage, command: Command) -> Notice:
    notice = await bot.dispatcher.handle(message, command)
    assert notice is not None
    return notice


async def drawing(bot: ScriptedBot, **changes: Any) -> Turn:
    """A finished drawing of Ann's."""
    message = bot.message()
    assert await bot.dispatcher.handle(message, Imagine("fox", 42, **changes)) is None
    await bot.final()
    turn = await bot.storage.turns.of_message(message.channel, message.message_id)
    assert turn is not None
    return turn


async def test_settings_are_shown_and_changed_by_admins(tmp_path: Path) -> None:
    """And what was set holds in this channel, and in no other."""
    async with scripted_bot(tmp_path, settings=Settings(history=20)) as bot:
        shown = await told(bot, bot.message(moderator=True), ShowSettings())
        assert "(`history`): 20" in shown.text
        assert any(b.action == Action(Verb.SET, "history") for row in shown.buttons for b in row)
        choices = await bot.dispatcher.press(
            bot.message(moderator=True), Action(Verb.SET, "history")
        )
        assert choices is not None
        assert choices.replaces
        await bot.dispatcher.press(bot.message(moderator=True), Action(Verb.SET, "history", "10"))
        assert "(`history`): 10" in (await told(bot, bot.message(), ShowSettings())).text
        assert "(`history`): 20" in (await told(bot, bot.message("other"), ShowSettings())).text
    async with scripted_bot(tmp_path) as bot:
        assert "(`history`): 10" in (await told(bot, bot.message(), ShowSettings())).text
        await told(bot, bot.message(moderator=True), ShowSettings("history", "-"))
        assert "(`history`): 20" in (await told(bot, bot.message(), ShowSettings())).text


async def test_settings_of_a_server_hold_in_its_channels(tmp_path: Path) -> None:
    """The channel's own win over them."""
    async with scripted_bot(tmp_path) as bot:
        admin: dict[str, Any] = {"server": "s", "moderator": True}
        await told(bot, bot.message("a", **admin), ShowSettings("server.guidance", "7"))
        await told(bot, bot.message("b", **admin), ShowSettings("guidance", "3"))
        for channel, guidance in (("a", "7"), ("b", "3"), ("c", "7")):
            text = (await told(bot, bot.message(channel, server="s"), ShowSettings())).text
            assert f"(`guidance`): {guidance}" in text
        alone = await told(
            bot, bot.message("d", moderator=True), ShowSettings("server.guidance", "7")
        )
        assert "no server" in alone.text


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("guidance", "11", "1 to 10"),
        ("guidance", "much", "1 to 10"),
        ("images", "perhaps", "on or off"),
        ("previews", "perhaps", "on, private or off"),
        ("language", "xx", "en, ru"),
        ("history", "-5", "whole number"),
        ("persona", "x" * 3000, "2000"),
        ("nonsense", "1", "There is no setting nonsense"),
    ],
)
async def test_a_bad_setting_says_what_is_possible(
    name: str, value: str, says: str, tmp_path: Path
) -> None:
    """And changes nothing."""
    async with scripted_bot(tmp_path) as bot:
        notice = await told(bot, bot.message(moderator=True), ShowSettings(name, value))
        assert says in notice.text
        assert await bot.storage.channels.settings("test:c") == {}


async def test_others_may_look_at_settings_only(tmp_path: Path) -> None:
    """Unless an admin opens them to everyone; that itself stays with admins."""
    async with scripted_bot(tmp_path) as bot:
        notice = await told(bot, bot.message(), ShowSettings("guidance", "7"))
        assert "Only admins" in notice.text
        assert not (await told(bot, bot.message(), ShowSettings())).buttons
        await told(bot, bot.message(moderator=True), ShowSettings("changers", "everyone"))
        assert "7" in (await told(bot, bot.message(), ShowSettings("guidance", "7"))).text
        notice = await told(bot, bot.message(), ShowSettings("changers", "admins"))
        assert "Only admins" in notice.text


async def test_settings_work(tmp_path: Path) -> None:
    """Language, persona, guidance, temperature and drawing are what the channel says."""
    provider = ScriptedProvider([[Text("Да.")], [drawn()]])
    async with scripted_bot(tmp_path, provider) as bot:
        for name, value in {
            "language": "ru",
            "persona": "You are a pirate.",
            "guidance": "8",
            "temperature": "0.5",
        }.items():
            await told(bot, bot.message(moderator=True), ShowSettings(name, value))
        await bot.dispatcher.handle(bot.message(), Ask("?"))
        await bot.final()
        assert provider.calls[0]["messages"][0]["content"] == "You are a pirate."
        await bot.dispatcher.handle(bot.message(), Imagine("fox"))
        await bot.final(count=2)
        assert (provider.calls[1]["guidance"], provider.calls[1]["temperature"]) == (8.0, 0.5)
        assert "разговариваю" in (await told(bot, bot.message(), Help())).text
        await told(bot, bot.message(moderator=True), ShowSettings("images", "off"))
        assert "выключено" in (await told(bot, bot.message(), Imagine("fox"))).text


async def test_the_persons_language_counts_where_the_channel_has_none(tmp_path: Path) -> None:
    """As their client says it."""
    async with scripted_bot(tmp_path) as bot:
        person = replace(ANN, language="ru-RU")
        assert "рисую" in (await told(bot, bot.message(person=person), Help())).text


async def test_a_private_bot_says_how_to_get_in(tmp_path: Path) -> None:
    """Commands, questions and presses of strangers change nothing."""
    rules = Rules(allow=frozenset({"test:2"}))
    async with scripted_bot(tmp_path, rules=rules) as bot:
        for command in (Ask("?"), Help(), ShowSettings()):
            assert "test:1" in (await told(bot, bot.message(), command)).text
        pressed = await bot.dispatcher.press(bot.message(), Action(Verb.AGAIN, "x"))
        assert pressed is not None
        assert "test:1" in pressed.text
        assert "draw" in (await told(bot, bot.message(person=BOB), Help())).text
        bot.dispatcher.policy = replace(bot.dispatcher.policy, rules=Rules())
        assert "draw" in (await told(bot, bot.message(), Help())).text


@pytest.mark.parametrize(
    ("verb", "guidance", "seed_kept"),
    [(Verb.AGAIN, 5.0, False), (Verb.MORE, 6.0, True), (Verb.LESS, 4.0, True)],
)
async def test_a_drawing_is_varied(
    verb: Verb, guidance: float, seed_kept: bool, tmp_path: Path
) -> None:
    """With a new seed, or with the same seed and other guidance, also after a restart."""
    provider = ScriptedProvider([[drawn()], [drawn()]])
    surfaces = {"c": fresh_surface()}
    async with scripted_bot(tmp_path, provider, surfaces) as bot:
        turn = await drawing(bot)
        (content,) = bot.surface().messages.values()
        (button,) = [b for row in content.buttons for b in row if b.action.verb is verb]
    async with scripted_bot(tmp_path, provider, surfaces) as bot:
        press = bot.message(message_id="press-1")
        assert await bot.dispatcher.press(press, Action.parse(str(button.action))) is None
        await bot.final()
    assert provider.calls[1]["prompt"] == "fox"
    assert provider.calls[1]["guidance"] == guidance
    assert (provider.calls[1]["seed"] == turn.seed) is seed_kept


async def test_guidance_has_an_end(tmp_path: Path) -> None:
    """Beyond it there is a sentence."""
    provider = ScriptedProvider([[drawn(10.0)]])
    async with scripted_bot(tmp_path, provider) as bot:
        turn = await drawing(bot, guidance=10.0)
        notice = await bot.dispatcher.press(bot.message(), Action(Verb.MORE, turn.id))
    assert notice is not None
    assert "from 1 to 10" in notice.text


async def test_a_picture_is_handed_out_with_its_recipe(tmp_path: Path) -> None:
    """As a PNG, pixel for pixel."""
    async with scripted_bot(tmp_path, ScriptedProvider([[drawn()]])) as bot:
        turn = await drawing(bot)
        notice = await bot.dispatcher.press(bot.message(), Action(Verb.FULL, turn.id, "3"))
        assert notice is not None
        (file,) = notice.files
        assert file.media_type == "image/png"
        assert recipe_in(file.data) == Recipe("fox", 42, 5.0, 1.0, "here", 2)
        for nonsense in ("0", "6", "x", ""):
            notice = await bot.dispatcher.press(bot.message(), Action(Verb.FULL, turn.id, nonsense))
            assert notice is not None
            assert not notice.files


async def test_somebody_elses_press_is_refused_quietly(tmp_path: Path) -> None:
    """Moderators may stop and remove, and nothing else."""
    async with scripted_bot(tmp_path, ScriptedProvider([[drawn()]])) as bot:
        turn = await drawing(bot)
        for verb in (Verb.AGAIN, Verb.MORE, Verb.FULL, Verb.DELETE, Verb.STOP, Verb.RETRY):
            notice = await bot.dispatcher.press(bot.message(person=BOB), Action(verb, turn.id, "1"))
            assert notice is not None
            assert "Only the person" in notice.text
            assert notice.private
        moderator = bot.message(person=BOB, moderator=True)
        notice = await bot.dispatcher.press(moderator, Action(Verb.AGAIN, turn.id))
        assert notice is not None
        assert "Only the person" in notice.text
        await bot.dispatcher.press(moderator, Action(Verb.DELETE, turn.id))
        assert bot.surface().messages == {}


async def test_a_running_turn_is_stopped_by_its_button(tmp_path: Path) -> None:
    """It is there from the first sign of life on."""
    provider = ScriptedProvider([[Text("Once"), asyncio.Event()]])
    surfaces = {"c": fresh_surface()}
    async with scripted_bot(tmp_path, provider, surfaces) as bot:
        await bot.dispatcher.handle(bot.message(), Ask("?"))
        surface = bot.surface()
        await surface.until(lambda s: any(each.buttons for each in s.messages.values()))
        ((button,),) = next(iter(surface.messages.values())).buttons
        notice = await bot.dispatcher.press(bot.message(), button.action)
        assert notice is not None
        assert notice.text == "Stopping."
        (content,) = await bot.final()
    assert markdown(content).endswith("■ Stopped.")
    assert not content.buttons


async def test_a_press_on_what_is_gone_says_so(tmp_path: Path) -> None:
    """Old messages outlive what is stored."""
    async with scripted_bot(tmp_path) as bot:
        for verb in (Verb.AGAIN, Verb.STOP, Verb.FULL):
            notice = await bot.dispatcher.press(bot.message(), Action(verb, "gone"))
            assert notice is not None
            assert "not stored" in notice.text


async def test_a_recipe_is_told(tmp_path: Path) -> None:
    """Of the picture that is answered, picked, or newest; with the command that draws it again."""
    async with scripted_bot(tmp_path, ScriptedProvider([[drawn()], [Text("Hello.")]])) as bot:
        assert "not drawn" in (await told(bot, bot.message(), ShowRecipe())).text
        turn = await drawing(bot)
        notice = await told(bot, bot.message(), ShowRecipe())
        assert "/imagine fox --seed 42 --guidance 5" in notice.text
        assert notice.buttons
        reply = f"{turn.id}-0"
        for message, command in (
            (bot.message(reply_to=reply), ShowRecipe()),
            (bot.message(), ShowRecipe(reply)),
        ):
            assert "seed 42" in (await told(bot, message, command)).text
        await bot.dispatcher.handle(bot.message(message_id="q"), Ask("?"))
        await bot.final(count=2)
        other = await told(bot, bot.message(), ShowRecipe("q"))
        assert "did not draw" in other.text


async def test_the_prompt_of_a_drawing_is_known_for_editing(tmp_path: Path) -> None:
    """With its seed and guidance, so that only the words change."""
    async with scripted_bot(tmp_path, ScriptedProvider([[drawn()], [Text("x")]])) as bot:
        turn = await drawing(bot)
        assert await bot.dispatcher.drawing(turn.id) == Imagine("fox", 42, 5.0)
        assert await bot.dispatcher.drawing("gone") is None


async def test_what_is_kept_is_counted_and_handed_out(tmp_path: Path) -> None:
    """A ZIP with the conversation, the data and the pictures."""
    async with scripted_bot(tmp_path, ScriptedProvider([[drawn()], [Text("Hello.")]])) as bot:
        assert "Nothing" in (await told(bot, bot.message(), Stats())).text
        assert "nothing" in (await told(bot, bot.message(), Export())).text
        await drawing(bot)
        await bot.dispatcher.handle(bot.message(), Ask("Are you there?"))
        await bot.final(count=2)
        stats = (await told(bot, bot.message(), Stats())).text
        assert "1 questions, 1 drawings" in stats
        privacy = (await told(bot, bot.message(), Privacy())).text
        assert "2 requests, 5 pictures" in privacy
        assert "90 days" in privacy
        notice = await told(bot, bot.message(), Export())
    (file,) = notice.files
    with zipfile.ZipFile(io.BytesIO(file.data)) as archive:
        names = archive.namelist()
        assert sum(name.startswith("images/") for name in names) == 5
        assert "Are you there?" in archive.read("conversation.md").decode()


async def test_only_admins_get_what_several_people_wrote(tmp_path: Path) -> None:
    """A channel of one is that one's."""
    async with scripted_bot(tmp_path, ScriptedProvider([[Text("a")], [Text("b")]])) as bot:
        await bot.dispatcher.handle(bot.message(), Ask("?"))
        await bot.dispatcher.handle(bot.message(person=BOB), Ask("?"))
        await bot.final(count=2)
        assert not (await told(bot, bot.message(), Export())).files
        assert (await told(bot, bot.message(moderator=True), Export())).files


async def test_forgetting_is_offered_and_then_done(tmp_path: Path) -> None:
    """A person's own in all channels, or a channel's for its admins, with a receipt."""
    provider = ScriptedProvider([[drawn()], [Text("b")], [Text("c")]])
    async with scripted_bot(tmp_path, provider) as bot:
        await drawing(bot)
        await bot.dispatcher.handle(bot.message(person=BOB), Ask("?"))
        await bot.final(count=2)
        offer = await told(bot, bot.message(), Forget())
        assert [b.action.target for row in offer.buttons for b in row] == ["person"]
        refused = await bot.dispatcher.press(bot.message(), Action(Verb.FORGET, "channel"))
        assert refused is not None
        assert "Only admins" in refused.text
        receipt = await bot.dispatcher.press(bot.message(), Action(Verb.FORGET, "person"))
        assert receipt is not None
        assert "1 requests of yours, 5 pictures" in receipt.text
        assert "1 questions, 0 drawings" in (await told(bot, bot.message(), Stats())).text
        admin = bot.message(moderator=True)
        offer = await told(bot, admin, Forget())
        assert [b.action.target for row in offer.buttons for b in row] == ["person", "channel"]
        receipt = await bot.dispatcher.press(admin, Action(Verb.FORGET, "channel"))
        assert receipt is not None
        assert "1 requests of this channel" in receipt.text
        assert "Nothing" in (await told(bot, bot.message(), Stats())).text


async def test_nothing_is_forgotten_under_a_running_turn(tmp_path: Path) -> None:
    """Its reply would lose its address."""
    provider = ScriptedProvider([[Text("Once"), asyncio.Event()]])
    async with scripted_bot(tmp_path, provider, grace=0.0) as bot:
        await bot.dispatcher.handle(bot.message(), Ask("?"))
        await bot.surface().until(lambda s: "Once" in s.texts)
        notice = await bot.dispatcher.press(bot.message(), Action(Verb.FORGET, "person"))
        assert notice is not None
        assert "just being worked on" in notice.text
        turns = await bot.storage.turns.latest(bot.message().channel, 5)
        assert [turn.state for turn in turns] == [TurnState.RUNNING]


async def test_the_doctor_is_for_admins(tmp_path: Path) -> None:
    """It says what the command line says."""
    async with scripted_bot(tmp_path, rules=Rules(admins=frozenset({"test:1"}))) as bot:
        assert "✓" in (await told(bot, bot.message(), Doctor())).text
        assert "Only admins" in (await told(bot, bot.message(person=BOB), Doctor())).text
