"""Surfaces in the chats of a local Bot API server."""

from __future__ import annotations

from collections.abc import Callable

from telegram import Bot

from bot.files import File
from bot.platforms.telegram.client import TelegramTarget
from bot.platforms.telegram.server_state import ServerState
from bot.platforms.telegram.surface import TelegramSurface
from tests.servers.telegram_world import Chat

Make = Callable[..., TelegramSurface]


def making(bot: Bot) -> Make:
    """Make a surface for a chat; all share what they learn about the server."""
    state = ServerState()

    def surface(
        chat: Chat, *, reply_to: int | None = None, topic: int | None = None, client: Bot = bot
    ) -> TelegramSurface:
        target = TelegramTarget(chat.id, topic, reply_to, chat.is_private, draft_id=11)
        return TelegramSurface(client, target, state)

    return surface


def upload(data: bytes, name: str = "fox.webp", media_type: str = "image/webp") -> File:
    """A file of a reply."""
    return File(data, media_type, name, "a fox")
