"""Who is next: callers take turns, and each caller's own requests keep their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Waiting(Generic[Item]):
    """A queue in which nobody who asks for much keeps others waiting for longer than one request.

    Args:
        caller: whose an item is.
    """

    def __init__(self, caller: Callable[[Item], str]) -> None:
        self._caller = caller
        self._queues: dict[str, deque[Item]] = {}
        """By caller, in the order in which they take turns."""

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def __iter__(self) -> Iterator[Item]:
        """All items in the order in which they would be taken if no more came."""
        rounds = max(map(len, self._queues.values()), default=0)
        for place in range(rounds):
            for queue in self._queues.values():
                if place < len(queue):
                    yield queue[place]

    def add(self, item: Item) -> None:
        """Put an item at the end of its caller's."""
        self._queues.setdefault(self._caller(item), deque()).append(item)

    def take(self) -> Item:
        """Take the next item out; its caller's others come after everybody else's next one."""
        caller = next(iter(self._queues))
        queue = self._queues.pop(caller)
        item = queue.popleft()
        if queue:
            self._queues[caller] = queue
        return item

    def discard(self, is_unwanted: Callable[[Item], bool]) -> None:
        """Take out whatever nobody waits for any more."""
        for caller, queue in list(self._queues.items()):
            kept = deque(item for item in queue if not is_unwanted(item))
            if kept:
                self._queues[caller] = kept
            else:
                del self._queues[caller]
