"""What the bot says at once, and the buttons under its messages, as the page reads them."""

from __future__ import annotations

from bot.actions import Rows
from bot.models import JsonObject
from bot.platforms.web.handouts import Handouts
from bot.platforms.web.markup import Markup
from bot.turns.inbox import Notice


def rows_to_json(rows: Rows) -> list[list[JsonObject]]:
    """Rows of buttons."""
    return [
        [
            {"action": str(button.action), "label": button.label, "danger": button.danger}
            for button in row
        ]
        for row in rows
    ]


async def to_json(notice: Notice, markup: Markup, handouts: Handouts) -> JsonObject:
    """A notice; its files can be fetched from now on.

    Raises:
        OSError: the files cannot be kept.
    """
    return {
        "html": markup.html(notice.text),
        "private": notice.private,
        "buttons": rows_to_json(notice.buttons),
        "files": [await handouts.add(file) for file in notice.files],
        "replaces": notice.replaces,
    }
