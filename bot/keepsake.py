"""A picture as a file to keep: what made it travels inside."""

from __future__ import annotations

import io
import json

from PIL import Image, PngImagePlugin, UnidentifiedImageError

from bot.errors import ImageUnreadable
from bot.provider.response import Recipe

CHUNK = "recipe"
"""The text chunk (PNG, `iTXt`) that holds the recipe as JSON."""


def png_with_recipe(data: bytes, recipe: Recipe) -> bytes:
    """The picture as PNG, pixel for pixel, with its recipe in the text chunk `CHUNK`.

    Args:
        data: a picture that the bot made, in any format.
        recipe: how it was made.

    Raises:
        ImageUnreadable: the bytes are no picture.
    """
    info = PngImagePlugin.PngInfo()
    info.add_itxt(CHUNK, json.dumps(recipe.to_json(), ensure_ascii=False))
    file = io.BytesIO()
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.save(file, "PNG", pnginfo=info)
    except (UnidentifiedImageError, OSError) as error:
        raise ImageUnreadable("The Space sent a picture that cannot be read.") from error
    return file.getvalue()


def recipe_in(data: bytes) -> Recipe | None:
    """The recipe inside a PNG that `png_with_recipe` made; `None` if there is none."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            text = picture.info.get(CHUNK)
        return None if text is None else Recipe.from_json(json.loads(text))
    except (UnidentifiedImageError, OSError, ValueError, KeyError, TypeError):
        return None
