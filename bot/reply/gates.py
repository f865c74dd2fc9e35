"""The clock and memory around `pacing`: one gate per chat, one budget per platform."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bot.messages import Address
from bot.reply.pacing import Bucket, Pace, Urgency, wait
from bot.reply.surface import Limits

IDLE = 900.0
"""Seconds after which a chat that nobody writes in is forgotten."""


class Gate:
    """Decides when requests to one chat leave; shared by all replies in that chat."""

    def __init__(self, budget: Budget, clock: Callable[[], float]) -> None:
        self._budget = budget
        self._clock = clock
        self._pace = Pace()
        self.touched = clock()

    async def pass_through(self, urgency: Urgency, limits: Limits, age: float) -> None:
        """Wait until a request of this urgency may leave.

        Cancelling: nothing was taken.
        """
        while True:
            now = self._clock()
            seconds = wait(self._pace, now, urgency, limits.interval, age)
            if not seconds:
                seconds = self._budget.take(now, urgency)
            if not seconds:
                # Taken at leaving time as well as at the answer: two replies of one chat that
                # wait here would otherwise leave together.
                self._pace = self._pace.answered(now)
                return
            await asyncio.sleep(seconds)

    def answered(self) -> None:
        """A request to this chat was answered."""
        self.touched = self._clock()
        self._pace = self._pace.answered(self.touched)

    def refused(self, retry_after: float) -> None:
        """The platform asked this chat to wait."""
        self.touched = self._clock() + retry_after
        self._pace = self._pace.refused(self._clock(), retry_after)


class Budget:
    """One platform's requests per second, for the whole bot."""

    def __init__(self, rate: float, clock: Callable[[], float]) -> None:
        self._bucket = Bucket(rate, rate, clock())

    def take(self, now: float, urgency: Urgency) -> float:
        """Take a token; returns 0.0, or the seconds after which to ask again."""
        self._bucket, seconds = self._bucket.take(now, urgency)
        return seconds


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
