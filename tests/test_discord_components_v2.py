"""Messages as containers: what they look like, and that Discord takes them."""

from __future__ import annotations

import asyncio
import io
import json
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bot.actions import Action, Button, Verb, under_drawing
from bot.files import File, Recipe
from bot.i18n import Catalogue
from bot.image.png_metadata import recipe_in
from bot.models import Address
from bot.platforms.discord.components_v2 import (
    COLOURS,
    OutgoingMessage,
    container,
    needs_container,
)
from bot.reply.surface import Content, Mood
from tests.servers.discord import TOKEN, DiscordServer
from tests.servers.discord_components import (
    BUTTON,
    CONTAINER,
    GALLERY,
    ROW,
    TEXT,
    V2,
    check_components,
    walk,
)
from tests.servers.discord_people import buttons, general
from tests.servers.discord_running import Running, running

TURN = "abcde23456"
FIVE = tuple(
    File(b"RIFF fox %d" % n, "image/webp", f"fox-{n}.webp", f"a red fox, {n}") for n in range(5)
)
STOP = ((Button(Action(Verb.STOP, TURN), "Stop", danger=True),),)
WORKING = Content("Drawing … 40 %", buttons=STOP)
DONE = Content("A red fox.", FIVE, Mood.DONE, under_drawing(TURN, 5, Catalogue().words()))
WAIT = 120.0
pytestmark = pytest.mark.timeout(300)  # a busy machine takes its time


async def imagined(discord: DiscordServer, discord_bot: Running) -> Address:
    """The address of a command that draws."""
    await discord.runs(discord.people[0], general(discord), "imagine", prompt="a red fox")
    await discord.wait_for(lambda: discord_bot.dispatcher.got, WAIT)
    return discord_bot.dispatcher.got.pop().message.address


async def asked(discord: DiscordServer, discord_bot: Running) -> Address:
    """The address of a question."""
    await discord.says(discord.people[0], general(discord), f"<@{discord.bot.id}> hello")
    await discord.wait_for(lambda: discord_bot.dispatcher.got, WAIT)
    return discord_bot.dispatcher.got.pop().message.address


def mine(discord: DiscordServer) -> dict[str, Any]:
    """The only message of the bot, as Discord keeps it."""
    found = general(discord).messages.values()
    (one,) = (each for each in found if each["author"]["id"] == discord.bot.id)
    return one


def only_container(message: dict[str, Any]) -> dict[str, Any]:
    """The container; nothing stands beside it."""
    assert message["flags"] & V2
    assert message["content"] == ""
    (container,) = message["components"]
    assert container["type"] == CONTAINER
    return dict(container)


def named(number: int) -> File:
    return replace(FIVE[0], name=f"fox-{number}.webp", alt="a" * 1024)


class TestWhere:
    @pytest.mark.parametrize("mood", Mood)
    def test_a_drawing_is_a_container_from_the_start(self, mood: Mood) -> None:
        """So that its colour tells what it is at the moment."""
        assert needs_container(Content("x", mood=mood), drawing=True)

    def test_words_stay_plain_unless_they_tell_of_a_failure(self) -> None:
        """They can be searched, quoted and read in a notification."""
        plain = {
            mood for mood in Mood if not needs_container(Content("x", mood=mood), drawing=False)
        }
        assert plain == set(Mood) - {Mood.FAILED}
        assert needs_container(Content("", FIVE), drawing=False)

    def test_moods_have_their_own_colours(self) -> None:
        """Nobody has to read to know."""
        assert len({COLOURS[mood] for mood in Mood}) == len(Mood)


