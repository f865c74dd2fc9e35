"""Who goes next: one turn at a time per channel, and fair turns for people at the Spaces.

In a channel, turns go in the order in which they were accepted. For a slot at the Spaces, first
come, first served would let one person with ten requests hold everybody up. So each person who
waits gets one request, then the next person; a newcomer goes before those who had one already. A
question takes seconds and a drawing of five pictures a minute, so questions go first, and after
three of them one drawing.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bot.models import Ahead, Imagine, Turn, same_person

MAX_QUESTIONS_IN_A_ROW = 3
"""Questions that go before a waiting drawing."""
_RESERVED_FROM_SLOTS = 3
"""From this many slots on, one is kept free of drawings."""
_QUEUE_LENGTH_SECONDS = 30.0
"""How long the length of a Space's own queue is worth telling."""


@dataclass(slots=True, eq=False)
class QueueEntry:
    """A turn's place in the queue of its channel."""

    turn: Turn
    _queues: dict[str, deque[QueueEntry]] = field(repr=False)
    _moved: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    async def first(self, on_move: Callable[[Ahead], None]) -> None:
        """Wait until this turn is the first of its channel.

        Args:
            on_move: told what is ahead, now and whenever that changes. Not called for the first
                in a queue.

        Cancelling: the place is kept; `leave` gives it up.
        """
        key = str(self.turn.channel)
        while before := list(self._queues[key])[: self._queues[key].index(self)]:
            mine = sum(same_person(other.turn.person, self.turn.person) for other in before)
            on_move(Ahead(len(before), mine))
            self._moved.clear()
            await self._moved.wait()

    def leave(self) -> None:
        """Let the next one go. Idempotent."""
        key = str(self.turn.channel)
        queue = self._queues.get(key, ())
        if self in queue:
            self._queues[key].remove(self)
            for other in queue:
                other._moved.set()  # noqa: SLF001 - of the same class
        if not queue:
            self._queues.pop(key, None)

    def rejoin(self) -> None:
        """Take the last place, after `leave`."""
        self._queues.setdefault(str(self.turn.channel), deque()).append(self)


class ChannelQueues:
    """The queues of all channels that have turns."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[QueueEntry]] = {}

    def join(self, turn: Turn) -> QueueEntry:
        """Take the last place in the queue of the turn's channel."""
        entry = QueueEntry(turn, self._queues)
        entry.rejoin()
        return entry


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request that waits.

    Attributes:
        number: in order of arrival.
        person: who asks.
        drawing: it draws, and takes long.
    """

    number: int
    person: str
    drawing: bool


def order(waiting: Sequence[Ticket], served: Mapping[str, int], row: int) -> list[Ticket]:
    """In which order requests go if no other comes.

    Args:
        waiting: in order of arrival.
        served: when each person was served last; larger is later, missing is never.
        row: questions that went since the last drawing.
    """
    questions = _in_turns([each for each in waiting if not each.drawing], served)
    drawings = _in_turns([each for each in waiting if each.drawing], served)
    result: list[Ticket] = []
    while questions and drawings:
        if row < MAX_QUESTIONS_IN_A_ROW:
            result.append(questions.pop(0))
            row += 1
        else:
            result.append(drawings.pop(0))
            row = 0
    return result + questions + drawings


def _in_turns(waiting: Sequence[Ticket], served: Mapping[str, int]) -> list[Ticket]:
    """One of each person, whoever waited longest for being served first; then the next of each."""
    rounds: dict[str, int] = defaultdict(int)
    keyed = []
    for ticket in waiting:
        keyed.append((rounds[ticket.person], served.get(ticket.person, -1), ticket.number, ticket))
        rounds[ticket.person] += 1
    return [each[-1] for each in sorted(keyed, key=lambda each: each[:-1])]


@dataclass(slots=True, eq=False)
class _Waiting:
    ticket: Ticket
    granted: bool = False
    moved: asyncio.Event = field(default_factory=asyncio.Event)


class Scheduler:
    """Gives out as many slots as the Spaces take requests at once.

    Args:
        slots: how many that is at the moment; 0 for any number.
        clock: monotonic seconds.
        drawings_left: see `Ahead`.
    """

    def __init__(
        self,
        slots: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
        drawings_left: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._slots = slots
        self._drawings_left = drawings_left
        self._clock = clock
        self._numbers = itertools.count()
        self._waiting: list[_Waiting] = []
        self._served: dict[str, int] = {}
        self._row = 0
        self._running: dict[bool, int] = {True: 0, False: 0}
        self._heard: tuple[int, float] | None = None

    @asynccontextmanager
    async def slot(self, turn: Turn, on_move: Callable[[Ahead], None]) -> AsyncIterator[None]:
        """Wait for a slot and keep it for the block.

        Args:
            turn: whose request it is.
            on_move: told what is ahead, now and whenever that changes. Not called for a request
                that goes at once.

        Cancelling: the slot, or the wait for it, is given up.
        """
        drawing = isinstance(turn.command, Imagine)
        mine = _Waiting(Ticket(next(self._numbers), str(turn.person), drawing))
        self._waiting.append(mine)
        try:
            self._admit()
            while not mine.granted:
                on_move(self._ahead(mine.ticket))
                mine.moved.clear()
                await mine.moved.wait()
            yield
        finally:
            if mine.granted:
                self._running[drawing] -= 1
            else:
                self._waiting.remove(mine)
            self._admit()

    def heard(self, queue: int) -> None:
        """A request learnt how long the Space's own queue is."""
        self._heard = (queue, self._clock())

    def _admit(self) -> None:
        """Give slots to all for whom there is one now, and tell the others."""
        while (chosen := self._next()) is not None:
            self._waiting.remove(chosen)
            chosen.granted = True
            drawing = chosen.ticket.drawing
            self._running[drawing] += 1
            self._row = 0 if drawing else self._row + 1
            self._served[chosen.ticket.person] = next(self._numbers)
            chosen.moved.set()
        if not self._waiting and not any(self._running.values()):
            self._served.clear()  # nobody is owed anything
        for other in self._waiting:
            other.moved.set()

    def _next(self) -> _Waiting | None:
        slots, running = self._slots(), sum(self._running.values())
        if slots and running >= slots:
            return None
        keep = 1 if slots >= _RESERVED_FROM_SLOTS else 0
        full = bool(slots) and self._running[True] >= slots - keep
        by_ticket = {each.ticket: each for each in self._waiting}
        for ticket in order(list(by_ticket), self._served, self._row):
            if not (ticket.drawing and full):
                return by_ticket[ticket]
        return None

    def _ahead(self, ticket: Ticket) -> Ahead:
        coming = order([each.ticket for each in self._waiting], self._served, self._row)
        before = coming[: coming.index(ticket)]
        mine = sum(each.person == ticket.person for each in before)
        queue = None
        if self._heard is not None and self._clock() - self._heard[1] < _QUEUE_LENGTH_SECONDS:
            queue = self._heard[0]
        return Ahead(len(before), mine, False, queue, self._drawings_left())
