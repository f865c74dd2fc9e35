"""Messages in a group that one person sees (Bot API 10.3, `EphemeralMessageParameters`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog

from bot.errors import DeliveryUnknown, SurfaceError
from bot.platforms.telegram.discoveries import Discoveries
from bot.platforms.telegram.entities import Rendered
from bot.platforms.telegram.place import Place
from bot.platforms.telegram.refusals import Request, translated

_log = structlog.get_logger(__name__)


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


async def whisper(place: Place, shown: Rendered, listener: Listener, known: Discoveries) -> bool:
    """Say something to one person of a group; false if it has to be said to all.

    A server that refuses it, or does not know what it is and sends an ordinary message, is not
    asked for it again on such an occasion.
    """
    if place.private or listener.occasion in known.without_whispers:
        return False
    try:
        with translated(Request.CREATE):
            message = await place.send_text(shown, special=listener.parameters())
    except DeliveryUnknown:
        _log.info("notice may not have arrived", chat=place.chat)
        return True  # never sent twice
    except SurfaceError as error:
        _log.info("telegram takes no message for one person", reason=str(error))
        known.without_whispers.add(listener.occasion)
        return False
    if "ephemeral_message_id" not in message.api_kwargs:
        known.without_whispers.add(listener.occasion)
        known.noticed(place.chat, message.message_id)
    return True
