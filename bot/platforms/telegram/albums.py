"""Collects the items of an album, which arrive as one update each and without an end mark."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from telegram import Message

MOST_ITEMS = 10
"""Items of an album (Bot API, `sendMediaGroup`)."""
_REMEMBERED = 256


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
        self._closed: deque[str] = deque(maxlen=_REMEMBERED)

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
