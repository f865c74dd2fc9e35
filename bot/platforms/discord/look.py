"""How a message looks on Discord: plain text, or a box whose colour tells its mood. Pure.

A box is a container of Components V2 with text, pictures and buttons in it. Discord turns plain
text into a box where an edit says so, and a box never back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import discord

from bot.actions import Rows
from bot.files import File
from bot.platforms.discord.components import rows_of
from bot.reply.surface import Content, Mood

COLOURS: Final[Mapping[Mood, int]] = MappingProxyType(
    {
        Mood.WORKING: 0x5865F2,
        Mood.DONE: 0x23A55A,
        Mood.STOPPED: 0x80848E,
        Mood.FAILED: 0xF23F43,
    }
)
"""Discord's own blue, green, grey and red, for the edge of a box."""

MOST_PICTURES: Final = 10
"""Pictures in one gallery."""


def is_boxed(content: Content, *, drawing: bool) -> bool:
    """Whether a message reads better in a box.

    That is where there are pictures or will be, and where something failed. Answers in words stay
    plain: people find them by Discord's search, quote them, and read them in notifications.

    Args:
        content: all that the message shows.
        drawing: the reply is to show pictures in the end.
    """
    return drawing or bool(content.files) or content.mood is Mood.FAILED


def box(content: Content, *, spoiler: bool) -> discord.ui.LayoutView:
    """A message as a box. Needs a running event loop.

    It is finished before it begins, as `components.view` is.

    Args:
        content: all that it shows; the files are sent with it, under their own names.
        spoiler: pictures are covered until somebody wants to see them.
    """
    container: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(
        accent_colour=COLOURS[content.mood]
    )
    if content.text:
        container.add_item(discord.ui.TextDisplay(content.text))
    for start in range(0, len(content.files), MOST_PICTURES):
        container.add_item(_gallery(content.files[start : start + MOST_PICTURES], spoiler))
    for row in _rows(content.buttons):
        container.add_item(row)
    result = discord.ui.LayoutView(timeout=None)
    result.add_item(container)
    result.stop()
    return result


def _gallery(
    uploads: Sequence[File], spoiler: bool
) -> discord.ui.MediaGallery[discord.ui.LayoutView]:
    return discord.ui.MediaGallery(
        *(
            discord.MediaGalleryItem(
                f"attachment://{upload.name}", description=upload.alt or None, spoiler=spoiler
            )
            for upload in uploads
        )
    )


def _rows(rows: Rows) -> list[discord.ui.ActionRow[discord.ui.LayoutView]]:
    return [discord.ui.ActionRow(*buttons) for buttons in rows_of(rows)]
