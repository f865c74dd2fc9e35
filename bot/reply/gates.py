"""The clock and memory around `pacing`: one gate per chat, one budget per platform."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable

from bot.messages import Address
from bot.reply.creations import Creations
from bot.reply.pacing import Bucket, Pace, Urgency, wait
from bot.reply.surface import Headroom, Limits

IDLE = 900.0
"""Seconds after which a chat that nobody writes in is forgotten."""


class Gate:
    """Decides when requests to one chat leave; shared by all replies in that chat.

    Attributes:
        clock: monotonic seconds.
        creations: of messages in this chat.
    """

    def __init__(self, budget: Budget, clock: Callable[[], float]) -> None:
        self._budget = budget
        self.clock = clock
        self.creations = Creations()
        self._pace = Pace()
        self.touched = clock()

    async def pass_through(self, urgency: Urgency, limits: Limits, age: float) -> float:
        """Wait until a request of this urgency may leave.

        Returns:
            When it leaves, for `answered`.

        Cancelling: nothing was taken.
        """
        while True:
            seconds = wait(self._pace, self.clock(), urgency, limits, age)
            if seconds:
                await asyncio.sleep(seconds)
                continue
            await self._budget.take(urgency)
            now = self.clock()
            if wait(self._pace, now, urgency, limits, age):
                self._budget.give_back()  # another reply of this chat left meanwhile
                continue
            # Taken at leaving time as well as at the answer: two replies of one chat that
            # wait here would otherwise leave together.
            self._pace = self._pace.left(now)
            return now

    def answered(self, left: float, headroom: Headroom | None = None) -> None:
        """The request that left at `left` was answered, and the platform said how many more.

        Args:
            left: what `pass_through` returned.
            headroom: as the surface said it.
        """
        self.touched = self.clock()
        self._pace = self._pace.answered(self.touched, left, headroom)

    def refused(self, retry_after: float) -> None:
        """The platform asked this chat to wait."""
        self.touched = self.clock() + retry_after
        self._pace = self._pace.refused(self.clock(), retry_after)


class Budget:
    """One platform's requests per second, for the whole bot.

    Who cannot wait goes first, the others in the order in which they came.
    """

    def __init__(self, rate: float, clock: Callable[[], float]) -> None:
        self._bucket = Bucket.full(rate, clock())
        self._clock = clock
        self._waiting: list[tuple[Urgency, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    async def take(self, urgency: Urgency) -> None:
        """Wait for a token.

        Cancelling: none was taken.
        """
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (urgency, next(self._numbers), place))
        self._serve()
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.give_back()
            raise

    def give_back(self) -> None:
        """Return a token that was not used."""
        self._bucket = self._bucket.with_one_back()
        self._serve()

    def _serve(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            urgency, _, place = self._waiting[0]
            if not place.done():
                self._bucket, seconds = self._bucket.take(self._clock(), urgency)
                if seconds:
                    self._timer = asyncio.get_running_loop().call_later(seconds, self._serve)
                    return
                place.set_result(None)
            heapq.heappop(self._waiting)


class Gates:
    """All gates of a process.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._gates: dict[tuple[str, str], Gate] = {}
        self._budgets: dict[str, Budget] = {}

    def gate(self, address: Address, limits: Limits) -> Gate:
        """The gate of the chat that `address` is in."""
        self._forget_idle()
        budget = self._budgets.get(address.platform)
        if budget is None:
            budget = self._budgets[address.platform] = Budget(limits.rate, self._clock)
        key = (address.platform, address.chat)
        gate = self._gates.get(key)
        if gate is None:
            gate = self._gates[key] = Gate(budget, self._clock)
        return gate

    def _forget_idle(self) -> None:
        horizon = self._clock() - IDLE
        for key in [key for key, gate in self._gates.items() if gate.touched < horizon]:
            del self._gates[key]
