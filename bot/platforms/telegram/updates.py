"""What both ways of receiving updates share: reading one, collecting albums, keeping order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import structlog
from telegram import Bot, Message, Update

from bot.platforms.adapter import SETTLE_SECONDS
from bot.support import BackgroundTasks, Backoff

_log = structlog.get_logger(__name__)

ALLOWED_UPDATES: Final = (
    Update.MESSAGE,
    Update.EDITED_MESSAGE,
    Update.CALLBACK_QUERY,
    Update.MY_CHAT_MEMBER,
)
"""What Telegram shall deliver. It remembers this; posts in channels and messages to businesses are
not among it, because the bot cannot answer them."""

MAX_ALBUM_ITEMS: Final = 10
"""Items of an album (Bot API, `sendMediaGroup`)."""

_MAX_CLOSED_ALBUMS: Final = 256
_UNREADABLE: Final = (AttributeError, LookupError, TypeError, ValueError)
"""What the client library raises when an update is not shaped as it expects."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long to wait for what.

    Attributes:
        poll_seconds: how long Telegram holds a `getUpdates` open.
        first_pause_seconds: after the first failure; each further one doubles it.
        max_pause_seconds: at most.
        album_seconds: for the next item of an album.
        recheck_seconds: between two polls while an update is not committed yet. It is not
            confirmed, so that Telegram answers every poll at once.
        commit_timeout_seconds: after which an update that is still being worked on counts as
            committed. What begins a turn takes milliseconds; only answers without a turn can take
            longer.
        webhook_check_seconds: between two looks at the webhook.
        settle_seconds: from connecting until the menus are looked at.
    """

    poll_seconds: int = 25
    first_pause_seconds: float = 1.0
    max_pause_seconds: float = 30.0
    album_seconds: float = 1.0
    recheck_seconds: float = 0.2
    commit_timeout_seconds: float = 20.0
    webhook_check_seconds: float = 60.0
    settle_seconds: float = SETTLE_SECONDS

    def backoff(self) -> Backoff:
        return Backoff(self.first_pause_seconds, self.max_pause_seconds)


DEFAULT_TIMING: Final = Timing()


def is_update(value: Any) -> bool:
    """Whether a JSON value can be an update: it has an id."""
    return isinstance(value, dict) and isinstance(value.get("update_id"), int)


def parse_update(data: dict[str, Any], bot: Bot | None = None) -> Update | None:
    """Read an update; `None` if the client library cannot, which is logged.

    It would come again for ever if it were not confirmed, and everything behind it never.
    """
    try:
        return Update.de_json(data, bot)
    except _UNREADABLE as error:
        _log.warning("update cannot be read", update=data["update_id"], error=repr(error))
        return None


def queue_keys(update: Update) -> tuple[str, ...]:
    """The keys in a `SerialQueue` under which an update waits: its chat, or else its person.

    A group that moves has both of its ids: what was said before comes before, and what is said in
    the new chat comes after.
    """
    message = update.message
    if message is not None and message.migrate_to_chat_id is not None:
        return (str(message.chat_id), str(message.migrate_to_chat_id))
    where = update.effective_chat or update.effective_user
    return ("" if where is None else str(where.id),)


class SerialQueue:
    """Jobs under one key run one after the other; those under different keys side by side."""

    def __init__(self) -> None:
        self._last: dict[str, asyncio.Task[None]] = {}
        self._tasks = BackgroundTasks()

    def add(self, keys: Collection[str], job: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """Do a job once all jobs that were added before it under any of its keys have ended.

        Returns:
            The task that does it. Whoever awaits it gets the job's errors; nobody has to.
        """
        before = {task for key in keys if (task := self._last.get(key)) is not None}
        task = self._tasks.start(_run_after(before, job))
        self._last.update(dict.fromkeys(keys, task))
        task.add_done_callback(partial(self._ended, keys))
        return task

    async def close(self) -> None:
        """Cancel all jobs and wait for their end."""
        await self._tasks.close()

    def _ended(self, keys: Collection[str], task: asyncio.Task[None]) -> None:
        for key in keys:
            if self._last.get(key) is task:
                del self._last[key]
        if not task.cancelled():
            task.exception()  # retrieved, or asyncio complains when nobody awaits the task


async def _run_after(
    before: Collection[asyncio.Task[None]], job: Callable[[], Awaitable[None]]
) -> None:
    if before:
        await asyncio.wait(before)
    await job()


@dataclass(slots=True)
class Album:
    """An album that may not be complete yet.

    Attributes:
        group: Telegram's id of the album.
        items: by update id.
        due: loop time at which no more items are waited for.
    """

    group: str
    items: dict[int, Message] = field(default_factory=dict)
    due: float = 0.0

    @property
    def messages(self) -> list[Message]:
        """The items in the order in which they stand in the chat."""
        return sorted(self.items.values(), key=lambda message: message.message_id)

    @property
    def update(self) -> Update:
        """The album as one update: with its lowest id and its first item."""
        return Update(min(self.items), message=self.messages[0])

    def is_before(self, message: Message) -> bool:
        """Whether the author of the album wrote this message after it, in the same chat."""
        first = next(iter(self.items.values()))
        return (first.chat, first.from_user) == (message.chat, message.from_user)


class Albums:
    """Albums whose items are still arriving: one update each, and nothing marks the last one.

    Keeps no clock: the caller says what time it is.

    Args:
        wait_seconds: for the next item.
    """

    def __init__(self, wait_seconds: float) -> None:
        self._wait = wait_seconds
        self._open: dict[str, Album] = {}
        self._closed: deque[str] = deque(maxlen=_MAX_CLOSED_ALBUMS)

    def add(self, update_id: int, message: Message, now: float) -> bool:
        """Take an item in. False if its album was closed already."""
        group = message.media_group_id or ""
        if group in self._closed:
            _log.info("item of an album came too late", update=update_id)
            return False
        album = self._open.setdefault(group, Album(group))
        album.items[update_id] = message
        album.due = now if len(album.items) >= MAX_ALBUM_ITEMS else now + self._wait
        return True

    def oldest(self) -> int | None:
        """The lowest update id in an open album; that update must not be confirmed yet."""
        return min((min(album.items) for album in self._open.values()), default=None)

    def next_due(self) -> float | None:
        """When the next album is complete."""
        return min((album.due for album in self._open.values()), default=None)

    def complete(self, now: float) -> list[Album]:
        """The albums for which no more items are waited for, to be closed by the caller."""
        return [album for album in self._open.values() if album.due <= now]

    def before(self, message: Message) -> list[Album]:
        """The albums that this message shows to be complete: their author went on writing."""
        return [album for album in self._open.values() if album.is_before(message)]

    def close(self, album: Album) -> None:
        """Stop waiting for items of an album; those that still come are too late."""
        del self._open[album.group]
        self._closed.append(album.group)
