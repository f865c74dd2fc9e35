"""Keeps the creation of messages and the search for lost ones apart, within one chat."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from bot.models import Address
from bot.reply.pacing import Bucket, Pace, Urgency, wait
from bot.reply.surface import Limits, RateLimitInfo


class Creations:
    """Shared by all replies of a chat.

    Where messages have no names, a search would take a message for the lost one that another reply
    has just created and not stored yet. Creating does not exclude creating: a long upload keeps
    nobody's first sign of life waiting.
    """

    def __init__(self) -> None:
        self._count = 0
        self._no_creation = asyncio.Event()
        self._no_creation.set()
        self._no_search = asyncio.Event()
        self._no_search.set()

    @asynccontextmanager
    async def creating(self) -> AsyncIterator[None]:
        """From before a request that creates a message until its id is stored.

        Waits while a search looks at a message.
        """
        while not self._no_search.is_set():
            await self._no_search.wait()
        self._count += 1
        self._no_creation.clear()
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                self._no_creation.set()

    @asynccontextmanager
    async def searching(self) -> AsyncIterator[None]:
        """While a search looks at one message. Waits for creations and for other searches."""
        while self._count or not self._no_search.is_set():
            await self._no_creation.wait()
            await self._no_search.wait()
        self._no_search.clear()
        try:
            yield
        finally:
            self._no_search.set()


_IDLE_SECONDS = 900.0
"""After this a chat that nobody writes in is forgotten."""
_SWEEP_SECONDS = 60.0


class ChatLimiter:
    """Decides when requests to one chat leave; shared by all replies in that chat.

    Attributes:
        clock: monotonic seconds.
        creations: of messages in this chat.
    """

    def __init__(self, budget: PlatformBudget, clock: Callable[[], float]) -> None:
        self._budget = budget
        self.clock = clock
        self.creations = Creations()
        self._pace = Pace()
        self.touched = clock()

    async def acquire(self, urgency: Urgency, limits: Limits, age: float) -> float:
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

    def answered(self, left: float, rate_limit_info: RateLimitInfo | None = None) -> None:
        """The request that left at `left` was answered, and the platform said how many more.

        Args:
            left: what `acquire` returned.
            rate_limit_info: as the surface said it.
        """
        self.touched = self.clock()
        self._pace = self._pace.answered(self.touched, left, rate_limit_info)

    def refused(self, retry_after: float) -> None:
        """The platform asked this chat to wait."""
        self.touched = self.clock() + retry_after
        self._pace = self._pace.refused(self.clock(), retry_after)


class PlatformBudget:
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


class RateLimiter:
    """The limiters of all chats of a process, and the budget of each platform.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._chats: dict[tuple[str, str], ChatLimiter] = {}
        self._budgets: dict[str, PlatformBudget] = {}
        self._next_sweep = clock() + _SWEEP_SECONDS

    def chat(self, address: Address, limits: Limits) -> ChatLimiter:
        """The limiter of the chat that `address` is in."""
        if self._clock() >= self._next_sweep:
            self._forget_idle()
        budget = self._budgets.get(address.platform)
        if budget is None:
            budget = self._budgets[address.platform] = PlatformBudget(limits.rate, self._clock)
        key = (address.platform, address.chat)
        limiter = self._chats.get(key)
        if limiter is None:
            limiter = self._chats[key] = ChatLimiter(budget, self._clock)
        return limiter

    def _forget_idle(self) -> None:
        self._next_sweep = self._clock() + _SWEEP_SECONDS
        horizon = self._clock() - _IDLE_SECONDS
        for key in [key for key, limiter in self._chats.items() if limiter.touched < horizon]:
            del self._chats[key]
