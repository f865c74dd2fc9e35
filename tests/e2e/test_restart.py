"""A bot that is stopped while it works, and started again."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.running_bot import finished, on_discord, on_telegram, running_bot, spaces
from tests.pictures import picture
from tests.servers.discord import DiscordServer
from tests.servers.space import running_space
from tests.servers.telegram import TelegramServer

pytestmark = pytest.mark.timeout(1200)


def moment(line: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(line["timestamp"])


@pytest.mark.slow
async def test_sigterm_in_the_middle_and_a_new_start(
    telegram: TelegramServer, discord: DiscordServer, tmp_path: Path
) -> None:
    """Both channels still have their history, and no message says "working" for ever."""
    ann = telegram.person("Ann")
    group = telegram.group()
    bea = discord.person("Bea")
    channel = discord.channel(discord.guild())
    # Twenty steps: long enough that no drawing ends before the bot does, on a slow machine too.
    # After it, nobody has to wait.
    async with (
        running_space(step_delay=1.5, concurrency=4) as slow,
        running_space(step_delay=0.1, concurrency=4) as quick,
    ):
        settings = {"SPACES": spaces(slow), **on_telegram(telegram), **on_discord(discord)}
        async with running_bot(tmp_path, **settings) as bot:
            await discord.wait_for(lambda: discord.gateway.live, 180)
            await telegram.wait_for(lambda: telegram.called("getUpdates"), 180)
            telegram.show(
                group, ann, picture(300, 100, "JPEG", colour="blue"), "@janus_bot what is this?"
            )
            await telegram.wait_for(
                lambda: any(finished(one) for one in telegram.replies(group)), 150
            )
            telegram.say(group, ann, "/imagine@janus_bot a lighthouse --seed 7")
            await discord.runs(bea, channel, "imagine", prompt="a green owl", seed=8)
            await telegram.wait_for(
                lambda: any("%" in str(one) for one in telegram.replies(group)), 150
            )
            await discord.wait_for(
                lambda: any("%" in str(one) for one in discord.messages(channel)), 150
            )
            bot.end()
            assert await bot.ended() == 0, bot.story()
            began, over = await bot.logged("stopping"), await bot.logged("stopped")
            drained = moment(over) - moment(began)
            assert drained.total_seconds() <= 10, bot.story()
        assert all("restarting" in str(one) for one in telegram.replies(group)[1:]), bot.story()
        assert not telegram.refused
        settings |= {"SPACES": spaces(quick)}
        async with running_bot(tmp_path, **settings) as bot:
            await telegram.wait_for(
                lambda: len([one for one in telegram.replies(group) if one.get("photo")]) == 5, 400
            )
            await discord.wait_for(
                lambda: any(len(one["attachments"]) == 5 for one in discord.messages(channel)), 400
            )
            await discord.wait_for(lambda: all(map(finished, discord.messages(channel))), 120)
            assert all(map(finished, telegram.replies(group)))
            assert any("seed 7" in str(one) for one in telegram.replies(group))
            assert "seed 8" in discord.messages(channel)[0]["content"]
            assert len(discord.messages(channel)) == 1

            the_photo = telegram.messages(group)[0]
            before = len(telegram.replies(group))
            telegram.say(group, ann, "/ask@janus_bot what was that?", reply_to=the_photo)
            await telegram.wait_for(lambda: "300" in str(telegram.replies(group)[before:]), 120)
