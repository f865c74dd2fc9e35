"""Threads that were started from a message: what the first words in them are about."""

from __future__ import annotations

from typing import Final

import discord
import structlog

from bot.platforms.discord.faults import NO_ANSWER

log = structlog.get_logger(__name__)

LOOKED_AT: Final = 50
"""Messages of a thread among which the bot looks for its own; in a longer one it has spoken."""

REMEMBERED: Final = 1000
"""Threads that are not looked into again."""

_SPOKEN: Final = frozenset({discord.MessageType.default, discord.MessageType.reply})


class Parents:
    """Finds the message that a thread was started from, once for each thread."""

    def __init__(self) -> None:
        self._known: dict[int, None] = {}

    async def starter(
        self, message: discord.Message, me: discord.ClientUser
    ) -> discord.Message | None:
        """What the thread of a message was started from, if the bot has not spoken there yet.

        A post of a forum and a thread that was opened by itself begin with their own first
        message, so there is none.

        Cancelling: the thread is not looked into again.
        """
        thread = message.channel
        if not isinstance(thread, discord.Thread) or thread.id in self._known:
            return None
        self._known[thread.id] = None
        if len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]
        return await self._look(thread, message, me)

    async def _look(
        self, thread: discord.Thread, message: discord.Message, me: discord.ClientUser
    ) -> discord.Message | None:
        count = 0
        try:
            async for earlier in thread.history(limit=LOOKED_AT, before=message):
                count += 1
                if earlier.author.id == me.id and earlier.type in _SPOKEN:
                    return None
            if count == LOOKED_AT or not isinstance(thread.parent, discord.TextChannel):
                return None
            return thread.starter_message or await thread.parent.fetch_message(thread.id)
        except NO_ANSWER as error:
            log.info("no message that the thread began with", reason=str(error))
            return None
