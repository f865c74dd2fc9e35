"""Buttons and the form for a new prompt, as Discord's components; and what comes back from them.

A button's `custom_id` is its action in the written form. Nothing is remembered about buttons, so
they work after a restart and for as long as their turn is stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import discord

from bot.actions import Action, Button, Rows
from bot.i18n import Words

MOST_ROWS: Final = 5
MOST_IN_ROW: Final = 5
MOST_LABEL: Final = 80
MOST_PROMPT: Final = 2000
"""Characters of a prompt in a command or in the form; Discord's forms take twice as many."""

_PROMPT: Final = "prompt"


def view(rows: Rows) -> discord.ui.View | None:
    """Buttons for a message; `None` for none. Needs a running event loop.

    It is finished before it begins: discord.py would keep every view that is not, for ever.
    """
    if not any(rows):
        return None
    result = discord.ui.View(timeout=None)
    for number, row in enumerate(rows_of(rows)):
        for button in row:
            button.row = number
            result.add_item(button)
    result.stop()
    return result


def rows_of(rows: Rows) -> list[list[discord.ui.Button[Any]]]:
    """Buttons by row, as many as Discord takes, without rows that have none."""
    return [[_button(button) for button in row[:MOST_IN_ROW]] for row in rows[:MOST_ROWS] if row]


def prompt_form(action: Action, prompt: str, words: Words) -> discord.ui.Modal:
    """Asks for another prompt, with the one there is in it. Needs a running event loop.

    Args:
        action: comes back with the answer.
        prompt: the old one; what is beyond `MOST_PROMPT` characters is left out.
        words: the language of the form.
    """
    form = discord.ui.Modal(title=words("discord-form-title"), custom_id=str(action), timeout=None)
    field: discord.ui.TextInput[discord.ui.Modal] = discord.ui.TextInput(
        custom_id=_PROMPT,
        style=discord.TextStyle.paragraph,
        default=prompt[:MOST_PROMPT],
        min_length=1,
        max_length=MOST_PROMPT,
    )
    form.add_item(discord.ui.Label(text=words("discord-form-prompt"), component=field))
    form.stop()  # as in `view`
    return form


def action(interaction: discord.Interaction) -> Action | None:
    """What a pressed button or a form that was sent in means; `None` if this is not known."""
    data: Any = interaction.data or {}
    try:
        return Action.parse(data.get("custom_id", ""))
    except ValueError:
        return None


def sent_prompt(interaction: discord.Interaction) -> str:
    """What stands in the prompt's field of a form that was sent in."""
    data: Any = interaction.data or {}
    fields = _fields(data.get("components", []))
    return next((each.get("value", "") for each in fields if each["custom_id"] == _PROMPT), "")


def _fields(components: list[Any]) -> Iterator[Any]:
    """All fields, in rows, under labels or by themselves: Discord sends what it was given."""
    for each in components:
        if "custom_id" in each:
            yield each
        yield from _fields(each.get("components", []))
        if "component" in each:
            yield from _fields([each["component"]])


def _button(button: Button) -> discord.ui.Button[Any]:
    danger = discord.ButtonStyle.danger if button.danger else discord.ButtonStyle.secondary
    return discord.ui.Button(
        style=danger, label=button.label[:MOST_LABEL], custom_id=str(button.action)
    )
