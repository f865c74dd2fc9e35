"""Commits updates that Telegram brings, so that each can be acknowledged.

Telegram brings the updates of one chat one after the other, each once the one before was
acknowledged. So an album cannot be waited for: its items are kept in files, acknowledged, and
committed together when no more come.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import structlog
from telegram import Bot, Message, Update

from bot.errors import StorageError
from bot.platforms.telegram.albums import Album, Albums
from bot.platforms.telegram.intake import BROKEN, Intake
from bot.platforms.telegram.lines import Lines
from bot.platforms.telegram.spool import Spool
from bot.platforms.telegram.timing import Backoff, Timing
from bot.platforms.telegram.updates import lines_of, readable

_log = structlog.get_logger(__name__)

_REMEMBERED: Final = 1000
"""Committed updates that are known again when their acknowledgement was lost."""


class Deliveries:
    """Updates on their way to be committed: each chat's in order, all chats side by side.

    Args:
        bot: initialised client.
        intake: commits updates.
        spool: keeps the items of albums.
        timing: how long to wait for what.
    """

    def __init__(self, bot: Bot, intake: Intake, spool: Spool, timing: Timing) -> None:
        self._bot = bot
        self._intake = intake
        self._spool = spool
        self._timing = timing
        self._albums = Albums(timing.album)
        self._lines = Lines()
        self._running: dict[int, asyncio.Task[None]] = {}
        self._done: deque[int] = deque(maxlen=_REMEMBERED)
        self._arriving: Counter[str | None] = Counter()
        self._closed = False

    async def recall(self) -> None:
        """Take up the albums that an earlier process did not commit any more."""
        for data in await asyncio.to_thread(self._spool.kept):
            update = Update.de_json(readable(data), self._bot)
            if update.message is not None:
                await self._collect(update.update_id, update.message)

    async def take(self, data: dict[str, Any]) -> bool:
        """Commit an update, unless it is known; false if Telegram shall bring it again.

        Cancelling: it is committed all the same, and known when it comes again.
        """
        update_id: int = data["update_id"]
        if update_id in self._done:
            return True
        task = self._running.get(update_id)
        if task is None:
            if self._closed:
                return False
            task = self._running[update_id] = self._begin(data)
            task.add_done_callback(lambda _: self._running.pop(update_id, None))
        await asyncio.wait([task])
        if task.cancelled() or isinstance(task.exception(), StorageError):
            return False
        task.result()  # a fault that is no update's
        return True

    async def close(self) -> None:
        """Commit nothing more. What was not acknowledged comes again; open albums are kept."""
        self._closed = True
        await self._lines.close()

    def _begin(self, data: dict[str, Any]) -> asyncio.Task[None]:
        update = Update.de_json(readable(data), self._bot)
        message = update.message
        if message is not None and message.media_group_id is not None:
            self._arriving[message.media_group_id] += 1
            return self._lines.add(lines_of(update), partial(self._arrive, data, message))
        if message is not None:
            for group, album in self._albums.before(message):
                self._finish(group, album)
        return self._lines.add(lines_of(update), partial(self._commit, update))

    async def _commit(self, update: Update) -> None:
        try:
            await self._intake.take(update)
        except StorageError as error:
            _log.error("update cannot be stored", error=str(error))
            raise
        except BROKEN:
            _log.exception("update skipped", update=update.update_id)
        self._done.append(update.update_id)

    async def _arrive(self, data: dict[str, Any], message: Message) -> None:
        try:
            await self._keep(data, message)
        finally:
            self._arriving[message.media_group_id] -= 1
            self._arriving += Counter()  # without those at zero

    async def _keep(self, data: dict[str, Any], message: Message) -> None:
        update_id: int = data["update_id"]
        try:
            await asyncio.to_thread(self._spool.keep, data)
        except StorageError as error:
            _log.error("update cannot be kept", error=str(error))
            raise
        await self._collect(update_id, message)
        self._done.append(update_id)

    async def _collect(self, update_id: int, message: Message) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if not self._albums.add(update_id, message, now):
            _log.info("item of an album came too late", update=update_id)
            await asyncio.to_thread(self._spool.drop, [update_id])
            return
        # At once if it is full; but not before this item counts as arrived.
        loop.call_soon(self._finish_complete, now)
        due = now + self._timing.album
        loop.call_at(due, self._finish_complete, due)

    def _finish_complete(self, now: float) -> None:
        if not self._closed:
            for group, album in self._albums.complete(now):
                if not self._arriving[group]:  # else its timer begins anew
                    self._finish(group, album)

    def _finish(self, group: str, album: Album) -> None:
        self._albums.close(group)
        items = album.messages
        first = Update(min(album.items), message=items[0])
        self._lines.add(lines_of(first), partial(self._commit_album, list(album.items), items))

    async def _commit_album(self, update_ids: Sequence[int], items: Sequence[Message]) -> None:
        """Try until it is committed: Telegram does not bring it again."""
        backoff = Backoff(self._timing)
        while True:
            try:
                await self._intake.messages(items)
            except StorageError as error:
                pause = backoff.next()
                _log.error("album cannot be stored", error=str(error), next_try=pause)
                await asyncio.sleep(pause)
                continue
            except BROKEN:
                _log.exception("update skipped", update=update_ids[0])
            break
        await asyncio.to_thread(self._spool.drop, update_ids)
