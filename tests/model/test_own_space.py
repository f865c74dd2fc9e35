"""The bot's own Space with a model in it: the real program, found, planned, loaded and served."""

from __future__ import annotations

import os
import signal

import pytest

from bot.builders import open_spaces
from bot.commands.doctor import Health, own_space
from bot.config.schema import Config, SpaceSection
from bot.own_space import NAME, OwnSpace
from bot.provider import Spaces
from bot.provider.responses import ImageResponse
from tests.model.running import TinyModel

pytestmark = pytest.mark.timeout(360)


async def drawn(spaces: Spaces) -> list[bytes]:
    """The pictures of a drawing, always of the same one."""
    stream = spaces.create_async_generator("janus-pro-7b-image", prompt="a fox", seed=7)
    [made] = [response async for response in stream if isinstance(response, ImageResponse)]
    assert {image.recipe.space for image in made.images if image.recipe} == {NAME}
    return [image.data for image in made.images]


async def test_a_model_is_served_and_draws_the_same_after_a_kill(tiny_model: TinyModel) -> None:
    """As `[[spaces]] model = FOLDER` does it."""
    started: list[OwnSpace] = []

    def remembered(model: str) -> OwnSpace:
        started.append(OwnSpace.of_model(model))
        return started[0]

    config = Config(spaces=(SpaceSection(model=str(tiny_model.folder)),))
    async with open_spaces(config, remembered) as spaces:
        first = await drawn(spaces)
        life = await started[0].up()
        os.kill(life.pid, signal.SIGKILL)
        assert await drawn(spaces) == first
        assert await started[0].up() is not life


async def test_the_doctor_knows_it(tiny_model: TinyModel) -> None:
    finding = await own_space(str(tiny_model.folder))
    assert finding.health is Health.GOOD, finding
    assert "5 pictures at a time" in finding.text
