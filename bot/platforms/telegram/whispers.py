"""Messages in a group that one person sees (Bot API 10.3, `EphemeralMessageParameters`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from telegram import Message

from bot.errors import ContentRefused, SurfaceForbidden
from bot.platforms.telegram.discoveries import Discoveries
from bot.platforms.telegram.entities import Rendered
from bot.platforms.telegram.place import Place
from bot.platforms.telegram.refusals import Request, translated


@dataclass(frozen=True, slots=True)
class Listener:
    """Whom a notice concerns.

    Attributes:
        person: a user id.
        query_id: of the press that it answers; `None` where it answers a message.
    """

    person: int
    query_id: str | None = None

    @property
    def occasion(self) -> str:
        """What Telegram may allow apart from each other."""
        return "message" if self.query_id is None else "press"

    def parameters(self) -> dict[str, Any]:
        """For `sendMessage`; python-telegram-bot 22.8 does not name them yet."""
        aim: dict[str, Any] = {"receiver_user_id": self.person}
        if self.query_id is not None:
            aim["callback_query_id"] = self.query_id
        return {"ephemeral_message_parameters": aim}


async def whisper(
    place: Place, shown: Rendered, listener: Listener, known: Discoveries
) -> Message | None:
    """Say something to one person of a group.

    A server that refuses it, or does not know what it is and says it to all, is remembered in
    `known`, so that nobody asks it again on such an occasion.

    Returns:
        The message, if everybody sees it.

    Raises:
        SurfaceError: it was not said; unless it was refused, another try may help.
    """
    try:
        with translated(Request.CREATE):
            message = await place.send_text(shown, special=listener.parameters())
    except (ContentRefused, SurfaceForbidden):
        known.without_whispers.add(listener.occasion)
        raise
    if "ephemeral_message_id" in message.api_kwargs:
        return None
    known.without_whispers.add(listener.occasion)
    return message
