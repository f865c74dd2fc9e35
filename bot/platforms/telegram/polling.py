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
from functools import partial
from math import inf
from typing import Final

import structlog
from telegram import Bot, Update
from telegram.error import BadRequest, InvalidToken, TelegramError

from bot.errors import StorageError, TokenRefused
from bot.platforms.telegram.errors import REFUSED, is_unknown_method, pause_after
from bot.platforms.telegram.handlers import Handlers
from bot.platforms.telegram.updates import Album, Albums, SerialQueue, Timing, queue_keys
from bot.support import Backoff, skipped_when_broken

_log = structlog.get_logger(__name__)

_LAST_CONFIRMATION_TIMEOUT_SECONDS: Final = 2.0


@dataclass(slots=True)
class _Pending:
    """An update on its way to be committed.

    Attributes:
        since: loop time at which its last try began; `inf` while the database fails.
        task: which commits it.
    """

    since: float
    task: asyncio.Task[None] | None = None


class Polling:
    """Takes updates of the allowed kinds, commits them in the order of each chat, confirms them."""

    def __init__(
        self, bot: Bot, handlers: Handlers, allowed: Sequence[str], timing: Timing
    ) -> None:
        self._bot = bot
        self._handlers = handlers
        self._allowed = allowed
        self._timing = timing
        self._albums = Albums(timing.album_seconds)
        self._queue = SerialQueue()
        self._pending: dict[int, _Pending] = {}
        self._has_webhook = True
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
        backoff = self._timing.backoff()
        try:
            while True:
                pause = await self._poll(backoff)
                well = pause is None and not self._is_stuck()
                if self._connected is not well:
                    self._connected = well
                    ready(well)
                await self._rest(pause)
        finally:
            await self._queue.close()
            await self._confirm()

    async def _poll(self, backoff: Backoff) -> float | None:
        """Poll once; seconds to pause after trouble, or `None` if all is well."""
        for album in self._albums.complete(asyncio.get_running_loop().time()):
            self._close_album(album)
        offset = self._offset()
        waits = self._connected and self._albums.oldest() is None and not self._uncommitted()
        updates: Sequence[Update] | None = None
        try:
            if self._has_webhook:
                await self._remove_webhook()
                self._has_webhook = False
            updates = await self._bot.get_updates(
                offset or None,
                timeout=self._timing.poll_seconds if waits else 0,
                allowed_updates=self._allowed,
            )
        except InvalidToken:
            pass  # raised below
        except TelegramError as error:
            return pause_after(error, backoff)
        if updates is None:
            # Raised out here, the original is not chained: its text may quote the token.
            raise TokenRefused(REFUSED)
        backoff.reset()
        self._confirmed = offset
        for update in updates:
            if update.update_id > self._seen_until:
                self._take(update)
                self._seen_until = update.update_id
        return None

    async def _remove_webhook(self) -> None:
        """One that another program left behind blocks polling."""
        try:
            await self._bot.delete_webhook()
        except (BadRequest, InvalidToken) as error:
            # A server without webhooks; if it is the token after all, `getUpdates` says so too.
            if isinstance(error, InvalidToken) and not is_unknown_method(error):
                raise

    def _take(self, update: Update) -> None:
        message = update.message
        if message is not None and message.media_group_id:
            self._albums.add(update.update_id, message, asyncio.get_running_loop().time())
            return
        if message is not None:
            for album in self._albums.before(message):
                self._close_album(album)
        self._begin(update, partial(self._handlers.take, update))

    def _close_album(self, album: Album) -> None:
        self._albums.close(album)
        self._begin(album.update, partial(self._handlers.take_messages, album.messages))

    def _begin(self, update: Update, commit: Callable[[], Awaitable[object]]) -> None:
        pending = _Pending(asyncio.get_running_loop().time())
        self._pending[update.update_id] = pending
        job = partial(self._commit, update.update_id, pending, commit)
        pending.task = self._queue.add(queue_keys(update), job)

    async def _commit(
        self, update_id: int, pending: _Pending, commit: Callable[[], Awaitable[object]]
    ) -> None:
        """Try until it is stored."""
        loop, backoff = asyncio.get_running_loop(), self._timing.backoff()
        while update_id in self._pending:
            pending.since = loop.time()
            try:
                with skipped_when_broken(_log, "update skipped", update=update_id):
                    await commit()
            except StorageError as error:
                pause = backoff.next()
                _log.error("update cannot be stored", error=str(error), next_try=pause)
                pending.since = inf
                await asyncio.sleep(pause)
            else:
                del self._pending[update_id]

    def _uncommitted(self) -> list[int]:
        """Updates that must be delivered again if the process dies now."""
        now = asyncio.get_running_loop().time()
        horizon = now - self._timing.commit_timeout_seconds
        return [each for each, pending in self._pending.items() if pending.since > horizon]

    def _is_stuck(self) -> bool:
        """Whether the database fails."""
        return any(pending.since == inf for pending in self._pending.values())

    def _offset(self) -> int:
        """The first update that is not committed; confirms all before it. 0 before the first."""
        waiting = self._uncommitted()
        oldest = self._albums.oldest()
        if oldest is not None:
            waiting.append(oldest)
        if waiting:
            return min(waiting)
        return self._seen_until + 1 if self._seen_until else 0

    async def _rest(self, pause: float | None) -> None:
        """Wait before the next poll: for commits, for albums, for trouble to pass."""
        if pause is not None:
            await asyncio.sleep(pause)
            return
        timing, due = self._timing, self._albums.next_due()
        pause = timing.first_pause_seconds if self._is_stuck() else timing.recheck_seconds
        if due is not None:
            pause = min(pause, max(0.0, due - asyncio.get_running_loop().time()))
        tasks = [self._pending[each].task for each in self._uncommitted()]
        running = [task for task in tasks if task is not None]
        if running:
            await asyncio.wait(running, timeout=pause)
        elif due is not None:
            await asyncio.sleep(pause)

    async def _confirm(self) -> None:
        """Tell Telegram what was committed since the last poll, or it is delivered twice."""
        offset = self._offset()
        if offset > self._confirmed:
            with suppress(TelegramError, TimeoutError):
                async with asyncio.timeout(_LAST_CONFIRMATION_TIMEOUT_SECONDS):
                    await self._bot.get_updates(offset, limit=1, timeout=0)
