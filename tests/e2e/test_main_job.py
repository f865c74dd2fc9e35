"""The main job: real clients, real sockets, a real Gradio server, a real process."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.running_bot import WORKING, on_discord, on_telegram, running_bot, spaces
from tests.pictures import picture
from tests.servers.discord import DiscordServer
from tests.servers.discord_components import text_of
from tests.servers.space import running_space
from tests.servers.telegram import TelegramServer

pytestmark = pytest.mark.timeout(1200)


@pytest.mark.slow
async def test_a_photo_question_on_telegram(telegram: TelegramServer, tmp_path: Path) -> None:
    """A sign of life, queue and progress in one draft, the answer; then again about that photo."""
    ann, bea = telegram.person("Ann"), telegram.person("Bea")
    chat, other = telegram.private(ann), telegram.private(bea)
    async with (
        running_space(step_delay=0.4) as url,
        running_bot(tmp_path, SPACES=spaces(url), **on_telegram(telegram)) as bot,
    ):
        await bot.logged("connected")
        telegram.show(chat, ann, picture(320, 200, "JPEG", colour="red"), "What colour is this?")
        await telegram.wait_for(lambda: len(telegram.replies(chat)) == 1, 150)
        drafts = [call.params["text"] for call in telegram.called("sendMessageDraft")]
        assert drafts[0].startswith(WORKING)
        assert any("queue" in text or "Working" in text or "%" in text for text in drafts)
        answer = telegram.replies(chat)[0]["text"]
        assert "320" in answer
        assert "200" in answer
        assert "red" in answer.lower()

        telegram.say(chat, ann, "And how large is it?")
        telegram.say(other, bea, "Hello!")
        await telegram.wait_for(lambda: len(telegram.replies(chat)) == 2, 150)
        await telegram.wait_for(lambda: len(telegram.replies(other)) == 1, 150)
        assert "320" in telegram.replies(chat)[1]["text"]
        assert "320" not in telegram.replies(other)[0]["text"]
        assert len(telegram.called("sendMessage")) == 3


@pytest.mark.slow
async def test_imagine_on_discord(discord: DiscordServer, tmp_path: Path) -> None:
    """Deferred at once, progress in the message, five pictures; the same seed gives them again."""
    ann = discord.person("Ann")
    channel = discord.channel(discord.guild())
    async with (
        running_space(step_delay=0.3) as url,
        running_bot(tmp_path, SPACES=spaces(url), **on_discord(discord)) as bot,
    ):
        await bot.logged("connected")
        await discord.wait_for(lambda: discord.gateway.live, 180)
        pictures = []
        for count in (1, 2):
            one = await discord.runs(ann, channel, "imagine", prompt="a red fox", seed=42)
            await discord.wait_for(lambda one=one: one.answer, 90)  # type: ignore[misc] # bound now
            assert one.answer is not None
            assert one.answer["type"] == 5
            await discord.wait_for(
                lambda count=count: (  # type: ignore[misc] # bound now
                    len(found := discord.messages(channel)) == count
                    and len(found[-1]["attachments"]) == 5
                ),
                150,
            )
            message = discord.messages(channel)[-1]
            assert "seed 42" in message["content"]
            edits = discord.calls(
                "PATCH", f"/{one.token}/messages/@original|/messages/{message['id']}"
            )
            shown = [text_of(call.body) for call in edits]
            # Where the machine is slow, the first edit shows the first step already.
            assert shown[0].startswith(WORKING)
            assert any("%" in text for text in shown)
            pictures.append([edits[-1].files[number][1] for number in range(5)])
        assert len(set(pictures[0])) == 5
        assert pictures[0] == pictures[1]
        assert not discord.refused


async def test_no_token_at_all_serves_the_web_chat(tmp_path: Path) -> None:
    """An empty configuration works, and says how to add platforms."""
    async with running_bot(tmp_path, SPACES=spaces("http://127.0.0.1:9")) as bot:
        line = await bot.logged("web chat open")
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", line["url"])
        await bot.logged("web chat only; set [telegram] token or [discord] token to add a platform")


async def test_nothing_to_serve_names_the_keys(tmp_path: Path) -> None:
    """Exit code 2 and a sentence."""
    async with running_bot(tmp_path, HTTP__ENABLED="false") as bot:
        assert await bot.ended() == 2
    assert "[telegram] token" in bot.story()
    assert "[discord] token" in bot.story()


@pytest.mark.parametrize("malformed", [True, False])
async def test_a_refused_telegram_token_is_one_sentence(
    telegram: TelegramServer, tmp_path: Path, malformed: bool
) -> None:
    """Exit code 1, and no traceback."""
    token = "nonsense" if malformed else "1:wrong-but-well-formed-secret"
    settings = on_telegram(telegram) | {"TELEGRAM__TOKEN": token}
    async with running_bot(tmp_path, **settings) as bot:
        assert await bot.ended() == 1
    errors = [line for line in bot.events if line["level"] == "error"]
    assert len(errors) == 1
    assert "@BotFather" in errors[0]["event"]
    assert "exception" not in errors[0]
    assert token not in bot.story()


async def test_the_other_platform_goes_on(
    telegram: TelegramServer, discord: DiscordServer, tmp_path: Path
) -> None:
    """A refused Discord token does not silence Telegram."""
    ann = telegram.person("Ann")
    settings = on_telegram(telegram) | on_discord(discord) | {"DISCORD__TOKEN": "wrong"}
    async with running_bot(tmp_path, **settings) as bot:
        await telegram.wait_for(lambda: telegram.called("getUpdates"), 180)
        telegram.say(telegram.private(ann), ann, "/help")
        await telegram.wait_for(lambda: telegram.replies(telegram.private(ann)), 90)
        bot.end()
        assert await bot.ended() == 1
    assert "[discord] token" in bot.story()


async def test_an_unreachable_space_is_told_and_the_bot_lives(
    telegram: TelegramServer, tmp_path: Path
) -> None:
    """What is wrong, and that they can retry; the next request is answered too."""
    ann = telegram.person("Ann")
    chat = telegram.private(ann)
    settings = on_telegram(telegram) | {"SPACES": spaces("http://127.0.0.1:9")}
    async with running_bot(tmp_path, **settings) as bot:
        await bot.logged("connected")
        for count in (1, 2):
            telegram.say(chat, ann, "Hello?")
            await telegram.wait_for(lambda count=count: len(telegram.replies(chat)) == count, 60)  # type: ignore[misc] # bound now
        assert all("/retry" in reply["text"] for reply in telegram.replies(chat))


async def test_a_broken_configuration_names_key_and_line(tmp_path: Path) -> None:
    """Nobody has to search."""
    (tmp_path / "config.toml").write_text("[telegram]\ntoken = 5\n\n[limits]\nturns = 3\n")
    async with running_bot(tmp_path) as bot:
        assert await bot.ended() == 2
    story = bot.story()
    assert "config.toml:2" in story
    assert "config.toml:5" in story
