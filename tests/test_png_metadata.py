"""A file of the bot's keeps what made it."""

from __future__ import annotations

import io

import pytest
from PIL import Image, ImageChops

from bot.errors import ImageUnreadable
from bot.files import File, Recipe
from bot.image.png_metadata import png_with_recipe, recipe_in

RECIPE = Recipe("лиса in the snow 🦊", 2**32 - 1, 7.5, 0.8, "deepseek-ai/Janus-Pro-7B", 3)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_pixels_and_recipe_are_kept(kind: str) -> None:
    """Whatever the Space sent, the file shows the same and says how it was made."""
    file = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").save(file, kind)
    kept = png_with_recipe(File(file.getvalue(), "image/webp", recipe=RECIPE)).data
    with Image.open(io.BytesIO(kept)) as after, Image.open(file) as before:
        assert after.format == "PNG"
        assert ImageChops.difference(after.convert("RGB"), before.convert("RGB")).getbbox() is None
    assert recipe_in(kept) == RECIPE


def test_other_pictures_have_no_recipe() -> None:
    """Nothing is guessed."""
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG")
    assert recipe_in(file.getvalue()) is None
    assert recipe_in(b"no picture") is None


def test_what_is_no_picture_is_refused() -> None:
    """With the error that every picture has."""
    with pytest.raises(ImageUnreadable):
        png_with_recipe(File(b"no picture", "image/webp", recipe=RECIPE))
