"""How a message looks on Discord: plain text, or a container whose colour tells its mood.

A container belongs to Components V2 and holds text, pictures and buttons. Discord turns plain text
into one where an edit says so, and never back. A button's `custom_id` is its action in the written
form; nothing is remembered about buttons, so they work after a restart and for as long as their
turn is stored.

Nothing here talks to Discord, but discord.py's views need a running event loop. All of them are
stopped before they begin: discord.py would keep every view that is not, for ever.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import discord
from discord.http import MultipartParameters, handle_message_parameters

from bot.actions import Action, Button, Rows
from bot.files import File
from bot.i18n import Words
from bot.platforms.discord.parsing import PROMPT_FIELD
from bot.reply.surface import Content, Mood

_Container: TypeAlias = discord.ui.Container[discord.ui.LayoutView]

COLOURS: Final[Mapping[Mood, int]] = MappingProxyType(
    {
        Mood.WORKING: 0x5865F2,
        Mood.DONE: 0x23A55A,
        Mood.STOPPED: 0x80848E,
        Mood.FAILED: 0xF23F43,
    }
)
"""Discord's own blue, green, grey and red, for the edge of a container."""

MAX_PROMPT_CHARS: Final = 2000
"""Of a prompt in a command or in the form; Discord's forms take twice as many."""

_MAX_ROWS: Final = 5
_MAX_BUTTONS_IN_ROW: Final = 5
_MAX_LABEL_CHARS: Final = 80


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """All that one message shows, as Discord gets it.

    Attributes:
        text: Discord's Markdown. May be empty only if there are files.
        files: fit for Discord, 10 at most; sent under their own names.
        mood: the colour of a container.
        buttons: in rows; those beyond Discord's limits are left out.
        as_container: not as plain text.
        spoiler: files are covered until somebody wants to see them.
    """

    text: str
    files: tuple[File, ...] = ()
    mood: Mood = Mood.DONE
    buttons: Rows = ()
    as_container: bool = False
    spoiler: bool = False


def request_body(
    message: OutgoingMessage, *, ephemeral: bool = False, **options: Any
) -> MultipartParameters:
    """The request for a message. Nothing in it can ping anybody or unfold a link's preview.

    What follows an interaction can be `ephemeral`: only one person sees it.
    """
    as_container = message.as_container  # which has neither a text nor previews of its own
    # In a container the gallery covers files; elsewhere their names say that they are covered.
    spoiler = message.spoiler and not as_container
    return handle_message_parameters(
        attachments=[
            discord.File(
                io.BytesIO(each.data), each.name, spoiler=spoiler, description=each.alt or None
            )
            for each in message.files
        ],
        content=None if as_container else message.text or None,
        view=container(message) if as_container else buttons(message.buttons),
        allowed_mentions=discord.AllowedMentions.none(),
        flags=discord.MessageFlags(suppress_embeds=not as_container, ephemeral=ephemeral),
        **options,
    )


def needs_container(content: Content, *, drawing: bool) -> bool:
    """Whether a message reads better in a container.

    That is where there are pictures or will be (`drawing`), and where something failed. Answers in
    words stay plain: people find them by Discord's search, quote them, and read them in
    notifications.
    """
    shown = content.files or content.previews
    return drawing or bool(shown) or content.mood is Mood.FAILED


def container(message: OutgoingMessage) -> discord.ui.LayoutView:
    result: _Container = discord.ui.Container(accent_colour=COLOURS[message.mood])
    if message.text:
        result.add_item(discord.ui.TextDisplay(message.text))
    if message.files:
        pictures = [
            discord.MediaGalleryItem(
                f"attachment://{each.name}", description=each.alt or None, spoiler=message.spoiler
            )
            for each in message.files
        ]
        result.add_item(discord.ui.MediaGallery(*pictures))
    for row in _rows(message.buttons):
        result.add_item(discord.ui.ActionRow(*row))
    view = discord.ui.LayoutView(timeout=None)
    view.add_item(result)
    view.stop()
    return view


def buttons(rows: Rows) -> discord.ui.View | None:
    """Buttons under a plain message; `None` if there are none."""
    if not any(rows):
        return None
    view = discord.ui.View(timeout=None)
    for number, row in enumerate(_rows(rows)):
        for button in row:
            button.row = number
            view.add_item(button)
    view.stop()
    return view


def prompt_form(action: Action, prompt: str, words: Words) -> discord.ui.Modal:
    """Asks for another prompt, with the old one in it up to `MAX_PROMPT_CHARS`.

    The `action` comes back with the answer.
    """
    form = discord.ui.Modal(title=words("discord-form-title"), custom_id=str(action), timeout=None)
    field: discord.ui.TextInput[discord.ui.Modal] = discord.ui.TextInput(
        custom_id=PROMPT_FIELD,
        style=discord.TextStyle.paragraph,
        default=prompt[:MAX_PROMPT_CHARS],
        min_length=1,
        max_length=MAX_PROMPT_CHARS,
    )
    form.add_item(discord.ui.Label(text=words("discord-form-prompt"), component=field))
    form.stop()
    return form


def _rows(rows: Rows) -> list[list[discord.ui.Button[Any]]]:
    """As many as Discord takes, without rows that have no button."""
    return [
        [_button(button) for button in row[:_MAX_BUTTONS_IN_ROW]] for row in rows[:_MAX_ROWS] if row
    ]


def _button(button: Button) -> discord.ui.Button[Any]:
    style = discord.ButtonStyle.danger if button.danger else discord.ButtonStyle.secondary
    label = button.text[:_MAX_LABEL_CHARS]
    return discord.ui.Button(style=style, label=label, custom_id=str(button.action))
