"""Says in the head of a chat that the bot is typing or uploading, for as long as it is true.

Telegram counts these requests like all others of the bot, so they get a small share of their own of
what it takes per second; when that is used up, the chat does without.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import structlog
from telegram import Bot
from telegram.error import RetryAfter, TelegramError

from bot.platforms.telegram.refusals import seconds_to_wait
from bot.reply.pacing import Bucket, Urgency

_log = structlog.get_logger(__name__)

Place: TypeAlias = tuple[int, int | None]
"""A chat, and the topic in it."""

RATE: Final = 4.0
"""Requests per second for all chats; with the 25 of the replies, that stays below Telegram's 30."""

REPEAT: Final = 4.5
"""Seconds; Telegram shows an action for five."""

LASTS: Final = 12.0
"""Seconds after the last sign of work. A reply that waits for long must not seem to be typed."""


@dataclass(slots=True)
class _Shown:
    action: str
    until: float
    task: asyncio.Task[None] | None = None


class Activity:
    """All chats in which an action is shown.

    Args:
        bot: initialised client.
        clock: monotonic seconds.
    """

    def __init__(self, bot: Bot, clock: Callable[[], float] = time.monotonic) -> None:
        self._bot = bot
        self._clock = clock
        self._bucket = Bucket(RATE, RATE, clock())
        self._shown: dict[Place, _Shown] = {}
        self._closed: dict[int, float] = {}

    def begin(self, place: Place, action: str) -> None:
        """Show an action (Bot API, `sendChatAction`), or go on showing it."""
        until = self._clock() + LASTS
        shown = self._shown.get(place)
        if shown is not None and shown.action == action:
            shown.until = until
            return
        self.end(place)
        if self._is_closed(place[0]):
            return
        shown = self._shown[place] = _Shown(action, until)
        shown.task = asyncio.create_task(self._show(place, shown))

    def end(self, place: Place) -> None:
        """Show it no longer; what is there fades within five seconds."""
        shown = self._shown.pop(place, None)
        if shown is not None and shown.task is not None:
            shown.task.cancel()

    async def close(self) -> None:
        """End all."""
        tasks = [shown.task for shown in self._shown.values() if shown.task is not None]
        for place in list(self._shown):
            self.end(place)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _show(self, place: Place, shown: _Shown) -> None:
        chat, thread = place
        try:
            while self._clock() < shown.until:
                self._bucket, wait = self._bucket.take(self._clock(), Urgency.PROGRESS)
                if not wait:
                    await self._bot.send_chat_action(chat, shown.action, message_thread_id=thread)
                await asyncio.sleep(REPEAT)
        except RetryAfter as error:
            self._closed[chat] = self._clock() + seconds_to_wait(error)
        except TelegramError as error:
            _log.debug("action not shown", chat=chat, error=str(error))
        finally:
            if self._shown.get(place) is shown:
                del self._shown[place]

    def _is_closed(self, chat: int) -> bool:
        """Whether Telegram asked this chat to wait; to go on asking would make that longer."""
        now = self._clock()
        self._closed = {each: until for each, until in self._closed.items() if until > now}
        return chat in self._closed
