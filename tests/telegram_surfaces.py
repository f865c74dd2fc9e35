"""Surfaces in the chats of a local Bot API server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from telegram import Bot

from bot.files import File
from bot.models import Address
from bot.platforms.telegram.surface import ServerState, TelegramSurface
from tests.servers.telegram_world import Chat

Make = Callable[..., TelegramSurface]


def making(bot: Bot) -> Make:
    """Make a surface for a chat; all share what they learn about the server."""
    known = ServerState()

    def surface(
        chat: Chat, *, reply_to: int | None = None, thread: int | None = None, client: Bot = bot
    ) -> TelegramSurface:
        data: dict[str, Any] = {
            "chat_id": chat.id,
            "thread_id": thread,
            "reply_to": reply_to,
            "private": chat.is_private,
            "draft_id": 11,
        }
        return TelegramSurface(client, Address("telegram", str(chat.id), data), known)

    return surface


def upload(data: bytes, name: str = "fox.webp", media_type: str = "image/webp") -> File:
    """A file of a reply."""
    return File(data, media_type, name, "a fox")
