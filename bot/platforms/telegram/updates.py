"""Updates as they come over the wire: read one by one, and sorted into lines."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog
from telegram import Message, Update

from bot.platforms.adapter import SETTLE

_log = structlog.get_logger(__name__)

_UNREADABLE = (AttributeError, LookupError, TypeError, ValueError)


def is_update(value: Any) -> bool:
    """Whether a JSON value can be an update: it has an id."""
    return isinstance(value, dict) and isinstance(value.get("update_id"), int)


def readable(update: dict[str, Any]) -> dict[str, Any]:
    """The update as it is; one that the client library cannot read keeps nothing but its id.

    It would come again for ever otherwise, and everything behind it never.
    """
    try:
        Update.de_json(update)
    except _UNREADABLE as error:
        _log.warning("update cannot be read", update=update["update_id"], error=repr(error))
        return {"update_id": update["update_id"]}
    return update


def lines_of(update: Update) -> tuple[str, ...]:
    """The lines in which an update stands: its chat's, or else its person's.

    A group that moves stands in both: what was said before comes before, and what is said in the
    new chat comes after.
    """
    message = update.message
    if message is not None and message.migrate_to_chat_id is not None:
        return (str(message.chat_id), str(message.migrate_to_chat_id))
    where = update.effective_chat or update.effective_user
    return ("" if where is None else str(where.id),)


MOST_ITEMS = 10
"""Items of an album (Bot API, `sendMediaGroup`)."""
_MAX_CLOSED_ALBUMS = 256


@dataclass(slots=True)
class Album:
    """An album that may not be complete yet.

    Attributes:
        items: by update id.
        due: loop time at which no more items are waited for.
    """

    items: dict[int, Message] = field(default_factory=dict)
    due: float = 0.0

    @property
    def messages(self) -> list[Message]:
        """The items in the order in which they stand in the chat."""
        return sorted(self.items.values(), key=lambda message: message.message_id)

    def is_before(self, message: Message) -> bool:
        """Whether the author of the album wrote this message after it, in the same chat."""
        first = next(iter(self.items.values()))
        return (first.chat, first.from_user) == (message.chat, message.from_user)


class Albums:
    """The albums that wait for more items. Keeps no clock: the caller says what time it is.

    Args:
        wait: seconds to wait for the next item.
    """

    def __init__(self, wait: float) -> None:
        self._wait = wait
        self._open: dict[str, Album] = {}
        self._closed: deque[str] = deque(maxlen=_MAX_CLOSED_ALBUMS)

    def __bool__(self) -> bool:
        """Whether any album is open."""
        return bool(self._open)

    def add(self, update_id: int, message: Message, now: float) -> bool:
        """Take an item in. False if its album was closed already."""
        group = message.media_group_id or ""
        if group in self._closed:
            return False
        album = self._open.setdefault(group, Album())
        album.items[update_id] = message
        album.due = now if len(album.items) >= MOST_ITEMS else now + self._wait
        return True

    def oldest(self) -> int | None:
        """The lowest update id in an open album; that update must not be confirmed yet."""
        return min((min(album.items) for album in self._open.values()), default=None)

    def next_due(self) -> float | None:
        """When the next album is complete."""
        return min((album.due for album in self._open.values()), default=None)

    def complete(self, now: float) -> Iterator[tuple[str, Album]]:
        """The albums that are waited for no longer, to be closed by the caller."""
        return ((g, album) for g, album in list(self._open.items()) if album.due <= now)

    def before(self, message: Message) -> Iterator[tuple[str, Album]]:
        """The albums that this message shows to be complete: its author went on writing."""
        return ((g, album) for g, album in list(self._open.items()) if album.is_before(message))

    def close(self, group: str) -> None:
        """An album was committed; items that come later are not waited for."""
        del self._open[group]
        self._closed.append(group)


class SerialQueue:
    """One line of jobs per key."""

    def __init__(self) -> None:
        self._last: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, keys: Collection[str], job: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """Do a job once all jobs that were added before it under any of its keys have ended.

        Returns:
            The task that does it. Whoever awaits it gets the job's errors; nobody has to.
        """
        before = {task for key in keys if (task := self._last.get(key)) is not None}
        task = asyncio.create_task(_after(before, job))
        self._last.update(dict.fromkeys(keys, task))
        self._tasks.add(task)
        task.add_done_callback(partial(self._left, keys))
        return task

    async def close(self) -> None:
        """Cancel all jobs and wait for their end."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _left(self, keys: Collection[str], task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        for key in keys:
            if self._last.get(key) is task:
                del self._last[key]
        if not task.cancelled():
            task.exception()  # seen, so that asyncio does not complain of one that nobody awaits


async def _after(
    before: Collection[asyncio.Task[None]], job: Callable[[], Awaitable[None]]
) -> None:
    if before:
        await asyncio.wait(before)
    await job()


@dataclass(frozen=True, slots=True)
class Timing:
    """All waits, in seconds.

    Attributes:
        poll: how long Telegram holds a `getUpdates` open.
        first_pause: after the first failure; each further one doubles it.
        longest_pause: at most.
        album: for the next item of an album.
        glance: between two polls while an update is not committed yet. It is not confirmed, so
            that Telegram answers every poll at once.
        patience: after which an update that is still being worked on counts as committed. What
            begins a turn takes milliseconds; only answers without a turn can take longer.
        watch: between two looks at the webhook.
        settle: from connecting until the menus are looked at.
    """

    poll: int = 25
    first_pause: float = 1.0
    longest_pause: float = 30.0
    album: float = 1.0
    glance: float = 0.2
    patience: float = 20.0
    watch: float = 60.0
    settle: float = SETTLE


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
        self._pause = min(self._timing.longest_pause, 2 * pause)
        return pause

    def reset(self) -> None:
        """It worked: begin anew."""
        self._pause = self._timing.first_pause