@given(
    st.text(max_size=2000, alphabet=st.characters(exclude_categories=["Cs"])),
    st.integers(0, 10),
    st.lists(st.integers(0, 6), max_size=7),
    st.sampled_from(Mood),
    st.booleans(),
)
def test_discord_takes_every_container(
    text: str, files: int, rows: list[int], mood: Mood, spoiler: bool
) -> None:
    """Whatever a message shows, within the limits that the surface names."""
    numbers = iter(range(100))
    message = OutgoingMessage(
        text or "x",
        tuple(named(number) for number in range(files)),
        mood,
        tuple(
            tuple(Button(Action(Verb.SET, str(next(numbers))), "On") for _ in range(length))
            for length in rows
        ),
        as_container=True,
        spoiler=spoiler,
    )

    async def built() -> list[dict[str, Any]]:
        shown: list[dict[str, Any]] = container(message).to_components()  # type: ignore[no-untyped-call] # discord.py does not say
        return shown

    components = asyncio.run(built())
    assert check_components(
        {"flags": V2, "components": components}, {each.name for each in message.files}
    )
    shown = list(walk(components))
    assert [one["content"] for one in shown if one["type"] == TEXT] == [message.text]
    items = [item for one in shown if one["type"] == GALLERY for item in one["items"]]
    assert [item["description"] for item in items] == ["a" * 1024] * files
    assert {item["spoiler"] for item in items} <= {spoiler}


