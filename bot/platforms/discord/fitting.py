"""Which pictures go along with a message, and as what."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from bot.errors import ImageUnreadable
from bot.files import File
from bot.i18n import Words
from bot.image.png_metadata import png_with_recipe
from bot.reply.surface import Content


class Fitting:
    """Makes the messages of one reply fit.

    Args:
        largest: bytes that a file may have where the reply is.
        keepsakes: send PNG files with the recipe inside, as far as they are not too large.
        words: in which a picture is said to be left out.
    """

    def __init__(self, largest: int, words: Words, *, keepsakes: bool) -> None:
        self._largest = largest
        self._words = words
        self._keepsakes = keepsakes
        self._made: dict[str, File] = {}

    async def __call__(self, content: Content) -> Content:
        """Without pictures that Discord would refuse, and the whole message with them."""
        files = [await self._as_sent(each) for each in content.files]
        fitting = tuple(each for each in files if len(each.data) <= self._largest)
        left_out = len(files) - len(fitting)
        shown = replace(content, files=fitting)
        if not left_out:
            return shown
        note = self._words("discord-pictures-too-large", count=left_out)
        return replace(shown, text=f"{content.text}\n{note}".strip())

    async def _as_sent(self, upload: File) -> File:
        if not self._keepsakes or upload.recipe is None:
            return upload
        if upload.key not in self._made:
            self._made[upload.key] = await asyncio.to_thread(_keepsake, upload, self._largest)
        return self._made[upload.key]


def _keepsake(upload: File, largest: int) -> File:
    """The picture as PNG with its recipe, or as it was where that cannot be sent."""
    try:
        png = png_with_recipe(upload)
    except ImageUnreadable:
        return upload
    return upload if len(png.data) > largest else png
