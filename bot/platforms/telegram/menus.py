"""The menu of commands, longer in private than in groups, and buttons as inline keyboards."""

from __future__ import annotations

import asyncio

import structlog
from telegram import (
    Bot,
    BotCommand,
    BotCommandScope,
    BotCommandScopeAllGroupChats,
    BotCommandScopeDefault,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
)
from telegram.error import TelegramError

from bot.actions import MAX_ACTION_BYTES, Button, Rows
from bot.i18n import Catalogue
from bot.turns.commands import WORDS

_log = structlog.get_logger(__name__)

_NOT_IN_GROUPS = frozenset({"export", "doctor"})
"""They work there too but concern few, and a shorter menu gets read."""


async def publish_commands(bot: Bot, catalogue: Catalogue) -> None:
    """Set the menus that are not as they should be. One that cannot be set is only logged."""
    await asyncio.gather(
        *(
            _publish(bot, catalogue, scope, language)
            for scope in (BotCommandScopeDefault(), BotCommandScopeAllGroupChats())
            for language in ("", *catalogue.languages)
        )
    )


async def _publish(bot: Bot, catalogue: Catalogue, scope: BotCommandScope, language: str) -> None:
    words = catalogue.words(language)
    left_out = _NOT_IN_GROUPS if isinstance(scope, BotCommandScopeAllGroupChats) else frozenset()
    menu = tuple(
        BotCommand(word, words(f"command-{word}")) for word in WORDS if word not in left_out
    )
    code = language or None
    try:
        if await bot.get_my_commands(scope, code) != menu:
            await bot.set_my_commands(menu, scope, code)
    except TelegramError as error:
        _log.warning("command menu not set", scope=scope.type, language=language, error=str(error))


def keyboard(rows: Rows) -> InlineKeyboardMarkup | None:
    """The keyboard for some rows of buttons; `None` for none.

    An action that is too long for Telegram loses its button: the message would be refused whole.
    """
    fitting = [
        [_button(each) for each in row if len(str(each.action).encode()) <= MAX_ACTION_BYTES]
        for row in rows
    ]
    shown = [row for row in fitting if row]
    return InlineKeyboardMarkup(shown) if shown else None


def _button(button: Button) -> InlineKeyboardButton:
    # Servers and apps that know no styles pass over this one.
    style = "danger" if button.danger else None
    return InlineKeyboardButton(button.label, callback_data=str(button.action), style=style)
