"""Long polling that confirms an update only when it is committed.

The client library's own `Updater` confirms updates when it queues them, before anybody has handled
them, and ends without a word when the token is refused (both measured with 22.8). Here the next
`getUpdates` carries the confirmation, so what was not committed is delivered again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Final

import structlog
from telegram import Bot, Message, Update
from telegram.error import BadRequest, InvalidToken, TelegramError

from bot.errors import StorageError, TokenRefused
from bot.platforms.telegram.errors import REFUSED, is_unknown_method, pause_after
from bot.platforms.telegram.handlers import Handlers
from bot.platforms.telegram.updates import Album, Albums, Timing, UpdateQueue
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
        self._queue = UpdateQueue()
        self._pending: dict[int, _Pending] = {}
        self._has_webhook = True
        self._next_id = 0  # of the first update that was not seen yet; 0 if none was
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
                stuck = any(pending.since == inf for pending in self._pending.values())
                if self._connected is not (pause is None and not stuck):
                    self._connected = not self._connected
                    ready(self._connected)
                if pause is None:
                    await self._rest(stuck=stuck)
                else:
                    await asyncio.sleep(pause)
        finally:
            await self._queue.close()
            await self._confirm()

    async def _poll(self, backoff: Backoff) -> float | None:
        """Poll once; seconds to pause after trouble, or `None` if all is well."""
        now = asyncio.get_running_loop().time()
        for album in list(self._albums.open.values()):
            if album.due <= now:
                self._close_album(album)
        waiting = self._unconfirmed()
        offset = min(waiting, default=self._next_id)
        updates: Sequence[Update] | None = None
        try:
            if self._has_webhook:
                await self._remove_webhook()
                self._has_webhook = False
            updates = await self._bot.get_updates(
                offset or None,
                timeout=self._timing.poll_seconds if self._connected and not waiting else 0,
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
            if update.update_id >= self._next_id:
                self._take(update)
                self._next_id = update.update_id + 1
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
        for album in list(self._albums.open.values()):
            if message is not None and album.is_before(message):
                self._close_album(album)
        self._begin(update)

    def _close_album(self, album: Album) -> None:
        self._albums.close(album)
        self._begin(album.update, album.messages)

    def _begin(self, update: Update, album: Sequence[Message] = ()) -> None:
        pending = self._pending[update.update_id] = _Pending(asyncio.get_running_loop().time())
        pending.task = self._queue.add(update, partial(self._commit, update, album, pending))

    async def _commit(self, update: Update, album: Sequence[Message], pending: _Pending) -> None:
        """Try until it is stored."""
        loop, backoff = asyncio.get_running_loop(), None
        while update.update_id in self._pending:
            pending.since = loop.time()
            try:
                with skipped_when_broken(_log, "update skipped", update=update.update_id):
                    await self._handlers.take(update, album)
            except StorageError as error:
                backoff = backoff or self._timing.backoff()
                pause = backoff.next()
                _log.error("update cannot be stored", error=str(error), next_try=pause)
                pending.since = inf
                await asyncio.sleep(pause)
            else:
                del self._pending[update.update_id]

    def _unconfirmed(self) -> dict[int, asyncio.Task[None] | None]:
        """Updates that must be delivered again if the process dies now, and what commits each.

        Nothing commits an item of an album yet that may not be complete.
        """
        horizon = asyncio.get_running_loop().time() - self._timing.commit_timeout_seconds
        waiting = {
            update_id: pending.task
            for update_id, pending in self._pending.items()
            if pending.since > horizon
        }
        for album in self._albums.open.values():
            waiting.update(dict.fromkeys(album.items))
        return waiting

    async def _rest(self, *, stuck: bool) -> None:
        """Wait before the next poll: for commits, and for albums to be complete."""
        running = [task for task in self._unconfirmed().values() if task is not None]
        due = min((album.due for album in self._albums.open.values()), default=inf)
        # While the database fails, polling faster would not help.
        pause = self._timing.first_pause_seconds if stuck else self._timing.recheck_seconds
        pause = min(pause, max(0.0, due - asyncio.get_running_loop().time()))
        if running:
            await asyncio.wait(running, timeout=pause)
        elif due < inf:
            await asyncio.sleep(pause)

    async def _confirm(self) -> None:
        """Tell Telegram what was committed since the last poll, or it is delivered twice."""
        offset = min(self._unconfirmed(), default=self._next_id)
        if offset > self._confirmed:
            with suppress(TelegramError, TimeoutError):
                async with asyncio.timeout(_LAST_CONFIRMATION_TIMEOUT_SECONDS):
                    await self._bot.get_updates(offset, limit=1, timeout=0)
