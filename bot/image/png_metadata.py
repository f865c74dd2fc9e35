"""A picture as a file to keep, with the recipe that made it inside."""

from __future__ import annotations

import io
import json
from pathlib import PurePath

from PIL import Image, PngImagePlugin, UnidentifiedImageError

from bot.errors import ImageUnreadable
from bot.files import File, Recipe

CHUNK = "recipe"
"""The text chunk (PNG, `iTXt`) that holds the recipe as JSON."""


def png_with_recipe(file: File) -> File:
    """A picture as PNG, pixel for pixel, with its recipe in the text chunk `CHUNK`.

    Raises:
        ImageUnreadable: the bytes are no picture.
    """
    info = PngImagePlugin.PngInfo()
    if file.recipe is not None:
        info.add_itxt(CHUNK, json.dumps(file.recipe.to_json(), ensure_ascii=False))
    png = io.BytesIO()
    try:
        with Image.open(io.BytesIO(file.data)) as picture:
            picture.save(png, "PNG", pnginfo=info)
    except (UnidentifiedImageError, OSError) as error:
        raise ImageUnreadable("The Space sent a picture that cannot be read.") from error
    name = PurePath(file.name).with_suffix(".png").name if file.name else ""
    return File(png.getvalue(), "image/png", name, file.alt, file.recipe)


def recipe_in(data: bytes) -> Recipe | None:
    """The recipe inside a PNG that `png_with_recipe` made; `None` if there is none."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            text = picture.info.get(CHUNK)
        return None if text is None else Recipe.from_json(json.loads(text))
    except (UnidentifiedImageError, OSError, ValueError, KeyError, TypeError):
        return None
