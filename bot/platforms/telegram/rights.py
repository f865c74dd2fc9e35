"""Who may manage what others write in a group."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog
from telegram import Bot, ChatMember
from telegram.error import TelegramError

from bot.models import IncomingMessage

_log = structlog.get_logger(__name__)

_REMEMBERED = 300.0
"""Seconds for which an answer counts; rights change seldom."""
_MOST = 1000
"""Answers that are remembered."""
_PATIENCE = 10.0
"""Seconds that Telegram may take."""
_MANAGING = frozenset({ChatMember.OWNER, ChatMember.ADMINISTRATOR})


class Rights:
    """Asks Telegram who administers a group, and remembers it for some minutes.

    Args:
        bot: initialised client.
        clock: monotonic seconds.
    """

    def __init__(self, bot: Bot, clock: Callable[[], float] = time.monotonic) -> None:
        self._bot = bot
        self._clock = clock
        self._found: dict[tuple[int, str], tuple[float, bool]] = {}

    async def manages(self, message: IncomingMessage) -> bool:
        """Whether the person administers the chat. In private everybody does; when in doubt, no."""
        data = message.address.data
        chat: int = data["chat_id"]
        who = message.person.id
        if data["private"] or who == str(chat):
            return True  # who writes as the group itself is an administrator that stays unnamed
        if who.startswith("-"):
            return False  # somebody who writes as a channel; nobody knows who
        until, answer = self._found.get((chat, who), (0.0, False))
        if until > self._clock():
            return answer
        found = await self._ask(chat, int(who))
        if found is None:
            return False
        self._found.pop((chat, who), None)
        self._found[chat, who] = (self._clock() + _REMEMBERED, found)
        if len(self._found) > _MOST:
            del self._found[next(iter(self._found))]
        return found

    async def _ask(self, chat: int, who: int) -> bool | None:
        try:
            member = await self._bot.get_chat_member(chat, who, read_timeout=_PATIENCE)
        except TelegramError as error:
            _log.warning("rights not known", chat=chat, error=str(error))
            return None
        return member.status in _MANAGING
