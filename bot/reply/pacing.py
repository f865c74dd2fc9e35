"""When the next request of a reply may leave. Pure: time goes in, seconds come out.

Platforms count requests per chat and per bot, and edits like sends (facts of both platforms), so
pacing belongs to the chat and not to a reply.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Self

from bot.reply.surface import Limits, RateLimitInfo, Window

STRIKE_MEMORY_SECONDS = 300.0
"""For so long a 429 makes intermediate edits rarer."""

MAX_SLOWDOWN = 8.0

_MAX_TIMES = 64
"""Requests of one chat that are remembered; more than any platform counts in one window."""


class Urgency(enum.IntEnum):
    """What a request is for; the smaller goes first."""

    FIRST = 0
    """The first sign of life of a reply."""
    FINAL = 1
    """The state that is owed."""
    PROGRESS = 2
    """Anything between; may be skipped for a newer one."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What is known about one chat. Times are seconds on one monotonic clock.

    Attributes:
        times: when recent requests left or, once known, were answered; oldest first.
        closed_until: no request at all before this.
        strikes: times of recent 429s.
        spent_until: intermediate states wait for this: the platform said that its count is nearly
            used up until then.
    """

    times: tuple[float, ...] = ()
    closed_until: float = float("-inf")
    strikes: tuple[float, ...] = ()
    spent_until: float = float("-inf")

    def left(self, now: float) -> Pace:
        """After a request left at `now`."""
        return replace(self, times=(*self.times[1 - _MAX_TIMES :], now))

    def answered(
        self, now: float, left: float, rate_limit_info: RateLimitInfo | None = None
    ) -> Pace:
        """After the request that left at `left` was answered at `now`.

        The platform counted it somewhere between the two, so it counts as late as it can.
        """
        rest = list(self.times)
        if left in rest:
            rest.remove(left)
        spent = self.spent_until
        if rate_limit_info is not None:
            spent = now + rate_limit_info.seconds if rate_limit_info.left <= 1 else float("-inf")
        return replace(self, times=(*rest, now)[-_MAX_TIMES:], spent_until=spent)

    def refused(self, now: float, retry_after: float) -> Pace:
        """After a 429 at `now`: closed for `retry_after` seconds, rarer for some minutes."""
        recent = tuple(strike for strike in self.strikes if now - strike < STRIKE_MEMORY_SECONDS)
        return replace(
            self, closed_until=max(self.closed_until, now + retry_after), strikes=(*recent, now)
        )


def interval(base: float, age: float, strikes: int) -> float:
    """Seconds between two intermediate states.

    Args:
        base: the shortest that never earns a 429 in this chat.
        age: seconds since the reply began; a long wait needs fewer words.
        strikes: 429s in the last `STRIKE_MEMORY_SECONDS` seconds.
    """
    slower = 1.0 if age < 30 else 1.5 if age < 60 else 2.0 if age < 180 else 3.0  # noqa: PLR2004 - the steps themselves
    return base * min(MAX_SLOWDOWN, slower * 2.0**strikes)


def wait(pace: Pace, now: float, urgency: Urgency, limits: Limits, age: float) -> float:
    """Seconds until a request of this urgency may leave; 0.0 for now.

    Intermediate states keep an interval, and leave a part of each window to first signs of life
    and final states. Those wait only while the chat is closed or its windows are full: one request
    too many would close it for half a minute.
    """
    closed = max(0.0, pace.closed_until - now)
    full = max((_full(pace, now, urgency, window) for window in limits.windows), default=0.0)
    if urgency is not Urgency.PROGRESS:
        return max(closed, full)
    strikes = sum(now - strike < STRIKE_MEMORY_SECONDS for strike in pace.strikes)
    last = pace.times[-1] if pace.times else float("-inf")
    due = last + interval(limits.interval, age, strikes) - now
    return max(closed, full, due, pace.spent_until - now, 0.0)


def _full(pace: Pace, now: float, urgency: Urgency, window: Window) -> float:
    """Seconds until a window takes a request of this urgency."""
    reserve = max(1, window.requests // 5) if urgency is Urgency.PROGRESS else 0
    allowed = max(1, window.requests - reserve)
    if len(pace.times) < allowed:
        return 0.0
    return max(0.0, pace.times[-allowed] + window.seconds - now)


@dataclass(frozen=True, slots=True)
class Bucket:
    """The bot's budget on one platform: a token bucket with a reserve for what cannot wait.

    It holds an eighth of a second's worth, so that in no second more than 9/8 of `rate` leave:
    platforms count in windows of a second and refuse what is beyond.

    Attributes:
        rate: requests per second.
        tokens: left at `at`.
        at: when `tokens` was true.
    """

    rate: float
    tokens: float
    at: float

    @classmethod
    def full(cls, rate: float, now: float) -> Self:
        """One that nothing was taken from."""
        return cls(rate, _capacity(rate), now)

    def with_one_back(self) -> Bucket:
        """After a token was not used."""
        return replace(self, tokens=self.tokens + 1.0)

    def take(self, now: float, urgency: Urgency) -> tuple[Bucket, float]:
        """Take a token for a request that leaves after the returned seconds.

        Intermediate states leave a third of the bucket to first and final ones: when it runs low
        they wait, and a newer state takes their place meanwhile.

        Returns:
            The bucket afterwards, unchanged if the wait is not 0.0, and the seconds to wait.
        """
        capacity = _capacity(self.rate)
        tokens = min(capacity, self.tokens + (now - self.at) * self.rate)
        reserve = capacity / 3 if urgency is Urgency.PROGRESS else 0.0
        # A full bucket always has one to give, however small the rate.
        needed = min(1.0 + reserve, capacity)
        if tokens >= needed:
            return Bucket(self.rate, tokens - 1.0, now), 0.0
        return self, (needed - tokens) / self.rate


def _capacity(rate: float) -> float:
    return max(1.0, rate / 8)
