"""Long polling that confirms an update only when it is committed.

The client library's own `Updater` confirms updates when it queues them, before anybody handled
them, and ends without a word when the token is refused (both measured with 22.8). Here the next
`getUpdates` carries the confirmation, so what was not committed is delivered again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog
from telegram import Bot, Message, Update
from telegram.error import BadRequest, Conflict, InvalidToken, RetryAfter, TelegramError

from bot.errors import BotError, StorageError, TokenRefused
from bot.platforms.telegram.albums import Album, Albums
from bot.platforms.telegram.refusals import is_unknown_method, seconds_to_wait

_log = structlog.get_logger(__name__)

REFUSED = (
    "Telegram does not accept the bot token. "
    "Get a new one from @BotFather and put it into [telegram] token."
)
_ALLOWED = (Update.MESSAGE, Update.EDITED_MESSAGE)
_FAREWELL = 2.0
"""Seconds that the last confirmation may take when polling stops."""
_BROKEN = (
    BotError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a single update may go wrong with; the others must not wait for it."""


@dataclass(frozen=True, slots=True)
class Timing:
    """All waits, in seconds.

    Attributes:
        poll: how long Telegram holds a `getUpdates` open.
        first_pause: after the first failure; each further one doubles it.
        longest_pause: at most.
        album: for the next item of an album.
        glance: between two polls while an album is open. Its updates are not confirmed, so that
            Telegram answers every poll at once.
    """

    poll: int = 25
    first_pause: float = 1.0
    longest_pause: float = 30.0
    album: float = 1.0
    glance: float = 0.2


DEFAULT_TIMING = Timing()


class Backoff:
    """Growing pauses between failures.

    Args:
        timing: how long they are.
    """

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._pause = timing.first_pause

    def next(self) -> float:
        """Seconds to wait before the next try."""
        pause = self._pause
        self._pause = min(pause * 2, self._timing.longest_pause)
        return pause

    def reset(self) -> None:
        """It worked: begin anew."""
        self._pause = self._timing.first_pause


class Polling:
    """Takes updates from Telegram, commits them in order, and confirms them.

    Args:
        bot: initialised client.
        commit: takes in one message, or all items of an album; returns when it is safe to forget
            them. Fast, because it is awaited for one update after the other.
        edited: takes in a message that its author changed, in the same way.
        timing: see there.
    """

    def __init__(
        self,
        bot: Bot,
        commit: Callable[[Sequence[Message]], Awaitable[None]],
        edited: Callable[[Message], Awaitable[None]],
        timing: Timing,
    ) -> None:
        self._bot = bot
        self._commit = commit
        self._edited = edited
        self._timing = timing
        self._albums = Albums(timing.album)
        self._webhook = True
        self._seen_until = 0
        self._confirmed = 0
        self._connected = False

    async def run(self, ready: Callable[[bool], None]) -> None:
        """Poll until cancelled.

        Args:
            ready: called with true after the first good poll and after each trouble, and with
                false when trouble begins.

        Raises:
            TokenRefused: Telegram answered 401 or 404.

        Cancelling: updates that were committed are confirmed, which takes two seconds at most;
        all others are delivered again.
        """
        backoff = Backoff(self._timing)
        try:
            while True:
                pause = await self._round(backoff)
                if self._connected is not (pause is None):
                    self._connected = pause is None
                    ready(self._connected)
                await asyncio.sleep(self._glance() if pause is None else pause)
        finally:
            await self._confirm()

    async def _round(self, backoff: Backoff) -> float | None:
        """Poll once and commit; seconds to pause after trouble, or `None` if all is well."""
        refused = False
        try:
            await self._close_complete()
            await self._poll()
        except InvalidToken:
            refused = True
        except Conflict:
            pause = backoff.next()
            _log.warning("another instance is running with this token", next_try=pause)
            return pause
        except RetryAfter as error:
            pause = seconds_to_wait(error)
            _log.warning("telegram asks to wait", next_try=pause)
            return pause
        except TelegramError as error:
            pause = backoff.next()
            _log.warning("telegram cannot be reached", error=str(error), next_try=pause)
            return pause
        except StorageError as error:
            pause = backoff.next()
            _log.error("message cannot be stored", error=str(error), next_try=pause)
            return pause
        if refused:
            # Raised out here, the original is not chained: its text may quote the token.
            raise TokenRefused(REFUSED)
        backoff.reset()
        return None

    async def _poll(self) -> None:
        if self._webhook:
            await self._remove_webhook()
            self._webhook = False
        offset = self._offset()
        updates = await self._bot.get_updates(
            offset or None,
            timeout=0 if self._albums or not self._connected else self._timing.poll,
            allowed_updates=_ALLOWED,
        )
        self._confirmed = offset
        for update in updates:
            if update.update_id > self._seen_until:
                await self._take(update)

    async def _remove_webhook(self) -> None:
        """One that another program left behind blocks polling."""
        try:
            await self._bot.delete_webhook()
        except (BadRequest, InvalidToken) as error:
            # A server without webhooks; if it is the token after all, `getUpdates` says so too.
            if isinstance(error, InvalidToken) and not is_unknown_method(error):
                raise

    async def _take(self, update: Update) -> None:
        message = update.message
        if message is not None:
            if message.media_group_id:
                now = asyncio.get_running_loop().time()
                if not self._albums.add(update.update_id, message, now):
                    _log.info("item of an album came too late", update=update.update_id)
            else:
                for group, album in self._albums.before(message):
                    await self._close(group, album)
                await self._or_skip(self._commit([message]), update.update_id)
        if update.edited_message is not None:
            await self._or_skip(self._edited(update.edited_message), update.update_id)
        self._seen_until = update.update_id

    async def _close_complete(self) -> None:
        for group, album in self._albums.complete(asyncio.get_running_loop().time()):
            await self._close(group, album)

    async def _close(self, group: str, album: Album) -> None:
        await self._or_skip(self._commit(album.messages), min(album.items))
        self._albums.close(group)

    async def _or_skip(self, committing: Awaitable[None], update_id: int) -> None:
        try:
            await committing
        except StorageError:
            # Not this update's fault: it is delivered again.
            raise
        except _BROKEN:
            _log.exception("update skipped", update=update_id)

    def _offset(self) -> int:
        """The first update that is not committed; confirms all before it. 0 before the first."""
        oldest = self._albums.oldest()
        if oldest is not None:
            return oldest
        return self._seen_until + 1 if self._seen_until else 0

    def _glance(self) -> float:
        due = self._albums.next_due()
        if due is None:
            return 0.0
        return min(self._timing.glance, max(0.0, due - asyncio.get_running_loop().time()))

    async def _confirm(self) -> None:
        """Tell Telegram what was committed since the last poll, or is delivered twice."""
        offset = self._offset()
        if offset > self._confirmed:
            with suppress(TelegramError, TimeoutError):
                async with asyncio.timeout(_FAREWELL):
                    await self._bot.get_updates(offset, limit=1, timeout=0)
