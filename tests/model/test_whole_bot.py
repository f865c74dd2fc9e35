"""The whole bot with a model of its own: a chat, real Gradio, the engine, and a tiny model."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from tests.e2e.running_bot import on_telegram, running_bot
from tests.model.running import TinyModel
from tests.pictures import picture
from tests.servers.telegram import TelegramServer

pytestmark = pytest.mark.timeout(400)


async def test_one_command_from_nothing_to_a_bot_with_its_own_model(
    telegram: TelegramServer, tiny_model: TinyModel, tmp_path: Path
) -> None:
    """A photo with a question while the model is still loaded, a drawing, and a second question."""
    ann = telegram.person("Ann")
    chat = telegram.private(ann)
    own = json.dumps([{"model": str(tiny_model.folder)}])
    async with running_bot(tmp_path, SPACES=own, **on_telegram(telegram)) as bot:
        await bot.logged("connected")
        telegram.show(chat, ann, picture(320, 200, "JPEG", colour="red"), "What colour is this?")
        await telegram.wait_for(lambda: len(telegram.replies(chat)) == 1, 240)
        telegram.say(chat, ann, "/imagine a red fox --seed 42")
        await telegram.wait_for(lambda: len(telegram.called("sendMediaGroup")) == 1, 240)
        album = telegram.called("sendMediaGroup")[0]
        sizes = [Image.open(io.BytesIO(file.data)).size for file in album.files.values()]
        assert sizes == [(96, 96)] * 5
        telegram.say(chat, ann, "And now?")
        await telegram.wait_for(lambda: len(telegram.replies(chat)) >= 7, 240)
    assert not [line for line in bot.events if line["level"] in ("error", "critical")], bot.story()
