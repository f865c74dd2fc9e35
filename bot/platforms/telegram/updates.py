"""What both ways of receiving updates share: reading one, collecting albums, keeping order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakValueDictionary

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
"""What Telegram is to deliver, as it remembers itself. Posts in channels and messages to businesses
are left out, because the bot cannot answer them."""

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


class UpdateQueue:
    """Updates of one chat are handled one after another, those of different chats side by side."""

    def __init__(self) -> None:
        self._tasks = BackgroundTasks()
        # By chat, or by person where there is none. A task that has ended vanishes by itself.
        self._last: WeakValueDictionary[int, asyncio.Task[None]] = WeakValueDictionary()

    def add(self, update: Update, job: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """Do a job for an update once those for earlier updates of its chat have ended.

        A group that moves has two ids: what was said in the old chat comes before, and what is said
        in the new one comes after.

        Args:
            update: decides what comes before.
            job: logs what goes wrong; nobody has to await its task.
        """
        where = update.effective_chat or update.effective_user
        chats = {0 if where is None else where.id}
        if update.message is not None and update.message.migrate_to_chat_id is not None:
            chats.add(update.message.migrate_to_chat_id)
        before = {task for chat in chats if (task := self._last.get(chat)) is not None}
        task = self._tasks.start(_run_after(before, job))
        self._last.update(dict.fromkeys(chats, task))
        return task

    async def close(self) -> None:
        await self._tasks.close()


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
        due: loop time at which it counts as complete.
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
        """Whether its author wrote this message after it, which shows it to be complete."""
        first = next(iter(self.items.values()))
        return (first.chat, first.from_user) == (message.chat, message.from_user)


class Albums:
    """Albums whose items are still arriving: one update each, and nothing marks the last one.

    Keeps no clock: the caller says what time it is.

    Args:
        wait_seconds: for the next item.

    Attributes:
        open: by Telegram's id of the album. Whoever adds to it closes each that is complete.
    """

    def __init__(self, wait_seconds: float) -> None:
        self.open: dict[str, Album] = {}
        self._wait = wait_seconds
        self._closed: deque[str] = deque(maxlen=_MAX_CLOSED_ALBUMS)

    def add(self, update_id: int, message: Message, now: float) -> bool:
        """Take an item in. False if its album was closed already."""
        group = message.media_group_id or ""
        if group in self._closed:
            _log.info("item of an album came too late", update=update_id)
            return False
        album = self.open.setdefault(group, Album(group))
        album.items[update_id] = message
        album.due = now if len(album.items) >= MAX_ALBUM_ITEMS else now + self._wait
        return True

    def close(self, album: Album) -> None:
        """Stop waiting for items of an album; those that still come are too late."""
        del self.open[album.group]
        self._closed.append(album.group)
