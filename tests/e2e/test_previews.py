"""Drawings that are seen while they are made, on both platforms and over a `kill -9`."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.e2e.running_bot import finished, on_discord, on_telegram, running_bot, spaces
from tests.pictures import picture
from tests.servers.discord import DiscordServer
from tests.servers.faulty_space import (
    CLOSE,
    STARTS,
    FaultySpace,
    completed,
    gallery,
    grows,
    says_between,
)
from tests.servers.telegram import TelegramServer
from tests.servers.telegram_world import Chat

pytestmark = pytest.mark.timeout(600)

SKETCHES = {f"/srv/sketch-{n}.png": picture(768, 768, colour="grey") for n in range(5)}
MADE = {f"/srv/fox-{n}.png": picture(64 + n, 48) for n in range(5)}


def photos(telegram: TelegramServer, chat: Chat) -> list[dict[str, Any]]:
    return [message for message in telegram.replies(chat) if "photo" in message]


async def test_sheets_while_it_is_drawn_and_five_pictures_in_the_end(
    telegram: TelegramServer, discord: DiscordServer, space: FaultySpace, tmp_path: Path
) -> None:
    """Killed with the sheets standing there, the bot leaves none of them when it comes back."""
    ann, bea = telegram.person("Ann"), discord.person("Bea")
    chat, group = telegram.private(ann), telegram.group()
    channel = discord.channel(discord.guild())
    go = asyncio.Event()
    space.files = {**SKETCHES, **MADE}
    space.script = says_between(
        *(STARTS, grows(*SKETCHES, first=True), go, completed(gallery(*MADE)), CLOSE)
    )
    one_space = spaces(space.url).replace("}", ', "concurrency": 0}')
    settings = {"SPACES": one_space, **on_telegram(telegram), **on_discord(discord)}

    async with running_bot(tmp_path, **settings, BOT__PREVIEWS="on") as bot:
        await discord.wait_for(lambda: discord.gateway.live, 180)
        await telegram.wait_for(lambda: telegram.called("getUpdates"), 180)
        telegram.say(chat, ann, "/imagine a red fox --seed 7")
        telegram.say(group, ann, "/imagine@janus_bot a red fox --seed 7")
        await discord.runs(bea, channel, "imagine", prompt="a red fox", seed=7)
        await telegram.wait_for(
            lambda: len(photos(telegram, chat)) == len(photos(telegram, group)) == 1, 60
        )
        await discord.wait_for(
            lambda: [len(one["attachments"]) for one in discord.messages(channel)] == [1], 60
        )
        (sheet,) = photos(telegram, chat)
        assert sheet["caption"]
        assert "stop:" in str(sheet["reply_markup"])
        (media, *_) = telegram.called("editMessageMedia")
        (file,) = media.files.values()
        with Image.open(io.BytesIO(file.data)) as image:
            assert (image.format, image.size) == ("JPEG", (976, 648))
        bot.process.kill()
        assert await bot.ended() == -9

    go.set()
    async with running_bot(tmp_path, **settings, BOT__PREVIEWS="on") as bot:
        for where in (chat, group):
            await telegram.wait_for(lambda where=where: len(photos(telegram, where)) == 5, 150)  # type: ignore[misc]  # bound now
        await discord.wait_for(
            lambda: [len(one["attachments"]) for one in discord.messages(channel)] == [5], 150
        )
        await discord.wait_for(lambda: all(map(finished, discord.messages(channel))), 60)
        for where in (chat, group):
            await telegram.wait_for(  # the buttons come below the album
                lambda where=where: "reply_markup" in telegram.replies(where)[-1],  # type: ignore[misc]  # bound now
                60,
            )
            assert all(map(finished, telegram.replies(where)))
            assert len({one.get("media_group_id") for one in photos(telegram, where)}) == 1
            # An album and its buttons; in a group there was a message to put the caption in.
            assert len(telegram.replies(where)) == (6 if where is chat else 7)
        # What the bot keeps are the pictures, never how they looked before.
        kept = [path for path in (tmp_path / "data" / "images").rglob("*") if path.is_file()]
        assert len(kept) == 5
    assert not [call for call in telegram.refused if call.method.lower() != "getupdates"]
    assert not discord.refused


async def test_by_default_groups_see_no_sheet_and_nothing_is_fetched_for_them(
    telegram: TelegramServer, space: FaultySpace, tmp_path: Path
) -> None:
    """Each sheet is a change that everybody in the group gets."""
    ann, group = telegram.person("Ann"), telegram.group()
    space.files = {**SKETCHES, **MADE}
    space.script = says_between(
        *(STARTS, grows(*SKETCHES, first=True), completed(gallery(*MADE)), CLOSE)
    )
    settings = {"SPACES": spaces(space.url), **on_telegram(telegram)}
    async with running_bot(tmp_path, **settings):
        await telegram.wait_for(lambda: telegram.called("getUpdates"), 180)
        telegram.say(group, ann, "/imagine@janus_bot a red fox --seed 7")
        await telegram.wait_for(lambda: len(photos(telegram, group)) == 5, 150)
    assert not telegram.called("editMessageMedia")
    assert not any("sketch" in path for _, path, _ in space.requests)
