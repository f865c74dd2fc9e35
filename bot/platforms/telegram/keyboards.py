"""Buttons as Telegram's inline keyboards. Pure."""

from __future__ import annotations

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from bot.actions import MOST_BYTES, Button, Rows


def keyboard(rows: Rows) -> InlineKeyboardMarkup | None:
    """The keyboard for some rows of buttons; `None` for none.

    An action that is too long for Telegram loses its button: the message would be refused whole.
    """
    fitting = [[_button(button) for button in row if _fits(button)] for row in rows]
    shown = [row for row in fitting if row]
    return InlineKeyboardMarkup(shown) if shown else None


def _fits(button: Button) -> bool:
    return len(str(button.action).encode()) <= MOST_BYTES


def _button(button: Button) -> InlineKeyboardButton:
    # Servers and apps that know no styles pass over this one.
    return InlineKeyboardButton(
        button.label,
        callback_data=str(button.action),
        style="danger" if button.danger else None,
    )