class TestOverTheWire:
    async def test_a_drawing_from_working_to_done(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """One container: its colour changes, the gallery and other buttons come."""
        surface = discord_bot.adapter.surface(await imagined(discord, discord_bot))
        receipt = await surface.create(WORKING, "turn-0")
        working = only_container(mine(discord))
        assert working["accent_color"] == COLOURS[Mood.WORKING]
        assert [one["type"] for one in working["components"]] == [TEXT, ROW]
        await surface.edit(receipt, DONE)
        done = only_container(mine(discord))
        assert done["accent_color"] == COLOURS[Mood.DONE]
        assert [one["type"] for one in done["components"]] == [TEXT, GALLERY, ROW, ROW]
        shown = [item["description"] for item in done["components"][1]["items"]]
        assert shown == [upload.alt for upload in FIVE]
        addresses = [one["url"] for one in mine(discord)["attachments"]]
        assert [item["media"]["url"] for item in done["components"][1]["items"]] == addresses
        assert len(buttons(mine(discord))) == 10

    async def test_a_container_that_is_stated_again(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """Its pictures come along once more, because it names them."""
        surface = discord_bot.adapter.surface(await imagined(discord, discord_bot))
        receipt = await surface.create(DONE, "turn-0")
        await surface.edit(receipt, replace(DONE, text="Other words."))
        done = only_container(mine(discord))
        assert done["components"][0]["content"] == "Other words."
        assert len(mine(discord)["attachments"]) == 5

    async def test_an_answer_that_fails_becomes_a_container_and_stays_one(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """Plain words turn into a container by an edit; after that Discord takes nothing else."""
        address = await asked(discord, discord_bot)
        surface = discord_bot.adapter.surface(address)
        receipt = await surface.create(WORKING, "turn-0")
        assert not mine(discord)["flags"] & V2
        assert mine(discord)["content"] == WORKING.text
        await surface.edit(receipt, Content("It failed.", mood=Mood.FAILED))
        assert only_container(mine(discord))["accent_color"] == COLOURS[Mood.FAILED]
        for each in (surface, discord_bot.adapter.surface(address)):  # as after a restart
            await each.edit(receipt, WORKING)
            assert only_container(mine(discord))["accent_color"] == COLOURS[Mood.WORKING]
        assert len(discord.calls("PATCH", "/messages/")) == 4  # one was refused, for the new one

    async def test_pictures_are_covered_if_configured(self, discord: DiscordServer) -> None:
        """By the gallery, so that the files keep their names."""
        async with running(discord, spoiler=True) as discord_bot:
            surface = discord_bot.adapter.surface(await imagined(discord, discord_bot))
            receipt = await surface.create(WORKING, "turn-0")
            await surface.edit(receipt, DONE)
        items = only_container(mine(discord))["components"][1]["items"]
        assert all(item["spoiler"] for item in items)
        assert mine(discord)["attachments"][0]["filename"] == "fox-0.webp"

    async def test_pictures_with_their_recipe_inside_if_configured(
        self, discord: DiscordServer
    ) -> None:
        """As PNG, unless that is more than Discord takes; each is made once."""
        recipe = Recipe("a red fox", 42, 5.0, 1.0, "here", 1)
        file = io.BytesIO()
        Image.new("RGB", (8, 8), "red").save(file, "WEBP")
        drawn = [File(file.getvalue(), "image/webp", f"fox-{n}.webp") for n in range(2)]
        done = Content("fox", (replace(drawn[0], recipe=recipe), drawn[1]), Mood.DONE)
        async with running(discord, recipe_in_png=True) as discord_bot:
            surface = discord_bot.adapter.surface(await imagined(discord, discord_bot))
            receipt = await surface.create(done, "turn-0")
            await surface.edit(receipt, replace(done, text="a fox"))
        names = ["fox-0.png", "fox-1.webp"]
        for call in [call for call in discord.requests if call.files]:
            sent = [call.files[number] for number in (0, 1)]
            assert [name for name, _ in sent] == names
            assert [recipe_in(data) for _, data in sent] == [recipe, None]
        assert [each["filename"] for each in mine(discord)["attachments"]] == names


TEXT_X = {"type": TEXT, "content": "x"}
PICTURE = {"type": GALLERY, "items": [{"media": {"url": "attachment://fox.webp"}}]}
PRESS = {"type": BUTTON, "style": 2, "label": "x"}


@pytest.mark.parametrize(
    "body",
    [
        {"content": "x", "components": [TEXT_X]},
        {"embeds": [{"description": "x"}], "components": [TEXT_X]},
        {"components": []},
        {"components": [{"type": TEXT, "content": "x" * 2001}] * 2},
        {"components": [TEXT_X] * 41},
        {"components": [{"type": CONTAINER, "components": [TEXT_X] * 40}]},
        {"components": [{"type": CONTAINER, "components": []}]},
        {"components": [{"type": BUTTON, "custom_id": "a", "label": "x", "style": 2}]},
        {"components": [PICTURE]},
        {"components": [{**PICTURE, "items": []}]},
        {"components": [TEXT_X], "flags": 0},
        {"components": [{"type": ROW, "components": [{**PRESS, "custom_id": "a"}] * 2}]},
    ],
)
async def test_the_local_discord_refuses_what_discord_refuses(
    discord: DiscordServer, body: dict[str, Any]
) -> None:
    """Legacy fields beside components, too much of anything, names of files that are not there."""
    status, answer = await posted(discord, {"flags": V2, **body})
    assert (status, answer["code"]) == (400, 50035)


async def test_the_flag_stays(discord: DiscordServer) -> None:
    """A message of components takes neither other flags nor a text any more."""
    _, message = await posted(discord, {"flags": V2, "components": [TEXT_X]})
    for body in ({"flags": 0}, {"content": "y"}, {"content": "y", "components": []}):
        status, answer = await posted(discord, body, message["id"])
        assert (status, answer["code"]) == (400, 50035)
    assert (await posted(discord, {"components": [TEXT_X] * 2}, message["id"]))[0] == 200


async def posted(
    discord: DiscordServer, body: dict[str, Any], message_id: str = ""
) -> tuple[int, Any]:
    """A plain request, without discord.py, which refuses some of it by itself."""
    url = f"{discord.api_url}/channels/{general(discord).id}/messages"
    headers = {"Authorization": f"Bot {TOKEN}", "Content-Type": "application/json"}
    method, path = ("PATCH", f"/{message_id}") if message_id else ("POST", "")
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url + path, data=json.dumps(body), headers=headers) as response,
    ):
        return response.status, await response.json()
