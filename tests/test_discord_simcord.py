"""The whole of a conversation inside SimCord, which has its own idea of what Discord refuses."""

from __future__ import annotations

import discord
import pytest

from bot.actions import Action, Button, Verb, under_drawing
from bot.files import File
from bot.i18n import Catalogue
from bot.models import Ask, Imagine, Notice
from bot.platforms.discord.components_v2 import COLOURS
from bot.platforms.discord.surface import DiscordSurface
from bot.reply.surface import Content, Mood
from bot.turns.commands import Command
from tests.pictures import picture
from tests.servers.discord_simulated import simulated

pytestmark = pytest.mark.timeout(400)  # it waits by itself, on a busy machine for long
TURN = "abcde23456"
WORDS = Catalogue().words()
STOP = ((Button(Action(Verb.STOP, TURN), WORDS("button-stop"), danger=True),),)


FIVE = tuple(File(picture(), "image/png", f"fox-{n}.png", "a red fox") for n in range(5))
DRAWN = Content("A red fox.", FIVE, Mood.DONE, under_drawing(TURN, 5, WORDS))


async def answer(surface: DiscordSurface, command: Command) -> None:
    """As the core answers: something at once, then what it came to."""
    receipt = await surface.create(Content("⏳ Got it…", buttons=STOP), f"{TURN}-0")
    if isinstance(command, Imagine):
        await surface.edit(receipt, DRAWN)
    elif "fail" in command.question:  # type: ignore[union-attr] # nothing else is asked here
        await surface.edit(receipt, Content("⚠️ It failed.", mood=Mood.FAILED))
    else:
        await surface.edit(receipt, Content("A **fox**.", mood=Mood.DONE))


def container_of(message: discord.Message) -> discord.Container:
    """The only thing that a message consists of."""
    (container,) = message.components
    assert isinstance(container, discord.Container)
    assert message.flags.components_v2
    assert message.content == ""
    return container


async def test_what_people_do_with_drawings() -> None:
    """A command, its container with five pictures, a press, the form, suggestions."""
    async with simulated(answer) as world:
        world.dispatcher.drawings[TURN] = Imagine("a red fox", 42, 5.0)
        world.dispatcher.prompts = ["a red fox", "an owl"]
        typed = await world.ada.autocomplete(world.channel, "imagine", "prompt", "a r")
        assert [each["value"] for each in typed] == ["a red fox"]
        await world.ada.slash(world.channel, "imagine", prompt="a red fox", seed=42)
        shown = world.channel.last_message
        assert shown is not None
        container = container_of(shown)
        assert container.accent_colour == discord.Colour(COLOURS[Mood.DONE])
        text, gallery, *rows = container.children
        assert isinstance(text, discord.TextDisplay)
        assert text.content == "A red fox."
        assert isinstance(gallery, discord.MediaGalleryComponent)
        assert [item.description for item in gallery.items] == ["a red fox"] * 5
        assert len(rows) == 2
        await world.ada.click(shown, custom_id=f"full:{TURN}:3")
        form = await world.ada.click(shown, custom_id=f"edit:{TURN}:")
        await world.ada.submit_modal(form, {"prompt": "an owl"})
        assert [command for _, command in world.dispatcher.got] == [
            Imagine("a red fox", 42),
            Imagine("an owl", 42, 5.0),
        ]
        pressed = [action.verb for _, action in world.dispatcher.presses]
        assert pressed == [Verb.FULL, Verb.EDIT]
        assert not world.env.errors


async def test_what_people_do_with_words() -> None:
    """A mention, a failure, a direct message, a thread, a menu, an answer for one person."""
    async with simulated(answer) as world:
        await world.ada.send(world.channel, f"{world.mention} what is red?")
        shown = world.channel.last_message
        assert shown is not None
        assert (shown.content, shown.components) == ("A **fox**.", [])
        await world.ada.send(world.channel, f"{world.mention} fail")
        shown = world.channel.last_message
        assert shown is not None
        assert container_of(shown).accent_colour == discord.Colour(COLOURS[Mood.FAILED])
        await world.ada.send_dm("and here?")
        photo = await world.ada.send(world.channel, "look", attachments=[("a.png", picture())])
        await world.ada.context_menu(world.channel, "Ask about this image", photo)
        world.dispatcher.notices = [Notice("Only you see this.")]
        helped = await world.ada.slash(world.channel, "help")
        assert helped.ephemeral
        asked = [command for _, command in world.dispatcher.got]
        assert asked[:4] == [Ask("what is red?"), Ask("fail"), Ask("and here?"), Ask()]
        assert not world.env.errors
