"""One turn at a time per channel, in the order in which they were accepted."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from bot.models import Ahead, Turn


@dataclass(slots=True, eq=False)
class QueueEntry:
    """A turn's place in the lane of its channel."""

    turn: Turn
    _lanes: ChannelQueues = field(repr=False)
    _moved: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    async def reached(self, on_move: Callable[[Ahead], None]) -> None:
        """Wait until this turn is the first of its channel.

        Args:
            on_move: told what is ahead, now and whenever that changes. Not called for the first
                in a lane.

        Cancelling: the place is kept; `leave` gives it up.
        """
        while True:
            ahead = self._lanes.ahead(self)
            if not ahead.turns:
                return
            on_move(ahead)
            self._moved.clear()
            await self._moved.wait()

    def moved(self) -> None:
        """Somebody ahead left."""
        self._moved.set()

    def leave(self) -> None:
        """Let the next one go. Idempotent."""
        self._lanes.leave(self)

    def rejoin(self) -> None:
        """Take the last place, after `leave`."""
        self._lanes.rejoin(self)


class ChannelQueues:
    """The lanes of all channels that have turns."""

    def __init__(self) -> None:
        self._lanes: dict[str, deque[QueueEntry]] = {}

    def join(self, turn: Turn) -> QueueEntry:
        """Take the last place in the lane of the turn's channel."""
        place = QueueEntry(turn, self)
        self.rejoin(place)
        return place

    def rejoin(self, place: QueueEntry) -> None:
        """As `QueueEntry.rejoin`."""
        self._lanes.setdefault(str(place.turn.channel), deque()).append(place)

    def ahead(self, place: QueueEntry) -> Ahead:
        """What is ahead of a turn in its channel."""
        before = []
        for other in self._lanes[str(place.turn.channel)]:
            if other is place:
                break
            before.append(other)
        person = place.turn.person
        mine = sum(
            (other.turn.person.platform, other.turn.person.id) == (person.platform, person.id)
            for other in before
        )
        return Ahead(len(before), mine)

    def leave(self, place: QueueEntry) -> None:
        """As `QueueEntry.leave`."""
        key = str(place.turn.channel)
        lane = self._lanes.get(key)
        if lane is None or place not in lane:
            return
        lane.remove(place)
        if not lane:
            del self._lanes[key]
        for other in lane:
            other.moved()
